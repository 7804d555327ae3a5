"""Traces requests through ASGI, Django, DynamoDB and Redis, for an OTLP collector. Loads nothing without one.

The ids and the header are those of X-Ray, which load balancers of AWS use. Only requests are traced, not the
calls of the hub and the reconciler. This process alone decides which requests are sampled; the headers of a
client have no influence.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings

from scores.telemetry import logs

#: Paths of the load balancers' health checks.
EXCLUDED = "livez,readyz"
#: Attributes with a URL. The query of the sign-in's callback holds a code.
_ADDRESSES = ("http.url", "url.full", "http.target")
EXPORT_TIMEOUT_S = 5


def start() -> None:
    """Start to trace, if OTEL_EXPORTER_OTLP_ENDPOINT is set. Call it before Django is set up."""
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
    # Behind the guard, which refuses unknown hosts. The instrumentation fails on them.
    DjangoInstrumentor().instrument(middleware_position=1, request_hook=_describe)
    BotocoreInstrumentor().instrument()  # type: ignore[no-untyped-call]
    RedisInstrumentor().instrument()
    logs.trace_id = current_trace_id


def traced(application: Any) -> Any:
    """`application` with a span for each request, or unchanged while tracing is off."""
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
    """The id of the current trace in X-Ray's form, if there is one."""
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    number = trace.format_trace_id(context.trace_id)
    return f"1-{number[:8]}-{number[8:]}"


def _describe(span: Any, _: Any) -> None:
    """Add the request id of the log to the span, and remove the queries of URLs."""
    if not span.is_recording():
        return
    for name in _ADDRESSES:
        if name in span.attributes:
            span.set_attribute(name, str(span.attributes[name]).partition("?")[0])
    if request_id := logs.request_id.get():
        span.set_attribute("request.id", request_id)
