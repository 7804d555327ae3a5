"""Viewers that are cut off or do not read, keys in trouble, and moderators at work."""

from __future__ import annotations

import random
import time

from tools.faults.checks import checker
from tools.faults.checks.checker import SPARE_S
from tools.faults.proxies.http import FAILED, FAILED_AFTER, THROTTLED, chance
from tools.faults.proxies.tcp import Proxy, wait_until
from tools.faults.run import Run
from tools.faults.scenarios.catalogue import scenario
from tools.faults.stage import MODERATED, Web
from tools.faults.traffic import keys
from tools.faults.traffic.viewers import Idlers, Pages

#: The most memory that a viewer that does not read may cost a server, with its frame.
KIB_PER_VIEWER = 64


@scenario("F14", "network cut between viewer and server")
def viewers_cut(run: Run) -> None:
    lines = [Proxy(*run.stage.ports) for _ in range(2)]
    for line in lines:
        run.closing(line.close)
    pages = Pages([f"http://127.0.0.1:{line.port}" for line in lines], ["cut", "silently cut"])
    run.closing(pages.stop)
    pages.start()
    run.pages += pages.pages
    wait_until(lambda: all(page.link == "live" for page in pages.pages), 15, "the pages are live")
    since = time.monotonic()
    lines[0].refuse()
    lines[1].blackhole()
    run.last(30)
    links = {link for at, link, _ in pages.pages[0].links if at > since}
    run.expect("reconnecting" in links, f"a page that is cut off says so, not {links}")
    if run.seconds(30) == 30:  # a page gives a silent socket up after 40 s
        time.sleep(12)
        link = pages.pages[1].link
        run.expect(link == "reconnecting", f"a page that hears nothing for 42 s is {link}")
    for line in lines:
        line.restore()


@scenario("F15", "2,000 silent and 500 chatty viewers that never read, 50 normal ones")
def viewers_that_do_not_read(run: Run) -> None:
    stage = run.stage
    normal = Pages([f"http://127.0.0.1:{stage.balancer.port}"] * 42, [f"normal {n}" for n in range(42)])
    run.closing(normal.stop)
    normal.start()
    run.pages += normal.pages
    wait_until(lambda: all(page.boards for page in normal.pages), 20, "normal pages")
    before = run.resources_now()
    idlers = Idlers(stage.ports, silent=2000, chatty=500)
    run.closing(idlers.close)
    for page in run.pages:
        page.lags_s.clear()
    run.last(20)
    now = {each.pid: each for each in run.resources_now()}
    grown = sum(now[was.pid].memory_mib - was.memory_mib for was in before if was.pid in now)
    sockets = sum(now[was.pid].files - was.files for was in before if was.pid in now)
    run.expect(sockets > 2400, f"only {sockets} of 2,500 viewers are there")
    run.last(15)  # a viewer is closed after 30 s behind
    lags = [lag for page in run.pages for lag in page.lags_s]
    p99 = checker.p99(lags)
    run.note(f"normal viewers: boards {p99 * 1000:.0f} ms old (p99 of {len(lags)}); memory +{grown:.0f} MiB")
    run.expect(p99 < 1.0, f"boards reach normal viewers after {p99:.2f} s (p99)", timed=True)
    allowed = 2500 * KIB_PER_VIEWER / 1024
    run.expect(grown < allowed, f"2,500 viewers cost {grown:.0f} MiB")
    run.spare_memory(allowed / len(stage.webs))
    idlers.close()


@scenario("F16", "Cognito's keys down, slow, rotated")
def keys_in_trouble(run: Run) -> None:
    refetch_s = 30.0 if run.seconds(30) == 30 else 1.0
    with keys.KeyServer(run.stage.folder / "keys") as published:
        to_keys = Proxy(published.port)
        run.closing(to_keys.close)
        environment = run.stage.environment | published.settings(to_keys.port)
        environment["KEYS_REFETCH_S"] = str(refetch_s)
        web = Web("web with keys", run.stage.folder, environment, run.stage.log)
        web.part.start()
        run.closing(web.part.stop)
        web.part.wait_ready()
        old, new = published.signer("old"), published.signer("new")

        def status(token: str, number: int) -> int:
            attempt = run.attempt(f"{run.key}-player", number)
            reply = keys.update(web.port, token, attempt)
            run.journal.answered(attempt, reply)
            took_s = reply.ended - reply.began
            run.expect(took_s < 2 + SPARE_S, f"{attempt} took {took_s:.2f} s", timed=True)
            return reply.status

        player = f"{run.key}-player"
        run.expect(status(old(player), 1) == 200, "a token of a published key is accepted")
        published.publish("old", "new")
        for trouble in (to_keys.refuse, lambda: to_keys.delay(10.0)):
            trouble()
            time.sleep(refetch_s)
            refused = status(new(player), 2)
            run.expect(refused in (401, 503), f"a key that cannot be fetched is {refused}, not 401 or 503")
            run.expect(status(old(player), 3) == 200, "known keys go on working")
            to_keys.restore()
        time.sleep(refetch_s + 2.0)
        run.expect(status(new(player), 4) == 200, "the new key is accepted")
        run.expect(status(old(player), 5) == 200, "the old key is accepted while it is published")


@scenario("F17", "ban, adjust, erase during F4, F6 and a partition", with_moderated=True)
def moderation(run: Run) -> None:
    stage = run.stage

    def errors() -> None:
        mix = {FAILED: 0.15, FAILED_AFTER: 0.15, THROTTLED: 0.2}
        stage.to_dynamodb.faults = chance(random.Random(run.seed), mix)

    def killed() -> None:
        stage.to_valkey.refuse()
        stage.valkey.kill()

    with run.moderating() as moderator:
        for trouble in (errors, killed, stage.to_valkey.refuse):
            for player in MODERATED[:3]:
                run.update(player, 300_000)
            trouble()
            time.sleep(0.5)
            banned, adjusted, erased = MODERATED[:3]
            run.moderate(moderator, banned, "ban")
            run.moderate(moderator, adjusted, "adjust", amount=-7)
            run.moderate(moderator, erased, "erase")
            run.last(4)
            stage.heal()
            run.last(4)
            run.moderate(moderator, banned, "unban")
        for player in MODERATED[:3]:
            run.update(player, 1)  # an erased player starts again
            run.moderate(moderator, player, "hide")
            run.moderate(moderator, player, "unhide")
