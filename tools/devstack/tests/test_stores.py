"""The real DynamoDB Local and the real Valkey, started as the tests of the application start them."""

import contextlib
import shutil
import socket
from pathlib import Path

import botocore.session
import psycopg
import pytest
import redis

from tools.devstack.errors import StackError
from tools.devstack.processes import stores
from tools.devstack.processes.ports import free_port
from tools.devstack.processes.postgresql import start_postgresql
from tools.devstack.processes.stores import start_dynamodb, start_valkey
from tools.devstack.tests.stage import is_running


@pytest.fixture
def occupied():
    """A port somebody else listens on."""
    with contextlib.closing(socket.create_server(("127.0.0.1", free_port()))) as listener:
        yield listener.getsockname()[1]


def client_of(valkey) -> redis.Redis:
    return redis.Redis.from_url(valkey.url, decode_responses=True, single_connection_client=True)


def test_valkey_keeps_what_it_acknowledged_across_sigkill(tmp_path):
    valkey = start_valkey(tmp_path)
    with client_of(valkey) as client:
        client.set("kept", "yes")
    valkey.kill()
    assert valkey.death() == "killed by SIGKILL"
    valkey.start()
    valkey.wait_ready()
    with client_of(valkey) as client:
        assert client.get("kept") == "yes"
    valkey.stop()
    assert not is_running(valkey.pid)


def test_throw_away_valkey_leaves_no_folder():
    valkey = start_valkey(None)
    with client_of(valkey) as client:
        folder = Path(client.config_get("dir")["dir"])
    assert folder.exists()
    valkey.stop()
    assert not folder.exists()


def test_valkey_listens_on_the_loopback_address_only():
    valkey = start_valkey(None)
    with client_of(valkey) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"
    valkey.stop()


def test_port_that_is_taken_is_named(occupied):
    with pytest.raises(StackError, match=f"port {occupied} is taken"):
        start_valkey(None, occupied)


def test_port_that_is_snatched_away_at_the_last_moment_is_replaced(occupied, monkeypatch):
    ports = iter([occupied, free_port()])
    monkeypatch.setattr(stores, "free_port", lambda: next(ports))
    valkey = start_valkey(None)
    assert valkey.port != occupied
    valkey.stop()


def test_corrupt_append_only_file_is_told_in_one_line(tmp_path):
    folder = tmp_path / "valkey" / "appendonlydir"
    folder.mkdir(parents=True)
    (folder / "appendonly.aof.manifest").write_text("file appendonly.aof.1.incr.aof seq 1 type i\n")
    (folder / "appendonly.aof.1.incr.aof").write_bytes(b"this is no command\n" * 100)
    with pytest.raises(StackError, match=r"valkey .*did not start: exit code 1 \(.*appendonly") as raised:
        start_valkey(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_corrupt_table_file_is_told_before_anything_starts(tmp_path, content):
    path = tmp_path / "dynamodb" / "shared-local-instance.db"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(
        StackError, match=r"shared-local-instance\.db is corrupt \(.*\): move the folder away"
    ):
        start_dynamodb(tmp_path)


def test_dynamodb_answers_and_ends():
    dynamodb = start_dynamodb(None)
    assert stores.dynamodb_answers(dynamodb.port)
    assert dynamodb.url == f"http://127.0.0.1:{dynamodb.port}"
    dynamodb.stop()
    assert not is_running(dynamodb.pid)


def test_tables_of_all_keys_become_those_of_the_first_key_given(tmp_path):
    with start_dynamodb(tmp_path).serving() as shared:
        session = botocore.session.get_session()
        options = {"region_name": stores.REGION, "aws_secret_access_key": "any"}
        client = session.create_client(
            "dynamodb", endpoint_url=shared.url, aws_access_key_id="somebody", **options
        )
        key = {"AttributeName": "id"}
        client.create_table(
            TableName="Kept",
            KeySchema=[key | {"KeyType": "HASH"}],
            AttributeDefinitions=[key | {"AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    with stores.dynamodb_part(tmp_path, free_port(), access_key="a1b2").serving() as part:
        seen = {
            name: session.create_client(
                "dynamodb", endpoint_url=part.url, aws_access_key_id=name, **options
            ).list_tables()["TableNames"]
            for name in ("a1b2", "somebody")
        }
    assert seen == {"a1b2": ["Kept"], "somebody": []}


def test_data_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"cannot create the folder .*/file/valkey: Not a directory"):
        start_valkey(tmp_path / "file")


@pytest.mark.parametrize("at_hand", [True, False], ids=["the machine's or the wheel's", "the wheel's"])
def test_postgresql_runs_also_for_root_and_leaves_no_folder(at_hand, monkeypatch):
    if not at_hand:
        monkeypatch.setattr(shutil, "which", lambda name: None)
    postgresql = start_postgresql()
    with psycopg.connect(postgresql.url) as connection:
        (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        assert connection.execute("SELECT 6 * 7").fetchone() == (42,)
    assert Path(folder).exists()
    postgresql.stop()
    assert not Path(folder).parent.exists()
    assert not is_running(postgresql.pid)
