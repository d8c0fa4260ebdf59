"""Open orders as of a moment: invariants that hold whatever partners send, in whatever order it arrives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aios_assets.contracts.mart_tables import FCT_ORDER_EVENTS, FCT_PURCHASE_ORDER_LINES
from aios_assets.marts.open_orders import SHORT_CLOSE_DAYS, open_orders_as_of

START = datetime(2026, 3, 1, tzinfo=UTC)
FAR = datetime(2100, 1, 1, tzinfo=UTC)


def event(number: int, code: str, quantity: float | None, *, sent: int, known: int, **extra: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(FCT_ORDER_EVENTS.names)
    row |= {
        "order_number": "P", "item_id": "A", "event_code": code, "event_date": (START + timedelta(hours=sent)).date(),
        "quantity_ea": quantity, "document_id": f"{number:03d}", "set_no": 1, "segment_no": 2, "line_no": 1,
        "control_number": f"{number:09d}", "sent_at_utc": START + timedelta(hours=sent),
        "available_at_utc": START + timedelta(hours=known),
    }  # fmt: skip
    return row | extra


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=FCT_ORDER_EVENTS.schema)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ordered", "changed", "cancelled", "confirmed", "shipped", "received", "status"]),
        st.integers(0, 20), st.integers(0, 500), st.integers(0, 400),
    ),
    max_size=12,
)  # fmt: skip


def rows_of(drawn: list[tuple[str, int, int, int]]) -> list[dict[str, Any]]:
    return [
        event(n, code, None if code == "status" else float(q), sent=sent, known=sent + lag, reference_id=f"R{q % 3}", site_id="S", source_id="X")
        for n, (code, q, sent, lag) in enumerate(drawn)
    ]  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(EVENTS, st.randoms(), st.integers(0, 900))
def test_order_of_rows_and_later_knowledge_change_nothing(drawn: Any, random: Any, at: int) -> None:
    rows, cutoff = rows_of(drawn), START + timedelta(hours=at)
    known = [r for r in rows if r["available_at_utc"] <= cutoff]
    shuffled = random.sample(rows, len(rows))
    assert_frame_equal(
        open_orders_as_of(frame(shuffled), cutoff, include_closed=True),
        open_orders_as_of(frame(known), cutoff, include_closed=True),
    )


@settings(max_examples=120, deadline=None)
@given(EVENTS)
def test_open_is_never_negative_and_a_cancelled_line_has_none(drawn: Any) -> None:
    lines = open_orders_as_of(frame(rows_of(drawn)), FAR, include_closed=True)
    assert lines.schema == FCT_PURCHASE_ORDER_LINES.schema
    assert lines.filter((pl.col("open_qty_ea") < 0) | (pl.col("is_cancelled") & (pl.col("open_qty_ea") > 0))).is_empty()
    placed = any(code in ("ordered", "changed", "cancelled") for code, *_ in drawn)
    assert lines.height == int(placed)


def test_a_change_counts_by_when_it_was_sent_not_when_it_came() -> None:
    rows = [
        event(1, "ordered", 10, sent=0, known=1),
        event(3, "changed", 6, sent=2, known=3),
        event(2, "changed", 8, sent=1, known=4),
    ]
    assert open_orders_as_of(frame(rows), FAR)["open_qty_ea"].to_list() == [6]


def test_an_answer_before_a_change_no_longer_counts_and_one_after_it_does() -> None:
    rows = [event(1, "ordered", 10, sent=0, known=0), event(2, "confirmed", 7, sent=1, known=1), event(3, "changed", 9, sent=2, known=2)]  # fmt: skip
    assert open_orders_as_of(frame(rows), START + timedelta(hours=1))["open_qty_ea"].to_list() == [7]
    assert open_orders_as_of(frame(rows), FAR)["open_qty_ea"].to_list() == [9]
    assert open_orders_as_of(frame([*rows, event(4, "confirmed", 8, sent=3, known=3)]), FAR)[
        "open_qty_ea"
    ].to_list() == [8]


def test_a_notice_sent_again_replaces_the_one_before() -> None:
    rows = [
        event(1, "ordered", 10, sent=0, known=0),
        event(2, "received", 4, sent=1, known=1, reference_id="R1"),
        event(3, "received", 6, sent=2, known=2, reference_id="R1"),
        event(4, "received", 1, sent=3, known=3, reference_id="R2"),
    ]
    line = open_orders_as_of(frame(rows), FAR).row(0, named=True)
    assert (line["received_qty_ea"], line["open_qty_ea"]) == (7, 3)
    assert line["received_known_at_utc"] == START + timedelta(hours=1)


def test_the_rest_of_a_part_delivery_is_given_up_after_two_weeks_of_silence() -> None:
    rows = [event(1, "ordered", 10, sent=0, known=0), event(2, "received", 4, sent=24, known=24, reference_id="R1")]
    silence = 24 * (SHORT_CLOSE_DAYS + 2)
    other = event(3, "ordered", 1, sent=silence, known=silence, order_number="Q")
    assert open_orders_as_of(frame([*rows, other]), START + timedelta(hours=30))["order_number"].to_list() == ["P"]
    assert open_orders_as_of(frame([*rows, other]), FAR)["order_number"].to_list() == ["Q"]


def test_no_events_give_no_lines() -> None:
    assert open_orders_as_of(frame([]), FAR).schema == FCT_PURCHASE_ORDER_LINES.schema
    assert date(2026, 3, 1) == START.date()
