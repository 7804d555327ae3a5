"""Server processes: several at once, killed, stopped in order."""

from __future__ import annotations

import os
import signal
import threading
import time

from tools.faults import armed
from tools.faults.proxies.tcp import wait_until
from tools.faults.run import Run
from tools.faults.scenarios.catalogue import scenario
from tools.faults.stage import Web

#: So many requests at least wait for an answer of the servers, taken together, when one is told to end.
IN_FLIGHT = 50


@scenario("F11", "several processes, same player, same key")
def same_key(run: Run) -> None:
    for number in range(12):
        attempt = run.attempt(f"{run.key}-shared", 1 + number)
        together = [
            threading.Thread(target=run.settle, args=(attempt,), kwargs={"start": n}) for n in range(6)
        ]
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
        accepted = [reply for reply in attempt.replies if reply.accepted]
        run.expect(len(accepted) == 6, f"{attempt}: {len(accepted)} of 6 were accepted")


@scenario("F12", "SIGKILL at six points of an update")
def killed_at_points(run: Run) -> None:
    for number, point in enumerate(armed.POINTS):
        web = run.stage.webs[number % len(run.stage.webs)]
        web.arm(point)
        expect_killed(run, web, point)
        run.wait_for_updates(5)
        web.restart()


def expect_killed(run: Run, web: Web, point: str) -> None:
    wait_until(lambda: not web.part.running, 20, f"{web.part.name} is killed {point}")
    run.expect(web.part.death() == "killed by SIGKILL", f"{web.part.name} {point}: {web.part.death()}")


@scenario("F13", "rolling SIGTERM, 50 requests in flight")
def rolling_restart(run: Run) -> None:
    stage = run.stage
    stage.to_dynamodb.delay(0.5)  # so long that most writers wait for an answer, also on a busy machine
    began = time.monotonic()
    with run.crowd(60):
        for web in stage.webs:
            time.sleep(1.0)
            ended = _terminate(web)
            _expect_answered(run, web, ended)
            web.restart()
    codes = {code for page in run.pages for at, code in page.closed if at > began}
    run.expect(codes == {1012}, f"sockets were closed with {sorted(codes)}, not 1012")
    run.expect_all_accepted()


def _terminate(web: Web) -> float:
    """When SIGTERM was sent; returns when the process has ended."""
    sent_at = time.monotonic()
    os.kill(web.part.pid, signal.SIGTERM)
    wait_until(lambda: not web.part.running, 25, f"{web.part.name} has drained")
    return sent_at


def _expect_answered(run: Run, web: Web, terminated_at: float) -> None:
    """Requests that were in flight at SIGTERM have got their answer."""
    flying = [
        reply
        for attempt in list(run.journal.attempts.values())
        for reply in list(attempt.replies)
        if reply.began < terminated_at < reply.ended
    ]
    ours = [reply for reply in flying if reply.server == str(web.port)]
    broken = sum(reply.status == 0 for reply in ours)
    run.note(
        f"{len(flying)} requests in flight at SIGTERM, {len(ours)} of them at {web.part.name}, "
        f"{broken} without an answer"
    )
    run.expect(len(flying) >= IN_FLIGHT, f"only {len(flying)} requests were in flight", timed=True)
    run.expect(len(ours) >= IN_FLIGHT // 4, f"only {len(ours)} were at {web.part.name}", timed=True)
    run.expect(not broken, f"{broken} of {len(ours)} requests in flight were not answered")
