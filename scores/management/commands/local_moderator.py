from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, CommandError, call_command

USERNAME = "moderator"
#: Without letters and digits that look alike.
_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class Command(BaseCommand):
    help = (
        "Prepare the admin site's database and a moderator with a random password, and print how to sign in. "
        "For development only. The password is kept in DATA_DIR/moderator.txt."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("The local moderator exists only with DEBUG on: use createsuperuser.")
        if not settings.SCOREBOARD_ADMIN:
            self.stdout.write("no admin site: SCOREBOARD_ADMIN is off")
            return
        from django.contrib.auth.models import Group, User  # needs the apps of the admin site

        call_command("migrate", verbosity=0, interactive=False)
        note = settings.DATA_DIR / "moderator.txt"
        user, created = User.objects.get_or_create(username=USERNAME, defaults={"is_staff": True})
        if created or not note.exists():
            password = "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(3))
            note.parent.mkdir(parents=True, exist_ok=True)
            note.touch(mode=0o600)
            note.write_text(password + "\n")
            user.set_password(password)
            user.save()
            user.groups.add(Group.objects.get(name="Moderators"))
        self.stdout.write(
            f"moderate at http://127.0.0.1:{settings.PORT}/admin/ as {USERNAME}, password "
            f"{note.read_text().strip()} (kept in {note})"
        )
