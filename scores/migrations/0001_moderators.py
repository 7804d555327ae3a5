"""The two permissions, and a ready-made group for each."""

from __future__ import annotations

from typing import Any

from django.db import migrations, models

GROUPS = {"Viewers": ["view_player"], "Moderators": ["view_player", "moderate_player"]}
NAMES = {"view_player": "Can view player", "moderate_player": "Can moderate players"}


def make_groups(apps: Any, schema_editor: Any) -> None:
    # Django makes the permissions of a model only after all migrations: too late for the groups.
    database = schema_editor.connection.alias
    content_type, _ = (
        apps.get_model("contenttypes", "ContentType")
        .objects.using(database)
        .get_or_create(app_label="scores", model="player")
    )
    permissions = apps.get_model("auth", "Permission").objects.using(database)
    groups = apps.get_model("auth", "Group").objects.using(database)
    for name, codenames in GROUPS.items():
        group, _ = groups.get_or_create(name=name)
        for codename in codenames:
            permission, _ = permissions.get_or_create(
                content_type=content_type, codename=codename, defaults={"name": NAMES[codename]}
            )
            group.permissions.add(permission)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [
        migrations.CreateModel(
            name="Player",
            fields=[("user_id", models.CharField(max_length=128, primary_key=True, serialize=False))],
            options={
                "managed": False,
                "default_permissions": ("view",),
                "permissions": [("moderate_player", "Can moderate players")],
            },
        ),
        # Backwards the groups stay: they may have members.
        migrations.RunPython(make_groups, migrations.RunPython.noop),
    ]
