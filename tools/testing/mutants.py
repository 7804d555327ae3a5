"""`python -m tools.testing.mutants`: plants faults, one at a time, and says which of them the tests notice.

They are planted in a copy of the checkout. The exit code is the number of faults that nobody noticed.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.devstack.tests.machines import fresh_checkout


@dataclasses.dataclass(frozen=True, slots=True)
class Mutant:
    """`old`, which is in `file` once, becomes `new`; `tests` (paths of pytest) should notice."""

    file: str
    old: str
    new: str
    tests: str


RULES, STORES = "scores/rules/tests", "scores/stores/tests"
MUTANTS = [
    # Rules
    Mutant("scores/rules/players.py", "MAX_MS - self.reached_at", "self.reached_at", RULES),
    Mutant("scores/rules/players.py", "version=player.version + 1", "version=player.version", RULES),
    Mutant("scores/rules/players.py", "self.banned_until > now)", "self.banned_until < now)", RULES),
    Mutant("scores/rules/actions.py", "if not 0 <= player.score + amount", "if not -9 <= player.score + amount", RULES),
    Mutant("scores/rules/names.py", "if _is_reserved(name):", "if False:", RULES),
    Mutant("scores/rules/addresses.py", "entries[-proxies] if", "entries[0] if", RULES),
    Mutant("scores/rules/tickets.py", 'if set(claims) - _OPTIONAL_CLAIMS != _CLAIMS:', "if False:", "scores/api/tests/test_tickets.py"),
    Mutant("scores/rules/limits.py", "if used + interval > burst", "if used > burst", "scores/api/tests/test_limits.py"),
    # Identity
    Mutant("scores/identity/verifier.py", "issuer=self._issuers,", "", "scores/identity/tests/test_verifier.py"),
    Mutant(
        "scores/identity/verifier.py",
        'if claims.get("token_use") != "access":',
        "if False:",
        "scores/identity/tests/test_verifier.py",
    ),
    # Stores
    Mutant(
        "scores/stores/ranking.lua", "tonumber(version) > tonumber(old_version)", "version ~= old_version", STORES
    ),
    Mutant("scores/stores/ranking.lua", "if version == ARGV[i + 1] then", "if true then", STORES),
    Mutant("scores/stores/ranking.py", "return None, None\n        return (None", "pass\n        return (None", STORES),
    # Board
    Mutant("scores/board/write_protocol.py", "self.known = None\n            yield", "yield", "scores/board/tests"),
    Mutant("scores/board/merging.py", "announce(scoreboard, merged.revision)", "pass", "scores/board realtime/tests"),
    # Upkeep and moderation
    Mutant("scores/upkeep/verify.py", "        if problem:\n", "        if False:\n", "scores/upkeep scores/board"),
    Mutant("scores/rules/actions.py", "score=0, name=None, state=State.ERASED", "score=0, state=State.ERASED", RULES),
    # API
    Mutant("scores/api/parsers.py", "if len(found) != len(pairs):", "if False:", "scores/api/tests/test_views.py"),
    Mutant("scores/api/serializers.py", "type(data) is not int or", "", "scores/api/tests/test_views.py"),
    # Telemetry
    Mutant("scores/telemetry/logs.py", "return _CONTROL.sub(", "return (lambda _, text: text)(", "scores/telemetry"),
    Mutant("scores/telemetry/security_events.py", "if written >= MAX_PER_S:", "if False:", "scores/telemetry"),
    # Realtime
    Mutant("realtime/frames.py", "if length > MAX_PAYLOAD:", "if False:", "realtime/tests/test_frames.py"),
    Mutant("realtime/frames.py", "or not second & _MASKED", "", "realtime/tests/test_frames.py"),
    Mutant("realtime/hub/hub.py", "board.revision > previous.revision", "False", "realtime/hub/tests/test_hub.py"),
    Mutant(
        "realtime/probe/comparison.py",
        "looked_at if before.differs_since is None else before.differs_since",
        "looked_at",
        "realtime/probe/tests/test_comparison.py",
    ),
]  # fmt: skip


def noticed(checkout: Path, mutant: Mutant) -> bool:
    """Whether the tests fail when the fault is there."""
    file = checkout / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        raise SystemExit(f"{mutant.file} has {text.count(mutant.old)} times: {mutant.old}")
    file.write_text(text.replace(mutant.old, mutant.new))
    try:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-x",
            "-q",
            "-p",
            "no:cacheprovider",
            *mutant.tests.split(),
        ]
        env = os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1"}
        code = subprocess.run(command, cwd=checkout, env=env, capture_output=True, timeout=300).returncode
    finally:
        file.write_text(text)
    if code not in (0, 1):
        raise SystemExit(f"pytest ended with {code} on {mutant}")
    return code == 1


def main() -> int:
    missed = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        checkout = fresh_checkout(Path(folder, "checkout"))
        for mutant in MUTANTS:
            found = noticed(checkout, mutant)
            missed += not found
            print(f"{'noticed' if found else 'MISSED '}  {mutant.file}: {mutant.old.strip()!r}", flush=True)
    print(f"{len(MUTANTS) - missed} of {len(MUTANTS)} noticed")
    return missed


if __name__ == "__main__":
    sys.exit(main())
