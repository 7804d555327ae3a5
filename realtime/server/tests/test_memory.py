"""What an open socket costs that has nothing to do, on the real server."""

from __future__ import annotations

import time
from contextlib import ExitStack

from realtime.server.open_files import raise_file_limit
from tools.testing.kernel import resident_kib
from tools.testing.processes import server
from tools.testing.raw import RawViewer

FIRST, MORE = 200, 1000


def test_a_thousand_idle_sockets_cost_less_than_16_kib_each(stores):
    raise_file_limit()
    with server() as part, ExitStack() as stack:

        def open_more(count: int) -> int:
            for _ in range(count):
                stack.enter_context(RawViewer(part.port)).opened()
            time.sleep(1.5)
            return resident_kib(part.pid)

        # The first ones also pay for what the process grows by only once.
        before = open_more(FIRST)
        assert (open_more(MORE) - before) / MORE < 16
