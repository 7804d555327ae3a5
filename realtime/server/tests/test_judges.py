"""Our WebSocket protocol before an outside judge: Autobahn's case files, behind an echo."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.testing.processes import server

#: Groups of cases with messages of at most 1 KiB. Longer ones are refused here.
CASES = [f"1.{kind}.{size}" for kind in (1, 2) for size in range(1, 6)] + [
    f"{group}.*" for group in range(2, 8)
]


def test_autobahns_cases_pass(running_stores, tmp_path):
    kosoku = shutil.which("kosoku", path=f"{Path(sys.prefix, 'bin')}:{os.environ['PATH']}")
    assert kosoku, "kosoku is not installed (requirements-dev.txt)"
    with server(("-m", "realtime.server.tests.echo"), probe="/livez") as part:
        include = [word for case in CASES for word in ("-i", case)]
        command = [kosoku, *include, "-o", str(tmp_path), f"127.0.0.1:{part.port}"]
        subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    (cases,) = json.loads((tmp_path / "index.json").read_text()).values()
    assert len(cases) > 200
    # NON-STRICT: text that is not UTF-8 is refused with its last frame, not in the middle of one.
    allowed = {"OK", "NON-STRICT", "INFORMATIONAL"}
    failed = {name for name, case in cases.items() if {case["behavior"], case["behaviorClose"]} - allowed}
    assert not failed
