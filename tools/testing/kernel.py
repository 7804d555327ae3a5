"""What the kernel knows of a server process and its connections; of Linux."""

from __future__ import annotations

from pathlib import Path


def resident_kib(pid: int) -> int:
    """Memory of the process itself. What waits in the kernel's socket buffers is not in it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def unsent_bytes(port: int) -> list[int]:
    """What waits in the kernel's send buffer, for each connection that was accepted at the port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local = f"0100007F:{port:04X}"
    return [int(line[4].split(":")[0], 16) for line in lines if line[1] == local and line[3] == "01"]
