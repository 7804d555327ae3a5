"""What is done once per release, before any process of it serves: tables, migrations, static files.

A custom resource starts one task for each and waits; CloudFormation creates or changes the services only
when all have ended well. When one fails, the deployment stops and everything stays as it was.
"""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

HANDLER = Path(__file__).parent / "release_handler"


class Release(Construct):
    """Runs `task` once for each of `commands`, in order, on every change of the task."""

    def __init__(
        self,
        scope: Construct,
        identifier: str,
        *,
        cluster: ecs.Cluster,
        task: ecs.FargateTaskDefinition,
        commands: list[list[str]],
        group: ec2.SecurityGroup,
        retention: logs.RetentionDays,
    ) -> None:
        super().__init__(scope, identifier)
        function = lambda_.Function(
            self,
            "Function",
            description="runs the one-off tasks of a release and waits for them",
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            handler="index.handler",
            code=lambda_.Code.from_asset(str(HANDLER)),
            timeout=cdk.Duration.minutes(15),
            log_group=logs.LogGroup(
                self, "Log", retention=retention, removal_policy=cdk.RemovalPolicy.DESTROY
            ),
        )
        roles = [task.task_role.role_arn, task.obtain_execution_role().role_arn]
        any_revision = cdk.Stack.of(self).format_arn(
            service="ecs", resource="task-definition", resource_name=f"{task.family}:*"
        )
        any_task = cdk.Stack.of(self).format_arn(
            service="ecs", resource="task", resource_name=f"{cluster.cluster_name}/*"
        )
        function.add_to_role_policy(iam.PolicyStatement(actions=["ecs:RunTask"], resources=[any_revision]))
        function.add_to_role_policy(iam.PolicyStatement(actions=["ecs:DescribeTasks"], resources=[any_task]))
        function.add_to_role_policy(iam.PolicyStatement(actions=["iam:PassRole"], resources=roles))
        provider = cr.Provider(
            self,
            "Provider",
            on_event_handler=function,
            log_group=logs.LogGroup(
                self, "ProviderLog", retention=retention, removal_policy=cdk.RemovalPolicy.DESTROY
            ),
        )
        subnets = cluster.vpc.select_subnets(subnet_group_name="tasks").subnet_ids
        self.done = cdk.CustomResource(
            self,
            "Done",
            service_token=provider.service_token,
            resource_type="Custom::ScoreboardRelease",
            properties={
                "Cluster": cluster.cluster_arn,
                "TaskDefinition": task.task_definition_arn,  # another one with every image
                "Commands": commands,
                "Subnets": subnets,
                "SecurityGroup": group.security_group_id,
            },
        )
        # The rights of the task's roles, too, are there before it runs.
        self.done.node.add_dependency(task)
