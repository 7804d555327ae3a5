"""`manage.py probe_board` on a real server: it agrees with a true board and tells of a false one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from django.core.management import CommandError, call_command

from scores.board import merging
from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from scores.rules.players import Player
from tools.devstack.install.files import ROOT
from tools.devstack.processes.part import Part
from tools.devstack.processes.ports import free_port
from tools.testing import stage
from tools.testing.processes import post, server
from tools.testing.receiver import receiving

METRICS = {"SCOREBOARD_METRICS_EVERY_S": "30", "SCOREBOARD_METRICS_NAMESPACE": "S/test"}


def probe(url, *options, **environment):
    """(exit status, the metrics it wrote, what it said)"""
    command = [sys.executable, "manage.py", "probe_board", "--url", url, "--once", *options]
    env = os.environ | METRICS | environment
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, lines[-1] if lines else {}, done.stderr


def test_it_agrees_with_a_true_board_and_tells_how_old_a_false_one_is(stores):
    with server() as part:
        url = f"ws://127.0.0.1:{part.port}/ws/scoreboard"
        token = local_issuer.mint("server", WRITE_SCOPE)
        for number in range(12):
            assert post(part, token, f"u{number:02}", 10 + number, f"k{number}").status_code == 200
        status, written, said = probe(url)
        assert (status, written["BoardDifferenceAge"], written["ProbeFailures"]) == (0, 0, 0), said
        assert written["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "S/test"
        # The cache believes the higher version: this one is not repaired from the table.
        stage.scoreboard().use_generation(stage.scoreboard().players.read_state().generation)
        merging.merge(stage.scoreboard(), [Player("u05", 1000, version=99, reached_at=1)])
        status, written, said = probe(url, "--within", "1.5")
        assert status == 1 and 1.0 < written["BoardDifferenceAge"] < 30, said
        assert "u05: shown rank 1 with 1000 points, in the table rank 7 with 15 points" in said


def test_a_socket_that_opens_slowly_does_not_take_away_the_time_in_which_a_difference_shows(stores):
    with server() as part:
        token = local_issuer.mint("server", WRITE_SCOPE)
        for number in range(3):
            assert post(part, token, f"u{number}", 10 + number, f"k{number}").status_code == 200
        stage.scoreboard().use_generation(stage.scoreboard().players.read_state().generation)
        merging.merge(stage.scoreboard(), [Player("u0", 1000, version=99, reached_at=1)])
        os.kill(part.pid, signal.SIGSTOP)  # it accepts connections and does not answer
        timer = threading.Timer(6, os.kill, (part.pid, signal.SIGCONT))
        timer.start()
        try:
            status, written, said = probe(f"ws://127.0.0.1:{part.port}/ws/scoreboard", "--within", "1.5")
        finally:
            timer.join()
        assert status == 1 and written["BoardDifferenceAge"] >= 1.5, said


def test_it_says_when_there_is_nothing_to_see(stores):
    status, written, said = probe(f"ws://127.0.0.1:{free_port()}/ws/scoreboard", "--within", "0")
    assert status == 2 and written["ProbeFailures"] == 1 and "BoardDifferenceAge" not in written
    assert re.search("nothing to compare: the socket: ConnectionRefusedError", said)


def test_it_goes_on_looking_at_a_private_board_through_a_restart(stores):
    answer = json.dumps({"access_token": local_issuer.mint("probe")}).encode()
    lines = []

    def wait_for(condition):
        deadline = time.monotonic() + 40
        while not any(condition(json.loads(line)) for line in lines if line.startswith("{")):
            assert time.monotonic() < deadline, lines
            time.sleep(0.05)
        lines.clear()

    with receiving((200, answer)) as issuer, server(SCOREBOARD_PUBLIC="false") as part:
        url, origin = f"ws://127.0.0.1:{part.port}/ws/scoreboard", f"http://127.0.0.1:{part.port}"
        options = ["--interval", "1", "--origin", origin, "--token-url", f"http://127.0.0.1:{issuer.port}/t"]
        env = os.environ | METRICS | {"PROBE_CLIENT_ID": "id", "PROBE_CLIENT_SECRET": "secret:1"}
        command = [sys.executable, "manage.py", "probe_board", "--url", url, *options]
        running = Part("probe", command, env=env, cwd=ROOT, sink=lines.append)
        running.start()
        try:
            wait_for(lambda line: line.get("BoardDifferenceAge") == 0)
            part.kill()
            wait_for(lambda line: line["ProbeFailures"] == 1 and "BoardDifferenceAge" not in line)
            part.start()
            part.wait_ready()
            wait_for(lambda line: line.get("BoardDifferenceAge") == 0)
        finally:
            running.stop()
        path, headers, body = issuer.received[-1]
        assert (path, body) == ("/t", b"grant_type=client_credentials")
        assert headers["Authorization"] == "Basic aWQ6c2VjcmV0JTNBMQ=="


@pytest.mark.parametrize(
    ("options", "text"),
    [({"url": "http://x"}, "ws://"), ({"url": "ws://x", "interval": 0}, "at least 1")],
)
def test_it_refuses_what_makes_no_sense(options, text):
    with pytest.raises(CommandError, match=text):
        call_command("probe_board", **options)
