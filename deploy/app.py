"""The whole system on AWS: three stacks. `make deploy`, or `make synth` without account and network."""

from __future__ import annotations

import sys

import aws_cdk as cdk
from cdk_nag import AwsSolutionsChecks

from settings import SettingsError, from_context
from stacks.beanstalk import BeanstalkStack
from stacks.data import DataStack
from stacks.edge import EdgeStack
from stacks.nag import acknowledge
from stacks.web import WebStack


def build(app: cdk.App) -> None:
    """Add the stacks to the app. Raises SettingsError."""
    settings = from_context(app)
    here = cdk.Environment(region=settings.region)
    edge = cdk.Environment(region="us-east-1")  # where CloudFront looks for certificates and firewalls
    prefix = f"Scoreboard{settings.environment.title()}"

    data = DataStack(app, f"{prefix}Data", settings, env=here)
    if settings.beanstalk_platform:
        web: cdk.Stack = BeanstalkStack(app, f"{prefix}Web", settings, data=data, env=here)
        meant: dict[str, cdk.Stack] = {"Data": data, "Beanstalk": web}
    else:
        front = EdgeStack(app, f"{prefix}Edge", settings, env=edge, cross_region_references=True)
        web = WebStack(
            app, f"{prefix}Web", settings, data=data, edge=front, env=here, cross_region_references=True
        )
        meant = {"Data": data, "Web": web}

    cdk.Tags.of(app).add("application", "scoreboard")
    cdk.Tags.of(app).add("environment", settings.environment)

    cdk.Validations.of(app).add_plugins(AwsSolutionsChecks())
    acknowledge(meant, settings)


if __name__ == "__main__":
    app = cdk.App()
    try:
        build(app)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    app.synth()
