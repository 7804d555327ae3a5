"""What CloudFront wants in us-east-1, wherever the rest is: the page's certificate and the firewall."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_wafv2 as wafv2
from constructs import Construct

from settings import Settings
from stacks.data import RETENTION

#: Rule groups that AWS keeps up to date: (name, rules of it that only count).
MANAGED = (
    ("AWSManagedRulesAmazonIpReputationList", ()),
    ("AWSManagedRulesKnownBadInputsRuleSet", ()),
    # A site's own server, a script with curl, the smoke test: they may come without a browser's name.
    ("AWSManagedRulesCommonRuleSet", ("NoUserAgent_HEADER",)),
)


class EdgeStack(cdk.Stack):
    def __init__(self, scope: Construct, identifier: str, settings: Settings, **options: object) -> None:
        super().__init__(scope, identifier, **options)  # type: ignore[arg-type]
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=settings.zone_id, zone_name=settings.zone_name
        )
        self.certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name=settings.domain,
            validation=acm.CertificateValidation.from_dns(zone),
        )
        self.firewall = self._firewall(settings)
        self._log(self.firewall, settings)

    def _firewall(self, settings: Settings) -> wafv2.CfnWebACL:
        rules = [self._managed(name, counted, place) for place, (name, counted) in enumerate(MANAGED)]
        rules.append(self._rate_rule(settings, len(rules)))
        return wafv2.CfnWebACL(
            self,
            "Firewall",
            name=settings.name,
            scope="CLOUDFRONT",
            default_action=wafv2.CfnWebACL.DefaultActionProperty(allow={}),
            rules=rules,
            visibility_config=_visible(settings.name),
        )

    def _managed(self, name: str, counted: tuple[str, ...], priority: int) -> wafv2.CfnWebACL.RuleProperty:
        count = wafv2.CfnWebACL.RuleActionProperty(count={})
        return wafv2.CfnWebACL.RuleProperty(
            name=name,
            priority=priority,
            override_action=wafv2.CfnWebACL.OverrideActionProperty(none={}),
            statement=wafv2.CfnWebACL.StatementProperty(
                managed_rule_group_statement=wafv2.CfnWebACL.ManagedRuleGroupStatementProperty(
                    vendor_name="AWS",
                    name=name,
                    rule_action_overrides=[
                        wafv2.CfnWebACL.RuleActionOverrideProperty(name=rule, action_to_use=count)
                        for rule in counted
                    ],
                )
            ),
            visibility_config=_visible(name),
        )

    def _rate_rule(self, settings: Settings, priority: int) -> wafv2.CfnWebACL.RuleProperty:
        """Blocks an address that calls `/score/` too often; the site's own servers are left alone."""
        scope = wafv2.CfnWebACL.StatementProperty(
            byte_match_statement=wafv2.CfnWebACL.ByteMatchStatementProperty(
                field_to_match=wafv2.CfnWebACL.FieldToMatchProperty(uri_path={}),
                positional_constraint="STARTS_WITH",
                search_string="/score/",
                text_transformations=[
                    wafv2.CfnWebACL.TextTransformationProperty(priority=0, type="NORMALIZE_PATH")
                ],
            )
        )
        if settings.server_cidrs:
            servers = wafv2.CfnIPSet(
                self,
                "Servers",
                name=f"{settings.name}-servers",
                scope="CLOUDFRONT",
                ip_address_version="IPV4",
                addresses=list(settings.server_cidrs),
            )
            known = wafv2.CfnWebACL.StatementProperty(ip_set_reference_statement={"arn": servers.attr_arn})
            others = wafv2.CfnWebACL.StatementProperty(
                not_statement=wafv2.CfnWebACL.NotStatementProperty(statement=known)
            )
            scope = wafv2.CfnWebACL.StatementProperty(
                and_statement=wafv2.CfnWebACL.AndStatementProperty(statements=[scope, others])
            )
        return wafv2.CfnWebACL.RuleProperty(
            name="ScoreRate",
            priority=priority,
            action=wafv2.CfnWebACL.RuleActionProperty(
                block=wafv2.CfnWebACL.BlockActionProperty(
                    custom_response=wafv2.CfnWebACL.CustomResponseProperty(
                        response_code=429,
                        response_headers=[
                            wafv2.CfnWebACL.CustomHTTPHeaderProperty(name="Retry-After", value="300")
                        ],
                    )
                )
            ),
            statement=wafv2.CfnWebACL.StatementProperty(
                rate_based_statement=wafv2.CfnWebACL.RateBasedStatementProperty(
                    aggregate_key_type="IP",
                    limit=settings.sizes.requests_per_5_minutes,
                    evaluation_window_sec=300,
                    scope_down_statement=scope,
                )
            ),
            visibility_config=_visible("ScoreRate"),
        )

    def _log(self, firewall: wafv2.CfnWebACL, settings: Settings) -> None:
        """What was blocked or counted, without tokens."""
        group = logs.LogGroup(
            self,
            "FirewallLog",
            log_group_name=f"aws-waf-logs-{settings.name}",  # the service insists on the prefix
            retention=RETENTION[settings.sizes.log_days],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        wafv2.CfnLoggingConfiguration(
            self,
            "FirewallLogging",
            resource_arn=firewall.attr_arn,
            log_destination_configs=[
                self.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=group.log_group_name,
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            redacted_fields=[
                wafv2.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": name})
                for name in ("authorization", "cookie", "sec-websocket-protocol", "idempotency-key")
            ],
            logging_filter={
                "DefaultBehavior": "DROP",
                "Filters": [
                    {
                        "Behavior": "KEEP",
                        "Requirement": "MEETS_ANY",
                        "Conditions": [
                            {"ActionCondition": {"Action": "BLOCK"}},
                            {"ActionCondition": {"Action": "COUNT"}},
                        ],
                    }
                ],
            },
        )


def _visible(name: str) -> wafv2.CfnWebACL.VisibilityConfigProperty:
    return wafv2.CfnWebACL.VisibilityConfigProperty(
        cloud_watch_metrics_enabled=True, metric_name=name, sampled_requests_enabled=True
    )
