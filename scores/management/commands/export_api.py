"""`manage.py export_api`."""

import json
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from scores.api.docs import generate


class Command(BaseCommand):
    help = "Write the OpenAPI document of /api/schema to docs/openapi.json."

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = settings.BASE_DIR / "docs" / "openapi.json"
        path.write_text(json.dumps(generate(), indent=2, ensure_ascii=False) + "\n")
        self.stdout.write(f"wrote {path.relative_to(settings.BASE_DIR)}")
