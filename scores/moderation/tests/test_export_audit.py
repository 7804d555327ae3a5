"""`manage.py export_audit`: moderation entries as JSON lines, continued or cut short."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from scores.board.tests.test_adding import moderate
from scores.moderation import moderating
from scores.rules.actions import Action
from scores.stores import ledger, tables
from tools.testing import stage

pytestmark = pytest.mark.usefixtures("stores")


def export(*arguments):
    out, err = StringIO(), StringIO()
    call_command("export_audit", *arguments, stdout=out, stderr=err)
    return [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


@pytest.fixture
def history():
    for user_id in ("ann", "bob"):
        stage.add(user_id, 10)
    moderating.rename(stage.scoreboard(), user_id="bob", name="Bobby")
    moderate("ann", Action.ADJUST, amount=-4)
    moderate("ann", Action.BAN)


def test_a_line_says_who_what_why_before_after_and_when(history):
    lines, err = export("--user=ann", "--action=adjust")
    (entry,) = [e for e in ledger.read_all("ann") if e.kind == "adjust"]
    at = lines[0].pop("at")
    assert at.endswith("Z") and len(at) == len("2030-01-31T18:00:00.000Z")
    assert lines == [
        {
            "actor": "mod",
            "action": "adjust",
            "userId": "ann",
            "reason": "because",
            "increment": -4,
            "newScore": 6,
            "version": 2,
            "before": {"score": 10, "name": None, "state": "active", "bannedUntil": None},
            "after": {"score": 6, "name": None, "state": "active", "bannedUntil": None},
            "entryId": entry.entry_id,
        }
    ]
    assert err == "done: 2 entries looked at, 1 written\n"


def test_all_moderation_is_in_it_and_no_update(history):
    lines, err = export()
    assert sorted((line["userId"], line["action"], line["actor"]) for line in lines) == [
        ("ann", "adjust", "mod"),
        ("ann", "ban", "mod"),
        ("bob", "rename", "bob"),
    ]
    assert err == "done: 5 entries looked at, 3 written\n"


def test_it_can_be_narrowed(history):
    assert {line["userId"] for line in export("--user=bob")[0]} == {"bob"}
    assert {line["action"] for line in export("--actor=mod")[0]} == {"adjust", "ban"}
    assert {line["action"] for line in export("--action=ban", "--action=rename")[0]} == {"ban", "rename"}
    assert export("--since=2099-01-01")[0] == export("--until=2020-01-01")[0] == []
    assert len(export("--since=2020-01-01", "--until=2099-01-01T00:00+01:00")[0]) == 3
    ban = next(line for line in export()[0] if line["action"] == "ban")
    assert ban in export(f"--since={ban['at']}")[0]
    assert ban not in export(f"--until={ban['at']}")[0]


def test_an_interrupted_export_is_continued_without_a_gap_or_a_double(history, tmp_path):
    for number in range(20):
        stage.add(f"u{number}", 1)
        moderate(f"u{number}", Action.HIDE)
    path = tmp_path / "audit.jsonl"
    export("--output", str(path))
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 23
    for torn in (b"", b"".join(lines[:7]), b"".join(lines[:7]) + lines[7][:20], whole, lines[0][:5]):
        path.write_bytes(torn)
        export("--output", str(path), "--resume")
        assert path.read_bytes() == whole


def write_entries(count: int) -> None:
    with tables.LedgerEntry.batch_write() as batch:
        for number in range(count):
            item = tables.LedgerEntry(f"u{number:03}", "MOD#1", kind="hide", increment=0, new_score=1)
            item.version, item.at, item.previous_at, item.actor = 2, 9, 9, "mod"
            batch.save(item)


def test_an_export_ends_quietly_when_its_reader_is_gone():
    write_entries(2000)
    command = [sys.executable, "manage.py", "export_audit"]
    with subprocess.Popen(command, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as export:
        json.loads(export.stdout.readline())
        export.stdout.close()
        said = export.stderr.read().decode()
    assert export.returncode == 141
    assert said == ""


@pytest.mark.parametrize("command", ["diffsettings --all", "check --list-tags"])
def test_every_command_ends_quietly_when_its_reader_is_gone(command):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "manage.py", *command.split()], stdout=writer, stderr=subprocess.PIPE, text=True
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_killed_export_is_continued(tmp_path):
    write_entries(300)
    path = tmp_path / "audit.jsonl"
    command = [sys.executable, "manage.py", "export_audit", "--output", str(path)]
    with subprocess.Popen([*command, "--pace=50"], env=os.environ) as export:
        while not path.exists() or not path.stat().st_size:
            assert export.poll() is None
        export.kill()
    assert 0 < len(path.read_text().splitlines()) < 300
    call_command("export_audit", "--output", str(path), "--resume")
    assert sorted(json.loads(line)["userId"] for line in path.read_text().splitlines()) == [
        f"u{number:03}" for number in range(300)
    ]


def test_a_file_that_is_there_is_not_overwritten_and_another_file_not_continued(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary\n")
    with pytest.raises(CommandError, match="is there already"):
        call_command("export_audit", "--output", str(path))
    with pytest.raises(CommandError, match="does not end like an export"):
        call_command("export_audit", "--output", str(path), "--resume")
    assert path.read_text() == "dear diary\n"
