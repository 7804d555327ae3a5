"""Performing scenarios one after the other on one stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from tools.faults.checks.result import Result
from tools.faults.checks.watch import Repeated
from tools.faults.run import Run, perform
from tools.faults.scenarios import dynamodb, people, processes, ranking
from tools.faults.scenarios.mix import Mix, random_mix
from tools.faults.stage import Stage, Web

SCENARIOS = {
    each.name: each
    for each in (
        ranking.lost_merge,
        dynamodb.killed,
        dynamodb.frozen,
        dynamodb.slow,
        dynamodb.failing,
        dynamodb.replies_cut,
        ranking.killed,
        ranking.frozen,
        ranking.flushed,
        ranking.failover,
        ranking.pubsub_killed,
        processes.same_key,
        processes.killed_at_points,
        processes.rolling_restart,
        people.viewers_cut,
        people.viewers_that_do_not_read,
        people.keys_in_trouble,
        people.moderation,
        random_mix,
    )
}
#: In the fast suite a fault lasts this part of its time, and two seconds at least.
FAST = 0.1


def perform_one(stage: Stage, name: str, *, scale: float = 1.0, seed: int = 1) -> Result:
    """One scenario from well to well; `scale` shortens it."""
    chosen = SCENARIOS[name]
    stage.wait_until_well()
    return perform(Run(stage, name, chosen.title, seed=seed, scale=scale, **chosen.options), chosen.work)


def perform_all(
    stage: Stage, names: Iterable[str], say: Callable[[str], None], *, scale: float = 1.0, seed: int = 1
) -> Iterator[Result]:
    """Scenarios one after the other; `say` is told what is going on."""
    names = list(names)
    for number, name in enumerate(names, start=1):
        say(f"{number}/{len(names)} {name}: {SCENARIOS[name].title}")
        result = perform_one(stage, name, scale=scale, seed=seed)
        verdict = f"{len(result.violations)} BROKEN" if result.violations else "held"
        say(
            f"     {verdict} after {result.seconds:.0f} s: {result.attempted} attempted,"
            f" {result.acknowledged} acknowledged, {result.lost} lost, {result.doubled} doubled"
        )
        for violation in result.violations[:10]:
            say(f"     {str(violation)[:500]}")
        yield result


def perform_mix(
    stage: Stage,
    seconds: float,
    *,
    seed: int,
    say: Callable[[str], None],
    mortal: Sequence[Web] = (),
    **options: Any,
) -> tuple[Result, Run]:
    """The random mix for this long (s), with `options` of Run; `say` is told how it stands."""
    stage.wait_until_well()
    title = f"random mix for {seconds / 60:g} min, seed {seed}"
    run = Run(stage, "F18", title, seed=seed, with_moderated=True, **options)
    began = time.monotonic()

    def tell() -> None:
        lasted_s = time.monotonic() - began
        say(f"     {lasted_s / 60:.1f} of {seconds / 60:g} min: {run.acknowledged()} updates acknowledged")

    telling = Repeated(30.0, tell)
    run.closing(telling.stop)
    return perform(run, lambda run: Mix(run, seconds, mortal).go()), run
