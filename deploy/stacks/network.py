"""The network: subnets, endpoints, and who may reach whom."""

from __future__ import annotations

from aws_cdk import RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import custom_resources as cr
from constructs import Construct

from settings import Settings

ADDRESSES = "10.40.0.0/16"
#: The port on which the containers listen.
WEB_PORT = 8000
#: AWS services that the tasks call, with a private address in the VPC where the sizes say so.
SERVICES = ("ECR", "ECR_DOCKER", "CLOUDWATCH_LOGS", "SECRETS_MANAGER", "XRAY")


class Network(Construct):
    """VPC and security groups. Only CloudFront reaches `balancer`, only the balancers reach `tasks`."""

    def __init__(
        self, scope: Construct, identifier: str, settings: Settings, retention: logs.RetentionDays
    ) -> None:
        super().__init__(scope, identifier)
        self._retention = retention
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(ADDRESSES),
            max_azs=2,
            nat_gateways=settings.sizes.nat_gateways,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=24,
                    map_public_ip_on_launch=False,
                ),
                ec2.SubnetConfiguration(
                    name="tasks", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20
                ),
                ec2.SubnetConfiguration(
                    name="stores", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24
                ),
            ],
            restrict_default_security_group=False,
        )
        flow_log = logs.LogGroup(self, "FlowLog", retention=retention)
        self.vpc.add_flow_log(
            "Flow",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow_log),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        self.balancer = self._group("Balancer", "the public load balancer: CloudFront only")
        self.admin_balancer = self._group("AdminBalancer", "load balancer of the admin: inside the VPC only")
        self.tasks = self._group("Tasks", "containers", outbound=True)
        self.valkey = self._group("Valkey", "the ranking cache")
        self.database = self._group("Database", "database of the admin")
        self._connect(settings)
        self._add_endpoints(settings)

    def _group(self, identifier: str, description: str, *, outbound: bool = False) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, identifier, vpc=self.vpc, description=description, allow_all_outbound=outbound
        )

    def _connect(self, settings: Settings) -> None:
        cloudfront = ec2.Peer.prefix_list(self._cloudfront_addresses())
        self.balancer.add_ingress_rule(cloudfront, ec2.Port.tcp(443), "CloudFront")
        self.admin_balancer.add_ingress_rule(ec2.Peer.ipv4(ADDRESSES), ec2.Port.tcp(443), "the VPC")
        for network in settings.admin_cidrs:
            self.admin_balancer.add_ingress_rule(ec2.Peer.ipv4(network), ec2.Port.tcp(443), "moderators")
        for group in (self.balancer, self.admin_balancer):
            group.add_egress_rule(self.tasks, ec2.Port.tcp(WEB_PORT), "containers")
            self.tasks.add_ingress_rule(group, ec2.Port.tcp(WEB_PORT), "load balancer")
        self.valkey.add_ingress_rule(self.tasks, ec2.Port.tcp(6379), "containers")
        self.database.add_ingress_rule(self.tasks, ec2.Port.tcp(5432), "containers")

    def _add_endpoints(self, settings: Settings) -> None:
        for service in ("DYNAMODB", "S3"):
            self.vpc.add_gateway_endpoint(
                service.title(), service=getattr(ec2.GatewayVpcEndpointAwsService, service)
            )
        if not settings.sizes.interface_endpoints:
            return
        group = self._group("Endpoints", "private addresses of AWS services")
        group.add_ingress_rule(self.tasks, ec2.Port.tcp(443), "containers")
        for service in SERVICES:
            self.vpc.add_interface_endpoint(
                service.title().replace("_", ""),
                service=getattr(ec2.InterfaceVpcEndpointAwsService, service),
                subnets=ec2.SubnetSelection(subnet_group_name="tasks"),
                security_groups=[group],
                open=False,
            )

    def _cloudfront_addresses(self) -> str:
        """Id of the prefix list with CloudFront's own addresses, which is another one in every region.

        Asked for during the deployment: a lookup during synthesis would need the account.
        """
        call = cr.AwsSdkCall(
            service="EC2",
            action="DescribeManagedPrefixLists",
            parameters={
                "Filters": [
                    {"Name": "prefix-list-name", "Values": ["com.amazonaws.global.cloudfront.origin-facing"]}
                ]
            },
            physical_resource_id=cr.PhysicalResourceId.of("cloudfront-origin-facing"),
            output_paths=["PrefixLists.0.PrefixListId"],
        )
        found = cr.AwsCustomResource(
            self,
            "CloudFrontAddresses",
            on_update=call,
            # There before the function runs; the one that CDK would add may come after its first lines.
            log_group=logs.LogGroup(
                self, "CustomLog", retention=self._retention, removal_policy=RemovalPolicy.DESTROY
            ),
            install_latest_aws_sdk=False,
            # The call knows no resources.
            policy=cr.AwsCustomResourcePolicy.from_sdk_calls(resources=["*"]),
        )
        return found.get_response_field("PrefixLists.0.PrefixListId")
