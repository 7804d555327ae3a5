"""The design's rules as a model: the smallest thing that follows them.

Dictionaries, one thread, no failures but the ones asked for. The state machine (test_machine.py) drives
it alone, then side by side with the real code (worlds.py).
"""

from __future__ import annotations

import dataclasses

from scores.moderation.requests import ModerationRequest
from scores.rules import audit_trail
from scores.rules.actions import Action, moderated
from scores.rules.boards import Board, Row, rows_of
from scores.rules.players import Player, RuleError, State, in_order, increased

#: Small numbers, so that a handful of players is enough to get past every limit.
SMALL = {"NOMINATED": 4, "FLOOR_RANK": 6, "MIN_CONTENDERS": 4, "FLOOR_GRACE_MS": 0, "MERGE_GRACE_S": 0}
SMALL_BOARD = 3

OK, MERGE_LOST, REDIS_AWAY = "ok", "merge lost", "redis away"


@dataclasses.dataclass
class Model:
    """The rules, on dictionaries."""

    now: int = 1_000
    players: dict[str, Player] = dataclasses.field(default_factory=dict)
    contenders: set[str] = dataclasses.field(default_factory=set)
    ledger: dict[tuple[str, str], tuple[int, int]] = dataclasses.field(default_factory=dict)
    chain: dict[str, list[tuple[int, int]]] = dataclasses.field(default_factory=dict)
    done: dict[tuple[str, str], ModerationRequest | None] = dataclasses.field(default_factory=dict)
    record: list[tuple[str, int, str]] = dataclasses.field(default_factory=list)
    #: Entries that say something about a person, as (user id, version): until when the player is erased.
    personal: dict[tuple[str, int], str] = dataclasses.field(default_factory=dict)
    marks: dict[str, int] = dataclasses.field(default_factory=dict)
    recorded_floor: int = 0
    dropped: bool = False
    cache: dict[str, Player] = dataclasses.field(default_factory=dict)
    ready: bool = False
    floor: int = 0
    remembered_floor: int = 0  # by the process, for when Redis is away
    revision: int = 0

    # --- writes

    def update(self, user_id: str, increment: int, key: str, fault: str) -> tuple[str, int]:
        if answered := self.ledger.get((user_id, key)):
            return ("replayed", answered[1]) if answered[0] == increment else ("key_reused", 0)
        known = self.players.get(user_id, Player(user_id))
        if known.is_banned(self.now):
            return "banned", 0
        player = increased(known, increment, self.now)
        self.ledger[user_id, key] = (increment, player.score)
        self._store(player, known, fault)
        return "accepted", player.score

    def moderate(self, order: ModerationRequest, expected: int, fault: str) -> str:
        known = self.players.get(order.user_id, Player(order.user_id))
        if (order.user_id, order.entry_id) in self.done:
            if self.done[order.user_id, order.entry_id] != order:
                return "key_reused"
            if fault == OK:
                self._merge(known)
            return "done"
        if known.version != expected:
            return "version_moved"
        return self._moderate(known, order, fault) if known.version else "refused"

    def rename(self, user_id: str, name: str | None, fault: str) -> str:
        known = self.players.get(user_id, Player(user_id))
        if known.is_banned(self.now):
            return "banned"
        if known.name == name:
            return "done"
        return self._moderate(
            known, ModerationRequest(user_id, Action.RENAME, user_id, "", "", name=name), fault
        )

    def _moderate(self, known: Player, order: ModerationRequest, fault: str) -> str:
        try:
            player = moderated(
                known, order.action, self.now, amount=order.amount, name=order.name, until=order.until
            )
        except RuleError:
            return "refused"
        if order.entry_id:
            self.done[order.user_id, order.entry_id] = order
        self.record.append((player.user_id, player.version, order.action.value))
        if order.action is Action.ERASE:
            self.marks[player.user_id] = player.version
        else:
            self.personal[player.user_id, player.version] = order.entry_id
        self._store(player, known, fault)
        return "done"

    def _store(self, player: Player, known: Player, fault: str) -> None:
        self.players[player.user_id] = player
        self.chain.setdefault(player.user_id, []).append((player.score - known.score, player.score))
        self.contenders.discard(player.user_id)
        if player.contends(self.remembered_floor if fault == REDIS_AWAY else self.floor):
            self.contenders.add(player.user_id)
        if fault == OK:
            self._merge(player)
        else:
            self.crash()  # a fault ends with the death of the process

    def _merge(self, player: Player) -> None:
        before = self._rows()
        if player.version > self.cache.get(player.user_id, Player("")).version:
            self.cache[player.user_id] = player
        if self.ready and self._rows() != before:
            self.revision += 1

    # --- upkeep

    def flush(self) -> None:
        self.cache.clear()
        self.ready, self.floor = False, 0

    def crash(self) -> None:
        self.remembered_floor = 0

    def reconcile(self, floor_due: bool) -> None:
        self.remembered_floor = 0 if self.dropped else self.recorded_floor
        if not self.ready:
            self.rebuild(full=False)
            return
        for player in list(self.players.values()):
            if player.state is State.BANNED and not player.is_banned(self.now):
                self._moderate(
                    player, ModerationRequest(player.user_id, Action.UNBAN, audit_trail.SYSTEM, "", ""), OK
                )
        depth = SMALL["FLOOR_RANK" if floor_due else "NOMINATED"]
        stale = True
        while stale:
            nominated = in_order(self.cache.values())[:depth] + self._indexed()[:depth]
            verified = {p.user_id: self.players[p.user_id] for p in nominated}
            stale = any(self.cache.get(user_id) != player for user_id, player in verified.items())
            for player in verified.values():
                self._merge(player)
        if floor_due:
            self._set_floor(in_order(verified.values()))
        self._sweep()

    def _sweep(self) -> None:
        for user_id, version in self.left_of_the_erased():
            self.done[user_id, self.personal.pop((user_id, version))] = None
        self.marks.clear()

    def _set_floor(self, verified: list[Player]) -> None:
        rank = SMALL["FLOOR_RANK"]
        enough = sum(p.score >= self.recorded_floor for p in verified) >= SMALL["MIN_CONTENDERS"]
        if not self.dropped and (not self.recorded_floor or enough):
            self.floor = verified[rank - 1].score if len(verified) >= rank else 0
            self.recorded_floor = max(self.recorded_floor, self.floor)
            return
        self.floor = self.remembered_floor = 0
        self.contenders.update(p.user_id for p in verified[:rank])
        self.rebuild(full=True)
        self.dropped = True

    def rebuild(self, full: bool) -> None:
        rank = SMALL["FLOOR_RANK"]
        best = self._indexed()[:rank]
        if full or sum(p.score >= self.recorded_floor for p in best) < SMALL["MIN_CONTENDERS"]:
            for player in self.players.values():
                self._merge(player)
            best = in_order(self.players.values())[:rank]
            self.contenders.update(p.user_id for p in best)
            if self.dropped:
                self.recorded_floor = best[-1].score + 1 if len(best) == rank else 0
                self.dropped = False
        else:
            for player in best:
                self._merge(player)
        self.ready = True
        self.revision += 1

    def _indexed(self) -> list[Player]:
        return in_order(self.players[user_id] for user_id in self.contenders)

    # --- what can be seen

    def _rows(self) -> tuple[Row, ...]:
        return rows_of(self.cache.values())

    def board(self) -> Board | None:
        return Board(self._rows(), self.revision, self.now) if self.ready else None

    def table(self) -> dict[str, Player]:
        return dict(self.players)

    def top(self) -> list[str]:
        return [p.user_id for p in in_order(self.cache.values())][: SMALL["NOMINATED"]]

    def updates(self) -> dict[tuple[str, str], tuple[int, int]]:
        return dict(self.ledger)

    def moderations(self) -> list[tuple[str, int, str]]:
        """(user id, version, action) of every one."""
        return sorted(self.record)

    def left_of_the_erased(self) -> list[tuple[str, int]]:
        """(user id, version) of entries that still say something about an erased person."""
        return sorted(key for key in self.personal if key[1] <= self.marks.get(key[0], 0))

    def outside_index(self) -> list[Player]:
        """Active players at or above the recorded floor who are not in the index: there must be none."""
        return [
            p
            for p in self.players.values()
            if p.contends(self.recorded_floor) and p.user_id not in self.contenders
        ]

    def broken_ledgers(self) -> list[str]:
        return [
            user_id
            for user_id, chain in self.chain.items()
            if [score for _, score in chain] != _running_sum(chain)
            or chain[-1][1] != self.players[user_id].score
        ]


def _running_sum(chain: list[tuple[int, int]]) -> list[int]:
    total, sums = 0, []
    for increment, _ in chain:
        total += increment
        sums.append(total)
    return sums
