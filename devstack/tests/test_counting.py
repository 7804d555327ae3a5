"""The proxy with which `make bench-path` counts calls."""

import contextlib
import socket
import threading
import time

from benchmarks.counting import DynamoDBProxy
from devstack.ports import free_port
from devstack.tests.stage import until


def test_proxy_passes_everything_on_and_counts_calls_cut_anywhere():
    received = bytearray()
    with contextlib.closing(socket.create_server(("127.0.0.1", free_port()))) as upstream:

        def serve() -> None:
            with upstream.accept()[0] as connection:
                while data := connection.recv(4096):
                    received.extend(data)

        server = threading.Thread(target=serve)
        server.start()
        proxy = DynamoDBProxy(upstream.getsockname()[1])
        call = b"POST / HTTP/1.1\r\nX-Amz-Target: DynamoDB_20120810.%s\r\n\r\n{}"
        sent = call % b"GetItem" + call % b"TransactWriteItems" * 2
        with socket.create_connection(("127.0.0.1", proxy.port)) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(sent), 17):
                client.sendall(sent[at : at + 17])
                time.sleep(0.002)
        until(lambda: len(received) == len(sent), 5)
        server.join(5)
    assert bytes(received) == sent
    assert proxy.calls == {"GetItem": 1, "TransactWriteItems": 2}
