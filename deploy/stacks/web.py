"""The stateless stack: what runs, what stands in front of it, what watches it. It can be made anew."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from settings import Settings
from stacks import tasks
from stacks.data import RETENTION, DataStack
from stacks.edge import EdgeStack
from stacks.network import WEB_PORT
from stacks.release import Release
from stacks.site import ORIGIN_HEADER, Site
from stacks.tasks import Tasks
from stacks.watch import Watch, metric

SERVE = ["serve", "--host", "0.0.0.0", "--port", str(WEB_PORT)]
#: Longer than the server's ping interval (20 s), shorter than its keep-alive (130 s).
IDLE_TIMEOUT_S = 120
DEREGISTRATION_S = 30
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
        self._zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=settings.zone_id, zone_name=settings.zone_name
        )
        self._certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name=f"origin.{settings.domain}",
            subject_alternative_names=[f"admin.{settings.domain}"],
            validation=acm.CertificateValidation.from_dns(self._zone),
        )
        self._balancer_logs = self._bucket_for_logs()
        self._tasks = Tasks(self, "Tasks", settings, data, self._log)
        balancer, healthy = self._public_balancer()
        site = Site(
            self,
            "Site",
            settings,
            certificate=edge.certificate,
            firewall_arn=edge.firewall.attr_arn,
            origin_domain=f"origin.{settings.domain}",
            origin_secret=data.origin_secret,
            zone=self._zone,
        )
        release = self._release(site)
        self._watch = Watch(self, "Watch", settings, self._log, balancer=balancer, web=healthy, data=data)
        web = self._web_service(healthy)
        for service in (web, self._admin_service(), self._ranking_service()):
            service.node.add_dependency(release.done)
        self._watch.add_service(web)
        self._probe_schedule()
        cdk.CfnOutput(self, "Url", value=settings.origin)
        cdk.CfnOutput(self, "AdminUrl", value=f"https://admin.{settings.domain}/admin/")
        cdk.CfnOutput(self, "MachineClientId", value=data.identity.machine_client.user_pool_client_id)
        cdk.CfnOutput(self, "TokenUrl", value=f"{data.identity.sign_in_origin}/oauth2/token")

    # --- Load balancers -----------------------------------------------------------------------------

    def _bucket_for_logs(self) -> s3.Bucket:
        return s3.Bucket(
            self,
            "BalancerLogs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,  # the only one that load balancers can write with
            enforce_ssl=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(self._sizes.log_days))],
        )

    def _balancer(
        self, identifier: str, name: str, group: ec2.SecurityGroup, *, public: bool
    ) -> elb.ApplicationLoadBalancer:
        balancer = elb.ApplicationLoadBalancer(
            self,
            identifier,
            vpc=self._data.network.vpc,
            internet_facing=public,
            security_group=group,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="public" if public else "tasks"),
            idle_timeout=cdk.Duration.seconds(IDLE_TIMEOUT_S),
            drop_invalid_header_fields=True,
            deletion_protection=self._sizes.protected,
            xff_header_processing_mode=elb.XffHeaderProcessingMode.APPEND,
        )
        balancer.log_access_logs(self._balancer_logs, identifier.lower())
        route53.ARecord(
            self,
            f"{identifier}Address",
            zone=self._zone,
            record_name=f"{name}.{self._settings.domain}",
            target=route53.RecordTarget.from_alias(targets.LoadBalancerTarget(balancer)),
        )
        return balancer

    def _listener(
        self, balancer: elb.ApplicationLoadBalancer, default: elb.ListenerAction
    ) -> elb.ApplicationListener:
        return balancer.add_listener(
            "Https",
            port=443,
            certificates=[self._certificate],
            open=False,
            ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
            default_action=default,
        )

    def _targets(self, identifier: str) -> elb.ApplicationTargetGroup:
        """Healthy is who says so at `/readyz`, which no store can change. No stickiness: any will do."""
        return elb.ApplicationTargetGroup(
            self,
            identifier,
            vpc=self._data.network.vpc,
            port=WEB_PORT,
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.IP,
            deregistration_delay=cdk.Duration.seconds(DEREGISTRATION_S),
            load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            health_check=elb.HealthCheck(
                path="/readyz",
                healthy_http_codes="200",
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )

    def _public_balancer(self) -> tuple[elb.ApplicationLoadBalancer, elb.ApplicationTargetGroup]:
        """Answers only who knows the origin's secret: CloudFront's addresses alone are everybody's."""
        balancer = self._balancer("Balancer", "origin", self._data.network.balancer, public=True)
        healthy = self._targets("Web")
        refuse = elb.ListenerAction.fixed_response(403, content_type="text/plain", message_body="forbidden\n")
        secret = self._data.origin_secret.secret_value.unsafe_unwrap()
        self._listener(balancer, refuse).add_action(
            "FromCloudFront",
            priority=1,
            action=elb.ListenerAction.forward([healthy]),
            conditions=[elb.ListenerCondition.http_header(ORIGIN_HEADER, [secret])],
        )
        return balancer, healthy

    # --- Services -----------------------------------------------------------------------------------

    def _service(
        self,
        identifier: str,
        task: ecs.FargateTaskDefinition,
        *,
        count: int,
        single: bool = False,
        **options: object,
    ) -> ecs.FargateService:
        """`single`: there is never more than one, so that the old one ends before the new one begins."""
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

    def _web_service(self, healthy: elb.ApplicationTargetGroup) -> ecs.FargateService:
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
            count=fewest,
            health_check_grace_period=cdk.Duration.seconds(60),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=[self._watch.errors_alarm], behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
            ),
        )
        service.attach_to_application_target_group(healthy)
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
        balancer = self._balancer("AdminBalancer", "admin", self._data.network.admin_balancer, public=False)
        healthy = self._targets("AdminTargets")
        self._listener(balancer, elb.ListenerAction.forward([healthy]))
        service = self._service("Admin", task, count=1, health_check_grace_period=cdk.Duration.seconds(60))
        service.attach_to_application_target_group(healthy)
        return service

    def _admin_environment(self) -> dict[str, str]:
        return {
            "SCOREBOARD_ADMIN": "true",
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
            "Probe", command, rights=tasks.PROBE, environment=environment, secrets=secrets
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
