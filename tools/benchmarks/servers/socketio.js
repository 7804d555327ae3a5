// socket.io, WebSocket transport only: node socketio.js PORT
"use strict";
const http = require("node:http");
const { Server } = require("socket.io");
const { board, drive } = require("./driver.js");

const server = http.createServer();
const io = new Server(server, { transports: ["websocket"] });

io.on("connection", (socket) => socket.emit("board", board()));
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
drive(() => io.emit("board", board()));
