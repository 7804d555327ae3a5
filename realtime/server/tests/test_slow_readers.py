"""Viewers that do not read, against the real server with a fast source of boards."""

from __future__ import annotations

import time
from contextlib import ExitStack

from realtime.server.server import SEND_BUFFER
from tools.testing.kernel import resident_kib, unsent_bytes
from tools.testing.processes import server
from tools.testing.raw import PING, PONG, TEXT, RawViewer
from tools.testing.tls import tls_server

PUMP = ("-m", "realtime.server.tests.pump")


def read_revisions(viewer: RawViewer, seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    revisions = []
    while time.monotonic() < deadline:
        frame = viewer.read()
        if frame.opcode == TEXT:
            revisions.append(frame.message["revision"])
    return revisions


def test_who_pauses_skips_boards_never_sees_an_older_one_and_ends_at_the_newest(running_stores):
    with server(PUMP, probe="/livez") as part, RawViewer(part.port, receive_buffer=4096) as slow:
        slow.opened()
        with RawViewer(part.port) as fast:
            every = read_revisions(fast.opened(), 2.0)
            seen = read_revisions(slow, 0.5)
            newest = fast.read().message["revision"]
        assert seen == sorted(set(seen))
        assert seen[-1] >= newest - 100_000  # µs
        assert len(set(every) - set(seen)) > 100, "it should have been behind"


def test_who_stays_behind_is_closed_and_costs_no_memory(running_stores):
    with server(PUMP, probe="/livez", PUMP_BEHIND_S="1") as part, ExitStack() as stack:
        silent = [stack.enter_context(RawViewer(part.port, receive_buffer=4096)) for _ in range(200)]
        for number, viewer in enumerate(silent):
            viewer.opened()
            if number % 2:  # a piece of a frame now and then does not make it a better reader
                viewer.send(b"\x81")
        normal = stack.enter_context(RawViewer(part.port)).opened()
        read_revisions(normal, 0.5)
        before = resident_kib(part.pid)
        read_revisions(normal, 2.6)
        # Some 200 MiB of boards were made for them.
        assert resident_kib(part.pid) - before < 200 * 32
        # Nobody gets older boards for others' sake.
        assert time.time_ns() // 1000 - normal.read().message["revision"] < 1_000_000
        assert [last_frame_code(viewer) for viewer in silent[:4]] == [4408] * 4
        read_revisions(normal, 2.5)
        assert all(ended(viewer) for viewer in silent[4:])


def test_over_tls_who_does_not_read_is_bounded_too_and_closed(running_stores, tmp_path):
    with tls_server(tmp_path, PUMP, PUMP_BEHIND_S="3") as (part, trust), ExitStack() as stack:

        def viewer(**options) -> RawViewer:
            return stack.enter_context(RawViewer(part.port, trust=trust, **options)).opened()

        silent = [viewer(receive_buffer=4096) for _ in range(50)]
        normal = viewer()
        before = resident_kib(part.pid)
        read_revisions(normal, 2.0)
        # Some 20 MiB of boards were made for them. 64 KiB of each may wait in the transport, in two pieces.
        assert resident_kib(part.pid) - before < 50 * 128
        assert SEND_BUFFER < max(unsent_bytes(part.port)) <= 2 * SEND_BUFFER
        assert time.time_ns() // 1000 - normal.read().message["revision"] < 1_000_000
        read_revisions(normal, 6.0)
        assert all(ended(viewer) for viewer in silent)


def test_who_answers_pings_stays_and_who_does_not_is_closed(running_stores):
    times = {"PUMP_PING_S": "0.5", "PUMP_PONG_S": "1", "PUMP_INTERVAL_S": "0.5"}
    with server(PUMP, probe="/livez", **times) as part, RawViewer(part.port) as silent:
        silent.opened()
        with RawViewer(part.port) as lively:
            lively.opened()
            for _ in range(3):
                assert lively.read_control().opcode == PING
                lively.say(PONG)
        assert silent.read_control().opcode == PING
        assert silent.read_control().close_code == 4410


def last_frame_code(viewer: RawViewer) -> int:
    while True:
        frame = viewer.read()
        if frame.opcode != TEXT:
            return frame.close_code


def ended(viewer: RawViewer) -> bool:
    """Whether the server has dropped the connection, once everything sent before has been read."""
    try:
        while viewer.socket.recv(65536):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True
