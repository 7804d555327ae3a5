"""The stateful stack: what must not be lost, and what changes only with it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from settings import Settings
from stacks.events import ScoreEvents
from stacks.identity import Identity
from stacks.network import Network

#: AWS knows only some numbers of days.
RETENTION = {
    7: logs.RetentionDays.ONE_WEEK,
    30: logs.RetentionDays.ONE_MONTH,
    90: logs.RetentionDays.THREE_MONTHS,
}
#: Indexes of UserScores: partition key, sort key.
INDEXES = {"TopScores": ("contender", "rankKey"), "Flagged": ("flag", "flagUntil")}
_S = dynamodb.AttributeType.STRING


class DataStack(cdk.Stack):
    """Network, tables, ranking cache, the admin's database, user pool, secrets, events."""

    def __init__(self, scope: Construct, identifier: str, settings: Settings, **options: object) -> None:
        super().__init__(scope, identifier, termination_protection=settings.sizes.protected, **options)  # type: ignore[arg-type]
        self._settings = settings
        self._keep = cdk.RemovalPolicy.RETAIN if settings.sizes.protected else cdk.RemovalPolicy.DESTROY
        self.network = Network(self, "Network", settings, RETENTION[settings.sizes.log_days])
        scores, ledger = self._user_scores(), self._score_ledger()
        self.events = ScoreEvents(self, "Events", settings, ledger)
        self.scores, self.ledger = self._in_use("UserScores", scores), self._in_use("ScoreLedger", ledger)
        self.identity = Identity(self, "Identity", settings)
        self.secret_key = self._generated("SecretKey", "secret-key", "signs the admin's sessions")
        self.origin_secret = self._generated("OriginSecret", "origin", "header that only CloudFront sends")
        self.ticket_keys = self._ticket_keys()
        self.machine_secret = self._machine_secret()
        self.redis_url = self._valkey()
        self.database, self.database_url = self._database()

    # --- Tables: as scores/stores/tables.py describes them -------------------------------------------------

    def _table(
        self,
        name: str,
        sort_key: str,
        *,
        ttl: str | None = None,
        stream: dynamodb.StreamViewType | None = None,
    ) -> dynamodb.Table:
        return dynamodb.Table(
            self,
            name,
            table_name=f"{self._settings.name}-{name}",
            partition_key=dynamodb.Attribute(name="userId", type=_S),
            sort_key=dynamodb.Attribute(name=sort_key, type=_S),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True, recovery_period_in_days=self._settings.sizes.backup_days
            ),
            time_to_live_attribute=ttl,
            stream=stream,
            deletion_protection=self._settings.sizes.protected,
            removal_policy=self._keep,
        )

    def _user_scores(self) -> dynamodb.Table:
        table = self._table("UserScores", "board")
        for name, (partition, sort) in INDEXES.items():
            table.add_global_secondary_index(
                index_name=name,
                partition_key=dynamodb.Attribute(name=partition, type=_S),
                sort_key=dynamodb.Attribute(name=sort, type=_S),
                projection_type=dynamodb.ProjectionType.KEYS_ONLY,
            )
        return table

    def _score_ledger(self) -> dynamodb.Table:
        return self._table(
            "ScoreLedger", "entryId", ttl="expiresAt", stream=dynamodb.StreamViewType.NEW_IMAGE
        )

    def _in_use(self, name: str, own: dynamodb.Table) -> dynamodb.ITable:
        """The table that the processes work on: the stack's own, unless one was restored from a backup."""
        if not self._settings.restored:
            return own
        return dynamodb.Table.from_table_name(self, f"Restored{name}", f"{self._settings.table_prefix}{name}")

    # --- Secrets ------------------------------------------------------------------------------------

    def _generated(self, identifier: str, name: str, description: str) -> secretsmanager.Secret:
        """Sixty-four letters and digits, made by Secrets Manager: no person and no template knows them."""
        return secretsmanager.Secret(
            self,
            identifier,
            secret_name=f"scoreboard/{self._settings.environment}/{name}",
            description=description,
            generate_secret_string=secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
            removal_policy=self._keep,
        )

    def _composed(self, identifier: str, name: str, description: str, value: str) -> secretsmanager.Secret:
        """A secret with another one inside: the template holds a reference, resolved by CloudFormation."""
        return secretsmanager.Secret(
            self,
            identifier,
            secret_name=f"scoreboard/{self._settings.environment}/{name}",
            description=description,
            secret_string_value=cdk.SecretValue.unsafe_plain_text(value),
            removal_policy=self._keep,
        )

    def _ticket_keys(self) -> secretsmanager.Secret:
        key = self._generated("TicketKey", "ticket-key-1", "one key that signs tickets")
        text = "id:secret of the keys that sign tickets; the site's server reads them, too (docs/tickets.md)"
        return self._composed("TicketKeys", "ticket-keys", text, f"1:{key.secret_value.unsafe_unwrap()}")

    def _machine_secret(self) -> secretsmanager.Secret:
        value = self.identity.machine_client.user_pool_client_secret.unsafe_unwrap()
        return self._composed(
            "MachineSecret", "machine-client", "secret of the app client of the site's server", value
        )

    # --- Ranking cache ------------------------------------------------------------------------------

    def _valkey(self) -> secretsmanager.Secret:
        """One shard of Valkey; the secret with its address. Holds nothing that the tables do not have."""
        sizes, network = self._settings.sizes, self.network
        password = self._generated("ValkeyPassword", "valkey", "password of the ranking cache")
        subnets = elasticache.CfnSubnetGroup(
            self,
            "ValkeySubnets",
            description="isolated subnets",
            subnet_ids=network.vpc.select_subnets(subnet_group_name="stores").subnet_ids,
        )
        parameters = elasticache.CfnParameterGroup(
            self,
            "ValkeyParameters",
            cache_parameter_group_family="valkey8",
            description="nothing is thrown away to make room",
            # Evicted players would be missing in the ranking; a refused write is repaired.
            properties={"maxmemory-policy": "noeviction"},
        )
        group = elasticache.CfnReplicationGroup(
            self,
            "Valkey",
            replication_group_description="ranking and channel layer of the scoreboard",
            engine="valkey",
            engine_version="8.0",
            cache_parameter_group_name=parameters.ref,
            cache_node_type=sizes.valkey_node,
            num_node_groups=1,
            replicas_per_node_group=sizes.valkey_replicas,
            automatic_failover_enabled=sizes.valkey_replicas > 0,
            multi_az_enabled=sizes.valkey_replicas > 0,
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            auth_token=password.secret_value.unsafe_unwrap(),
            port=6379,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[network.valkey.security_group_id],
            # A cache of the tables: it is filled again, never restored.
            snapshot_retention_limit=0,
            auto_minor_version_upgrade=True,
        )
        self.valkey = group
        address = f"{group.attr_primary_end_point_address}:{group.attr_primary_end_point_port}"
        url = f"rediss://:{password.secret_value.unsafe_unwrap()}@{address}/0"
        return self._composed("RedisUrl", "redis-url", "address of the ranking cache", url)

    # --- The admin's database -----------------------------------------------------------------------

    def _database(self) -> tuple[rds.DatabaseInstance, secretsmanager.Secret]:
        """PostgreSQL for accounts and sessions of the admin; no score is in it."""
        sizes = self._settings.sizes
        credentials = rds.DatabaseSecret(
            self,
            "DatabasePassword",
            username="scoreboard",
            secret_name=f"scoreboard/{self._settings.environment}/database",
            exclude_characters="".join(chr(code) for code in range(33, 127) if not chr(code).isalnum()),
        )
        credentials.apply_removal_policy(self._keep)
        engine = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.VER_17_7)
        database = rds.DatabaseInstance(
            self,
            "Database",
            engine=engine,
            instance_type=ec2.InstanceType(sizes.database_class),
            vpc=self.network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_group_name="stores"),
            security_groups=[self.network.database],
            credentials=rds.Credentials.from_secret(credentials),
            database_name="scoreboard",
            multi_az=sizes.database_multi_az,
            allocated_storage=20,
            max_allocated_storage=100,
            storage_type=rds.StorageType.GP3,
            storage_encrypted=True,
            backup_retention=cdk.Duration.days(sizes.backup_days),
            copy_tags_to_snapshot=True,
            auto_minor_version_upgrade=True,
            deletion_protection=sizes.protected,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT if sizes.protected else cdk.RemovalPolicy.DESTROY,
            parameter_group=rds.ParameterGroup(
                self, "DatabaseParameters", engine=engine, parameters={"rds.force_ssl": "1"}
            ),
        )
        password = credentials.secret_value_from_json("password").unsafe_unwrap()
        address = f"{database.db_instance_endpoint_address}:{database.db_instance_endpoint_port}"
        url = f"postgres://scoreboard:{password}@{address}/scoreboard?sslmode=require"
        return database, self._composed("DatabaseUrl", "database-url", "address of the admin's database", url)
