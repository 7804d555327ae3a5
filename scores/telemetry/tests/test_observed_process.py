"""The metrics, the traces and the log ids of a real server process."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from websockets.sync.client import connect

from scores.identity import local_issuer
from scores.identity.verifier import WRITE_SCOPE
from tools.testing.processes import post, server
from tools.testing.receiver import receiving

ROOT_ID = "1-6746f1a0-1234567890abcdef12345678"


@pytest.fixture
def collector():
    with receiving((200, b"")) as receiver:
        yield receiver


def spans_of(collector):
    """All spans sent so far, with their attributes as dictionaries."""
    found = []
    for path, _, body in list(collector.received):
        assert path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                found += [(span, {a.key: a.value for a in span.attributes}) for span in scope.spans]
    return found


def test_a_process_counts_its_work_and_writes_the_rest_at_its_end(stores):
    lines = []
    settings = {"SCOREBOARD_METRICS_EVERY_S": "300", "SCOREBOARD_METRICS_NAMESPACE": "S/test"}
    with server(sink=lines.append, **settings) as part:
        token = local_issuer.mint("server", WRITE_SCOPE)
        with connect(f"ws://127.0.0.1:{part.port}/ws/scoreboard") as viewer:
            viewer.recv(timeout=5)
            for number in range(3):
                assert post(part, token, "ann", 10, f"k{number}").status_code == 200
            viewer.recv(timeout=5)
            assert post(part, token, "ann", 10, "k1").headers["Idempotent-Replayed"] == "true"
            assert post(part, token, "ann", 11, "k1").status_code == 422
            assert post(part, "nonsense", "ann", 1, "k9").status_code == 401
            big = httpx.post(f"{part.url}/score/update", content=b" " * 5000)
            assert big.status_code == 413
            time.sleep(0.1)  # the boards of all three updates have been sent
    written = [json.loads(line) for line in lines if line.startswith("{")]
    first = written[0]
    assert first["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "S/test"
    assert first["UpdatesAccepted"] == 3 and first["UpdatesReplayed"] == 1
    assert len(first["UpdateTime"]) == 3
    assert first["BoardChanges"] >= 3 and len(first["FanOutTime"]) >= 2
    assert first["CacheDown"] == 0 and first["RankingRepairs"] == 0
    assert {"OpenSockets", "BehindSockets"} <= first.keys()
    refused = {line["Code"]: line["UpdatesRefused"] for line in written[1:]}
    assert refused == {"key_reused": 1, "unauthorized": 1, "too_large": 1}


def test_a_request_is_one_trace_from_the_load_balancer_to_the_stores(stores, collector):
    lines = []
    endpoint = f"http://127.0.0.1:{collector.port}"
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER_ARG": "1", "LOG_FORMAT": "json"}
    with server(sink=lines.append, **settings) as part:
        token = local_issuer.mint("ann")
        headers = {
            "Authorization": f"Bearer {token}",
            "X-Amzn-Trace-Id": f"Root={ROOT_ID};Parent=53995c3f42cd8ad8;Sampled=0",
            "X-Request-ID": "request-0001",
        }
        update = {"json": {"userId": "ann", "increment": 1}, "headers": headers}
        assert httpx.post(f"{part.url}/score/update", **update).status_code == 200
        assert httpx.get(f"{part.url}/?code=sign-in-code").status_code == 200
        update["json"] = {"userId": "bob", "increment": 1}
        assert httpx.post(f"{part.url}/score/update", **update).status_code == 403
        assert httpx.get(f"{part.url}/", headers={"Host": "evil.example"}).status_code == 400
        assert httpx.get(f"{part.url}/livez").status_code == 200
    collector.wait_for(lambda: len(spans_of(collector)) >= 5)
    spans = spans_of(collector)
    trace_id = ROOT_ID[2:].replace("-", "")
    traced = [(span, attributes) for span, attributes in spans if span.trace_id.hex() == trace_id]
    by_name = {span.name: span for span, _ in traced}
    outer = by_name["POST /score/update"]
    assert outer.parent_span_id.hex() == "53995c3f42cd8ad8"
    parents = {span.span_id for span, _ in traced}
    children = {span.name for span, _ in traced if span.parent_span_id in parents}
    assert {"POST score/update", "DynamoDB.TransactWriteItems", "EVALSHA"} <= children
    requests = {a["request.id"].string_value for _, a in traced if "request.id" in a}
    assert requests == {"request-0001"}
    # Only requests are traced: no poll of the hub, no round of the reconciler, no health check.
    assert {span.name for span, _ in spans if not span.parent_span_id} <= {"GET /", "POST /score/update"}
    everything = b"".join(body for _, _, body in collector.received)
    for secret in (token.encode(), b"sign-in-code", b"eyJ"):
        assert secret not in everything
    refusal = next(json.loads(line) for line in lines if '"forbidden"' in line)
    assert refusal["traceId"] == ROOT_ID and refusal["requestId"] == "request-0001"


def test_no_tracing_is_loaded_without_an_endpoint():
    # redis-py itself loads OpenTelemetry's metrics wherever they are installed, and uses them only when told.
    code = (
        "import sys, scoreboard_site.asgi;"
        "print([name for name in sys.modules if name.startswith(('opentelemetry.exporter',"
        " 'opentelemetry.instrumentation', 'opentelemetry.sdk.trace', 'sentry_sdk'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
