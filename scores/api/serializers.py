"""What the bodies of requests may hold. They validate input only; output is `to_dict()` of the values."""

from __future__ import annotations

from typing import Any, cast

from django.conf import settings
from rest_framework import serializers

from scores.rules.names import BadName, clean_name
from scores.rules.players import id_problem
from scores.rules.tickets import MAX_TICKET_CHARS


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields it does not know, and names them with all others that are wrong."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields)) if isinstance(data, dict) else []
        errors: dict[str, Any] = {name[:128]: ["Unknown field."] for name in unknown}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            wrong = cast(dict[str, Any], error.detail)  # a serializer's is by field
            raise serializers.ValidationError(wrong | errors) from error
        if errors:
            raise serializers.ValidationError(errors)
        return values


class IdField(serializers.Field[str, str, str, Any]):
    """A user id."""

    default_error_messages = {"invalid": "Must be {rule}"}

    def to_internal_value(self, data: Any) -> str:
        if rule := id_problem(data):
            self.fail("invalid", rule=rule)
        return cast(str, data)


class IncrementField(serializers.Field[int, int, int, Any]):
    """A JSON integer; not a boolean, a float or a string that looks like one."""

    default_error_messages = {"invalid": "Must be an integer from 1 to {max}."}

    def to_internal_value(self, data: Any) -> int:
        if type(data) is not int or not 1 <= data <= settings.SCOREBOARD_MAX_INCREMENT:
            self.fail("invalid", max=settings.SCOREBOARD_MAX_INCREMENT)
        return data


class TicketField(serializers.Field[str, str, str, Any]):
    """A signed ticket, as a string; what is in it is checked by scores/rules/tickets.py."""

    default_error_messages = {"invalid": "Must be a string of 1 to {max} characters."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str) or not 1 <= len(data) <= MAX_TICKET_CHARS:
            self.fail("invalid", max=MAX_TICKET_CHARS)
        return data


class UpdateInput(StrictSerializer):
    userId = IdField()
    increment = IncrementField()
    ticket = TicketField(required=False)


class NameField(serializers.Field[str, str, str, Any]):
    """A display name (scores/rules/names.py), cleaned."""

    default_error_messages = {"invalid": "Must be a string or null."}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            return clean_name(data)
        except BadName as error:
            raise serializers.ValidationError(str(error)) from error


class NameInput(StrictSerializer):
    name = NameField(allow_null=True)
