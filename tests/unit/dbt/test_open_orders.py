"""Open orders as of a moment: invariants that hold whatever partners send, in whatever order it arrives."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from aios_assets.contracts.mart_tables import FCT_ORDER_EVENTS, FCT_PURCHASE_ORDER_LINES
from aios_assets.marts.open_orders import SHORT_CLOSE_DAYS, fold_parts, wanted
from aios_assets.marts.versions import known_at

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


def open_orders_as_of(events: pl.DataFrame, instant: datetime, *, include_closed: bool = False) -> pl.DataFrame:
    """Order lines as known at `instant`, folded at once."""
    known = events.filter(known_at(instant))
    return wanted(fold_parts([known], known["available_at_utc"].max()), include_closed=include_closed)  # type: ignore[arg-type]


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["ordered", "changed", "cancelled", "confirmed", "shipped", "received", "refused", "status"]),
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
def test_open_is_never_negative_and_of_a_cancelled_line_no_more_than_was_sent(drawn: Any) -> None:
    lines = open_orders_as_of(frame(rows_of(drawn)), FAR, include_closed=True)
    assert lines.schema == FCT_PURCHASE_ORDER_LINES.schema
    assert lines.filter(
        (pl.col("open_qty_ea") < 0) | (pl.col("is_cancelled") & (pl.col("open_qty_ea") > pl.col("shipped_qty_ea")))
    ).is_empty()
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


def test_a_notice_counts_until_the_one_sent_again_is_known() -> None:
    again = START + timedelta(hours=2)
    rows = [
        event(1, "ordered", 10, sent=0, known=0),
        event(2, "received", 4, sent=1, known=1, reference_id="R1", superseded_at_utc=again),
        event(3, "received", 6, sent=2, known=2, reference_id="R1"),
        event(4, "received", 1, sent=3, known=3, reference_id="R2"),
    ]
    before = open_orders_as_of(frame(rows), again - timedelta(minutes=1)).row(0, named=True)
    assert (before["received_qty_ea"], before["open_qty_ea"]) == (4, 6)
    line = open_orders_as_of(frame(rows), FAR).row(0, named=True)
    assert (line["received_qty_ea"], line["open_qty_ea"]) == (7, 3)
    assert line["received_known_at_utc"] == again


def test_the_rest_of_a_part_delivery_is_given_up_after_two_weeks_of_silence() -> None:
    rows = [event(1, "ordered", 10, sent=0, known=0), event(2, "received", 4, sent=24, known=24, reference_id="R1")]
    silence = 24 * (SHORT_CLOSE_DAYS + 2)
    other = event(3, "ordered", 1, sent=silence, known=silence, order_number="Q")
    assert open_orders_as_of(frame([*rows, other]), START + timedelta(hours=30))["order_number"].to_list() == ["P"]
    assert open_orders_as_of(frame([*rows, other]), FAR)["order_number"].to_list() == ["Q"]


def test_what_is_sent_after_a_cancellation_is_on_the_way_and_what_was_sent_before_it_is_not() -> None:
    """A supplier who overlooks a cancellation sends goods that need not be ordered again."""
    rows = [
        event(1, "ordered", 10, sent=0, known=0), event(2, "shipped", 4, sent=1, known=1, reference_id="H1"),
        event(3, "cancelled", 0, sent=2, known=2),
    ]  # fmt: skip

    def open_after(*more: dict[str, Any]) -> float:
        lines = open_orders_as_of(frame([*rows, *more]), FAR, include_closed=True)
        assert lines["is_cancelled"].item()
        return float(lines["open_qty_ea"].item())

    sent = event(4, "shipped", 6, sent=3, known=3, reference_id="H2")
    assert open_after() == 0
    assert open_after(sent) == 6
    assert open_after(sent, event(5, "received", 5, sent=4, known=4, reference_id="R")) == 5
    assert open_after(sent, event(5, "received", 10, sent=4, known=4, reference_id="R")) == 0
    assert open_after(sent, event(5, "cancelled", 0, sent=4, known=4)) == 0


def test_no_events_give_no_lines() -> None:
    assert open_orders_as_of(frame([]), FAR).schema == FCT_PURCHASE_ORDER_LINES.schema
    assert date(2026, 3, 1) == START.date()


# One message: code, hour sent, its lines (site and quantity).
MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["ordered", "changed", "cancelled", "confirmed", "shipped", "received", "refused"]),
        st.integers(0, 200),
        st.lists(
            st.tuples(st.sampled_from([None, "S1", "S2", "S3", "DC"]), st.integers(0, 20)), min_size=1, max_size=4
        ),
    ),
    max_size=8,
)


def messages(drawn: list[tuple[str, int, list[tuple[str | None, int]]]]) -> list[dict[str, Any]]:
    """Rows of events, one line of a message after the other, each message known as it is sent."""
    return [
        event(n, code, 0.0 if code == "cancelled" else float(quantity), sent=sent, known=sent, site_id=site, segment_no=line, reference_id=f"R{n % 2}")
        for n, (code, sent, lines) in enumerate(drawn)
        for line, (site, quantity) in enumerate(lines, start=2)
    ]  # fmt: skip


def naive_places(rows: list[dict[str, Any]]) -> dict[str | None, tuple[float, float, float]]:
    """Ordered, shipped and received by site, message by message in plain Python."""
    spoken: dict[tuple[Any, str], list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda r: (r["sent_at_utc"], int(r["control_number"]))):
        spoken.setdefault((row["sent_at_utc"], row["control_number"]), []).append(row)
    placing = [m for m in spoken.values() if m[0]["event_code"] in ("ordered", "changed", "cancelled")]
    if not placing:
        return {}
    split: dict[str | None, float] = {}
    seen: set[str | None] = set()
    ordered: dict[str | None, float] = {}
    for message in placing:
        if any(r["site_id"] is not None for r in message):
            said: dict[str | None, float] = {}
            for r in message:
                said[r["site_id"]] = said.get(r["site_id"], 0.0) + r["quantity_ea"]
            seen |= set(said)
            split = said if sum(said.values()) > 0 else split
    everywhere = sorted(seen, key=str) or [None]
    split = split or dict.fromkeys(everywhere, 1.0)
    share = {s: split.get(s, 0.0) / sum(split.values()) for s in everywhere}

    def place(message: list[dict[str, Any]], *, is_placing: bool) -> dict[str | None, float]:
        out = dict.fromkeys(everywhere, 0.0)
        names = any(r["site_id"] is not None for r in message)
        for r in message:
            here = names if is_placing else r["site_id"] is not None and r["site_id"] in everywhere
            for s in everywhere:
                out[s] += r["quantity_ea"] * ((s == r["site_id"]) if here else share[s])
        return out

    ordered = place(placing[-1], is_placing=True)
    moved = {}
    for code in ("shipped", "received"):
        said = [r for m in spoken.values() if m[0]["event_code"] == code for r in m]
        moved[code] = place(said, is_placing=False)
    return {s: (ordered[s], moved["shipped"][s], moved["received"][s]) for s in everywhere}


@settings(max_examples=150, deadline=None)
@given(MESSAGES)
def test_each_site_has_what_a_loop_in_plain_python_gives_it(drawn: Any) -> None:
    rows = messages(drawn)
    lines = open_orders_as_of(frame(rows), FAR, include_closed=True)
    expected = naive_places(rows)
    got = {r["site_id"]: (r["ordered_qty_ea"], r["shipped_qty_ea"], r["received_qty_ea"]) for r in lines.to_dicts()}
    assert set(got) == set(expected)
    for site, figures in expected.items():
        assert got[site] == pytest.approx(figures), site
    assert lines["ship_to_no"].to_list() == list(range(1, lines.height + 1))


def at_stores(number: int, code: str, *, sent: int, **stores: float) -> list[dict[str, Any]]:
    return [
        event(number, code, quantity, sent=sent, known=sent, site_id=site, segment_no=3, line_no=n)
        for n, (site, quantity) in enumerate(stores.items(), start=1)
    ]


def by_site(rows: list[dict[str, Any]], column: str = "open_qty_ea") -> dict[str, float]:
    return dict(open_orders_as_of(frame(rows), FAR, include_closed=True).select("site_id", column).iter_rows())


def test_an_order_for_several_stores_stands_at_each_of_them() -> None:
    rows = at_stores(1, "ordered", sent=0, S1=10, S2=20, S3=30)
    assert by_site(rows) == {"S1": 10, "S2": 20, "S3": 30}
    # A receipt closes its own store's part, whatever number it shares with that of another store.
    rows += [event(2, "received", 10, sent=1, known=1, site_id="S1", reference_id="R"), event(3, "received", 5, sent=2, known=2, site_id="S2", reference_id="R")]  # fmt: skip
    assert by_site(rows) == {"S1": 0, "S2": 15, "S3": 30}


def test_an_answer_that_names_no_store_is_shared_as_it_was_ordered() -> None:
    rows = [*at_stores(1, "ordered", sent=0, S1=10, S2=20, S3=30), event(2, "confirmed", 30, sent=1, known=1)]
    assert by_site(rows) == {"S1": 5, "S2": 10, "S3": 15}


def test_a_store_that_a_change_leaves_out_is_no_longer_ordered_for() -> None:
    rows = [*at_stores(1, "ordered", sent=0, S1=10, S2=20), *at_stores(2, "changed", sent=1, S1=12)]
    assert by_site(rows) == {"S1": 12, "S2": 0}
    assert by_site(rows, "is_cancelled") == {"S1": False, "S2": True}
    # A later change that names none speaks of the stores that are left.
    assert by_site([*rows, event(3, "changed", 9, sent=2, known=2)]) == {"S1": 9, "S2": 0}


def test_an_order_moved_to_another_site_keeps_its_date() -> None:
    rows = [
        event(1, "ordered", 10, sent=0, known=0, site_id="S1"),
        event(2, "changed", 10, sent=72, known=72, site_id="S2"),
    ]
    assert by_site(rows) == {"S1": 0, "S2": 10}
    assert set(by_site(rows, "order_date").values()) == {START.date()}


def test_a_cancellation_without_a_site_ends_the_line_at_every_store() -> None:
    rows = [*at_stores(1, "ordered", sent=0, S1=10, S2=20), event(2, "cancelled", 0, sent=1, known=1)]
    assert by_site(rows) == {"S1": 0, "S2": 0} and set(by_site(rows, "is_cancelled").values()) == {True}


def test_orders_folded_some_at_a_time_are_those_folded_at_once() -> None:
    stretch = [("ordered", 9, 0, 1), ("confirmed", 7, 5, 1), ("shipped", 7, 20, 1), ("received", 7, 60, 1)]
    rows = [
        row | {"order_number": f"P{n}", "item_id": item}
        for n in range(9)
        for item in ("A", "B")
        for row in rows_of([*stretch[: 1 + n % 4], ("changed", n, 40, n)])
    ] + [r | {"order_number": "Q"} for r in at_stores(1, "ordered", sent=0, S1=10, S2=20)]
    rows.append(
        event(99, "status", None, sent=2_000, known=2_000)
    )  # the newest word decides what was forgotten, whoever's it is
    known = frame(rows)
    parts = [part for _, part in known.group_by("order_number")]
    folded = fold_parts(parts, known["available_at_utc"].max())
    assert folded.height == 20 and 0 < open_orders_as_of(known, FAR).height < 20
    assert_frame_equal(folded, open_orders_as_of(known, FAR, include_closed=True))
