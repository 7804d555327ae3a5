"""The counters of the benchmarks: processor time, and calls through a proxy."""

import contextlib
import socket
import subprocess
import sys
import threading
import time

from tools.benchmarks.counting import DynamoDBProxy, cpu_s
from tools.devstack.processes.ports import free_port
from tools.devstack.tests.stage import until

BURN = """
import sys, threading, time
def burn():
    while time.thread_time() < 0.2:
        pass
thread = threading.Thread(target=burn)
thread.start()
thread.join()
print("done", flush=True)
sys.stdin.read()
"""


def test_processor_time_is_exact_and_holds_threads_that_have_ended():
    command = [sys.executable, "-c", BURN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"done\n"
        used = cpu_s(process.pid)
        time.sleep(0.3)
        assert cpu_s(process.pid) - used < 0.01
        process.communicate()
    assert 0.2 <= used < 1
    assert sys.platform != "linux" or round(used, 2) != used


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
