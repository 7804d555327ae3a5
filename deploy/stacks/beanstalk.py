"""The web process on Elastic Beanstalk instead of Fargate: a load balancer and instances with nginx.

Simpler, and less of it: no edge cache, no firewall, no admin (`manage.py moderate` on an instance). See
docs/deploy.md.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_elasticbeanstalk as beanstalk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from settings import Settings
from stacks import tasks
from stacks.data import DataStack
from stacks.tasks import ROOT

#: What runs, besides deploy/beanstalk/, which tells the platform how.
BUNDLE = ("manage.py", "realtime", "scoreboard_site", "scores", "static", "templates")
Options = dict[str, dict[str, str]]


class BeanstalkStack(cdk.Stack):
    def __init__(
        self, scope: Construct, identifier: str, settings: Settings, *, data: DataStack, **options: object
    ) -> None:
        super().__init__(scope, identifier, **options)  # type: ignore[arg-type]
        self._settings, self._data = settings, data
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=settings.zone_id, zone_name=settings.zone_name
        )
        certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name=settings.domain,
            validation=acm.CertificateValidation.from_dns(zone),
        )
        secrets = {
            "SECRET_KEY": data.secret_key,
            "REDIS_URL": data.redis_url,
            "SCOREBOARD_TICKET_KEYS": data.ticket_keys,
        }
        role = self._role("Instance", "ec2.amazonaws.com", "AWSElasticBeanstalkWebTier")
        service = self._role(
            "Service",
            "elasticbeanstalk.amazonaws.com",
            "service-role/AWSElasticBeanstalkEnhancedHealth",
            "AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy",
        )
        tasks.allow(role, tasks.WEB, data)
        tasks.allow(role, tasks.RANKING, data)  # runs beside the web process
        release = [f"dynamodb:{name}" for name in ("DescribeTable", "DescribeTimeToLive")]
        tables = [data.scores.table_arn, data.ledger.table_arn]
        role.add_to_policy(iam.PolicyStatement(actions=release, resources=tables))
        for secret in secrets.values():
            secret.grant_read(role)
        profile = iam.CfnInstanceProfile(self, "Profile", roles=[role.role_name])
        application = beanstalk.CfnApplication(self, "Application", application_name=settings.name)
        with tempfile.TemporaryDirectory() as folder:
            _fill(Path(folder))
            bundle = s3_assets.Asset(self, "Bundle", path=folder)  # copies it
        version = beanstalk.CfnApplicationVersion(
            self,
            "Version",
            application_name=settings.name,
            source_bundle=beanstalk.CfnApplicationVersion.SourceBundleProperty(
                s3_bucket=bundle.s3_bucket_name, s3_key=bundle.s3_object_key
            ),
        )
        version.add_resource_dependency(application)
        chosen = self._options(profile.ref, service.role_arn, certificate.certificate_arn)
        chosen["aws:elasticbeanstalk:application:environment"] = self._environment()
        chosen["aws:elasticbeanstalk:application:environmentsecrets"] = {
            name: secret.secret_arn for name, secret in secrets.items()
        }
        environment = beanstalk.CfnEnvironment(
            self,
            "Environment",
            environment_name=settings.name,
            application_name=settings.name,
            solution_stack_name=settings.beanstalk_platform,
            version_label=version.ref,
            option_settings=[
                beanstalk.CfnEnvironment.OptionSettingProperty(
                    namespace=namespace, option_name=name, value=value
                )
                for namespace, values in chosen.items()
                for name, value in values.items()
            ],
        )
        endpoint = environment.attr_endpoint_url
        route53.CnameRecord(self, "Address", zone=zone, record_name=settings.domain, domain_name=endpoint)
        cdk.CfnOutput(self, "Url", value=settings.origin)
        identity = data.identity
        cdk.CfnOutput(self, "MachineClientId", value=identity.machine_client.user_pool_client_id)
        cdk.CfnOutput(self, "TokenUrl", value=f"{identity.sign_in_origin}/oauth2/token")

    def _environment(self) -> dict[str, str]:
        return {
            **tasks.application_environment(self._settings, self._data),
            "SCOREBOARD_MAY_SCAN": "true",
            # The load balancer, and the nginx of the instance.
            "SCOREBOARD_TRUSTED_PROXIES": "2",
        }

    def _role(self, identifier: str, service: str, *policies: str) -> iam.Role:
        managed = [iam.ManagedPolicy.from_aws_managed_policy_name(name) for name in policies]
        return iam.Role(self, identifier, assumed_by=iam.ServicePrincipal(service), managed_policies=managed)

    def _options(self, profile: str, service_role: str, certificate: str) -> Options:
        """What differs from the defaults (Elastic Beanstalk Developer Guide, "Configuration options")."""
        network, (fewest, most) = self._data.network, self._settings.sizes.web_tasks
        private, public = (
            ",".join(network.vpc.select_subnets(subnet_group_name=name).subnet_ids)
            for name in ("tasks", "public")
        )
        return {
            "aws:autoscaling:asg": {"MinSize": str(fewest), "MaxSize": str(most)},
            "aws:autoscaling:launchconfiguration": {
                "IamInstanceProfile": profile,
                "SecurityGroups": network.tasks.security_group_id,
                "DisableIMDSv1": "true",
            },
            "aws:ec2:instances": {"InstanceTypes": "t4g.small", "SupportedArchitectures": "arm64"},
            "aws:ec2:vpc": {
                "VPCId": network.vpc.vpc_id,
                "Subnets": private,
                "ELBSubnets": public,
                "ELBScheme": "public",
            },
            "aws:elasticbeanstalk:command": {
                "DeploymentPolicy": "RollingWithAdditionalBatch",
                "BatchSize": "50",
                "BatchSizeType": "Percentage",
            },
            "aws:elasticbeanstalk:environment": {
                "LoadBalancerType": "application",
                "EnvironmentType": "LoadBalanced",
                "ServiceRole": service_role,
            },
            "aws:elasticbeanstalk:environment:process:default": {
                "HealthCheckPath": "/readyz",
                "MatcherHTTPCode": "200",
                "DeregistrationDelay": "30",
                "StickinessEnabled": "false",
            },
            "aws:elasticbeanstalk:healthreporting:system": {"SystemType": "enhanced"},
            "aws:elasticbeanstalk:managedactions": {
                "ManagedActionsEnabled": "true",
                "PreferredStartTime": "Tue:03:00",
            },
            "aws:elasticbeanstalk:managedactions:platformupdate": {"UpdateLevel": "minor"},
            "aws:elasticbeanstalk:cloudwatch:logs": {
                "StreamLogs": "true",
                "RetentionInDays": str(self._settings.sizes.log_days),
            },
            "aws:elbv2:listener:443": {
                "Protocol": "HTTPS",
                "SSLCertificateArns": certificate,
                "SSLPolicy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
            },
            "aws:elbv2:listener:default": {"ListenerEnabled": "false"},
            "aws:elbv2:loadbalancer": {"IdleTimeout": "120"},
        }


def _fill(folder: Path) -> None:
    """What the platform is given: the application, and deploy/beanstalk/ on top of it."""
    ignored = shutil.ignore_patterns("tests", "__pycache__")
    for name in BUNDLE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy2(source, folder / name)
    shutil.copytree(ROOT / "deploy" / "beanstalk", folder, dirs_exist_ok=True)
    shutil.copy2(ROOT / "requirements.lock", folder / "requirements.txt")
