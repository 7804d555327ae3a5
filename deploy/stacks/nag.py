"""Findings of cdk-nag that are meant, each with its reason. Whatever else it finds fails the synthesis."""

from __future__ import annotations

import re
from collections.abc import Mapping

import aws_cdk as cdk
from constructs import IConstruct

from settings import Settings

_LAMBDA_LOGS = (
    "The functions of custom resources write their log with AWS' own policy, and do nothing else with it."
)
_ROTATION = (
    "Rotated by hand (docs/operations.md): the processes read it when they start, so a new value goes "
    "together with a deployment."
)
_TOKEN = (
    "ecr:GetAuthorizationToken knows no resources; CDK writes it into the role that only ECS itself assumes."
)
_XRAY = "X-Ray knows no resources for PutTraceSegments and PutTelemetryRecords."
_ENVIRONMENT = "What is in the environment is no secret; secrets come from Secrets Manager."
_LOGS_OF_LOGS = (
    "Holds access logs, or files that everybody may read through CloudFront, whose log has each request."
)
_EACH_RELEASE = "Every release has another revision of the task definition and another id of the task."
_PLATFORM = "What AWS says that every environment of the platform needs."
_SDK_CALLS = "AWS679f53fac002430cb0da5b7982bd2287"  # CDK's name for the function behind AwsCustomResource
_IAM4 = (
    "AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]"
)
_ALL = "AwsSolutions-IAM5[Resource::*]"

#: (stack, construct, rule, reason). In a rule, `@construct` stands for the name that CDK generates for it.
MEANT: tuple[tuple[str, str, str, str], ...] = (
    ("Data", "Network/CloudFrontAddresses", _ALL, "ec2:DescribeManagedPrefixLists knows no resources."),
    ("Data", _SDK_CALLS, _IAM4, _LAMBDA_LOGS),
    ("Data", _SDK_CALLS, "AwsSolutions-L1", "CDK's own function, which it keeps up to date."),
    (
        "Data",
        "Identity/Pool",
        "AwsSolutions-COG2",
        "A player's account of a leaderboard is no bank account: a second factor is offered, not forced.",
    ),
    *(
        ("Data", name, "AwsSolutions-SMG4", _ROTATION)
        for name in (
            "SecretKey",
            "OriginSecret",
            "TicketKey",
            "TicketKeys",
            "MachineSecret",
            "ValkeyPassword",
            "RedisUrl",
            "DatabasePassword",
            "DatabaseUrl",
        )
    ),
    (
        "Data",
        "Events/Undelivered",
        "AwsSolutions-SQS3",
        "It is itself the queue of what could not be delivered.",
    ),
    (
        "Data",
        "Database",
        "AwsSolutions-RDS11",
        "Another port hides nothing: only the containers reach the database.",
    ),
    *(
        ("Web", f"Tasks/{name}/ExecutionRole", _ALL, _TOKEN)
        for name in ("Web", "Admin", "Ranking", "Probe", "Release")
    ),
    *(("Web", f"Tasks/{name}/TaskRole", _ALL, _XRAY) for name in ("Web", "Admin")),
    *(
        ("Web", f"Tasks/{name}", "AwsSolutions-ECS2", _ENVIRONMENT)
        for name in ("Web", "Admin", "Ranking", "Probe", "Release")
    ),
    (
        "Web",
        "Tasks/Release/TaskRole",
        "AwsSolutions-IAM5[Resource::<@Site/Static.Arn>/static/*]",
        "Writes static files under names that nobody knows before they are hashed.",
    ),
    *(
        (
            "Web",
            "Release/Function",
            f"AwsSolutions-IAM5[Resource::arn:aws:ecs:{{region}}:<AWS::AccountId>:{what}]",
            _EACH_RELEASE,
        )
        for what in ("task-definition/{name}-release:*", "task/<@Cluster>/*")
    ),
    ("Web", "Release", _IAM4, _LAMBDA_LOGS),
    (
        "Web",
        "Release/Provider",
        "AwsSolutions-IAM5[Resource::<@Release/Function.Arn>:*]",
        "CDK's provider may call any version of the one function.",
    ),
    ("Web", "Release/Provider", "AwsSolutions-L1", "CDK's own function, which it keeps up to date."),
    *(
        ("Web", name, "AwsSolutions-S1", _LOGS_OF_LOGS)
        for name in ("Balancers/Logs", "Site/Static", "Site/Logs")
    ),
    *(
        (
            "Beanstalk",
            name,
            f"AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/{policy}]",
            _PLATFORM,
        )
        for name, policy in (
            ("Instance", "AWSElasticBeanstalkWebTier"),
            ("Service", "service-role/AWSElasticBeanstalkEnhancedHealth"),
            ("Service", "AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy"),
        )
    ),
    ("Beanstalk", "Environment", "AwsSolutions-EB4", "They go to CloudWatch instead."),
    ("Web", "Site/Distribution", "AwsSolutions-CFR1", "A leaderboard is for everybody, wherever they are."),
)

#: What only a trial environment may do.
MEANT_IN_DEV: tuple[tuple[str, str, str, str], ...] = (
    ("Data", "Identity/Pool", "AwsSolutions-COG8", "The plan with threat protection costs by the user."),
    (
        "Data",
        "Valkey",
        "AwsSolutions-AEC4",
        "A cache that is filled again from the tables may be away for a while.",
    ),
    ("Data", "Database", "AwsSolutions-RDS3", "One zone is enough for the accounts of a trial environment."),
    ("Data", "Database", "AwsSolutions-RDS10", "A trial environment may be removed whole."),
    (
        "Web",
        "Cluster",
        "AwsSolutions-ECS4",
        "A trial environment does without the paid metrics of containers.",
    ),
)


def acknowledge(stacks: Mapping[str, cdk.Stack], settings: Settings) -> None:
    """Tell cdk-nag what is meant. KeyError when a construct is not there any more."""
    for stack, path, rule, reason in MEANT if settings.sizes.protected else MEANT + MEANT_IN_DEV:
        if stack not in stacks:
            continue  # Fargate in place of Elastic Beanstalk, or the other way round
        root = stacks[stack]

        def generated(found: re.Match[str], root: cdk.Stack = root) -> str:
            resource = _construct(root, found[1]).node.default_child
            return str(root.resolve(root.get_logical_id(resource)))  # type: ignore[arg-type]

        named = re.sub(r"@([\w/]+)", generated, rule).replace("{region}", settings.region)
        identifier = f"AwsSolutions::{named.replace('{name}', settings.name)}"
        acknowledgment = cdk.Acknowledgment(id=identifier, reason=reason)
        cdk.Validations.of(_construct(root, path)).acknowledge(acknowledgment)


def _construct(root: IConstruct, path: str) -> IConstruct:
    for name in path.split("/"):
        child = root.node.try_find_child(name)
        if child is None:
            raise KeyError(f"there is no {path} (any more)")
        root = child
    return root
