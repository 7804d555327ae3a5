"""The invariants, and the checker that says which operation broke which.

I1   every acknowledged update is in the ledger, once, as it was answered
I2   each player's ledger is whole, its sum is the score, and it holds nothing that nobody sent
I3   at any read: acknowledged points ≤ score ≤ attempted points
I4   equal replies to equal keys
I5   a player's version and a viewer's revision never go back
I6   the ranking in Redis is the top of the table, within 5 s
I7   every viewer shows that board, within 5 s
I8   memory, threads, sockets and Redis keys are bounded, and return to what they were
I9   no status but the documented ones, Retry-After on every 429 and 503, no traceback in the log
I10  refused at the door within 50 ms (p99), accepted within the budget of 2 s
I11  ledger and moderation actions agree; a banned player is on no board later than 1 s after the answer
I12  no token, key or e-mail address in any log

All of them look at an Evidence (tools/faults/checks/evidence.py). To a limit of I10 is added by how much
our own clock was late at most: what the machine adds to every time that we take.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import quantiles

from tools.faults.checks.evidence import Evidence, Moderated, Violation, lost
from tools.faults.checks.truth import Entry
from tools.faults.checks.watch import Read
from tools.faults.traffic.journal import Attempt

STATUSES = {200, 304, 400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503}
CONVERGED_S = 5.0
BANNED_S = 1.0
#: From the server's sending to our noting it, on a busy machine (s).
NOTED_S = 0.25
#: An update's budget, what it may need besides (a last read, its way), and the time for a refusal (s).
BUDGET_S, SPARE_S, REFUSED_S = 2.0, 1.0, 0.05
#: So many refusals at least are needed to speak of their p99.
REFUSALS = 20
#: Codes of refusals before anything was tried.
AT_THE_DOOR = {"overloaded", "rate_limited"}
#: What may stay of a scenario (I8): a share, and what pools had not yet filled: MiB, threads of the event
#: loop's pool, connections to the stores.
GROWTH = 1.15
SPARE = {"memory_mib": 12, "threads": 12, "files": 110}
SECRETS = re.compile(
    r"eyJ[\w-]+\.|(?i:bearer) [\w-]{8,}\.|PRIVATE KEY|[\w.]+@[\w-]+\.\w+|://[^/\s]*:[^/\s]*@"
)


Check = Callable[[Evidence], Iterator[str]]


def check(evidence: Evidence) -> list[Violation]:
    """Every violation of every invariant."""
    return [Violation(name, what) for name, found in CHECKS.items() for what in found(evidence)]


# --- The record -------------------------------------------------------------------------------------


def _i1(evidence: Evidence) -> Iterator[str]:
    entries = {(entry.user_id, entry.entry_id): entry for entry in evidence.updates()}
    for attempt in lost(evidence):
        yield f"{attempt} was acknowledged and is not in the ledger"
    for attempt in evidence.attempts:
        entry = entries.get((attempt.player, attempt.key))
        if not entry or not attempt.acknowledged:
            continue
        if entry.increment != attempt.increment:
            yield f"{attempt} is in the ledger as {entry}"
        told = {reply.new_score for reply in attempt.replies if reply.accepted}
        if told != {entry.new_score}:
            yield f"{attempt} led to {entry.new_score} and was answered with {sorted(map(str, told))}"


def _i2(evidence: Evidence) -> Iterator[str]:
    sent = {(attempt.player, attempt.key) for attempt in evidence.attempts}
    for entry in evidence.updates():
        if (entry.user_id, entry.entry_id) not in sent:
            yield f"{entry} was counted, and nobody sent it"
    for user_id in evidence.after.players.keys() | evidence.after.ledger.keys():
        yield from _chain(evidence, user_id)


def _chain(evidence: Evidence, user_id: str) -> Iterator[str]:
    entries = evidence.after.ledger.get(user_id, [])
    score = 0
    for number, entry in enumerate(entries, start=1):
        if entry.version != number:
            yield f"version {number} of {user_id} is not there once: next is {entry}"
            return
        score += entry.increment
        if entry.new_score != score:
            yield f"{entry} says {entry.new_score}, the sum is {score}"
            return
    player = evidence.after.players.get(user_id)
    if player is None:
        yield f"{user_id} has a ledger and is not in the table"
    elif player.version != len(entries):
        yield f"{user_id} is at version {player.version}, the ledger at {len(entries)}"
    elif player.score != score:
        new = entries[len(evidence.before.ledger.get(user_id, ())) :]
        by_increment = {entry.increment: entry for entry in new}
        culprit = by_increment.get(player.score - score)
        yield f"{user_id} has {player.score}, the ledger says {score}" + (
            f": {culprit} counts twice" if culprit else ""
        )


def _i3(evidence: Evidence) -> Iterator[str]:
    moderated = {action.player for action in evidence.actions}
    tried: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in evidence.attempts:
        tried[attempt.player].append(attempt)
    for read in evidence.reads:
        if read.player in moderated:
            continue  # an adjust moves the score as well; I2 and I11 look at these
        base = evidence.before.players.get(read.player)
        least = most = base.score if base else 0
        for attempt in tried[read.player]:
            acknowledged_at = attempt.acknowledged_at
            if acknowledged_at is not None and acknowledged_at <= read.began:
                least += attempt.increment
            if attempt.at <= read.ended:
                most += attempt.increment
        if not least <= read.score <= most:
            yield f"{read.player} was read with {read.score}, not within {least} … {most}"


def _i4(evidence: Evidence) -> Iterator[str]:
    for attempt in evidence.attempts:
        told = {
            (reply.status, reply.new_score)
            for reply in attempt.replies
            if reply.settled and reply.status < 500
        }
        if len(told) > 1:
            yield f"{attempt} was answered differently: {sorted(told, key=str)}"


def _i5(evidence: Evidence) -> Iterator[str]:
    newest: dict[str, Read] = {}
    for read in sorted(evidence.reads, key=lambda read: read.began):
        last = newest.get(read.player)
        if last and last.ended <= read.began and read.version < last.version:
            yield f"{read.player} went back from version {last.version} to {read.version}"
        newest[read.player] = read
    for page in evidence.pages:
        for earlier, later in pairwise(list(page.boards)):
            if later.revision <= earlier.revision:
                yield f"{page.name} showed revision {later.revision} after {earlier.revision}"
        for (socket, sent), (same_socket, next_sent) in pairwise(list(page.received)):
            if socket == same_socket and next_sent < sent:
                yield f"{page.name} was sent revision {next_sent} after {sent}"


# --- The board --------------------------------------------------------------------------------------


def _i6(evidence: Evidence) -> Iterator[str]:
    if evidence.ranking != evidence.after.rows:
        yield f"the ranking is {evidence.ranking}, the table's top {evidence.after.rows}"
    elif _too_late(evidence.ranking_after_s):
        yield f"the ranking was right after {evidence.ranking_after_s} s"


def _too_late(seconds: float | None) -> bool:
    return seconds is None or seconds > CONVERGED_S


def _i7(evidence: Evidence) -> Iterator[str]:
    for page in evidence.pages:
        seconds = evidence.pages_after_s.get(page.name)
        if page.rows != evidence.after.rows:
            yield f"{page.name} ({page.link}) shows {page.rows}, the table's top is {evidence.after.rows}"
        elif _too_late(seconds):
            yield f"{page.name} was right after {seconds} s"
        caught_up_s = evidence.caught_up_s.get(page.name, 0.0)
        if _too_late(caught_up_s):
            yield f"{page.name} had caught up {caught_up_s} s after the healing"


def _i11(evidence: Evidence) -> Iterator[str]:
    new = {
        entry.entry_id: entry
        for player, entries in evidence.after.ledger.items()
        for entry in entries[len(evidence.before.ledger.get(player, ())) :]
        if entry.kind != "update"
    }
    asked = {action.entry_id: action for action in evidence.actions}
    for entry_id, entry in new.items():
        if entry_id not in asked:
            yield f"{entry} is in the ledger, and no moderator did it"
    for entry_id, action in asked.items():
        name = f"{action.action} {entry_id} of {action.player}"
        if action.answered_at is not None and entry_id not in new:
            yield f"{name} was answered and is not in the ledger"
        elif entry_id in new and not _as_done(new[entry_id], action):
            amount = f" ({action.amount:+d})" if action.amount else ""
            yield f"{name}{amount} is in the ledger as {new[entry_id]}"
    for action in evidence.actions:
        if action.action == "ban" and action.answered_at is not None:
            ends = (a.began for a in evidence.actions if a.player == action.player and a.action == "unban")
            unbanned_at = min((began for began in ends if began > action.began), default=float("inf"))
            yield from _shown_while_banned(evidence, action.player, action.answered_at, unbanned_at)
            yield from _accepted_while_banned(evidence, action.player, action.answered_at, unbanned_at)


def _as_done(entry: Entry, action: Moderated) -> bool:
    amount = entry.increment if action.action == "adjust" else 0
    return (entry.user_id, entry.kind, amount) == (action.player, action.action, action.amount)


def _accepted_while_banned(
    evidence: Evidence, player: str, banned_at: float, unbanned_at: float
) -> Iterator[str]:
    for attempt in evidence.attempts:
        for reply in attempt.replies if attempt.player == player and attempt.at > banned_at else ():
            if reply.accepted and reply.ended < unbanned_at:
                yield f"{attempt} was accepted {reply.ended - banned_at:.2f} s after the ban's answer"


def _shown_while_banned(
    evidence: Evidence, player: str, banned_at: float, unbanned_at: float
) -> Iterator[str]:
    for page in evidence.pages:
        for seen in page.boards:
            # A board that says of itself that it is old promises nothing.
            late = banned_at + BANNED_S + NOTED_S < seen.at < unbanned_at and not seen.stale
            if late and any(player == row[0] for row in seen.rows):
                yield f"{page.name} was shown {player} {seen.at - banned_at:.2f} s after the ban's answer"
                break
    for probe in evidence.probes:
        if banned_at + BANNED_S < probe.began and probe.ended < unbanned_at and player in probe.shown:
            yield f"{probe.server} showed {player} {probe.began - banned_at:.2f} s after the ban's answer"
            break


# --- The processes ----------------------------------------------------------------------------------


def _i8(evidence: Evidence) -> Iterator[str]:
    for what, limit in dataclasses.asdict(evidence.limits).items():
        for name in {each.name for each in evidence.resources}:
            most = max(getattr(each, what) for each in evidence.resources if each.name == name)
            if most > limit:
                yield f"{name} was at {most:.0f} {what}, the limit is {limit:.0f}"
    before = {each.pid: each for each in evidence.resources_before}
    for after in evidence.resources_after:
        was = before.get(after.pid)
        if was is None:
            continue
        for what, spare in SPARE.items():
            allowed = getattr(was, what) * GROWTH + spare
            if getattr(after, what) > allowed:
                yield f"{after.name}: {what} {getattr(was, what):.0f} → {getattr(after, what):.0f}"
    if evidence.keys_after > evidence.keys_before * GROWTH + 8:
        yield f"Redis keys: {evidence.keys_before} → {evidence.keys_after}"


def _i9(evidence: Evidence) -> Iterator[str]:
    odd: Counter[str] = Counter()
    for attempt in evidence.attempts:
        for reply in attempt.replies:
            if reply.status and reply.status not in STATUSES:
                odd[f"{attempt} was answered with {reply.status}"] += 1
            if reply.status in (429, 503) and reply.retry_after is None:
                odd[f"{attempt} was answered with {reply.status} and no Retry-After"] += 1
    for probe in evidence.probes:
        if probe.status and probe.status not in STATUSES:
            odd[f"GET {probe.path} was answered with {probe.status}"] += 1
        if probe.status in (429, 503) and probe.retry_after is None:
            odd[f"GET {probe.path} was answered with {probe.status} and no Retry-After"] += 1
    odd.update(_tracebacks(evidence.log))
    yield from odd


def _tracebacks(log: list[str]) -> Iterator[str]:
    """The first and the last line of each. A line of the log begins with the name of its process."""
    for number, line in enumerate(log):
        if "Traceback" in line or "Task exception" in line:
            name = line.partition(": ")[0]
            same = [each.partition(": ")[2] for each in log[number : number + 200] if each.startswith(name)]
            ends = [each for each in same[1:] if each and not each.startswith((" ", "Traceback"))]
            yield f"{line} … {ends[0] if ends else ''}"


def _i10(evidence: Evidence) -> Iterator[str]:
    limit_s = BUDGET_S + SPARE_S + evidence.late_s
    refused = []
    for attempt in evidence.attempts:
        for reply in attempt.replies:
            lasted_s = reply.ended - reply.began
            if reply.code in AT_THE_DOOR:
                refused.append(lasted_s)
            elif lasted_s > limit_s:  # also without an answer, unless the server was killed
                yield f"{attempt} was answered with {reply.status or 'nothing'} after {lasted_s:.2f} s"
    if len(refused) >= REFUSALS and p99(refused) > REFUSED_S + evidence.late_s:
        late = f"our own clock was up to {evidence.late_s * 1000:.0f} ms late"
        yield f"refused after {p99(refused) * 1000:.0f} ms (p99; {late})"
    for probe in evidence.probes:
        if probe.ended - probe.began > limit_s:
            lasted = f"after {probe.ended - probe.began:.2f} s"
            yield f"GET {probe.path} was answered with {probe.status or 'nothing'} {lasted}"


def p99(values: list[float]) -> float:
    """The 99th percentile; 0 of none."""
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else max(values, default=0.0)


def _i12(evidence: Evidence) -> Iterator[str]:
    for line in evidence.log:
        if SECRETS.search(line):
            yield f"in a log: {SECRETS.sub('[secret]', line)[:200]}"


CHECKS: dict[str, Check] = {
    "I1": _i1,
    "I2": _i2,
    "I3": _i3,
    "I4": _i4,
    "I5": _i5,
    "I6": _i6,
    "I7": _i7,
    "I8": _i8,
    "I9": _i9,
    "I10": _i10,
    "I11": _i11,
    "I12": _i12,
}
