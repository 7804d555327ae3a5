"""The checks of `make smoke`, in order. A check returns its finding, or raises Failed with it."""

from __future__ import annotations

import json
import re
import socket
import ssl
import time
from datetime import UTC, datetime
from typing import Any
from urllib.error import URLError
from urllib.parse import urljoin, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidStatus

from realtime.events import NOT_NOW
from tools.smoke.http import TIMEOUT_S, Answer, Client
from tools.smoke.site import SOON_S, Failed, Site, need, soon

HEADERS = {
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "",
    "cross-origin-opener-policy": "same-origin",
}
CERTIFICATE_DAYS = 14
#: Three empty objects where a token has its parts.
FORGED = ".".join(["e30"] * 3)


def ready(site: Site) -> str:
    answer = site.client.get("/readyz")
    need(answer.status_code == 200, f"/readyz is answered {answer.status_code}")
    return "a process is ready"


def tls(site: Site) -> str:
    if not site.secure:
        return "not checked: this address is not https"
    port = urlsplit(site.url).port or 443
    context = ssl.create_default_context()
    with (
        socket.create_connection((site.host, port), timeout=TIMEOUT_S) as plain,
        context.wrap_socket(plain, server_hostname=site.host) as secure,
    ):
        version, certificate = secure.version() or "", secure.getpeercert() or {}
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    days = (ends - datetime.now(UTC)).days
    need(version in ("TLSv1.2", "TLSv1.3"), f"{version} was negotiated")
    local = site.host in ("localhost", "127.0.0.1", "::1")
    need(local or days >= CERTIFICATE_DAYS, f"the certificate ends in {days} days")
    return f"{version}, the certificate is good until {ends:%Y-%m-%d}"


def redirect_to_https(site: Site) -> str:
    if not site.secure or urlsplit(site.url).port:
        return "not checked: this address is not https, or has a port"
    try:
        answer = Client(f"http://{site.host}").get("/")
    except (ConnectionError, TimeoutError, URLError):
        return "nobody answers at http://"  # as on Elastic Beanstalk
    target = answer.headers.get("location", "")
    well = answer.status_code in (301, 307, 308) and target.startswith(f"https://{site.host}")
    need(well, f"http:// is answered {answer.status_code}, Location: {target or '-'}")
    return f"{answer.status_code} to {target}"


def page(site: Site) -> str:
    answer = site.client.get("/")
    need(answer.status_code == 200, f"answered {answer.status_code}")
    need("text/html" in answer.headers.get("content-type", ""), "it is not HTML")
    need("set-cookie" not in answer.headers, "it sets a cookie")
    caching = answer.headers.get("cache-control", "")
    private = site.private(site.client.get("/score/top10"))
    wanted = ("no-store",) if private else ("max-age=1",)
    need(any(each in caching for each in wanted), f"Cache-Control is {caching or 'missing'}")
    return f"HTML, no cookie, Cache-Control: {caching}"


def static_files(site: Site) -> str:
    text = site.client.get("/").text
    found = sorted(set(re.findall(r'(?:href|src)="([^"]+\.(?:js|css|svg))"', text)))
    need(found, "the page names no files")
    kinds = {"js": "javascript", "css": "text/css", "svg": "image/svg"}
    for path in found:
        answer = site.client.get(urljoin(f"{site.url}/", path))
        kind = answer.headers.get("content-type", "-")
        well = answer.status_code == 200 and kinds[path.rsplit(".", 1)[1]] in kind
        need(well, f"{path} is answered {answer.status_code}, {kind}")
    return f"{len(found)} files, each of its kind"


def security_headers(site: Site) -> str:
    seen = 0
    for path in ("/", "/score/top10", "/score/nothing-here", "/readyz"):
        headers = site.client.get(path).headers
        for name, part in HEADERS.items():
            need(
                name in headers and part in headers[name], f"{path}: {name} is {headers.get(name, 'missing')}"
            )
        if site.secure:
            need("strict-transport-security" in headers, f"{path}: strict-transport-security is missing")
        seen += 1
    return f"on {seen} answers, errors too"


def admin_is_elsewhere(site: Site) -> str:
    if not site.secure:
        return "not checked: this address is not https"
    status = site.client.get("/admin/").status_code
    need(status in (403, 404), f"/admin/ is answered {status} at the public address")
    return f"/admin/ is answered {status}"


def no_token_no_points(site: Site) -> str:
    body = {"userId": site.user_id, "increment": 1}
    answer = site.client.post("/score/update", body)
    _is_problem(answer, 401, "unauthorized")
    challenge = answer.headers.get("www-authenticate", "")
    need(challenge.startswith("Bearer"), f"WWW-Authenticate is {challenge or 'missing'}")
    forged = site.update(token=FORGED)
    _is_problem(forged, 401, "unauthorized")
    return "401 without a token and with a forged one"


def too_large_a_body(site: Site) -> str:
    answer = site.client.post("/score/update", b" " * 5000, site.bearer())
    need(answer.status_code in (403, 413), f"5,000 bytes are answered {answer.status_code}")
    return f"5,000 bytes are answered {answer.status_code}"


def socket_opens(site: Site) -> str:
    message = soon(lambda: _first_message(site))
    need(message, f"it was asked to come back for {SOON_S:.0f} s")
    need(message["type"] == "board", f"the first message is a {message['type']}")
    return f"a board at once: revision {message['revision']}, {len(message['top10'])} rows"


def socket_refuses_others(site: Site) -> str:
    try:
        site.open_socket("https://elsewhere.example").close()
    except InvalidStatus as refused:
        need(refused.response.status_code == 403, f"answered {refused.response.status_code}")
        return "403 for a page of another origin"
    raise Failed("a page of another origin may open it")


def update(site: Site) -> str:
    answer = site.update()
    need(answer.status_code == 200, f"answered {answer.status_code}: {answer.text[:200]}")
    body = answer.json()
    need(body.get("status") == "success" and type(body.get("newScore")) is int, f"the answer is {body}")
    need(answer.headers.get("idempotency-key") == site.key, "the key is not echoed")
    need("no-store" in answer.headers.get("cache-control", ""), "the answer may be cached")
    site.new_score = body["newScore"]
    return f"{site.user_id} has {site.new_score} points"


def replay(site: Site) -> str:
    _need_update(site)
    answer = site.update()
    need(answer.status_code == 200, f"answered {answer.status_code}")
    need(answer.json().get("newScore") == site.new_score, f"the answer is {answer.json()}")
    need(answer.headers.get("idempotent-replayed") == "true", "it does not say that it is a replay")
    _is_problem(site.update(increment=2), 422, "key_reused")
    return "the same key: the same answer; for another update: 422"


def board(site: Site) -> str:
    new_score = _need_update(site)
    rows = soon(lambda: _rows_with(site, new_score))
    need(rows, f"{site.user_id} is not there with {new_score} points after {SOON_S:.0f} s")
    order = [row["score"] for row in rows]
    need(order == sorted(order, reverse=True), f"the scores are not in order: {order}")
    mine = [row["rank"] for row in rows if row["userId"] == site.user_id]
    return f"rank {mine[0]}" if mine else f"in order; the tenth has {order[-1]} points, more than {new_score}"


def etag_and_304(site: Site) -> str:
    for _ in range(5):  # another update may happen in between
        first = site.top10()
        etag = first.headers.get("etag", "")
        need(re.fullmatch(r'(W/)?"[^"]+"', etag), f"ETag is {etag or 'missing'}")
        again = site.top10(**{"If-None-Match": etag})
        if again.status_code == 304:
            need(not again.content, "a 304 has a body")
            return f"304 for {etag}"
    raise Failed(f"If-None-Match is answered {again.status_code}")


def cache_headers(site: Site) -> str:
    public = site.client.get("/score/top10")
    answer = site.top10()
    caching = answer.headers.get("cache-control", "")
    need(
        ("no-store" if site.private(public) else "max-age=1") in caching, f"Cache-Control is {caching or '-'}"
    )
    need(answer.headers.get("board-revision", "").isdigit(), "Board-Revision is missing")
    age = int(answer.headers.get("age", "0"))
    need(age <= 2, f"a cache kept it for {age} s")
    # A cache with a path-only key drops the query; without one, the application refuses it.
    odd = site.client.get("/score/top10?cache=buster")
    need(odd.status_code in (public.status_code, 400), f"with a query it is answered {odd.status_code}")
    return f"{caching}; revision {answer.headers['board-revision']}"


def socket_shows_the_update(site: Site) -> str:
    new_score = _need_update(site)
    need(site.viewer is not None, "there is no socket")
    deadline = time.monotonic() + SOON_S
    while (left := deadline - time.monotonic()) > 0:
        try:
            message = json.loads(site.viewer.recv(timeout=left))  # type: ignore[union-attr]
        except TimeoutError:
            break
        if message["type"] == "board" and _shows(message["top10"], site.user_id, new_score):
            return f"in revision {message['revision']}"
    if len(rows := site.top10().json()) == 10 and rows[-1]["score"] >= new_score:
        return f"not checked: {new_score} points are too few for the board"
    raise Failed(f"{site.user_id} did not appear with {new_score} points in {SOON_S:.0f} s")


IN_ORDER = (
    ready,
    tls,
    redirect_to_https,
    page,
    static_files,
    security_headers,
    admin_is_elsewhere,
    no_token_no_points,
    too_large_a_body,
    socket_opens,
    socket_refuses_others,
    update,
    replay,
    socket_shows_the_update,
    board,
    etag_and_304,
    cache_headers,
)


def _first_message(site: Site) -> dict[str, Any] | None:
    """None when a new process closes the socket to be called again: it fetches the pool's keys first."""
    site.viewer = site.open_socket(site.url)
    try:
        return dict(json.loads(site.viewer.recv(timeout=TIMEOUT_S)))
    except ConnectionClosed as closed:
        if closed.rcvd is None or closed.rcvd.code != NOT_NOW:
            raise
        return None


def _is_problem(answer: Answer, status: int, code: str) -> None:
    need(answer.status_code == status, f"answered {answer.status_code} instead of {status}")
    kind = answer.headers.get("content-type", "")
    need(kind.startswith("application/problem+json"), f"the {status} is {kind}: somebody else answers")
    need(answer.json().get("code") == code, f"the code is {answer.json().get('code')}")


def _need_update(site: Site) -> int:
    if site.new_score is None:
        raise Failed("not checked: the update failed")
    return site.new_score


def _rows_with(site: Site, score: int) -> list[dict[str, Any]]:
    """The rows once the player is among them, or has too few points to be; else none."""
    rows: list[dict[str, Any]] = site.top10().json()
    full = len(rows) == 10 and rows[-1]["score"] >= score
    return rows if _shows(rows, site.user_id, score) or full else []


def _shows(rows: list[dict[str, Any]], user_id: str, score: int) -> bool:
    return any(row["userId"] == user_id and row["score"] >= score for row in rows)
