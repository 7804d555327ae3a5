"""Two worlds under one interface: the design's rules as a model, and the real code on the real stores.

The model is the smallest thing that follows the rules: dictionaries, one thread, no failures but the
ones asked for. The state machine (test_machine.py) drives it alone, then drives both side by side.
"""

from __future__ import annotations

import dataclasses

from scores import maintenance, merging, moderation, ranking, repository, scoring, services
from scores.errors import ScoreboardError
from scores.ranking import Ranking, RankingUnavailable
from scores.scoring import Action, Board, Player, Row, State, in_order, rows_of
from scores.tests import stage

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
    recorded_floor: int = 0
    dropped: bool = False
    cache: dict[str, Player] = dataclasses.field(default_factory=dict)
    ready: bool = False
    floor: int = 0
    remembered_floor: int = 0  # by the process, for when Redis is away
    revision: int = 0

    # --- writes

    def update(self, user_id: str, increment: int, key: str, fault: str) -> tuple[str, int]:
        answer = self._update(user_id, increment, key, fault)
        self._end(fault)
        return answer

    def _end(self, fault: str) -> None:
        """A fault ends with the death of the process."""
        if fault != OK:
            self.crash()

    def _update(self, user_id: str, increment: int, key: str, fault: str) -> tuple[str, int]:
        if answered := self.ledger.get((user_id, key)):
            return ("replayed", answered[1]) if answered[0] == increment else ("key_reused", 0)
        known = self.players.get(user_id, Player(user_id))
        if known.is_banned(self.now):
            return "banned", 0
        player = scoring.increased(known, increment, self.now)
        self.ledger[user_id, key] = (increment, player.score)
        self._store(player, known, fault)
        return "accepted", player.score

    def moderate(self, user_id: str, action: Action, fault: str, amount: int, until: int | None) -> str:
        known = self.players.get(user_id, Player(user_id))
        try:
            player = scoring.moderated(known, action, self.now, amount=amount, until=until)
        except scoring.RuleError:
            return "refused"
        else:
            self._store(player, known, fault)
            return "done"
        finally:
            self._end(fault)

    def _store(self, player: Player, known: Player, fault: str) -> None:
        self.players[player.user_id] = player
        self.chain.setdefault(player.user_id, []).append((player.score - known.score, player.score))
        self.contenders.discard(player.user_id)
        if player.contends(self.remembered_floor if fault == REDIS_AWAY else self.floor):
            self.contenders.add(player.user_id)
        if fault == OK:
            self._merge(player)

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
                self.moderate(player.user_id, Action.UNBAN, OK, 0, None)
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


class Real:
    """The product's code on DynamoDB Local and Valkey; `fault` strikes at the edge to Redis."""

    def __init__(self) -> None:
        stage.reset()
        self.now = 1_000

    # --- writes

    def update(self, user_id: str, increment: int, key: str, fault: str) -> tuple[str, int]:
        with _Struck(fault):
            try:
                accepted = services.add_points(
                    user_id=user_id, increment=increment, key=key, caller=stage.SERVER
                )
            except ScoreboardError as error:
                return error.code, 0
        return "replayed" if accepted.replayed else "accepted", accepted.new_score

    def moderate(self, user_id: str, action: Action, fault: str, amount: int, until: int | None) -> str:
        known = repository.read_player(user_id) or Player(user_id)
        with _Struck(fault):
            try:
                moderation.moderate(
                    user_id=user_id,
                    action=action,
                    actor="moderator",
                    reason="test",
                    expected_version=known.version,
                    amount=amount,
                    until=until,
                )
            except ScoreboardError as error:
                return error.code
        return "done"

    # --- upkeep

    def flush(self) -> None:
        ranking._client().flushall()

    def crash(self) -> None:
        stage.forget()

    def reconcile(self, floor_due: bool) -> None:
        maintenance.FLOOR_DUE_S = -1.0 if floor_due else 1e9
        current = merging.current_ranking()
        if not floor_due and current.floor_age_s() is None:
            current.set_floor(0)  # none and 0 mean the same, but none is due
        ranking._client().delete(current._key("lock:reconcile"))
        maintenance.reconcile_ranking()

    def rebuild(self, full: bool) -> None:
        assert maintenance.rebuild_ranking(full=full)

    # --- what can be seen

    def board(self) -> Board | None:
        return merging.current_ranking().board()

    def table(self) -> dict[str, Player]:
        return stage.table()

    def outside_index(self) -> list[Player]:
        floor = repository.read_state().floor
        return [p for p, indexed in repository.scan_players() if p.contends(int(floor)) and not indexed]

    def broken_ledgers(self) -> list[str]:
        return [broken.user_id for broken in maintenance.verify_ledger()[1]]


class _Struck:
    """Redis does not answer merges (MERGE_LOST) or anything (REDIS_AWAY), and the process then dies."""

    def __init__(self, fault: str) -> None:
        self.fault = fault

    def __enter__(self) -> None:
        self.merge, self.guess = Ranking.merge, Ranking.guess
        if self.fault != OK:
            Ranking.merge = _unanswered  # type: ignore[assignment,method-assign]
        if self.fault == REDIS_AWAY:
            Ranking.guess = _unanswered  # type: ignore[assignment,method-assign]

    def __exit__(self, *exc_info: object) -> None:
        Ranking.merge, Ranking.guess = self.merge, self.guess  # type: ignore[method-assign]
        if self.fault != OK:
            stage.forget()


def _unanswered(*args: object) -> None:
    raise RankingUnavailable("struck by the test")
