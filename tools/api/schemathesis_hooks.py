"""Rules of our API that JSON Schema cannot express, for Schemathesis."""

from typing import Any

import schemathesis


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """To a schema 86.0 is an integer; to us it is a float, and refused."""
    if isinstance(body, dict):
        return {name: int(value) if _whole(value) else value for name, value in body.items()}
    return body


def _whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()
