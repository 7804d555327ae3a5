"""The lock after failed sign-ins: for an account at one address, and, much later, for the whole address.

People in one office share an address. A lock of the address after the few failures that lock an account
would keep all of them out; a lock of the account everywhere would let a stranger keep its owner out.
"""

from __future__ import annotations

from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from django.conf import settings
from django.db.models import QuerySet, Sum
from django.http import HttpRequest


class Lockout(AxesDatabaseHandler):  # type: ignore[misc]
    """Counts AXES_LOCKOUT_PARAMETERS, the pair and the address, each against a limit of its own."""

    def get_failures(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Failures of the account at this address; at least AXES_FAILURE_LIMIT when the address is locked."""
        pair, address = map(_failures, self.get_user_attempts(request, credentials))
        locked = address >= settings.SCOREBOARD_ADMIN_ADDRESS_FAILURES
        return max(pair, settings.AXES_FAILURE_LIMIT) if locked else pair

    def reset_user_attempts(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> int:
        """Forget the failures of the account at this address, and none of the other accounts there."""
        pair, _ = self.filter_user_attempts(request, credentials)
        count: int = pair.delete()[0]
        return count


def _failures(attempts: QuerySet[Any]) -> int:
    return attempts.aggregate(total=Sum("failures_since_start"))["total"] or 0
