"""Which versions were known when, beside a plain reading; the short ways of the usual night give what the long ones give."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ml.features import demand_features
from ml.visible import Axis, ascending, indexed, visible
from tests.unit.ml.conftest import FIRST, cutoff, make_versions


def stretches(versions: pl.DataFrame, last: date) -> list[tuple[str, str, int, int, int]]:
    """(item, site, day, from, until) of every version that some cut-off saw, by asking each cut-off."""
    first = min(versions["demand_date"].to_list())
    days = [first + timedelta(days=k) for k in range((last - first).days + 1)]
    out = []
    for row in versions.iter_rows(named=True):
        gone: datetime | None = row["superseded_at_utc"]
        own = (row["demand_date"] - first).days
        seen = [
            i
            for i, day in enumerate(days)
            if i >= own and row["available_at_utc"] <= cutoff(day) and (gone is None or gone > cutoff(day))
        ]
        if seen:
            out.append((row["item_id"], row["site_id"], own, seen[0], seen[-1] + 1))
    return sorted(out)


@pytest.mark.parametrize("late_frac", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_the_stretch_of_each_version_is_what_every_cutoff_saw(seed: int, late_frac: float) -> None:
    versions = make_versions(seed, late_frac=late_frac)
    last = FIRST + timedelta(days=40)
    axis = Axis.of(min(versions["demand_date"].to_list()), last, cutoff)
    found = visible(versions.sample(fraction=1.0, shuffle=True, seed=seed), axis)
    assert sorted(found.select("item_id", "site_id", "t", "v0", "v1").rows()) == stretches(versions, last)


def whole(days: int = 60) -> pl.DataFrame:
    """Every series reports every day in time, in the order of series and days."""
    rng = np.random.default_rng(5)
    rows = [
        {"item_id": f"i{i}", "site_id": f"s{s}", "demand_date": FIRST + timedelta(days=t), "sales_qty_ea": float(rng.poisson(2)),
         "is_stockout": bool(rng.random() < 0.2), "price_usd": None if rng.random() < 0.2 else 2.5,
         "available_at_utc": cutoff(FIRST + timedelta(days=t)) - timedelta(hours=1), "superseded_at_utc": None}
        for i in range(3) for s in range(2) for t in range(days)
    ]  # fmt: skip
    stamp = pl.Datetime("us", "UTC")
    return pl.DataFrame(rows, schema_overrides={"available_at_utc": stamp, "superseded_at_utc": stamp})


def test_rows_in_order_without_gaps_give_what_shuffled_ones_give() -> None:
    versions, last = whole(), FIRST + timedelta(days=59)
    expected = demand_features(versions, (FIRST, last), cutoff)
    assert expected.height == 6 * 60
    shuffled = versions.sample(fraction=1.0, shuffle=True, seed=3)
    assert_frame_equal(demand_features(shuffled, (FIRST, last), cutoff), expected)
    more = pl.concat([versions, versions.head(60).with_columns(item_id=pl.lit("a new one")).tail(20)])
    several = demand_features(more, (FIRST, last), cutoff).filter(pl.col("item_id") != "a new one")
    own = [c for c in expected.columns if not c.startswith("site_")]
    assert_frame_equal(several.select(own), expected.select(own))


def test_cells_ascend_only_if_none_stands_twice() -> None:
    def asked(*cells: tuple[int, int]) -> bool:
        s, t = np.array(cells, dtype=np.int32).T
        return ascending(s, t)

    assert asked((0, 3), (0, 5), (1, 0), (4, 0))
    assert not asked((0, 3), (0, 3))
    assert not asked((0, 5), (0, 3))
    assert not asked((1, 0), (0, 3))


def test_series_are_numbered_by_key_however_often_they_come_back() -> None:
    rows = pl.DataFrame({"item_id": ["b", "b", "a", "b"], "site_id": ["x", "x", "y", "x"], "v0": [4, 5, 7, 2]})
    keys, numbered, first = indexed(rows.cast({"v0": pl.Int32}))
    assert keys.rows() == [("a", "y"), ("b", "x")]
    assert numbered["s"].to_list() == [1, 1, 0, 1]
    assert first.tolist() == [7, 2]
    for twice in (["a", "b", "b"], ["b", "a", "b"]):  # in order; and back again
        rows = pl.DataFrame({"item_id": twice, "site_id": ["y", "x", "x"], "v0": [7, 4, 2]}).cast({"v0": pl.Int32})
        keys, numbered, first = indexed(rows)
        assert keys.height == len({(i, s) for i, s in zip(twice, ["y", "x", "x"], strict=True)})
        again = keys[numbered["s"].to_numpy()]
        assert again["item_id"].to_list() == twice and keys.equals(keys.sort("item_id", "site_id"))
