"""Chooses the traces to record. Loaded only while tracing is on (scores/telemetry/tracing.py)."""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.util.types import Attributes


class OnlyRequests(TraceIdRatioBased):
    """Samples a share of the traces that begin with a request from outside, and no other traces."""

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if kind is not SpanKind.SERVER:
            return SamplingResult(Decision.DROP)
        return super().should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)


def sampler(share: float) -> Sampler:
    """Samples this share (0 … 1) of requests, whatever their headers say, with all spans below them."""
    requests = OnlyRequests(share)
    return ParentBased(requests, remote_parent_sampled=requests, remote_parent_not_sampled=requests)
