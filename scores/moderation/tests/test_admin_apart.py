"""Nothing but the admin site needs the relational database, and the public can be served without either."""

from __future__ import annotations

import httpx

from scores.identity import local_issuer
from tools.testing.processes import post, server
from tools.testing.raw import RawViewer


def works(part, key: str) -> None:
    """An update is counted, the board and the page are served, the socket is open."""
    token = local_issuer.mint("ann")
    answer = post(part, token, "ann", 5, key)
    assert answer.status_code == 200, answer.text
    assert httpx.get(f"{part.url}/score/top10").json()[0]["userId"] == "ann"
    assert "ann" in httpx.get(part.url).text
    viewer = RawViewer(part.port)
    assert viewer.shake_hands()[0] == 101
    viewer.socket.close()


def test_everything_works_while_the_database_is_down_and_the_admin_site_says_so(stores):
    with server(DATABASE_URL="postgres://ann@127.0.0.1:1/none") as part:
        works(part, "key-1")
        with httpx.Client(base_url=part.url, cookies={"sessionid": "x" * 32}) as visitor:
            page = visitor.get("/admin/")
        assert page.status_code == 503 and page.headers["Retry-After"]
        assert "The scoreboard is not affected." in page.text
        assert "unsafe" not in page.headers["Content-Security-Policy"]
        works(part, "key-2")


def test_the_public_service_starts_without_the_admin_site(stores):
    with server(SCOREBOARD_ADMIN="false", DATABASE_URL="postgres://ann@127.0.0.1:1/none") as part:
        works(part, "key-1")
        for path in ("/admin", "/admin/", "/admin/login/", "/admin/scores/player/"):
            answer = httpx.get(part.url + path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert "set-cookie" not in answer.headers
        large = httpx.post(f"{part.url}/admin/login/", content=b"x" * 5000)
        assert large.status_code == 413
