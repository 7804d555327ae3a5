"""The limit of Python: asyncio, sockets, and one `send` for each; no framework, no care: `... PORT`."""

from __future__ import annotations

import asyncio
import socket
import sys

from realtime.frames import accept_token, text_frame
from tools.benchmarks.servers.driver import board_text, drive

sockets: list[socket.socket] = []


async def accept(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        client, _ = await loop.sock_accept(listener)
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        request = await loop.sock_recv(client, 4096)
        if not request:
            client.close()
            continue
        key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
        head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        token = accept_token(key) or b""
        client.send(head + b"Sec-WebSocket-Accept: " + token + b"\r\n\r\n" + text_frame(board_text()))
        sockets.append(client)


async def publish() -> None:
    frame = text_frame(board_text())
    for client in sockets:
        try:
            client.send(frame)
        except BlockingIOError:
            pass


async def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=4096) as listener:
        listener.setblocking(False)
        accepting = asyncio.create_task(accept(listener))
        await drive(publish)
        accepting.cancel()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
