"""Wrong usage of the moderators' commands: said clearly, and before any store is asked."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from scores.stores import dynamodb

WHY = "--reason=because"


@pytest.fixture(autouse=True)
def no_store(monkeypatch):
    def asked(*args):
        raise AssertionError("a store was asked")

    monkeypatch.setattr(dynamodb, "once", asked)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ban", "u11"], "--reason"),
        (["ban", "u11", "--reason= "], "A reason is needed"),
        (["ban", WHY], "say which players"),
        (["ban", "u 1", WHY], "user id"),
        (["ban", "u11", "#table", WHY], "#table: A user id"),
        (["burn", "u11", WHY], "invalid choice"),
        (["adjust", "u11", WHY], "amount"),
        (["adjust", "u11", WHY, "--amount=ten"], "invalid int"),
        (["hide", "u11", WHY, "--amount=1"], "only adjust"),
        (["hide", "u11", WHY, "--name=Bo"], "Only rename"),
        (["hide", "u11", WHY, "--no-name"], "--no-name is for rename"),
        (["hide", "u11", WHY, "--for=7d"], "Only ban"),
        (["rename", "u11", WHY], "--name or --no-name"),
        (["rename", "u11", WHY, "--name=admin"], "reserved"),
        (["ban", "u11", WHY, "--until=soon"], "is not a time like"),
        (["ban", "u11", WHY, "--for=7"], "is not a duration like"),
        (["ban", "u11", WHY, "--for=7d", "--until=2099-01-01"], "not allowed with"),
        (["ban", "u11", "u10", WHY, "--entry-id=MOD#1"], "--entry-id is for one player"),
        (["ban", "u11", "u10", WHY, "--expect-version=1"], "--expect-version is for one player"),
        (["ban", "u11", WHY, "--entry-id=key"], "MOD#"),
        (["ban", "u11", WHY, "--actor=\n"], "actor"),
        (["ban", "--ids-from=/nowhere", WHY], "No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_moderate_says_what_is_wrong(arguments, message):
    with pytest.raises(CommandError) as raised:
        call_command("moderate", *arguments)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "--resume needs --output"),
        (["--user=a b"], "--user must be"),
        (["--pace=0"], "--pace"),
        (["--since=yesterday"], "is not a time like"),
        (["--action=update"], "invalid choice"),
        (["--output=/nowhere/x"], "No such file"),
        (["--output=/nowhere/x", "--resume"], "No such file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_export_audit_says_what_is_wrong(arguments, message):
    with pytest.raises(CommandError, match=message):
        call_command("export_audit", *arguments)
