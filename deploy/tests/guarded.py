"""DynamoDB behind the synthesised policies: a proxy that refuses, as IAM does, what a role may not do."""

from __future__ import annotations

import fnmatch
import http.client
import json
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from deploy.tests.assembly import ACCOUNT

Statement = dict[str, Any]
#: The actions that IAM asks about for the parts of a transaction; the call itself is none.
PARTS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
}


#: The one condition of the policies: which partitions a statement is about.
LEADING_KEYS = "ForAllValues:StringEquals"


def allows(statements: Iterable[Statement], action: str, resource: str, partition: str = "ann") -> bool:
    """Whether a policy allows `action` on `resource`, for an item in `partition`.

    No matching Deny and at least one matching Allow: IAM User Guide, "Policy evaluation logic".
    """
    effects = set()
    for statement in statements:
        assert not statement.keys() & {"NotAction", "NotResource"}, statement
        if (
            _matches(statement["Action"], action)
            and _matches(statement["Resource"], resource)
            and _holds(statement.get("Condition"), partition)
        ):
            effects.add(statement["Effect"])
    return effects == {"Allow"}


def _matches(patterns: str | list[str], value: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch.fnmatchcase(value.lower(), pattern.lower()) for pattern in listed)


def _holds(condition: dict[str, Any] | None, partition: str) -> bool:
    if condition is None:
        return True
    assert condition.keys() == {LEADING_KEYS}, condition
    return partition in condition[LEADING_KEYS]["dynamodb:LeadingKeys"]


def asked(operation: str, body: dict[str, Any], region: str) -> Iterator[tuple[str, str, str]]:
    """(action, resource, partition) that IAM decides on for one call of DynamoDB's API."""
    table = f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/"
    if operation == "TransactWriteItems":
        for item in body["TransactItems"]:
            for part, request in item.items():
                yield f"dynamodb:{PARTS[part]}", table + request["TableName"], _partition(request)
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        for name in body["RequestItems"]:
            yield f"dynamodb:{operation}", table + name, ""
    else:
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        yield f"dynamodb:{operation}", table + body.get("TableName", "*") + index, _partition(body)


def _partition(request: dict[str, Any]) -> str:
    """The partition a request is about; empty when it names none."""
    if "KeyConditionExpression" in request:
        found = re.match(r"\(?(\S+) = (:\w+)", request["KeyConditionExpression"])
        assert found, request
        return str(request["ExpressionAttributeValues"][found[2]]["S"])
    key = request.get("Key", request.get("Item", {}))
    return str(key.get("userId", {}).get("S", ""))


class Guard:
    """What was asked for, and what of it was refused."""

    def __init__(self, statements: list[Statement], region: str) -> None:
        self.statements, self.region = statements, region
        self.used: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self.url = ""

    def admits(self, operation: str, body: dict[str, Any]) -> bool:
        wanted = set(asked(operation, body, self.region))
        denied = {one for one in wanted if not allows(self.statements, *one)}
        self.used |= {(action, resource) for action, resource, _ in wanted}
        self.refused |= {(action, resource) for action, resource, _ in denied}
        return not denied


@contextmanager
def guarded_dynamodb(endpoint: str, statements: list[Statement], region: str) -> Iterator[Guard]:
    """A DynamoDB that is the one at `endpoint`, for somebody with these rights."""
    guard = Guard(statements, region)
    host = endpoint.removeprefix("http://")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            operation = self.headers["X-Amz-Target"].rsplit(".", 1)[1]
            if guard.admits(operation, json.loads(body)):
                self._pass_on(body)
            else:
                self._answer(400, b'{"__type":"com.amazon.coral.service#AccessDeniedException"}', {})

        def _pass_on(self, body: bytes) -> None:
            store = http.client.HTTPConnection(host, timeout=10)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            store.request("POST", "/", body, headers)
            answer = store.getresponse()
            self._answer(answer.status, answer.read(), {"x-amz-crc32": answer.getheader("x-amz-crc32")})
            store.close()

        def _answer(self, status: int, body: bytes, headers: dict[str, str | None]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if value:
                    self.send_header(name, value)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    guard.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield guard
    finally:
        server.shutdown()
        server.server_close()
