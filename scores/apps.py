from django.apps import AppConfig


class ScoresConfig(AppConfig):
    name = "scores"

    def ready(self) -> None:
        from scores import checks  # noqa: F401 - registers the system checks
        from scores.telemetry import reporting

        reporting.start()
