"""Whose request it is, by address. Imports nothing of ours."""

from __future__ import annotations

import ipaddress


def client_address(peer: str, forwarded_for: str, proxies: int) -> str:
    """The address of the client behind `proxies` proxies of ours (0: `X-Forwarded-For` is not believed).

    Each of our proxies appends whom it was called by, so only the last `proxies` entries are true. A
    request with fewer entries did not come through them: then it is `peer`, the address on the socket.
    """
    if proxies > 0:
        entries = [entry.strip() for entry in forwarded_for.split(",")]
        if len(entries) >= proxies and entries[-proxies]:
            return entries[-proxies]
    return peer


def network_of(address: str) -> str:
    """What one client can be told apart by: the address, or of an IPv6 address its /64."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        return address
