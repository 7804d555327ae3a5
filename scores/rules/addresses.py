"""The client address of a request. Imports nothing of ours.

Every proxy appends the address of its caller to `X-Forwarded-For`. A client can send the header itself, and
its entries are then on the left. So only the entries on the right, which our own proxies wrote, are trusted.
"""

from __future__ import annotations

import ipaddress

#: An IPv6 network of this size belongs to one customer, so its addresses count as one (RFC 6177).
_IPV6_CUSTOMER_BITS = 64


def client_address(peer: str, forwarded_for: str, proxies: int) -> str:
    """The address that limits count for a request: an IPv4 address, or the /64 of an IPv6 address.

    `peer` is the address of the connection, `forwarded_for` all `X-Forwarded-For` lines joined with commas,
    `proxies` the number of our own proxies that append to it (0: the header is ignored). The peer counts
    when our proxies cannot have written the header.
    """
    entries = forwarded_for.split(",") if proxies > 0 else []
    written = entries[-proxies] if len(entries) >= proxies > 0 else ""
    return _counted(written) or _counted(peer) or "unknown"


def _counted(text: str) -> str | None:
    """The address in `text`, without port and brackets; None when there is none."""
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
