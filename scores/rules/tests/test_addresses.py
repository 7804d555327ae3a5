"""The address that limits count for a request, whatever its headers claim."""

from __future__ import annotations

import pytest

from scores.rules.addresses import client_address

PEER = "10.0.0.9"


@pytest.mark.parametrize(
    ("forwarded_for", "proxies", "expected"),
    [
        ("1.2.3.4", 0, PEER),
        ("", 0, PEER),
        ("", 1, PEER),
        ("1.2.3.4", 1, "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", 1, "1.2.3.4"),
        ("6.6.6.6,1.2.3.4,130.176.0.1", 2, "1.2.3.4"),
        ("6.6.6.6 ,\t1.2.3.4 , 130.176.0.1", 2, "1.2.3.4"),
        ("1.2.3.4", 2, PEER),
        (",".join(["6.6.6.6"] * 1000) + ",1.2.3.4", 1, "1.2.3.4"),
        ("1.2.3.4:51234", 1, "1.2.3.4"),
        ("[2001:db8:1:2:3:4:5:6]:443", 1, "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", 1, "2001:db8:1:2::/64"),
        ("2001:DB8:0001:0002:0:0:0:1", 1, "2001:db8:1:2::/64"),
        ('"[2001:db8:1:2::7]"', 1, "2001:db8:1:2::/64"),
        ("::ffff:1.2.3.4", 1, "1.2.3.4"),
        ("fe80::1%eth0", 1, "fe80::/64"),
        ("unknown", 1, PEER),
        ("_hidden", 1, PEER),
        ("999.1.1.1", 1, PEER),
        ("1.2.3.4, ", 1, PEER),
        ("01.2.3.4", 1, PEER),
        ("1.2.3.4\x00", 1, PEER),
        ("[::1", 1, "::/64"),
        ("\u0661.2.3.4", 1, PEER),
        ("a" * 10_000, 1, PEER),
    ],
)
def test_only_entries_of_our_proxies_are_trusted(forwarded_for, proxies, expected):
    assert client_address(PEER, forwarded_for, proxies) == expected


@pytest.mark.parametrize("peer", ["", "unix:", "/run/web.sock"])
def test_callers_without_an_address_are_counted_together(peer):
    assert client_address(peer, "", 0) == "unknown"
