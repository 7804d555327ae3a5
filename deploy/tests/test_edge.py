"""The edge: what CloudFront keeps and passes on, the firewall, the bucket, the function for every request."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from deploy.tests.assembly import Assembly
from tools.devstack import deploying


def behaviours(assembly: Assembly) -> dict[str, Any]:
    config = assembly.one("AWS::CloudFront::Distribution")["DistributionConfig"]
    return {"*": config["DefaultCacheBehavior"]} | {
        each["PathPattern"]: each for each in config["CacheBehaviors"]
    }


CACHING_DISABLED, ALL_VIEWER = "4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "216adef6-5c7f-47e4-b989-5492eafa07d3"


def test_cloudfront_keeps_the_page_and_the_top_ten_for_a_second_and_passes_the_rest(prod):
    found = behaviours(prod)
    assert found.keys() == {"*", "/", "/score/top10", "/ws/*", "/static/*"}
    for path in ("*", "/ws/*"):
        assert (found[path]["CachePolicyId"], found[path]["OriginRequestPolicyId"]) == (
            CACHING_DISABLED,
            ALL_VIEWER,
        )
        assert "POST" in found[path]["AllowedMethods"]
    for policy in prod.all("AWS::CloudFront::CachePolicy"):
        config = policy["CachePolicyConfig"]
        assert (config["MinTTL"], config["DefaultTTL"], config["MaxTTL"]) == (0, 1, 1)
        key = config["ParametersInCacheKeyAndForwardedToOrigin"]
        assert key["HeadersConfig"] == {"HeaderBehavior": "none"}
        assert key["CookiesConfig"] == {"CookieBehavior": "none"}
        assert not key["EnableAcceptEncodingGzip"] and not key["EnableAcceptEncodingBrotli"]
        assert key["QueryStringsConfig"].get("QueryStrings", []) in ([], ["view"])
    assert all(each["ViewerProtocolPolicy"] == "redirect-to-https" for each in found.values())
    assert all(each["ResponseHeadersPolicyId"] for each in found.values())


def test_no_error_is_kept_and_none_is_replaced_by_a_page(assemblies):
    for assembly in assemblies.values():
        config = assembly.one("AWS::CloudFront::Distribution")["DistributionConfig"]
        assert config["CustomErrorResponses"] == [
            {"ErrorCode": status, "ErrorCachingMinTTL": 0} for status in (404, 500, 501, 502, 503, 504)
        ]


def test_every_answer_has_the_security_headers_and_only_files_are_for_pages_of_other_origins(assemblies):
    for assembly in assemblies.values():
        policies = {
            identifier: resource["Properties"]["ResponseHeadersPolicyConfig"]
            for _, identifier, resource in assembly.resources("AWS::CloudFront::ResponseHeadersPolicy")
        }
        used = {
            path: policies[each["ResponseHeadersPolicyId"]] for path, each in behaviours(assembly).items()
        }
        for policy in used.values():
            headers = policy["SecurityHeadersConfig"]
            assert headers["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000
            assert headers["ContentSecurityPolicy"]["ContentSecurityPolicy"].startswith("default-src 'none'")
            assert headers["ContentTypeOptions"] == {"Override": True}
            assert headers["FrameOptions"]["FrameOption"] == "DENY"
            assert headers["ReferrerPolicy"]["ReferrerPolicy"] == "same-origin"
            others = {each["Header"]: each["Value"] for each in policy["CustomHeadersConfig"]["Items"]}
            assert others == {"Cross-Origin-Opener-Policy": "same-origin"}
        # The admin's pages are of another origin than the modules they load.
        assert assembly.environment("admin")["STATIC_URL"] == "https://board.example.com/static/"
        assert assembly.environment("admin")["ALLOWED_HOSTS"] == "admin.board.example.com"
        cors = used.pop("/static/*")["CorsConfig"]
        assert cors["AccessControlAllowOrigins"]["Items"] == ["*"]
        assert cors["AccessControlAllowCredentials"] is False
        assert not [path for path, policy in used.items() if "CorsConfig" in policy]


def test_of_a_private_board_nothing_is_kept(variants):
    private = variants["private"]
    for path, behaviour in behaviours(private).items():
        assert path == "/static/*" or behaviour["CachePolicyId"] == CACHING_DISABLED
    assert private.environment("web")["SCOREBOARD_PUBLIC"] == "false"
    secrets = {each["Name"] for each in private.container("probe")["Secrets"]}
    assert "PROBE_CLIENT_SECRET" in secrets and "--token-url" in private.container("probe")["Command"]
    rate = next(each for each in private.one("AWS::WAFv2::WebACL")["Rules"] if each["Name"] == "ScoreRate")
    assert "NotStatement" in json.dumps(rate)


def test_the_bucket_is_read_by_the_distribution_only(prod):
    for bucket in prod.all("AWS::S3::Bucket"):
        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    readers = [
        statement
        for policy in prod.all("AWS::S3::BucketPolicy")
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow" and "s3:GetObject" in statement["Action"]
    ]
    assert [each["Principal"] for each in readers] == [{"Service": "cloudfront.amazonaws.com"}]
    assert "AWS:SourceArn" in readers[0]["Condition"]["StringEquals"]


def test_the_firewall_counts_requests_to_the_scores_by_address(prod):
    firewall = prod.one("AWS::WAFv2::WebACL")
    assert firewall["Scope"] == "CLOUDFRONT"
    rules = {rule["Name"]: rule for rule in firewall["Rules"]}
    rate = rules["ScoreRate"]["Statement"]["RateBasedStatement"]
    match = rate["ScopeDownStatement"]["ByteMatchStatement"]
    assert (match["SearchString"], match["PositionalConstraint"]) == ("/score/", "STARTS_WITH")
    assert rate["AggregateKeyType"] == "IP"
    groups = [
        rule["Statement"]["ManagedRuleGroupStatement"]["Name"]
        for name, rule in rules.items()
        if name != "ScoreRate"
    ]
    assert len(groups) == 3 and all(name.startswith("AWSManagedRules") for name in groups)
    logged = prod.one("AWS::WAFv2::LoggingConfiguration")["RedactedFields"]
    assert "authorization" in [each["SingleHeader"]["Name"] for each in logged]
    for stack, _, _ in prod.resources("AWS::WAFv2::WebACL"):
        assert prod.stack_region(stack) == "us-east-1"


def test_the_viewer_request_function_drops_what_only_a_proxy_may_say(tmp_path):
    code = (deploying.DEPLOY / "stacks" / "viewer_request.js").read_text()
    request = {
        "uri": "/",
        "headers": {
            name: {"value": "x"}
            for name in ("host", "daphne-root-path", "x-forwarded-host", "x-origin-secret")
        },
        "querystring": {"view": {"value": "wall"}, "cachebuster": {"value": "1"}},
    }
    other = {"uri": "/", "headers": {}, "querystring": {"view": {"value": "x"}}}
    api = {
        "uri": "/score/me",
        "headers": {"authorization": {"value": "t"}},
        "querystring": {"a": {"value": "b"}},
    }
    script = tmp_path / "run.js"
    script.write_text(
        f"{code}\nconst requests = {json.dumps([request, other, api])};\n"
        "console.log(JSON.stringify(requests.map((request) => handler({ request }))));"
    )
    node = deploying.find_node()
    answers = json.loads(
        subprocess.run([*node, str(script)], capture_output=True, text=True, check=True).stdout
    )
    assert answers[0]["headers"].keys() == {"host"}
    assert answers[0]["querystring"] == {"view": {"value": "wall"}}
    assert answers[1]["querystring"] == {}
    assert answers[2] == api
