"""The load balancers: a public one that answers only CloudFront, and one inside the VPC for the admin."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from settings import Settings
from stacks.data import DataStack
from stacks.network import WEB_PORT
from stacks.site import ORIGIN_HEADER

#: Longer than the server's ping interval (20 s), shorter than its keep-alive (130 s).
IDLE_TIMEOUT_S = 120
DEREGISTRATION_S = 30


class Balancers(Construct):
    """`public` with its targets `web`, `inside` with its targets `admin`; both speak TLS only."""

    def __init__(
        self,
        scope: Construct,
        identifier: str,
        settings: Settings,
        data: DataStack,
        zone: route53.IHostedZone,
    ) -> None:
        super().__init__(scope, identifier)
        self._settings, self._data, self._zone = settings, data, zone
        self._certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name=f"origin.{settings.domain}",
            subject_alternative_names=[f"admin.{settings.domain}"],
            validation=acm.CertificateValidation.from_dns(zone),
        )
        self._logs = s3.Bucket(
            self,
            "Logs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,  # the only one that load balancers can write with
            enforce_ssl=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(settings.sizes.log_days))],
        )
        self.web, self.admin = self._targets("Web"), self._targets("Admin")
        self.public = self._public()
        self.inside = self._balancer("Inside", "admin", data.network.admin_balancer, public=False)
        self._listen(self.inside, elb.ListenerAction.forward([self.admin]))

    def _public(self) -> elb.ApplicationLoadBalancer:
        """Answers only who knows the origin's secret: CloudFront's addresses alone are everybody's."""
        balancer = self._balancer("Public", "origin", self._data.network.balancer, public=True)
        refuse = elb.ListenerAction.fixed_response(403, content_type="text/plain", message_body="forbidden\n")
        secret = self._data.origin_secret.secret_value.unsafe_unwrap()
        self._listen(balancer, refuse).add_action(
            "FromCloudFront",
            priority=1,
            action=elb.ListenerAction.forward([self.web]),
            conditions=[elb.ListenerCondition.http_header(ORIGIN_HEADER, [secret])],
        )
        return balancer

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
            deletion_protection=self._settings.sizes.protected,
            xff_header_processing_mode=elb.XffHeaderProcessingMode.APPEND,
        )
        balancer.log_access_logs(self._logs, identifier.lower())
        route53.ARecord(
            self,
            f"{identifier}Address",
            zone=self._zone,
            record_name=f"{name}.{self._settings.domain}",
            target=route53.RecordTarget.from_alias(targets.LoadBalancerTarget(balancer)),
        )
        return balancer

    def _listen(
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
