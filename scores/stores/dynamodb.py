"""Calling DynamoDB through PynamoDB: what is tried again, and what a failure means.

Nothing here retries a write, except `patiently` while tables are created: the caller decides what a failed
write means.
"""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import botocore.exceptions as botocore_errors
from botocore.httpsession import URLLib3Session
from pynamodb.connection import Connection
from pynamodb.exceptions import PynamoDBException, UpdateError
from pynamodb.models import Model

from scores import concurrency
from scores.rules.errors import Throttled, Unavailable
from scores.stores import tables

logger = logging.getLogger(__name__)
T = TypeVar("T")
M = TypeVar("M", bound=Model)

THROTTLES = {
    "ProvisionedThroughputExceeded",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingError",
    "ThrottlingException",
}
_NEVER_SENT = (
    botocore_errors.ConnectTimeoutError,
    botocore_errors.EndpointConnectionError,
    botocore_errors.NoCredentialsError,
)
NO_TABLES = "The tables are not there yet: run `python manage.py create_tables`."
#: A read is tried again while this much time (s) has not passed since its start.
READ_AGAIN_WITHIN_S = 0.3
#: The same for creating tables, where a timeout means little: asking again is harmless.
ADMINISTRATION_WITHIN_S = 10.0


def _blocking(send: Callable[..., T]) -> Callable[..., T]:
    @functools.wraps(send)
    def blocking_send(*args: Any, **options: Any) -> T:
        with concurrency.blocking():
            return send(*args, **options)

    return blocking_send


# Only sending and waiting for the answer block, not encoding and decoding. PynamoDB makes its own clients,
# and botocore has no setting for the function that sends.
URLLib3Session.send = _blocking(URLLib3Session.send)


@functools.cache
def connection() -> Connection:
    """A connection for calls that belong to no one model; made once."""
    meta = tables.UserScore.Meta
    return Connection(
        region=meta.region,
        host=meta.host,
        connect_timeout_seconds=meta.connect_timeout_seconds,
        read_timeout_seconds=meta.read_timeout_seconds,
        max_retry_attempts=meta.max_retry_attempts,
        max_pool_connections=meta.max_pool_connections,
        aws_access_key_id=meta.aws_access_key_id,
        aws_secret_access_key=meta.aws_secret_access_key,
    )


def code(error: PynamoDBException) -> str | None:
    """DynamoDB's own name of the failure, if it answered."""
    # PynamoDB's own reading of it fails on a timeout, which has no response.
    return error.cause_response_code if isinstance(error.cause, botocore_errors.ClientError) else None


def translated(error: PynamoDBException, undecided: type[Exception]) -> Exception:
    """Our error for PynamoDB's; `undecided` is for those that leave open whether the call took effect."""
    reason = code(error)
    if reason in THROTTLES:
        return Throttled()
    if isinstance(error.cause, botocore_errors.ClientError):
        status = error.cause.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
        if reason == "ResourceNotFoundException":
            return Unavailable(NO_TABLES)
        if reason != "InternalServerError" and status < 500:
            logger.error("DynamoDB refused a call: %s", reason)
            return Unavailable()
        return undecided()
    return Unavailable() if isinstance(error.cause, _NEVER_SENT) else undecided()


def once(call: Callable[[], T]) -> T:
    """Raises Unavailable or Throttled for PynamoDB's errors."""
    try:
        return call()
    except PynamoDBException as error:
        raise translated(error, Unavailable) from error


def translating(items: Iterable[T]) -> Iterator[T]:
    """`items`, read as they are wanted. Raises Unavailable or Throttled."""
    try:
        yield from items
    except PynamoDBException as error:
        raise translated(error, Unavailable) from error


def get(model: type[M], hash_key: str, range_key: str) -> M | None:
    """One item, read consistently. Raises Unavailable or Throttled."""

    def call() -> list[M]:
        try:
            return [model.get(hash_key, range_key, consistent_read=True)]
        except model.DoesNotExist:
            return []

    return next(iter(read(call)), None)


def read(call: Callable[[], Iterable[T]]) -> Sequence[T]:
    """Run a read to its end; again after a quick failure."""
    return patiently(lambda: list(call()), READ_AGAIN_WITHIN_S)


def patiently(call: Callable[[], T], within_s: float = ADMINISTRATION_WITHIN_S) -> T:
    """Call, and again after a failure that came within this time (s)."""
    deadline = time.monotonic() + within_s
    while True:
        try:
            return once(call)
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            with concurrency.blocking():
                time.sleep(random.uniform(0.01, 0.05))


def update(item: Any, actions: list[Any], condition: Any) -> bool:
    """A conditional update outside a transaction; False when the condition did not hold."""
    try:
        item.update(actions=actions, condition=condition)
    except UpdateError as error:
        if code(error) == "ConditionalCheckFailedException":
            return False
        raise translated(error, Unavailable) from error
    return True
