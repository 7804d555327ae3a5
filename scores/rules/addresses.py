"""Whose address a request comes from. Imports nothing of ours.

`X-Forwarded-For` is a list that every proxy on the way appends the address of its caller to, so only
the entries from the right that our own proxies wrote can be believed: whatever a client sends stands
to the left of them.
"""

from __future__ import annotations

import ipaddress

#: A whole IPv6 network of this size is one customer: its addresses count as one (RFC 6177).
_IPV6_CUSTOMER_BITS = 64


def client_address(peer: str, forwarded_for: str, proxies: int) -> str:
    """The address a request is counted for.

    `peer` is who connected, `forwarded_for` the value of all `X-Forwarded-For` lines joined with
    commas, `proxies` how many proxies of ours append to it (0: the header is not believed).
    IPv4 as it is, IPv6 as its /64. A header our proxies cannot have written leaves the peer.
    """
    entries = forwarded_for.split(",") if proxies > 0 else []
    written = entries[-proxies] if len(entries) >= proxies > 0 else ""
    return _counted(written) or _counted(peer) or "unknown"


def _counted(text: str) -> str | None:
    """The address in `text`, which may carry a port or brackets; None when there is none."""
    host = text.strip().strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:  # a lone colon is never IPv6
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _IPV6_CUSTOMER_BITS), strict=False))
