// Node `ws`: node ws.js PORT
"use strict";
const http = require("node:http");
const { WebSocketServer } = require("ws");
const { board, drive } = require("./driver.js");

const server = http.createServer();
const sockets = new WebSocketServer({ server });
const frame = () => Buffer.from(JSON.stringify(board()));

sockets.on("connection", (socket) => socket.send(frame(), { binary: false }));
server.listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 });
drive(() => {
  const data = frame();
  for (const socket of sockets.clients) socket.send(data, { binary: false });
});
