"""The order of the suite on several workers: the longest units first, then on one of them what must be alone.

A unit is what runs on one worker without a break: the tests that share a fixture of a module or a folder, or
one test. Tests marked `alone` measure time, CPU or memory, which neighbours would disturb.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

ALONE = "alone"
DURATIONS = Path(__file__).with_name("durations.json")


def recorded() -> dict[str, float]:
    """Seconds of each test that took one or more, when that was last recorded."""
    found: dict[str, float] = json.loads(DURATIONS.read_text())
    return found


def is_unit_test(item: pytest.Item) -> bool:
    """Whether it needs no store, nothing that is set up for several tests, and less than a second."""
    needs = item.fixturenames if isinstance(item, pytest.Function) else ()
    return "running_stores" not in needs and not _shared(item) and item.nodeid not in recorded()


def _shared(item: pytest.Item) -> dict[str, str]:
    """The fixtures of modules, folders and conftests that the item shares with others, and their scopes."""
    found = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    scopes = {name: fixtures[-1].scope for name, fixtures in found.items() if fixtures[-1].baseid}
    return {name: scope for name, scope in scopes.items() if scope != "function"}


def unit_of(item: pytest.Item) -> str:
    """The name of the item's unit."""
    if item.get_closest_marker("alone") or item.get_closest_marker("last"):
        return ALONE
    file = item.nodeid.partition("::")[0]
    scopes = _shared(item)
    shared = sorted(name for name, scope in scopes.items() if scope == "module")
    if "package" in scopes.values():
        return str(Path(file).parent)
    if not shared:
        return item.nodeid
    chosen = item.callspec.params if hasattr(item, "callspec") else {}
    return "::".join([file, *(str(chosen[name]) for name in shared if name in chosen)])


def write_plan(items: list[pytest.Item], file: Path) -> None:
    """Tell the controller, which collects nothing itself, the unit of each test."""
    file.write_text(json.dumps({item.nodeid: unit_of(item) for item in items}))


class LongestFirst(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out the units of the plan; those of ALONE when one worker is left and all others have ended."""

    def __init__(self, config: pytest.Config, plan: Path) -> None:
        super().__init__(config)
        self.collection: list[str] | None = None
        self._file = plan
        self._plan: dict[str, str] = {}
        self._alone: dict[str, bool] = {}

    def schedule(self) -> None:
        if self.collection is None:
            if not self._check_nodes_have_same_collection():
                return
            self.collection = next(iter(self.registered_collections.values()))
            self._fill()
            for node in self.nodes[: len(self.workqueue)]:  # one for each before anybody has two
                self._assign_work_unit(node)
        for node in self.nodes:
            self._reschedule(node)

    def _fill(self) -> None:
        self._plan = json.loads(self._file.read_text())
        units: defaultdict[str, dict[str, bool]] = defaultdict(dict)
        for nodeid in self.collection or ():
            units[self._split_scope(nodeid)][nodeid] = False
        self._alone = units.pop(ALONE, {})
        known = recorded()
        weight = {unit: sum(known.get(nodeid, 0.0) for nodeid in tests) for unit, tests in units.items()}
        self.workqueue.update((unit, units[unit]) for unit in sorted(units, key=lambda unit: -weight[unit]))

    def _split_scope(self, nodeid: str) -> str:
        return self._plan[nodeid]

    def _reschedule(self, node: WorkerController) -> None:
        # A worker begins a test when it knows the next one: what it has to tear down depends on that.
        while not node.shutting_down and self._pending_of(self.assigned_work[node]) < 2:
            if not self.workqueue and not self._take_alone(node):
                return
            self._assign_work_unit(node)

    def _take_alone(self, node: WorkerController) -> bool:
        """Whether the worker goes on with ALONE. If not, it is sent home or waits for the others to end."""
        others = [other for other in self.nodes if other is not node]
        if not self._alone or any(not other.shutting_down for other in others):
            node.shutdown()
        elif not others:
            self.workqueue[ALONE], self._alone = self._alone, {}
        return bool(self.workqueue)

    def remove_node(self, node: WorkerController) -> str | None:
        crashed: str | None = super().remove_node(node)
        for other in self.nodes:
            self._reschedule(other)
        return crashed

    @property
    def tests_finished(self) -> bool:
        return not self._alone and bool(super().tests_finished)

    @property
    def has_pending(self) -> bool:
        return bool(self._alone) or super().has_pending
