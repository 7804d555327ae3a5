"""docs/costs.md is what tools/research/costs computes, from prices that carry their month."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.reporting.pages import DOCS
from tools.research.costs import model, page
from tools.research.costs.prices import PRICES


def test_the_document_is_what_is_computed():
    assert (DOCS / "costs.md").read_text() == page.document(), "run make costs"


def test_every_price_has_a_month_and_is_used():
    source = "".join(Path(module.__file__).read_text() for module in (model, page))
    for name, price in PRICES.items():
        assert re.fullmatch(r"20\d\d-(0\d|1[0-2])", price.as_of), name
        assert f'"{name}"' in source, name


def test_an_update_costs_two_transactional_writes():
    writes = model.table_writes()["DynamoDB: transaction, index, read"]
    assert writes == pytest.approx(4.1 * 0.625 + 0.1 * 0.125)


def test_bytes_are_what_a_delivery_costs_and_messages_what_it_costs_elsewhere():
    ours, theirs = model.viewers(2.0), model.viewers_api_gateway(2.0)
    assert max(ours, key=lambda part: ours[part]) == "bytes (CloudFront)"
    assert theirs["messages"] == pytest.approx(1000 * 2.0 * 730 * 3600 * 1e-6)
    assert sum(theirs.values()) > 5 * sum(ours.values())
