"""What is sent says what its rows say: whatever a document cannot carry is refused before a control number is taken."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.edi import read_documents
from aios_assets.edi.writing import WRITERS, write
from tests.unit.edi.make import frame
from tests.unit.edi.test_writing import NOW, numbers, partner, rows

LINES = [kind for kind, writer in WRITERS.items() if writer.table == "raw_edi__order_lines" and kind != "940"]


def never(series: str, purposes: list[str]) -> list[int]:
    raise AssertionError("a control number was taken for what cannot be sent")


@pytest.mark.parametrize("kind", LINES)
def test_the_number_of_a_line_is_the_one_that_was_given(kind: str) -> None:
    """A change of line 7 that is written as line 2 changes another line of the order."""
    given = ["3", "7", "20", "10"]
    written = write(
        kind, rows(kind).with_columns(order_line=pl.Series(given)), partner(kind), numbers=numbers(), now=NOW
    )
    back = read_documents(frame(*written.documents["content"])).facts["raw_edi__order_lines"]
    assert back.sort("item_id")["order_line"].to_list() == [
        line for _, line in sorted(zip(rows(kind)["item_id"], given, strict=True))
    ]


@pytest.mark.parametrize(
    ("kind", "change", "words"),
    [
        ("850", {"ship_to_site_id": ["S1", "S9", "S2", "S2"]}, "says ship_to_site_id once, its rows say S1, S9"),
        ("850", {"order_date": [date(2026, 1, d) for d in (3, 4, 3, 3)]}, "says order_date once"),
        ("940", {"requested_date": [date(2026, 1, d) for d in (9, 12, 10, 10)]}, "says requested_date once"),
        ("856", {"expected_date": [date(2026, 1, 8), None, date(2026, 1, 8), date(2026, 1, 8)]}, "says expected_date once"),
        ("810", {"invoice_date": [date(2026, 1, d) for d in (6, 7, 6, 6)]}, "says invoice_date once"),
        ("214", {"carrier_id": ["SCAC", "OTHR", "SCAC"]}, "says carrier_id once"),
        ("860", {"action_code": ["change", "cancel", "change", "change"]}, "action_code is cancel, the 860 would say change"),
        ("860", {"action_code": ["cancel", "change", "new", "new"]}, "action_code is change, the 860 would say cancel"),
        ("ORDCHG", {"action_code": ["delete", "cancel", "new", "new"]}, "action_code is cancel, the ORDCHG would say delete"),
        ("860", {"action_code": ["chnage"] * 4}, "action_code is chnage, the 860 would say change"),
        ("850", {"action_code": ["cancel"] * 4}, "action_code is cancel, the 850 would say new"),
        ("850", {"quantity": [1.0, float("nan"), 3.0, 4.0]}, "'quantity' has values that are no number"),
        ("850", {"quantity": [1.0, float("inf"), 3.0, 4.0]}, "'quantity' has values that are no number"),
        ("850", {"quantity": [1.0, 0.0000001, 3.0, 4.0]}, "quantity is 1e-07, the 850 would say 0"),
        ("850", {"quantity": [1.0, -5.0, 3.0, 4.0]}, "the 850 would be at fault"),
        ("ORDERS", {"quantity": [1.0, -5.0, 3.0, 4.0]}, "the ORDERS would be at fault"),
        ("850", {"quantity": [1.0, 1e25, 3.0, 4.0]}, "the 850 would be at fault"),
        ("850", {"item_id": ["I1", " I2", "I3", "I4"]}, "item_id is  I2, the 850 would say I2"),
        ("850", {"order_number": ["X" * 30] * 4, "order_line": ["1", "2", "3", "4"], "ship_to_site_id": ["S1"] * 4, "currency_code": ["EUR"] * 4}, "the 850 would be at fault"),
        ("850", {"item_id": ["I1", "", "I3", "I4"]}, "the 850 would"),
        ("214", {"estimated_date": [date(2026, 1, 9), None, None]}, "the 214 would say nothing"),
        ("DESADV", {"order_number": [None, "PO1", "PO2", "PO2"], "order_line": ["8", "2", "1", "2"]}, "order_line is 8"),
    ],
)  # fmt: skip
def test_rows_that_a_document_cannot_say_take_no_number(kind: str, change: dict[str, list[Any]], words: str) -> None:
    source = rows(kind)
    spoilt = source.with_columns(pl.Series(name, values) for name, values in change.items())
    with pytest.raises(BadInputError, match=words) as told:
        write(kind, spoilt, partner(kind), numbers=never, now=NOW)
    assert "document" in str(told.value) or "raw_edi__" in str(told.value)
