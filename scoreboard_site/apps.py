from django.contrib.admin.apps import AdminConfig


class ModeratorsSite(AdminConfig):
    """Django's admin, with the first page and the look of ours."""

    default_site = "scores.moderation.admin_site.ModerationSite"
