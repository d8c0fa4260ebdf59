"""Store receipts meet shipments, at every moment as a shelf would: what is known then, oldest first, units beyond it lost."""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

MODEL = Path(__file__).parents[3] / "dbt_project/models/intermediate/supply/int_store_receipts_matched.sql"
START = datetime(2026, 3, 1, tzinfo=UTC)
Key = tuple[str, str, int]
COMMON = {
    "item_id": pl.String, "set_rank": pl.Int32, "segment_no": pl.Int32, "quantity_ea": pl.Float64,
    "available_at_utc": pl.Datetime("us", "UTC"), "superseded_at_utc": pl.Datetime("us", "UTC"),
}  # fmt: skip
SHIPMENTS = pl.Schema(
    {"order_number": pl.String, "shipment_id": pl.String, "ship_to_id": pl.String, "shipped_date": pl.Date, **COMMON}
)
RECEIPTS = pl.Schema({"site_id": pl.String, "activity_date": pl.Date, "line_no": pl.Int32, **COMMON})
# Day it is about, site, units, days until it is known, days until it is replaced.
said = st.tuples(
    st.integers(0, 6), st.sampled_from(["S1", "S2"]), st.integers(1, 9), st.integers(0, 4),
    st.none() | st.integers(1, 5),
)  # fmt: skip


def stretch(hour: int, day: int, wait: int, until: int | None) -> dict[str, datetime | None]:
    known = START + timedelta(days=day + wait, hours=hour)
    return {"available_at_utc": known, "superseded_at_utc": known + timedelta(days=until) if until else None}


def matches(shipments: pl.DataFrame, receipts: pl.DataFrame) -> pl.DataFrame:
    sql = re.sub(r"\{\{ ref\('int_(\w+)_versioned'\) \}\}", r"\1", MODEL.read_text())
    with duckdb.connect(config={"threads": "1"}) as db:
        db.execute("set TimeZone = 'UTC'")
        db.register("shipments", shipments)
        db.register("store_receipts", receipts)
        return pl.DataFrame(pl.from_arrow(db.sql(sql).to_arrow_table()))


def standing(rows: pl.DataFrame, instant: datetime) -> pl.DataFrame:
    ended = pl.col("superseded_at_utc")
    return rows.filter(pl.col("available_at_utc") <= instant, ended.is_null() | (ended > instant))


def on_the_shelf(shipments: pl.DataFrame, receipts: pl.DataFrame, instant: datetime) -> dict[Key, float]:
    """Order, site and receipt -> units, over what is known at `instant`."""
    flow = [(r["shipped_date"], 0, r["set_rank"], r) for r in standing(shipments, instant).iter_rows(named=True)]
    flow += [(r["activity_date"], 1, r["set_rank"], r) for r in standing(receipts, instant).iter_rows(named=True)]
    shelves: dict[str, deque[list[float | str]]] = {"S1": deque(), "S2": deque()}
    found: dict[Key, float] = {}
    for _, kind, rank, row in sorted(flow, key=lambda f: f[:3]):
        if kind == 0:
            shelves[row["ship_to_id"]].append([row["order_number"], row["quantity_ea"]])
            continue
        wanted, shelf = row["quantity_ea"], shelves[row["site_id"]]
        while wanted and shelf:
            order, held = str(shelf[0][0]), float(shelf[0][1])
            used = min(wanted, held)
            key = (order, row["site_id"], rank)
            found[key] = found.get(key, 0.0) + used
            wanted -= used
            shelf[0][1] = held - used
            if held == used:
                shelf.popleft()
    return found


@settings(max_examples=30, deadline=None)
@given(st.lists(said, max_size=10), st.lists(said, max_size=10))
def test_at_every_moment_receipts_meet_the_shipments_known_then(
    sent: list[tuple[int, str, int, int, int | None]], got: list[tuple[int, str, int, int, int | None]]
) -> None:
    shipments = pl.DataFrame(
        [
            {"order_number": f"P{n // 2}", "shipment_id": f"H{n}", "ship_to_id": site, "item_id": "A", "set_rank": n, "segment_no": 2,
             "shipped_date": date(2026, 3, 1) + timedelta(days=day), "quantity_ea": float(units)} | stretch(1, day, wait, until)
            for n, (day, site, units, wait, until) in enumerate(sent)
        ],
        schema=SHIPMENTS,
    )  # fmt: skip
    receipts = pl.DataFrame(
        [
            {"site_id": site, "item_id": "A", "set_rank": 100 + n, "segment_no": 2, "line_no": 1,
             "activity_date": date(2026, 3, 1) + timedelta(days=day), "quantity_ea": float(units)} | stretch(2, day, wait, until)
            for n, (day, site, units, wait, until) in enumerate(got)
        ],
        schema=RECEIPTS,
    )  # fmt: skip
    made = matches(shipments, receipts)
    for hours in range(0, 24 * 17, 12):
        instant = START + timedelta(hours=hours)
        rows = standing(made, instant)
        keyed = dict(
            zip(
                zip(rows["order_number"], rows["site_id"], rows["set_rank"], strict=True),
                rows["quantity_ea"],
                strict=True,
            )
        )
        assert len(keyed) == rows.height
        assert keyed == on_the_shelf(shipments, receipts, instant), instant
