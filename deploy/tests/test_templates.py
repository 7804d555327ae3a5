"""What the templates say, by type and property."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from scores.stores import tables
from tools.devstack import deploying
from tools.devstack.errors import StackError

STATEFUL = ("AWS::DynamoDB::Table", "AWS::Cognito::UserPool", "AWS::SecretsManager::Secret")


def test_they_are_made_without_a_lookup_and_without_a_finding(variants):
    for name, assembly in variants.items():
        assert "missing" not in assembly.manifest
        report = json.loads((assembly.folder / "validation-report.json").read_text())
        assert [plugin["conclusion"] for plugin in report["pluginReports"]] == ["success"]
        assert len(assembly.stacks) == (2 if name == "beanstalk" else 3)


def test_cfn_lint_finds_nothing(variants):
    templates = [str(path) for each in variants.values() for path in each.folder.glob("*.template.json")]
    command = [str(deploying.tools() / "cfn-lint"), *templates]
    found = subprocess.run(command, cwd=deploying.DEPLOY, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
    assert len(templates) == 11


def test_a_finding_without_a_reason_stops_the_synthesis(tmp_path):
    app = "\n".join(
        (
            "import app, aws_cdk as cdk",
            "from aws_cdk import aws_s3 as s3",
            "one = cdk.App()",
            "app.build(one)",
            "s3.Bucket(one.node.find_child('ScoreboardDevData'), 'Open')",
            "one.synth()",
        )
    )
    env = deploying.environment() | {
        "CDK_OUTDIR": str(tmp_path / "out"),
        "CDK_CONTEXT_JSON": json.dumps(deploying.EXAMPLE),
    }
    command = [str(deploying.tools() / "python"), "-c", app]
    done = subprocess.run(command, cwd=deploying.DEPLOY, env=env, capture_output=True, text=True)
    assert done.returncode != 0
    assert "AwsSolutions-S1" in done.stdout + done.stderr


WRONG = (
    ({"domain": ""}, "domain '' is no host name"),
    ({"domain": "board.example.org"}, "is not in the zone"),
    (
        {"domain": "example.com", "beanstalk_platform": "any"},
        "must be a name in the zone, like board.example.com",
    ),
    ({"environment": "test"}, "environment must be one of dev, prod"),
    ({"zone_id": "example.com"}, "is no id of a hosted zone"),
    ({"region": "here"}, "is no region"),
    ({"alarm_email": "me"}, "is no e-mail address"),
    ({"public": "perhaps"}, "public must be true or false"),
    ({"admin_cidrs": "10.0.0.1/8"}, "admin_cidrs: 10.0.0.1/8 has host bits set"),
    ({"oidc_issuer": "https://id.example.com"}, "go together"),
    ({"domain": None}, "say which domain"),
)
READ_ALL = """
import json, sys, aws_cdk
from settings import SettingsError, from_context
for context in json.load(sys.stdin):
    try:
        print(from_context(aws_cdk.App(context=context)))
    except SettingsError as error:
        print(error)
"""


def test_a_wrong_setting_is_named_before_anything_is_made(tmp_path):
    contexts = [
        {name: value for name, value in {**deploying.EXAMPLE, **wrong}.items() if value is not None}
        for wrong, _ in WRONG
    ]
    command = [str(deploying.tools() / "python"), "-c", READ_ALL]
    done = subprocess.run(
        command,
        input=json.dumps(contexts),
        cwd=deploying.DEPLOY,
        env=deploying.environment(),
        capture_output=True,
        text=True,
    )
    answers = done.stdout.splitlines()
    assert len(answers) == len(WRONG), done.stderr
    for (_, said), answer in zip(WRONG, answers, strict=True):
        assert said in answer
    with pytest.raises(StackError, match="error: environment must be one of dev, prod"):
        deploying.synthesize(tmp_path / "out", {**deploying.EXAMPLE, "environment": "test"})
    assert not list((tmp_path / "out").glob("*.template.json"))


def test_the_tables_are_those_of_the_models_and_are_kept(prod):
    for model, ttl in ((tables.UserScore, None), (tables.LedgerEntry, "expiresAt")):
        name = f"scoreboard-prod-{model.Meta.table_name}"
        table = prod.one("AWS::DynamoDB::Table", TableName=name)
        described = model._get_schema()
        keys = {key["AttributeName"]: key["KeyType"] for key in table["KeySchema"]}
        assert keys == {key["AttributeName"]: key["KeyType"] for key in described["key_schema"]}
        indexes = {each["IndexName"]: each for each in table.get("GlobalSecondaryIndexes", [])}
        wanted = {each["index_name"]: each for each in described["global_secondary_indexes"]}
        assert indexes.keys() == wanted.keys()
        for index_name, index in indexes.items():
            assert index["Projection"]["ProjectionType"] == wanted[index_name]["projection"]["ProjectionType"]
            assert index["KeySchema"] == wanted[index_name]["key_schema"]
        assert table["BillingMode"] == "PAY_PER_REQUEST"
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert table["DeletionProtectionEnabled"] is True
        assert table.get("TimeToLiveSpecification", {}).get("AttributeName") == ttl
    ledger = prod.one("AWS::DynamoDB::Table", TableName="scoreboard-prod-ScoreLedger")
    assert ledger["StreamSpecification"] == {"StreamViewType": "NEW_IMAGE"}


def test_in_prod_what_holds_data_outlives_its_stack_and_in_dev_nothing_is_left(prod, dev):
    for kind in STATEFUL:
        assert {each["DeletionPolicy"] for _, _, each in prod.resources(kind)} == {"Retain"}
        assert {each["DeletionPolicy"] for _, _, each in dev.resources(kind)} == {"Delete"}
    ((_, _, database),) = prod.resources("AWS::RDS::DBInstance")
    assert database["DeletionPolicy"] == "Snapshot"
    data = [each for name, each in prod.manifest["artifacts"].items() if name.endswith("Data")]
    assert data[0]["properties"]["terminationProtection"] is True


def test_prod_survives_the_loss_of_a_zone_and_dev_is_small(prod, dev):
    cache, small = (
        prod.one("AWS::ElastiCache::ReplicationGroup"),
        dev.one("AWS::ElastiCache::ReplicationGroup"),
    )
    assert (
        cache["MultiAZEnabled"] and cache["AutomaticFailoverEnabled"] and cache["ReplicasPerNodeGroup"] == 1
    )
    assert small["CacheNodeType"] == "cache.t4g.micro" and not small["MultiAZEnabled"]
    assert prod.one("AWS::RDS::DBInstance")["MultiAZ"] is True
    assert len(prod.all("AWS::EC2::NatGateway")) == 2 and len(dev.all("AWS::EC2::NatGateway")) == 1
    assert {each["MinCapacity"] for each in prod.all("AWS::ApplicationAutoScaling::ScalableTarget")} == {2}


def test_the_cache_has_one_shard_and_speaks_only_tls_with_a_password(assemblies):
    for assembly in assemblies.values():
        cache = assembly.one("AWS::ElastiCache::ReplicationGroup")
        assert (cache["Engine"], cache["NumNodeGroups"]) == ("valkey", 1)
        assert (cache["TransitEncryptionEnabled"], cache["TransitEncryptionMode"]) == (True, "required")
        assert cache["AtRestEncryptionEnabled"] is True
        assert cache["AuthToken"].startswith("{{resolve:secretsmanager:")


def test_the_cache_throws_nothing_away_to_make_room(assemblies):
    for assembly in assemblies.values():
        ((_, identifier, parameters),) = assembly.resources("AWS::ElastiCache::ParameterGroup")
        cache = assembly.one("AWS::ElastiCache::ReplicationGroup")
        assert cache["CacheParameterGroupName"] == identifier
        family = f"{cache['Engine']}{cache['EngineVersion'].partition('.')[0]}"
        assert parameters["Properties"]["CacheParameterGroupFamily"] == family == "valkey8"
        assert parameters["Properties"]["Properties"] == {"maxmemory-policy": "noeviction"}


def test_no_template_holds_a_secret_or_an_image_named_latest(assemblies):
    for assembly in assemblies.values():
        for path in assembly.folder.glob("*.json"):
            text = path.read_text()
            assert ":latest" not in text
            assert not re.search(r"AKIA[0-9A-Z]{16}|-----BEGIN", text)
        for secret in assembly.all("AWS::SecretsManager::Secret"):
            made = "GenerateSecretString" in secret
            composed = re.sub(r"\{\{resolve:secretsmanager:[^}]*\}\}", "…", secret.get("SecretString", ""))
            known = ("1:…", "rediss://:…@", "postgres://scoreboard:…@", "")
            assert made or "…" in composed or "ClientSecret" in composed, composed
            assert made or composed.startswith(known)
        for name in ("web", "admin", "ranking", "probe", "release"):
            variables = assembly.environment(name)
            assert not {key for key in variables if re.search("SECRET(?!S)|PASSWORD|KEYS|_URL$", key)} & {
                "SECRET_KEY",
                "REDIS_URL",
                "DATABASE_URL",
                "SCOREBOARD_TICKET_KEYS",
                "PROBE_CLIENT_SECRET",
            }
            assert "resolve:secretsmanager" not in json.dumps(variables)


def test_each_process_gets_the_secrets_it_needs_and_no_other(assemblies):
    for assembly in assemblies.values():
        given = {
            name: {each["Name"] for each in assembly.container(name)["Secrets"]} - {"SECRET_KEY"}
            for name in ("web", "admin", "ranking", "probe", "release")
        }
        assert given == {
            "web": {"REDIS_URL", "SCOREBOARD_TICKET_KEYS"},
            "admin": {"REDIS_URL", "SCOREBOARD_TICKET_KEYS", "DATABASE_URL"},
            "ranking": {"REDIS_URL"},
            "probe": set(),
            "release": {"DATABASE_URL"},
        }


def test_the_log_group_of_every_function_is_there_before_it_and_has_an_end(assemblies):
    for assembly in assemblies.values():
        groups = {name: each for _, name, each in assembly.resources("AWS::Logs::LogGroup")}
        functions = assembly.all("AWS::Lambda::Function")
        assert len(functions) == 3
        for function in functions:
            assert groups[function["LoggingConfig"]["LogGroup"]]["Properties"]["RetentionInDays"]


def test_containers_are_not_root_cannot_write_and_stop_in_time(assemblies):
    for assembly in assemblies.values():
        for task in assembly.all("AWS::ECS::TaskDefinition"):
            assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
            for container in task["ContainerDefinitions"]:
                assert container["User"] == "10001:10001"
                assert container["ReadonlyRootFilesystem"] is True
                assert container["LinuxParameters"]["InitProcessEnabled"] is True
            app = next(each for each in task["ContainerDefinitions"] if each["Name"] == "app")
            assert app["StopTimeout"] == 60
            assert app["MountPoints"] == [{"ContainerPath": "/tmp", "ReadOnly": False, "SourceVolume": "tmp"}]
            assert app["Ulimits"][0]["SoftLimit"] >= 65_536


def test_private_addresses_of_services_are_free_ones_in_dev_and_all_in_prod(prod, dev):
    for assembly, interfaces in ((prod, 5), (dev, 0)):
        endpoints = assembly.all("AWS::EC2::VPCEndpoint")
        kinds = [each["VpcEndpointType"] for each in endpoints]
        assert (kinds.count("Gateway"), kinds.count("Interface")) == (2, interfaces)
    named = {each["ServiceName"].partition("eu-central-1.")[2] for each in prod.all("AWS::EC2::VPCEndpoint")}
    assert named == {"dynamodb", "s3", "ecr.api", "ecr.dkr", "logs", "secretsmanager", "xray"}


def test_the_load_balancer_answers_only_cloudfront(prod):
    public = prod.one("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internet-facing")
    ((group,),) = [public["SecurityGroups"]]
    name = group.removesuffix(".GroupId")
    doors = [each for each in prod.all("AWS::EC2::SecurityGroupIngress") if each["GroupId"].startswith(name)]
    ((_, _, balancer),) = [each for each in prod.resources("AWS::EC2::SecurityGroup") if each[1] == name]
    doors += balancer["Properties"].get("SecurityGroupIngress", [])
    assert [(each["FromPort"], each["ToPort"]) for each in doors] == [(443, 443)]
    assert "SourcePrefixListId" in doors[0] and "CidrIp" not in doors[0]
    (rule,) = prod.all("AWS::ElasticLoadBalancingV2::ListenerRule")
    condition = rule["Conditions"][0]["HttpHeaderConfig"]
    assert condition["HttpHeaderName"] == "X-Origin-Secret"
    assert condition["Values"][0].startswith("{{resolve:secretsmanager:")
    answers = [each["DefaultActions"][0] for each in prod.all("AWS::ElasticLoadBalancingV2::Listener")]
    assert {"403"} == {
        each["FixedResponseConfig"]["StatusCode"] for each in answers if each["Type"] != "forward"
    }


def test_timeouts_agree_with_sockets_and_draining(assemblies):
    for assembly in assemblies.values():
        for balancer in assembly.all("AWS::ElasticLoadBalancingV2::LoadBalancer"):
            attributes = {each["Key"]: each["Value"] for each in balancer["LoadBalancerAttributes"]}
            assert attributes["idle_timeout.timeout_seconds"] == "120"
        for group in assembly.all("AWS::ElasticLoadBalancingV2::TargetGroup"):
            attributes = {each["Key"]: each["Value"] for each in group["TargetGroupAttributes"]}
            assert attributes["deregistration_delay.timeout_seconds"] == "30"
            assert attributes["stickiness.enabled"] == "false"
            assert (group["HealthCheckPath"], group["Matcher"]["HttpCode"]) == ("/readyz", "200")


def test_the_web_service_scales_on_cpu_and_open_sockets_and_rolls_back(prod):
    policies = prod.all("AWS::ApplicationAutoScaling::ScalingPolicy")
    tracking = [each["TargetTrackingScalingPolicyConfiguration"] for each in policies]
    assert [
        each["PredefinedMetricSpecification"]["PredefinedMetricType"]
        for each in tracking
        if "PredefinedMetricSpecification" in each
    ] == ["ECSServiceAverageCPUUtilization"]
    (sockets,) = [
        each["CustomizedMetricSpecification"] for each in tracking if "CustomizedMetricSpecification" in each
    ]
    assert (sockets["MetricName"], sockets["Statistic"]) == ("OpenSockets", "Average")
    assert sockets["Namespace"] == prod.environment("web")["SCOREBOARD_METRICS_NAMESPACE"]
    for service in prod.all("AWS::ECS::Service"):
        assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {
            "Enable": True,
            "Rollback": True,
        }
        assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    web = prod.one("AWS::ECS::Service", ServiceName="scoreboard-prod-web")
    assert web["DeploymentConfiguration"]["Alarms"]["Rollback"] is True


def test_a_release_does_not_set_the_number_of_web_tasks_that_the_scaling_has_chosen(assemblies):
    for assembly in assemblies.values():
        (target,) = assembly.all("AWS::ApplicationAutoScaling::ScalableTarget")
        counts = {each["ServiceName"]: each.get("DesiredCount") for each in assembly.all("AWS::ECS::Service")}
        web = next(name for name in counts if name.endswith("-web"))
        assert target["ScalableDimension"] == "ecs:service:DesiredCount" and target["MinCapacity"] >= 1
        assert counts.pop(web) is None
        assert set(counts.values()) == {1}, "what does not scale"


def test_no_process_but_the_web_tasks_counts_its_open_sockets(assemblies):
    for assembly in assemblies.values():
        families = [each["Family"].rsplit("-", 1)[1] for each in assembly.all("AWS::ECS::TaskDefinition")]
        serving = {name for name in families if "serve" in assembly.container(name)["Command"]}
        assert serving == {"web", "admin"}
        switch = "SCOREBOARD_METRICS_EVERY_S"
        assert {name for name in serving if assembly.environment(name).get(switch) != "0"} == {"web"}


def test_tables_migrations_and_static_files_come_before_any_service(prod):
    ((_, release, resource),) = prod.resources("Custom::ScoreboardRelease")
    assert resource["Properties"]["Commands"] == [
        ["create_tables"],
        ["migrate", "--noinput"],
        ["publish_static"],
    ]
    for _, _, service in prod.resources("AWS::ECS::Service"):
        assert release in service["DependsOn"]


def test_the_page_signs_in_with_pkce_and_only_the_server_gets_the_scope(prod):
    web = prod.one("AWS::Cognito::UserPoolClient", ClientName="web")
    assert web["GenerateSecret"] is False and web["AllowedOAuthFlows"] == ["code"]
    assert web["AllowedOAuthScopes"] == ["openid"]
    assert web["CallbackURLs"] == web["LogoutURLs"] == ["https://board.example.com/"]
    machine = prod.one("AWS::Cognito::UserPoolClient", ClientName="site-server")
    assert machine["GenerateSecret"] is True and machine["AllowedOAuthFlows"] == ["client_credentials"]
    (scope,) = machine["AllowedOAuthScopes"]
    assert scope.endswith("/score.write")
    assert prod.one("AWS::Cognito::UserPoolResourceServer")["Identifier"] == "scoreboard"
    assert prod.one("AWS::Cognito::UserPoolGroup")["GroupName"] == "moderators"
    pool = prod.one("AWS::Cognito::UserPool")
    assert pool["DeletionProtection"] == "ACTIVE"


def test_people_may_sign_in_with_an_account_of_the_sites_own_provider(variants):
    private = variants["private"]
    provider = private.one("AWS::Cognito::UserPoolIdentityProvider")
    assert (provider["ProviderType"], provider["ProviderDetails"]["client_id"]) == ("OIDC", "scoreboard")
    assert provider["ProviderDetails"]["client_secret"].startswith("{{resolve:secretsmanager:")
    web = private.one("AWS::Cognito::UserPoolClient", ClientName="web")
    assert len(web["SupportedIdentityProviders"]) == 2 and "COGNITO" in web["SupportedIdentityProviders"]
    assert "SENTRY_DSN" in {each["Name"] for each in private.container("web")["Secrets"]}


def test_only_the_admin_has_the_database_and_it_is_not_on_the_public_load_balancer(prod):
    for name in ("web", "ranking", "probe"):
        assert "DATABASE_URL" not in {each["Name"] for each in prod.container(name)["Secrets"]}
        assert prod.environment(name).get("SCOREBOARD_ADMIN") is None
    assert prod.environment("admin")["SCOREBOARD_ADMIN"] == "true"
    inside = prod.one("AWS::ElasticLoadBalancingV2::LoadBalancer", Scheme="internal")
    name = inside["SecurityGroups"][0].removesuffix(".GroupId")
    ((_, _, group),) = [each for each in prod.resources("AWS::EC2::SecurityGroup") if each[1] == name]
    assert [each["CidrIp"] for each in group["Properties"]["SecurityGroupIngress"]] == ["10.40.0.0/16"]


def test_nothing_of_the_application_imports_the_deployment():
    folders = ("scoreboard_site", "scores", "realtime", "tools")
    for path in (path for folder in folders for path in (Path(deploying.ROOT) / folder).rglob("*.py")):
        assert not re.search(r"^\s*(from|import) (deploy|aws_cdk)\b", path.read_text(), re.MULTILINE), path


def test_after_a_restore_every_process_has_the_restored_tables_and_no_other(variants):
    restored = variants["private"]
    for process in ("web", "ranking", "probe"):
        assert restored.environment(process)["SCOREBOARD_TABLE_PREFIX"] == "R1-"
        rights = json.dumps(restored.statements(process))
        assert "table/R1-UserScores" in rights and "scoreboard-dev-UserScores" not in rights
    assert len(restored.all("AWS::DynamoDB::Table")) == 2, "the own ones are kept"
