"""The forms of the moderation actions. Each asks for a reason."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from django import forms

from scores.rules.actions import Action
from scores.rules.audit_trail import MAX_REASON
from scores.rules.names import MAX_CHARS, BadName, clean_name
from scores.rules.players import MAX_SCORE

_LASTS = {
    "3600": "1 hour",
    "86400": "1 day",
    "604800": "7 days",
    "2592000": "30 days",
    "until": "until the time below",
    "forever": "for good",
}
ULID_PATTERN = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")


class ActionForm(forms.Form):
    """The field of every action: the reason."""

    use_required_attribute = True

    reason = forms.CharField(
        max_length=MAX_REASON,
        min_length=3,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Kept with your name. The public never sees it.",
    )

    def arguments(self, now: int) -> dict[str, Any]:
        """The arguments of `moderate` that belong to this action, from a valid form. `now` is in ms."""
        return {}


class HideForm(ActionForm):
    """An action that takes a player off the board, who may be scoring at the same time."""

    meanwhile = forms.BooleanField(
        required=False,
        label="Also if the player scores meanwhile",
        help_text="Otherwise nothing is done if the player has changed since you opened this form.",
    )


class AdjustForm(ActionForm):
    field_order = ("amount", "reason")

    amount = forms.IntegerField(
        min_value=-MAX_SCORE,
        max_value=MAX_SCORE,
        help_text="Points to add, or with a minus to take away. The score cannot go below 0.",
    )

    def clean_amount(self) -> int:
        amount: int = self.cleaned_data["amount"]
        if amount == 0:
            raise forms.ValidationError("0 points would change nothing.")
        return amount

    def arguments(self, now: int) -> dict[str, Any]:
        return {"amount": self.cleaned_data["amount"]}


class RenameForm(ActionForm):
    field_order = ("name", "reason")

    name = forms.CharField(
        required=False,
        max_length=MAX_CHARS,
        help_text="The name on the board; leave it empty for none. The player may choose another one.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "dir": "auto"}),
    )

    def clean_name(self) -> str | None:
        if not self.cleaned_data["name"]:
            return None
        try:
            return clean_name(self.cleaned_data["name"])
        except BadName as error:
            raise forms.ValidationError(str(error)) from error

    def arguments(self, now: int) -> dict[str, Any]:
        return {"name": self.cleaned_data["name"]}


class BanForm(HideForm):
    field_order = ("lasts", "until", "reason", "meanwhile")

    lasts = forms.ChoiceField(choices=list(_LASTS.items()), initial="604800", label="Duration")
    until = forms.DateTimeField(
        required=False,
        label="Until (UTC)",
        help_text="Only for “until the time below”.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("lasts") == "until" and "until" not in self.errors:
            until: datetime | None = values.get("until")
            if until is None:
                self.add_error("until", "Say when the ban ends.")
            elif until <= datetime.now(UTC):
                self.add_error("until", "A ban must end in the future.")
        return values

    def arguments(self, now: int) -> dict[str, Any]:
        lasts = self.cleaned_data["lasts"]
        if lasts == "until":
            return {"until": int(self.cleaned_data["until"].timestamp()) * 1000}
        return {"until": None if lasts == "forever" else now + int(lasts) * 1000}


class EraseForm(ActionForm):
    sure = forms.BooleanField(
        label="I know that the score and the name cannot be brought back",
    )


FORMS: dict[Action, type[ActionForm]] = {
    Action.ADJUST: AdjustForm,
    Action.RENAME: RenameForm,
    Action.HIDE: HideForm,
    Action.UNHIDE: ActionForm,
    Action.BAN: BanForm,
    Action.UNBAN: ActionForm,
    Action.ERASE: EraseForm,
}
