"""DynamoDB behind the synthesised policies: a proxy that refuses, as IAM does, what a role may not do."""

from __future__ import annotations

import fnmatch
import http.client
import json
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


def allows(statements: Iterable[Statement], action: str, resource: str) -> bool:
    """Whether a policy allows `action` on `resource`: no matching Deny and at least one matching Allow.

    IAM User Guide, "Policy evaluation logic". Statements with conditions are not expected here.
    """
    effects = set()
    for statement in statements:
        assert not statement.keys() & {"NotAction", "NotResource", "Condition"}, statement
        if _matches(statement["Action"], action) and _matches(statement["Resource"], resource):
            effects.add(statement["Effect"])
    return effects == {"Allow"}


def _matches(patterns: str | list[str], value: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch.fnmatchcase(value.lower(), pattern.lower()) for pattern in listed)


def asked(operation: str, body: dict[str, Any], region: str) -> Iterator[tuple[str, str]]:
    """(action, resource) that IAM decides on for one call of DynamoDB's API."""
    table = f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/"
    if operation == "TransactWriteItems":
        for item in body["TransactItems"]:
            for part, request in item.items():
                yield f"dynamodb:{PARTS[part]}", table + request["TableName"]
    elif operation in ("BatchGetItem", "BatchWriteItem"):
        for name in body["RequestItems"]:
            yield f"dynamodb:{operation}", table + name
    else:
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        yield f"dynamodb:{operation}", table + body.get("TableName", "*") + index


class Guard:
    """What was asked for, and what of it was refused."""

    def __init__(self, statements: list[Statement], region: str) -> None:
        self.statements, self.region = statements, region
        self.used: set[tuple[str, str]] = set()
        self.refused: set[tuple[str, str]] = set()
        self.url = ""

    def admits(self, operation: str, body: dict[str, Any]) -> bool:
        wanted = set(asked(operation, body, self.region))
        denied = {pair for pair in wanted if not allows(self.statements, *pair)}
        self.used |= wanted
        self.refused |= denied
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
    threading.Thread(target=server.serve_forever, daemon=True).start()
    guard.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield guard
    finally:
        server.shutdown()
        server.server_close()
