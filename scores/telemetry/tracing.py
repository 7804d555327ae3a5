"""Traces of requests: ASGI, Django, DynamoDB and Redis, to an OTLP collector. Nothing is loaded without one.

Made for X-Ray: its ids, and its header, which load balancers of AWS set. Only what belongs to a request is
traced, not the calls of the hub and the reconciler; and whether a request is sampled is decided here, by
no header that a client can send.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from scores.telemetry import logs

#: Answered all the time, for load balancers.
EXCLUDED = "livez,readyz"
#: Attributes that hold a whole address; the sign-in comes back with a code in its query.
_ADDRESSES = ("http.url", "url.full", "http.target")
EXPORT_TIMEOUT_S = 5


def start() -> None:
    """Begin, before Django is set up; nothing happens unless OTEL_EXPORTER_OTLP_ENDPOINT is set."""
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return
    from opentelemetry import propagate, trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
    from opentelemetry.instrumentation.django import DjangoInstrumentor
    from opentelemetry.instrumentation.redis import RedisInstrumentor
    from opentelemetry.propagators.aws import AwsXRayPropagator
    from opentelemetry.sdk.extension.aws.trace import AwsXRayIdGenerator
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from scores.telemetry.sampling import sampler

    provider = TracerProvider(
        sampler=sampler(settings.OTEL_TRACES_SAMPLER_ARG),
        resource=Resource.create({"service.name": settings.OTEL_SERVICE_NAME}),
        id_generator=AwsXRayIdGenerator(),
    )
    endpoint = settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint, timeout=EXPORT_TIMEOUT_S)))
    trace.set_tracer_provider(provider)
    propagate.set_global_textmap(AwsXRayPropagator())
    # Behind the guard, which refuses hosts that are not ours: the instrumentation fails on them.
    DjangoInstrumentor().instrument(middleware_position=1, request_hook=_describe)
    BotocoreInstrumentor().instrument()  # type: ignore[no-untyped-call]
    RedisInstrumentor().instrument()
    logs.trace_id = current_trace_id


def traced(application: Any) -> Any:
    """`application` with a span for each request; the application itself while tracing is off."""
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        return application
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(
        application,
        excluded_urls=EXCLUDED,
        server_request_hook=_describe,
        exclude_spans=["receive", "send"],
    )


def current_trace_id() -> str | None:
    """The id of the current trace as X-Ray writes it, if there is one."""
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    number = trace.format_trace_id(context.trace_id)
    return f"1-{number[:8]}-{number[8:]}"


def _describe(span: Any, _: Any) -> None:
    """Name the request as the log does, and forget the query of its address."""
    if not span.is_recording():
        return
    for name in _ADDRESSES:
        if name in span.attributes:
            span.set_attribute(name, str(span.attributes[name]).partition("?")[0])
    if request_id := logs.request_id.get():
        span.set_attribute("request.id", request_id)
