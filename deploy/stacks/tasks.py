"""What runs: one image, and for every kind of process a task definition with just the rights it needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from settings import Settings
from stacks.data import DataStack
from stacks.network import WEB_PORT

ROOT = Path(__file__).resolve().parents[2]
IGNORED = [
    line
    for line in (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    if line[:1] not in ("", "#")
]
#: AWS' distribution of the OpenTelemetry collector, beside the application in the same task.
COLLECTOR_IMAGE = "public.ecr.aws/aws-observability/aws-otel-collector:v0.43.1"
COLLECTOR_CONFIG = (Path(__file__).parent / "collector.yaml").read_text()
_TRACED = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}
#: For who answers nobody, and so is not given the keys of tickets.
_NO_PLAYERS = {"SCOREBOARD_SERVER_ONLY": "true"}
#: The user of the image.
USER = "10001:10001"
STOP_TIMEOUT_S = 60
OPEN_FILES = 65_536


#: Partition of UserScores with the marks of erased players whose ledger is not swept yet
#: (scores/stores/tables.py).
MARKS = "#erasures"


@dataclasses.dataclass(frozen=True)
class Rights:
    """DynamoDB actions of a kind of process: on the tables, the indexes of UserScores and the marks in it.

    `dynamodb:TransactWriteItems` is no action: a transaction needs those of its parts.
    """

    scores: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    ledger: tuple[str, ...] = ()


#: Updates, names, the board; also what every web process does beside that: ends bans, sweeps the ledger of
#: erased players.
WEB = Rights(
    scores=("GetItem", "BatchGetItem", "UpdateItem"),
    marks=("Query", "DeleteItem"),
    indexes=("Query",),
    ledger=("GetItem", "PutItem", "UpdateItem", "Query"),
)
#: Erases players, too.
ADMIN = dataclasses.replace(WEB, marks=(*WEB.marks, "PutItem"))
#: The only process that reads a whole table.
RANKING = dataclasses.replace(
    WEB, scores=("GetItem", "BatchGetItem", "UpdateItem", "Scan"), marks=(), ledger=()
)
PROBE = Rights(scores=("BatchGetItem",), indexes=("Query",))
#: Sees that the tables are there, and writes the generation.
RELEASE = Rights(scores=("DescribeTable", "UpdateItem"), ledger=("DescribeTable", "DescribeTimeToLive"))


def allow(role: iam.IGrantable, rights: Rights, data: DataStack) -> None:
    """Give `role` these rights on the tables."""
    scores, ledger = data.scores.table_arn, data.ledger.table_arn
    marks = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [MARKS]}}
    for actions, resources, conditions in (
        (rights.scores, [scores], None),
        (rights.marks, [scores], marks),
        (rights.indexes, [f"{scores}/index/TopScores", f"{scores}/index/Flagged"], None),
        (rights.ledger, [ledger], None),
    ):
        if actions:
            names = [f"dynamodb:{action}" for action in actions]
            statement = iam.PolicyStatement(actions=names, resources=resources, conditions=conditions)
            role.grant_principal.add_to_principal_policy(statement)


def application_environment(settings: Settings, data: DataStack) -> dict[str, str]:
    """What scoreboard_site/settings.py wants to know, but for the secrets."""
    identity = data.identity
    return {
        "AWS_REGION": settings.region,
        "ALLOWED_HOSTS": settings.domain,
        "COGNITO_AWS_REGION": settings.region,
        "COGNITO_CLIENT_IDS": identity.client_ids,
        "COGNITO_DOMAIN": identity.sign_in_origin,
        "COGNITO_USER_POOL": identity.pool.user_pool_id,
        "COGNITO_WEB_CLIENT_ID": identity.web_client.user_pool_client_id,
        "DATA_DIR": "/tmp/scoreboard",
        "DEBUG": "false",
        "SCOREBOARD_ALLOWED_ORIGINS": settings.origin,
        "SCOREBOARD_MAY_SCAN": "false",
        "SCOREBOARD_METRICS_NAMESPACE": f"Scoreboard/{settings.environment}",
        "SCOREBOARD_PUBLIC": str(settings.public).lower(),
        "SCOREBOARD_REQUIRE_TICKET": "true",
        "SCOREBOARD_TABLE_PREFIX": settings.table_prefix,
        "SCOREBOARD_TRUSTED_PROXIES": "2",  # CloudFront and the load balancer
        # A person completes an action every few seconds; an office shares an address.
        "SCOREBOARD_PLAYER_RATE": "1",
        "SCOREBOARD_PLAYER_BURST": "20",
        "SCOREBOARD_ADDRESS_RATE": "20",
        "SCOREBOARD_ADDRESS_BURST": "200",
        "SENTRY_ENVIRONMENT": settings.environment,
    }


class Tasks(Construct):
    """Makes task definitions: same image, user, read-only root, log group; other command and rights."""

    def __init__(
        self, scope: Construct, identifier: str, settings: Settings, data: DataStack, logs_to: logs.LogGroup
    ) -> None:
        super().__init__(scope, identifier)
        self._settings, self._data, self._logs = settings, data, logs_to
        self._image = ecs.ContainerImage.from_docker_image_asset(
            ecr_assets.DockerImageAsset(
                self,
                "Image",
                directory=str(ROOT),
                file="deploy/Dockerfile",
                platform=ecr_assets.Platform.LINUX_ARM64,
                exclude=[*IGNORED, "cdk.out"],
                ignore_mode=cdk.IgnoreMode.DOCKER,
            )
        )

    def definition(
        self,
        name: str,
        command: list[str],
        *,
        rights: Rights,
        cpu: int = 256,
        memory: int = 512,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, secretsmanager.ISecret] | None = None,
        serves: bool = False,
        redis: bool = True,
    ) -> ecs.FargateTaskDefinition:
        """`python manage.py *command` as a task.

        `serves`: it listens, checks tickets and sends traces to a collector. `redis`: it needs the cache.
        """
        task = ecs.FargateTaskDefinition(
            self,
            name,
            family=f"{self._settings.name}-{name.lower()}",
            cpu=cpu,
            memory_limit_mib=memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.ARM64,
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
            volumes=[ecs.Volume(name="tmp")],
        )
        allow(task.task_role, rights, self._data)
        data = self._data
        all_secrets = {
            "SECRET_KEY": data.secret_key,
            **({"REDIS_URL": data.redis_url} if redis else {}),
            **({"SCOREBOARD_TICKET_KEYS": data.ticket_keys} if serves else {}),
            **(secrets or {}),
        }
        if self._settings.sentry_secret:
            all_secrets["SENTRY_DSN"] = secretsmanager.Secret.from_secret_name_v2(
                self, f"{name}Sentry", self._settings.sentry_secret
            )
        container = task.add_container(
            "app",
            image=self._image,
            command=["python", "manage.py", *command],
            user=USER,
            readonly_root_filesystem=True,
            stop_timeout=cdk.Duration.seconds(STOP_TIMEOUT_S),
            linux_parameters=self._with_init(name),
            environment={
                **application_environment(self._settings, self._data),
                **(_TRACED if serves else _NO_PLAYERS),
                **(environment or {}),
            },
            secrets={key: ecs.Secret.from_secrets_manager(secret) for key, secret in all_secrets.items()},
            logging=self._log_driver(name.lower()),
            port_mappings=[ecs.PortMapping(container_port=WEB_PORT)] if serves else None,
        )
        container.add_mount_points(
            ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False)
        )
        container.add_ulimits(
            ecs.Ulimit(name=ecs.UlimitName.NOFILE, soft_limit=OPEN_FILES, hard_limit=OPEN_FILES)
        )
        if serves:
            # Started before the application and so ended after it: the last spans find it.
            container.add_container_dependencies(
                ecs.ContainerDependency(
                    container=self._add_collector(task), condition=ecs.ContainerDependencyCondition.START
                )
            )
        return task

    def _add_collector(self, task: ecs.FargateTaskDefinition) -> ecs.ContainerDefinition:
        """Receives spans on the loopback address and passes them on to X-Ray."""
        task.task_role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
                resources=["*"],  # X-Ray knows no resources for these
            )
        )
        return task.add_container(
            "collector",
            image=ecs.ContainerImage.from_registry(COLLECTOR_IMAGE),
            essential=False,  # the board goes on without traces
            memory_reservation_mib=64,
            readonly_root_filesystem=True,
            user=USER,
            linux_parameters=self._with_init(f"{task.node.id}Collector"),
            environment={"AOT_CONFIG_CONTENT": COLLECTOR_CONFIG, "AWS_REGION": self._settings.region},
            logging=self._log_driver("collector"),
        )

    def _with_init(self, identifier: str) -> ecs.LinuxParameters:
        return ecs.LinuxParameters(self, f"{identifier}Linux", init_process_enabled=True)

    def _log_driver(self, prefix: str) -> ecs.LogDriver:
        return ecs.LogDriver.aws_logs(
            log_group=self._logs,
            stream_prefix=prefix,
            # A log service that does not answer must not stop the application.
            mode=ecs.AwsLogDriverMode.NON_BLOCKING,
            max_buffer_size=cdk.Size.mebibytes(8),
        )
