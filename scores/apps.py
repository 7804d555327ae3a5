from django.apps import AppConfig


class ScoresConfig(AppConfig):
    name = "scores"

    def ready(self) -> None:
        from scoreboard_site import reporting
        from scores import checks  # noqa: F401 - registers the system checks

        reporting.start()
