"""`python -m tools.api.postman`: docs/postman.json, a Postman collection made from docs/openapi.json.

Each operation is tried as its example shows, and in the ways its description says are refused. Answers
are checked against the status, headers and schemas of the description. Standard library only.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.devstack.install.files import ROOT

SOURCE, TARGET = ROOT / "docs" / "openapi.json", ROOT / "docs" / "postman.json"
SCHEMA = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"
Json = dict[str, Any]


def collection(document: Json) -> Json:
    """The collection for an OpenAPI document. Variables: `baseUrl`, `token`, `userId`."""
    items = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            calls = list(_calls(document, method.upper(), path, operation))
            items.append({"name": operation["operationId"], "item": calls})
    return {
        "info": {
            "name": document["info"]["title"],
            "description": document["info"]["description"],
            "schema": SCHEMA,
        },
        "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "{{token}}", "type": "string"}]},
        "variable": [
            {"key": "baseUrl", "value": "http://127.0.0.1:8000"},
            {"key": "token", "value": ""},
            {"key": "userId", "value": "USER-123"},
        ],
        # First what writes, so that the reads after it have something to show.
        "item": sorted(items, key=lambda item: item["name"].startswith("get")),
    }


def _calls(document: Json, method: str, path: str, operation: Json) -> Iterator[Json]:
    example = _example(operation)
    sent = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
    headers = {"Idempotency-Key": "{{$guid}}"} if "Idempotency-Key" in sent else {}
    remember = [
        f'pm.collectionVariables.set("{name}", pm.response.headers.get("{name}"));'
        for name in ("ETag", "Idempotency-Key")
        if name in operation["responses"]["200"].get("headers", {})
    ]
    yield _call(document, "as documented", method, path, operation, 200, example, headers, tests=remember)
    if headers:
        replay = ['pm.expect(pm.response.headers.get("Idempotent-Replayed")).to.eql("true");']
        again = {"Idempotency-Key": "{{Idempotency-Key}}"}
        yield _call(document, "the same again", method, path, operation, 200, example, again, tests=replay)
    if "304" in operation["responses"]:
        seen = {"If-None-Match": "{{ETag}}"}
        yield _call(document, "seen before", method, path, operation, 304, None, seen)
    if {} not in operation["security"]:
        yield _call(document, "without a token", method, path, operation, 401, example, auth=False)
    if example is not None:
        unknown = example | {"unknown": True}
        yield _call(document, "an unknown field", method, path, operation, 400, unknown)
        odd = {"Content-Type": "text/plain"}
        yield _call(document, "not JSON", method, path, operation, 415, example, odd)


def _call(
    document: Json,
    name: str,
    method: str,
    path: str,
    operation: Json,
    status: int,
    body: Json | None,
    headers: dict[str, str] | None = None,
    *,
    auth: bool = True,
    tests: list[str] | None = None,
) -> Json:
    sent = ({"Content-Type": "application/json"} if body is not None else {}) | (headers or {})
    request: Json = {
        "method": method,
        "url": {"raw": "{{baseUrl}}" + path, "host": ["{{baseUrl}}"], "path": path.strip("/").split("/")},
        "header": [{"key": key, "value": value} for key, value in sent.items()],
    }
    if body is not None:
        request["body"] = {"mode": "raw", "raw": json.dumps(body)}
    if not auth:
        request["auth"] = {"type": "noauth"}
    script = _tests(
        document, f"{operation['operationId']}, {name}", operation["responses"][str(status)], status
    )
    lines = [*script[:-1], *(f"  {line}" for line in tests or []), script[-1]]
    return {
        "name": name,
        "request": request,
        "event": [{"listen": "test", "script": {"type": "text/javascript", "exec": lines}}],
    }


def _tests(document: Json, name: str, answer: Json, status: int) -> list[str]:
    lines = [f"pm.test({json.dumps(name)}, () => {{", f"  pm.response.to.have.status({status});"]
    for content_type, content in answer.get("content", {}).items():
        schema = json.dumps(_inlined(document, content["schema"]))
        lines.append(f'  pm.expect(pm.response.headers.get("Content-Type")).to.eql("{content_type}");')
        lines.append(f"  pm.response.to.have.jsonSchema({schema});")
    always = {"WWW-Authenticate", "ETag", "Board-Revision", "Board-As-Of", "Idempotency-Key", "X-Request-ID"}
    lines += [
        f'  pm.response.to.have.header("{header}");'
        for header in answer.get("headers", {})
        if header in always
    ]
    return [*lines, "});"]


def _example(operation: Json) -> Json | None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        example: Json = next(iter(content["examples"].values()))["value"]
        return example | ({"userId": "{{userId}}"} if "userId" in example else {})
    return None


def _inlined(document: Json, schema: Any) -> Any:
    """`schema` with its references replaced by what they refer to."""
    if isinstance(schema, list):
        return [_inlined(document, each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    return {name: _inlined(document, value) for name, value in schema.items() if name != "description"}


def write(source: Path = SOURCE, target: Path = TARGET) -> None:
    target.write_text(json.dumps(collection(json.loads(source.read_text())), indent=2) + "\n")


if __name__ == "__main__":
    write()
