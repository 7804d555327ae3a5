"""The text of docs/costs.md, with the tables of what model.py computes."""

from __future__ import annotations

from collections.abc import Callable

from tools.research.costs.model import (
    ASSUMPTIONS,
    PROBES,
    RATES,
    VIEWERS,
    Costs,
    standing,
    updates,
    updates_api_gateway,
    updates_appsync,
    usd,
    viewers,
    viewers_api_gateway,
    viewers_appsync,
)
from tools.research.costs.prices import PRICES


def money(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


def columns(head: list[str], variants: list[Costs]) -> str:
    """A table with a row for each part that any of the variants has, and their sums."""
    rows = [head, ["---"] + ["---:"] * len(variants)]
    for part in dict.fromkeys(name for costs in variants for name in costs):
        rows.append([part] + [money(costs[part]) if part in costs else "" for costs in variants])
    rows.append(["**all**"] + [f"**{money(sum(costs.values()))}**" for costs in variants])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def document() -> str:
    """docs/costs.md."""
    per_million = columns(
        ["a million updates", "this", "API Gateway + Lambda", "AppSync + Lambda"],
        [updates(), updates_api_gateway(), updates_appsync()],
    )
    head = ["boards a second, on average", *(f"{rate:g}" for rate in RATES)]
    ways: dict[str, Callable[[float], Costs]] = {
        "this": viewers,
        "API Gateway WebSocket + Lambda": viewers_api_gateway,
        "AppSync Events": lambda rate: viewers_appsync(rate, "AppSync events"),
        "AppSync GraphQL subscriptions": lambda rate: viewers_appsync(rate, "AppSync updates"),
    }
    rows = [head, ["---"] + ["---:"] * len(RATES)]
    for name, way in ways.items():
        rows.append([name] + [money(sum(way(rate).values())) for rate in RATES])
    per_viewers = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    detail = columns(
        ["this product's part, itemised", *(f"{rate:g}" for rate in RATES)], [viewers(rate) for rate in RATES]
    )
    fixed = columns(
        ["a month of nothing", "dev", "prod"],
        [{n: v[0] for n, v in standing().items()}, {n: v[1] for n, v in standing().items()}],
    )
    prices = "\n".join(
        f"| {name} | {price.usd * 1e6:g} per million | {price.unit} | {price.as_of} | {price.source} |"
        if price.usd < 1e-3
        else f"| {name} | {price.usd:g} | {price.unit} | {price.as_of} | {price.source} |"
        for name, price in PRICES.items()
    )
    assumed = "\n".join(f"| {value:,g} | {unit} | {source} |" for value, unit, source in ASSUMPTIONS.values())
    return TEXT.format(
        per_million=per_million,
        viewers=f"{VIEWERS:,}",
        per_viewers=per_viewers,
        detail=detail,
        fixed=fixed,
        tokens=money(PROBES * usd("Machine tokens")),
        prices=prices,
        assumed=assumed,
    )


TEXT = """\
# Costs

Computed by `make costs` from list prices (`tools/research/costs/prices.py`) and from what was measured here:
USD, us-east-1, without free tiers, discounts and tax. Nothing of it has been on a bill yet.

## For each million updates

{per_million}

DynamoDB and the events are the same whatever is in front. With the serverless ways nothing else runs; here
the standing costs below come on top. A server that keeps its connection open, instead of opening one for
each update, does not pay for the load balancer's new connections.

## For each {viewers} viewers, a month of looking

All {viewers} are there all the time, and see a new board this often. USD a month:

{per_viewers}

{detail}

The ways that charge for each delivery charge for a board to 1,000 people as for 1,000 messages. Here a
delivery costs its bytes. A board that changes all the time is sent at most 20 times a second, whatever the
rate of updates.

## While nothing happens

{fixed}

The serverless ways cost next to nothing here: for a board that few people look at, and that changes seldom,
they are cheaper.

With a private board in prod, {tokens} more: the probe asks Cognito for a token each time it looks.

## What it is computed from

Nothing was fetched from AWS. Each price was seen in public copies of what the last column names, taken in
that month.

| price | USD | for one | known to be in force | copied from |
|---|---:|---|---|---|
{prices}

| value | what | from |
|---:|---|---|
{assumed}

Left out: sign-in (Cognito charges for active users), log storage, data between zones and through the NAT
gateways, support; the connects and pings that AppSync Events counts as well; what the pipe's reading of the
ledger's stream may cost, of which nothing public was found; and CloudFront's flat-rate plans, which may be
cheaper than what is computed here.
"""
