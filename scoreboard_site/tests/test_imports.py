"""The rooms may only import downwards: the contract stands in pyproject.toml."""

import subprocess
import sys
from pathlib import Path


def test_imports_point_down():
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint_imports, "--no-cache"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout
