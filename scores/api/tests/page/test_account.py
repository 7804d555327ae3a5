"""The first visit and who is looking: a guest, or a user who signs in at a hosted page (code and PKCE)."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import expect

from tools.devstack.processes.ports import free_port
from tools.testing.browser import Site, Visitor, running_site
from tools.testing.pages import fill, rows


def test_an_empty_board_says_so_and_fills(site: Site, visitor: Visitor):
    page = visitor.open(site.url)
    expect(page.get_by_text("No scores yet")).to_be_visible()
    site.add("USER-1", 10)
    expect(rows(page)).to_have_count(1)
    expect(page.get_by_text("No scores yet")).to_be_hidden()


def test_the_first_answer_holds_the_board_and_no_cookie(site: Site):
    fill(site, 3)
    answer = site.client.get("")
    assert answer.headers["Cache-Control"] == "public, max-age=1"
    assert "Set-Cookie" not in answer.headers
    assert answer.text.count("<tr ") == 1 + 3 + 1  # the head, the rows, the row to be
    assert "Player USER-3" in answer.text


def test_a_guest_joins_scores_takes_a_name_and_climbs(site: Site, visitor: Visitor):
    for place in range(1, 13):
        site.add(f"USER-{place}", 1000 - 80 * place)
    page = visitor.open(site.url)
    page.get_by_role("button", name="Join as a guest").click()
    line = page.locator("[data-panel=standing]")
    expect(line).to_have_text("You: no points yet, 201 points to the Top 10")
    page.get_by_role("button", name="Score 10 points").click()
    expect(line).to_have_text(re.compile(r"^You: (rank 13 of 13|10 points), 191 points to the Top 10$"))
    site.add("USER-10", 5)
    expect(line).to_have_text(re.compile("196 points to the Top 10$"))

    page.get_by_role("button", name="Choose a name").click()
    page.keyboard.type("Moderator")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This name is reserved")).to_be_visible()
    expect(page.get_by_label("Name on the board")).to_be_focused()
    page.get_by_label("Name on the board").fill("Zoë")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Name: Zoë")).to_be_focused()
    visitor.complaints.clear()  # the browser's own, about the refused name

    page.get_by_role("button", name="Name: Zoë").click()
    anonymous = page.get_by_role("button", name=re.compile("^Be “Player guest-"))
    guest = anonymous.inner_text().removeprefix("Be “Player ").removesuffix("”")
    site.add(guest, 210)
    own = rows(page).filter(has_text="Zoë")
    expect(own).to_have_count(1)
    expect(own).to_have_class(re.compile(r"\bown\b"))
    expect(own.get_by_text("you", exact=True)).to_be_visible()
    expect(line).to_have_text(re.compile(r"^You: rank 10( of 13)?, 220 points$"))

    anonymous.click()
    expect(rows(page).filter(has_text="Player guest-")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(line).to_be_hidden()
    expect(page.locator("tr.own")).to_have_count(0)
    stored = "JSON.stringify([localStorage, sessionStorage, document.cookie])"
    assert page.evaluate(stored) == '[{},{},""]'


def test_a_private_board_is_live_for_who_signs_in(stores: None, visitor: Visitor):
    with running_site(SCOREBOARD_PUBLIC="false") as site:
        fill(site)
        page = visitor.open(site.url, live=False)
        addresses: list[str] = []
        page.on("websocket", lambda socket: addresses.append(socket.url))
        expect(page.get_by_role("status")).to_have_text("This board is private")
        expect(page.get_by_text("Sign in to see it")).to_be_visible()
        page.get_by_role("button", name="Join as a guest").click()
        expect(page.get_by_role("status")).to_have_text("Live")
        expect(rows(page)).to_have_count(10)
        site.add("USER-12", 1000)
        expect(rows(page).first.locator(".name")).to_have_text("Player USER-12")
        assert addresses == [site.url.replace("http", "ws") + "ws/scoreboard"], "no token in an address"
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_text("Sign in to see it")).to_be_visible()
        expect(rows(page)).to_have_count(0)


def test_everything_can_be_done_with_the_keyboard(site: Site, visitor: Visitor):
    page = visitor.open(site.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Join as a guest")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Score 10 points")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Choose a name")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Name on the board")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Choose a name")).to_be_focused()
    expect(page.get_by_label("Name on the board")).to_be_hidden()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Join as a guest")).to_be_focused()


class HostedPage:
    """A sign-in page as Cognito hosts them, on loopback, that lets `user_id` in without asking."""

    def __init__(self, user_id: str) -> None:
        self.user_id = user_id
        self.asked: dict[str, str] = {}
        self.exchanges: list[dict[str, str]] = []
        self.origin = ""

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        from scores.identity import local_issuer

        self.exchanges.append(form)
        challenge = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        proved = base64.urlsafe_b64encode(challenge).decode().rstrip("=") == self.asked["code_challenge"]
        same = form.get("redirect_uri") == self.asked["redirect_uri"]
        if form.get("code") != "one-time" or not proved or not same:
            return 400, {"error": "invalid_grant"}
        return 200, {
            "access_token": local_issuer.mint(self.user_id),
            "expires_in": 3600,
            "token_type": "Bearer",
        }


@pytest.fixture
def hosted() -> Iterator[HostedPage]:
    page = HostedPage("ann")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            asked = {key: values[0] for key, values in query.items()}
            if path == "/oauth2/authorize":
                page.asked = asked
                back = urlencode({"code": "one-time", "state": asked["state"]})
                self._answer(302, {"Location": f"{asked['redirect_uri']}?{back}"})
            elif path == "/logout":
                self._answer(302, {"Location": asked["logout_uri"]})
            else:
                self._answer(404, {})

        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, body = page.token({key: values[0] for key, values in parse_qs(text).items()})
            headers = {"Access-Control-Allow-Origin": "*", "Content-Type": "application/json"}
            self._answer(status, headers, json.dumps(body).encode())

        def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
            self.send_response(status)
            for name, value in (headers | {"Content-Length": str(len(body))}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    listener = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    page.origin = f"http://127.0.0.1:{listener.server_port}"
    thread = threading.Thread(target=listener.serve_forever, args=(0.02,))
    thread.start()
    yield page
    listener.shutdown()
    thread.join()
    listener.server_close()


def test_sign_in_through_the_hosted_page(stores: None, hosted: HostedPage, visitor: Visitor):
    with running_site(COGNITO_DOMAIN=hosted.origin, COGNITO_WEB_CLIENT_ID="local") as site:
        fill(site)
        site.add("ann", 50)
        page = visitor.open(site.url)
        page.get_by_role("button", name="Sign in").click()
        line = page.locator("[data-panel=standing]")
        expect(line).to_have_text(re.compile("^You: rank 9"))
        expect(rows(page).filter(has_text="Player ann")).to_have_class(re.compile(r"\bown\b"))
        assert page.url == site.url, "neither code nor state stay in the address"
        assert hosted.asked["code_challenge_method"] == "S256"
        assert hosted.asked["client_id"] == "local"
        assert len(hosted.exchanges) == 1
        assert "client_secret" not in hosted.exchanges[0]
        stored = "JSON.stringify([localStorage, sessionStorage, document.cookie])"
        assert page.evaluate(stored) == '[{},{},""]', "tokens live in memory only"

        # An answer that this tab did not ask for signs nobody in.
        stranger = visitor.open(f"{site.url}?code=one-time&state=guessed")
        expect(stranger.get_by_role("button", name="Sign in")).to_be_visible()
        assert len(hosted.exchanges) == 1

        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        expect(line).to_be_hidden()
        visitor.close()
