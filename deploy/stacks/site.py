"""CloudFront: static files from S3, everything else from the load balancer, and what is kept how long."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from settings import Settings

#: The load balancer answers only requests that carry this header with the origin's secret.
ORIGIN_HEADER = "X-Origin-Secret"
#: Errors that CloudFront would keep for ten seconds, those of 5xx even when they say `no-store`.
KEPT_ERRORS = (404, 500, 501, 502, 503, 504)
VIEWER_REQUEST = Path(__file__).parent / "viewer_request.js"


class Site(Construct):
    """The distribution at the page's domain, and the bucket of its static files."""

    def __init__(
        self,
        scope: Construct,
        identifier: str,
        settings: Settings,
        *,
        certificate: acm.ICertificate,
        firewall_arn: str,
        origin_domain: str,
        origin_secret: secretsmanager.ISecret,
        zone: route53.IHostedZone,
    ) -> None:
        super().__init__(scope, identifier)
        self.static = self._bucket("Static", versioned=True)
        self._logs = self._bucket(
            "Logs",
            object_ownership=s3.ObjectOwnership.OBJECT_WRITER,  # CloudFront's logs come with an ACL
            lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(settings.sizes.log_days))],
        )
        self._headers = self._security_headers("SecurityHeaders")
        self._function = cloudfront.Function(
            self,
            "ViewerRequest",
            code=cloudfront.FunctionCode.from_file(file_path=str(VIEWER_REQUEST)),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
            comment="drops headers that only a proxy may send, and query parameters nobody reads",
        )
        self._web = origins.HttpOrigin(
            origin_domain,
            protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
            origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
            custom_headers={ORIGIN_HEADER: origin_secret.secret_value.unsafe_unwrap()},
            read_timeout=cdk.Duration.seconds(30),
            keepalive_timeout=cdk.Duration.seconds(60),
        )
        self.distribution = self._distribution(settings, certificate, firewall_arn)
        for record in (route53.ARecord, route53.AaaaRecord):
            record(
                self,
                record.__name__,
                zone=zone,
                record_name=settings.domain,
                target=route53.RecordTarget.from_alias(targets.CloudFrontTarget(self.distribution)),
            )

    def _distribution(
        self, settings: Settings, certificate: acm.ICertificate, firewall_arn: str
    ) -> cloudfront.Distribution:
        live = self._from_web()
        # A private board is nobody else's business: nothing of it is kept.
        page = self._from_web(self._for_a_second("Page", "view")) if settings.public else live
        top10 = self._from_web(self._for_a_second("Top10")) if settings.public else live
        return cloudfront.Distribution(
            self,
            "Distribution",
            comment=settings.name,
            domain_names=[settings.domain],
            certificate=certificate,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            web_acl_id=firewall_arn,
            price_class=cloudfront.PriceClass.PRICE_CLASS_ALL,
            enable_logging=True,
            log_bucket=self._logs,
            error_responses=[
                cloudfront.ErrorResponse(http_status=status, ttl=cdk.Duration.seconds(0))
                for status in KEPT_ERRORS
            ],
            default_behavior=live,
            additional_behaviors={
                "/": page,
                "/score/top10": top10,
                "/ws/*": live,
                "/static/*": self._from_bucket(),
            },
        )

    def _from_web(self, cache: cloudfront.ICachePolicy | None = None) -> cloudfront.BehaviorOptions:
        """To the load balancer. Without a cache policy everything passes, sockets and tokens included."""
        passing = cache is None
        return cloudfront.BehaviorOptions(
            origin=self._web,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL
            if passing
            else cloudfront.AllowedMethods.ALLOW_GET_HEAD_OPTIONS,
            cache_policy=cache or cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER if passing else self._only_host(),
            response_headers_policy=self._headers,
            compress=False,  # it would make Accept-Encoding part of the key, and the ETag weak
            function_associations=[
                cloudfront.FunctionAssociation(
                    function=self._function, event_type=cloudfront.FunctionEventType.VIEWER_REQUEST
                )
            ],
        )

    def _from_bucket(self) -> cloudfront.BehaviorOptions:
        return cloudfront.BehaviorOptions(
            origin=origins.S3BucketOrigin.with_origin_access_control(self.static),
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
            cache_policy=cloudfront.CachePolicy.CACHING_OPTIMIZED,
            response_headers_policy=self._security_headers("StaticHeaders", self._for_every_page()),
        )

    def _for_every_page(self) -> cloudfront.ResponseHeadersCorsBehavior:
        """Static files are public, and the admin's pages, of another origin, load modules among them."""
        return cloudfront.ResponseHeadersCorsBehavior(
            access_control_allow_origins=["*"],
            access_control_allow_methods=["GET", "HEAD"],
            access_control_allow_headers=["*"],
            access_control_allow_credentials=False,
            origin_override=True,
        )

    def _for_a_second(self, identifier: str, *query: str) -> cloudfront.CachePolicy:
        """One answer per path, for a second: no header, no cookie, no parameter but `query` counts."""
        behavior = cloudfront.CacheQueryStringBehavior
        return cloudfront.CachePolicy(
            self,
            identifier,
            comment="a second, by path",
            min_ttl=cdk.Duration.seconds(0),
            default_ttl=cdk.Duration.seconds(1),
            max_ttl=cdk.Duration.seconds(1),
            header_behavior=cloudfront.CacheHeaderBehavior.none(),
            cookie_behavior=cloudfront.CacheCookieBehavior.none(),
            query_string_behavior=behavior.allow_list(*query) if query else behavior.none(),
        )

    def _only_host(self) -> cloudfront.IOriginRequestPolicy:
        """The viewer's Host, which the application checks; it is the same for everybody."""
        found = self.node.try_find_child("OnlyHost")
        if isinstance(found, cloudfront.OriginRequestPolicy):
            return found
        return cloudfront.OriginRequestPolicy(
            self,
            "OnlyHost",
            header_behavior=cloudfront.OriginRequestHeaderBehavior.allow_list("Host"),
            cookie_behavior=cloudfront.OriginRequestCookieBehavior.none(),
            query_string_behavior=cloudfront.OriginRequestQueryStringBehavior.none(),
        )

    def _security_headers(
        self, identifier: str, cors: cloudfront.ResponseHeadersCorsBehavior | None = None
    ) -> cloudfront.ResponseHeadersPolicy:
        """For answers that are not the application's; what the application says is left alone."""
        return cloudfront.ResponseHeadersPolicy(
            self,
            identifier,
            cors_behavior=cors,
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=False
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.SAME_ORIGIN, override=False
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=cdk.Duration.days(365), include_subdomains=False, override=False
                ),
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy="default-src 'none'; frame-ancestors 'none'", override=False
                ),
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(
                        header="Cross-Origin-Opener-Policy", value="same-origin", override=False
                    )
                ]
            ),
            remove_headers=["Server"],
        )

    def _bucket(self, identifier: str, **options: object) -> s3.Bucket:
        """Closed to everybody; what is in it can be made again."""
        return s3.Bucket(
            self,
            identifier,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            **options,  # type: ignore[arg-type]
        )
