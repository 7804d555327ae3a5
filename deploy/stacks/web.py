"""The stateless stack: what runs, what stands in front of it, what watches it. It can be made anew."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from settings import Settings
from stacks import tasks
from stacks.balancers import Balancers
from stacks.dashboard import metric
from stacks.data import RETENTION, DataStack
from stacks.edge import EdgeStack
from stacks.network import WEB_PORT
from stacks.release import Release
from stacks.site import Site
from stacks.tasks import Tasks
from stacks.watch import Watch

SERVE = ["serve", "--host", "0.0.0.0", "--port", str(WEB_PORT)]
#: One-off tasks before every release. Each may be repeated.
BEFORE_RELEASE = [["create_tables"], ["migrate", "--noinput"], ["publish_static"]]


class WebStack(cdk.Stack):
    def __init__(
        self,
        scope: Construct,
        identifier: str,
        settings: Settings,
        *,
        data: DataStack,
        edge: EdgeStack,
        **options: object,
    ) -> None:
        super().__init__(scope, identifier, **options)  # type: ignore[arg-type]
        self._settings, self._data, self._sizes = settings, data, settings.sizes
        self._retention = RETENTION[self._sizes.log_days]
        self._log = logs.LogGroup(
            self,
            "AppLog",
            log_group_name=f"/{settings.name}/app",
            retention=self._retention,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self._cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=settings.name,
            vpc=data.network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED
            if self._sizes.container_insights
            else ecs.ContainerInsights.DISABLED,
        )
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=settings.zone_id, zone_name=settings.zone_name
        )
        self._tasks = Tasks(self, "Tasks", settings, data, self._log)
        self._balancers = Balancers(self, "Balancers", settings, data, zone)
        site = Site(
            self,
            "Site",
            settings,
            certificate=edge.certificate,
            firewall_arn=edge.firewall.attr_arn,
            origin_domain=f"origin.{settings.domain}",
            origin_secret=data.origin_secret,
            zone=zone,
        )
        release = self._release(site)
        front = self._balancers
        self._watch = Watch(
            self, "Watch", settings, self._log, balancer=front.public, web=front.web, data=data
        )
        web = self._web_service()
        for service in (web, self._admin_service(), self._ranking_service()):
            service.node.add_dependency(release.done)
        self._watch.add_service(web)
        self._probe_schedule()
        cdk.CfnOutput(self, "Url", value=settings.origin)
        cdk.CfnOutput(self, "AdminUrl", value=f"https://admin.{settings.domain}/admin/")
        cdk.CfnOutput(self, "MachineClientId", value=data.identity.machine_client.user_pool_client_id)
        cdk.CfnOutput(self, "TokenUrl", value=f"{data.identity.sign_in_origin}/oauth2/token")

    # --- Services -----------------------------------------------------------------------------------

    def _service(
        self,
        identifier: str,
        task: ecs.FargateTaskDefinition,
        *,
        count: int | None,
        single: bool = False,
        **options: object,
    ) -> ecs.FargateService:
        """`single`: there is never more than one, so that the old one ends before the new one begins.

        `count`: None for a service that scales. A number would be set again by each release, whatever
        the scaling had made of it; without one a new service has one task until the scaling adds to it.
        """
        return ecs.FargateService(
            self,
            f"{identifier}Service",
            service_name=f"{self._settings.name}-{identifier.lower()}",
            cluster=self._cluster,
            task_definition=task,
            desired_count=count,
            min_healthy_percent=0 if single else 100,
            max_healthy_percent=100 if single else 200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(rollback=True),
            security_groups=[self._data.network.tasks],
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
            assign_public_ip=False,
            enable_execute_command=False,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.DISABLED,
            **options,  # type: ignore[arg-type]
        )

    def _web_service(self) -> ecs.FargateService:
        fewest, most = self._sizes.web_tasks
        task = self._tasks.definition(
            "Web",
            SERVE,
            rights=tasks.WEB,
            cpu=self._sizes.web_cpu,
            memory=self._sizes.web_memory,
            serves=True,
        )
        service = self._service(
            "Web",
            task,
            count=None,
            health_check_grace_period=cdk.Duration.seconds(60),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=[self._watch.errors_alarm.alarm_name],
                behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM,
            ),
        )
        service.attach_to_application_target_group(self._balancers.web)
        scaling = service.auto_scale_task_count(min_capacity=fewest, max_capacity=most)
        slowly = cdk.Duration.minutes(10)  # a task that ends sends its viewers away
        scaling.scale_on_cpu_utilization("Cpu", target_utilization_percent=60, scale_in_cooldown=slowly)
        scaling.scale_to_track_custom_metric(
            "Sockets",
            metric=metric(self._settings, "OpenSockets", "Average", minutes=1),
            target_value=self._sizes.sockets_per_task,
            scale_in_cooldown=slowly,
        )
        return service

    def _admin_service(self) -> ecs.FargateService:
        """The moderators' pages: in the VPC only, with the database that nothing else needs."""
        task = self._tasks.definition(
            "Admin",
            SERVE,
            rights=tasks.ADMIN,
            serves=True,
            environment=self._admin_environment(),
            secrets={"DATABASE_URL": self._data.database_url},
        )
        service = self._service("Admin", task, count=1, health_check_grace_period=cdk.Duration.seconds(60))
        service.attach_to_application_target_group(self._balancers.admin)
        return service

    def _admin_environment(self) -> dict[str, str]:
        return {
            "SCOREBOARD_ADMIN": "true",
            # Its open sockets, none, would lower the average that the web service scales by.
            "SCOREBOARD_METRICS_EVERY_S": "0",
            "ALLOWED_HOSTS": f"admin.{self._settings.domain}",
            "SCOREBOARD_ALLOWED_ORIGINS": f"https://admin.{self._settings.domain}",
            "SCOREBOARD_TRUSTED_PROXIES": "1",  # its own load balancer
            "STATIC_URL": f"{self._settings.origin}/static/",
            "OTEL_SERVICE_NAME": "scoreboard-admin",
        }

    def _ranking_service(self) -> ecs.FargateService:
        """Fills the ranking behind the board: the only process that may read the whole table."""
        task = self._tasks.definition(
            "Ranking",
            ["rebuild_ranking", "--full", "--watch"],
            rights=tasks.RANKING,
            environment={"SCOREBOARD_MAY_SCAN": "true"},
        )
        return self._service("Ranking", task, count=1, single=True)

    # --- One-off and scheduled tasks ------------------------------------------------------------------

    def _release(self, site: Site) -> Release:
        task = self._tasks.definition(
            "Release",
            ["check", "--deploy"],
            rights=tasks.RELEASE,
            environment=self._admin_environment() | {"SCOREBOARD_STATIC_BUCKET": site.static.bucket_name},
            secrets={"DATABASE_URL": self._data.database_url},
            redis=False,
        )
        files = site.static.arn_for_objects("static/*")
        task.task_role.add_to_principal_policy(
            iam.PolicyStatement(actions=["s3:PutObject"], resources=[files])
        )
        return Release(
            self,
            "Release",
            cluster=self._cluster,
            task=task,
            commands=BEFORE_RELEASE,
            group=self._data.network.tasks,
            retention=self._retention,
        )

    def _probe_schedule(self) -> None:
        """Looks at the board as a viewer does, and at the table, and reports how old a difference is."""
        socket = f"wss://{self._settings.domain}/ws/scoreboard"
        command = ["probe_board", "--once", "--url", socket]
        secrets: dict[str, secretsmanager.ISecret] = {}
        environment: dict[str, str] = {}
        if not self._settings.public:
            identity = self._data.identity
            command += [
                "--origin",
                self._settings.origin,
                "--token-url",
                f"{identity.sign_in_origin}/oauth2/token",
            ]
            environment["PROBE_CLIENT_ID"] = identity.machine_client.user_pool_client_id
            secrets["PROBE_CLIENT_SECRET"] = self._data.machine_secret
        task = self._tasks.definition(
            "Probe", command, rights=tasks.PROBE, environment=environment, secrets=secrets, redis=False
        )
        scheduler.Schedule(
            self,
            "ProbeSchedule",
            description="compares the board with the table",
            schedule=scheduler.ScheduleExpression.rate(cdk.Duration.minutes(self._sizes.probe_minutes)),
            target=scheduler_targets.EcsRunFargateTask(
                self._cluster,
                task_definition=task,
                security_groups=[self._data.network.tasks],
                vpc_subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
                assign_public_ip=False,
                max_event_age=cdk.Duration.minutes(1),
                retry_attempts=0,
            ),
        )
