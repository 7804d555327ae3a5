"""`manage.py publish_static`."""

import json
import mimetypes
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

#: A file's name contains the hash of its content.
CACHE_CONTROL = "public, max-age=31536000, immutable"


class Command(BaseCommand):
    help = (
        "Copy the collected static files to the bucket SCOREBOARD_STATIC_BUCKET, under `static/`. Files of "
        "earlier releases stay, because open pages still use them."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.SCOREBOARD_STATIC_BUCKET:
            raise CommandError("SCOREBOARD_STATIC_BUCKET is not set.")
        client = botocore.session.get_session().create_client("s3", region_name=settings.AWS_REGION)
        names = _hashed_names(settings.STATIC_ROOT)
        for name in names:
            self._put(client, settings.STATIC_ROOT / name, f"static/{name}")
        self.stdout.write(f"{len(names)} files are in {settings.SCOREBOARD_STATIC_BUCKET}")

    def _put(self, client: Any, path: Path, key: str) -> None:
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        if kind.startswith("text/") or kind in (
            "application/javascript",
            "application/json",
            "image/svg+xml",
        ):
            kind += "; charset=utf-8"
        try:
            client.put_object(
                Bucket=settings.SCOREBOARD_STATIC_BUCKET,
                Key=key,
                Body=path.read_bytes(),
                ContentType=kind,
                CacheControl=CACHE_CONTROL,
            )
        except (BotoCoreError, ClientError) as error:
            raise CommandError(f"S3: {key}: {error}") from error


def _hashed_names(folder: Path) -> list[str]:
    """The names that pages use. Raises CommandError when no files with hashed names were collected."""
    try:
        manifest = json.loads((folder / "staticfiles.json").read_text())
    except OSError as error:
        raise CommandError(f"Run `manage.py collectstatic` with DEBUG off first: {error}") from error
    return sorted(set(manifest["paths"].values()))
