"""Limits that orders share: held against exact answers, and every infeasible input with its constraint and amount."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.inputs import PlanInputs, load_spec
from planning.limits import Limit, cut_evenly, fit_limits
from planning.recommend import recommend
from planning.stateless import Terms, decide
from tests.unit.planning.planning_world import AS_OF, forecast, items, lane, simple, sites, stock
from tests.unit.planning.test_plan import CONFIG, GOOD, START, history, paths, run, state, terms

ONE = np.zeros(1, dtype=np.int64)


def truck(n: int, room: float, use: Any = 1.0, what: str = "truck", measure: str = "units", **more: Any) -> Limit:
    return Limit(what, measure, np.zeros(n, dtype=np.int64), ("",), np.broadcast_to(use, n).astype(float), np.array([float(room)]), **more)  # fmt: skip


def value(quantity: np.ndarray, need: np.ndarray, t: Terms) -> float:
    used = np.clip(need, 0, quantity[:, None]).mean(axis=1)
    return float((t.shortage * used - t.holding * (quantity - used)).sum())


def best_value(wanted: np.ndarray, need: np.ndarray, t: Terms, limits: list[Limit]) -> float:
    """The most any whole packs are worth, by trying all of them."""
    choices = [np.arange(0, w + 1e-9, p) for w, p in zip(wanted, t.pack, strict=True)]
    best = 0.0
    for combination in itertools.product(*choices):
        quantity = np.array(combination)
        if all((limit.taken(quantity) <= limit.room + 1e-9).all() for limit in limits):
            best = max(best, value(quantity, need, t))
    return best


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(2, 25), st.booleans())
def test_packs_granted_are_worth_what_the_best_are(seed: int, room: float, second: bool) -> None:
    g = np.random.default_rng(seed)
    n = 4
    need = g.poisson(g.uniform(1, 7, n)[:, None], (n, 60)).astype(np.float32)
    t = Terms(g.uniform(0.1, 0.4, n), g.uniform(0.5, 3, n), g.choice([1.0, 2.0], n), np.zeros(n), np.full(n, np.nan))
    wanted = np.ceil(np.quantile(need, 0.8, axis=1) / t.pack) * t.pack
    limits = [truck(n, room, g.uniform(0.5, 2, n))]
    if second:
        limits.append(truck(n, g.uniform(5, 20), g.uniform(0.5, 2, n), measure="weight"))
    granted, cut = fit_limits(wanted, need, np.zeros(n), t.shortage, t.holding, t.pack, t.minimum, limits)
    assert all((limit.taken(granted) <= limit.room + 1e-9).all() for limit in limits)
    assert ((granted <= wanted) & (granted % t.pack == 0)).all()
    assert ((cut != "") == (granted < wanted - 1e-9)).all()
    most = best_value(wanted, need, t, limits)
    # what greedy may lose is the packs that did not fit any more, one per series for two limits at once
    step = float((t.shortage * t.pack).max())
    assert value(granted, need, t) >= most - step * (2 if second else 1) - 1e-9


def test_each_lane_has_its_own_truck() -> None:
    n = 8
    lanes = Limit(
        "truck", "weight", np.repeat([0, 1], 4), ("north", "south"), np.full(n, 2.0), np.array([20.0, np.nan])
    )
    free = decide(paths(), np.zeros(n), np.zeros((n, 2)), CONFIG, terms(n))
    tight = decide(paths(), np.zeros(n), np.zeros((n, 2)), CONFIG, dataclasses.replace(terms(n), limits=(lanes,)))
    assert tight.quantity[:4].sum() == 10 and (tight.quantity[4:] == free.quantity[4:]).all()
    assert set(tight.cut[:4]) <= {"truck of north (weight 20)", ""} and not any(tight.cut[4:])


def test_storage_counts_what_is_there_and_on_the_way() -> None:
    n = 8
    room = truck(n, 30, what="storage", holds_stock=True)
    transit = np.zeros((n, 2))
    transit[0, 1] = 4
    d = decide(paths(), np.full(n, 2.0), transit, CONFIG, dataclasses.replace(terms(n), limits=(room,)))
    assert d.quantity.sum() == 30 - 16 - 4
    full = decide(paths(), np.full(n, 9.0), transit, CONFIG, dataclasses.replace(terms(n), limits=(room,)))
    assert full.quantity.sum() == 0


@given(st.integers(0, 1000), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_more_room_never_orders_less(seed: int, room: int) -> None:
    n = 8
    p = np.random.default_rng(seed).poisson(4, (n, 60, 3)).astype(np.float32)
    small, large = (
        decide(p, np.zeros(n), np.zeros((n, 2)), CONFIG, dataclasses.replace(terms(n), limits=(truck(n, r),))).quantity
        for r in (room, room + 5)
    )
    assert (small <= large).all()


def test_a_yardstick_is_cut_evenly() -> None:
    n = 4
    found = cut_evenly(np.array([10.0, 20, 30, 0]), np.zeros(n), np.ones(n), np.array([6.0, 0, 0, 0]), [truck(n, 30)])
    assert found.tolist() == [0, 10, 15, 0]


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"truck_units": 5, "pack_units": 12}, "the truck of 5 units is 7 below a single pack of 12"),
        ({"truck_volume": 20, "unit_volume": 2, "pack_units": 12}, "the truck of 20 volume is 4 below a single pack of 12, which takes volume 24"),
        ({"truck_weight": 20}, "truck_weight limits the weight, but unit_weight is not stated"),
        ({"storage_units": 3, "pack_units": 4}, "the storage of 3 units is 1 below a single pack of 4"),
        ({"maximum_order_units": 3, "pack_units": 4}, "the maximum order of 3 units is 1 below a single pack of 4"),
        ({"truck_units": 10, "truck_by": "carrier"}, "truck_by names carrier, which is no key and not constant per series"),
        ({"truck_units": 10, "truck_by": 7}, "truck_by is 7, needed is a column"),
        ({"truck_units": "trucks.csv"}, "is a file, but truck_by names no column"),
        ({"truck_units": -1}, "truck_units is -1"),
        ({"truck_units": 10, "minimum_order_units": 12}, "the truck is below the minimum order: a minimum order of 12 takes units 12, 2 more than the truck (units 10)"),
    ],
)  # fmt: skip
def test_infeasible_limits_say_which_and_by_how_much(tmp_path: Path, config: dict[str, Any], sentence: str) -> None:
    result = run(tmp_path, config={**GOOD, **config})
    text = (result.output + (result.stderr or "")).replace("\n", " ")
    assert result.exit_code == 1 and sentence in text and "Traceback" not in text, text
    assert not (tmp_path / "o.csv").exists()


def test_trucks_by_supplier_with_volumes_by_key(tmp_path: Path) -> None:
    """The supplier is a column of the history; one series cannot be loaded at all, another's volume is unknown."""
    more = pl.DataFrame(
        [(s, "x", START.replace(day=6), 9, True) for s in ("c", "d")], schema=history().schema, orient="row"
    )
    supplier = pl.col("store").replace_strict({"a": "s1", "b": "s1", "c": "s2", "d": "s2"}).alias("supplier")
    hist = pl.concat([history(), more]).with_columns(supplier)
    stock = pl.concat([state(0), state(0).with_columns(store=pl.Series(["c", "d"]))])
    pl.DataFrame({"supplier": ["s1", "s2"], "truck_volume": [4.0, 50.0]}).write_csv(tmp_path / "trucks.csv")
    pl.DataFrame({"store": ["a", "b", "c"], "product": ["x"] * 3, "unit_volume": [1.0, 1.5, 60.0]}).write_csv(tmp_path / "v.csv")  # fmt: skip
    config = {**GOOD, "truck_volume": "trucks.csv", "truck_by": ["supplier"], "unit_volume": "v.csv", "pack_units": 1}
    result = run(tmp_path, hist=hist, st=stock, config=config, extra=("--model", "resample"))
    assert result.exit_code == 0, result.output
    rows = {r["store"]: r for r in pl.read_csv(tmp_path / "o.csv").iter_rows(named=True)}
    loaded = rows["a"]["quantity_units"] + 1.5 * rows["b"]["quantity_units"]
    assert 2.5 < loaded <= 4 and rows["a"]["wanted_units"] > rows["a"]["quantity_units"]
    assert rows["a"]["cut_by"] == "truck of s1 (volume 4)" and "wanted, cut by the truck of s1" in rows["a"]["reason"]
    assert "a pack of 1 takes volume 60, 10 more than the truck of s2 (volume 50)" in rows["c"]["reason"]
    assert "volume per unit is missing" in rows["d"]["reason"] and rows["d"]["quantity_units"] == 0
    assert "the truck is below a single pack: 1 rows" in result.output + (result.stderr or "")


def test_a_place_too_full_is_told(tmp_path: Path) -> None:
    result = run(tmp_path, config={**GOOD, "storage_units": 5, "storage_by": "store"})
    said = result.output + (result.stderr or "")
    assert result.exit_code == 0 and "the storage of a holds units 5 and 5 are" not in said
    result = run(tmp_path, st=state(8), config={**GOOD, "storage_units": 5, "storage_by": "store"})
    said = result.output + (result.stderr or "")
    assert "the storage of a holds units 5 and 11 are there or on the way, 6 too many: nothing more is ordered" in said
    assert pl.read_csv(tmp_path / "o.csv")["quantity_units"][0] == 0


def three(loads: dict[str, tuple[float | None, float | None]] | None = None, **limits: float) -> PlanInputs:
    """Three items of one supplier at one store, on one truck; B earns most per each, C least."""
    given = loads or dict.fromkeys("ABC", (0.1, 2.0))
    return simple(
        forecasts=pl.concat([forecast(i, "S1", 5.0) for i in "ABC"]),
        stock=stock(*((i, "S1", 0.0) for i in "ABC")),
        items=items(("A", 6, 2.0, 3.0), ("B", 6, 2.0, 5.0), ("C", 6, 2.0, 2.4)),
        sites=sites(("S1", "store", None)),
        lanes=pl.DataFrame([{**lane("SUP", "S1", 3.0), **limits}]),
        loads=pl.DataFrame([(i, *v) for i, v in given.items()], schema=["item_id", "unit_volume_m3", "unit_weight_kg"], orient="row"),
    )  # fmt: skip


def test_the_night_loads_what_is_worth_most() -> None:
    free = recommend(three(), AS_OF, load_spec())
    wanted = dict(free.select("item_id", "quantity_ea").iter_rows())
    assert min(wanted.values()) >= 6
    most = 0.1 * (sum(wanted.values()) - 9)
    tight = recommend(three(truck_capacity_m3=most), AS_OF, load_spec())
    got = dict(tight.select("item_id", "quantity_ea").iter_rows())
    assert got["B"] == wanted["B"] and got["A"] + got["C"] < wanted["A"] + wanted["C"]
    assert 0.1 * sum(got.values()) <= most + 1e-9 and all(q % 6 == 0 for q in got.values())
    cut = tight.filter(pl.col("quantity_ea") < pl.col("item_id").replace_strict(wanted))
    for row in cut.iter_rows(named=True):
        drivers = json.loads(row["drivers_json"])
        assert "ruck from SUP to S1 holds" in row["reason"]
        assert (
            drivers["truck_wanted_m3"] == pytest.approx(0.1 * sum(wanted.values()))
            and drivers["wanted_ea"] == wanted[row["item_id"]]
        )
        sentence = row["reason"][row["reason"].index("ruck from") :]
        for number in re.findall(r"(?<![A-Z\w])\d+(?:\.\d+)?", sentence.split(" holds ")[1]):
            assert float(number) in {v for v in drivers.values() if isinstance(v, float)}, number


def test_two_measures_bind_at_once_and_a_wide_truck_changes_nothing() -> None:
    heavy = {"A": (0.1, 1.0), "B": (0.1, 10.0), "C": (0.1, 1.0)}
    free = recommend(three(heavy), AS_OF, load_spec())
    wide = recommend(
        three(heavy, truck_capacity_m3=1e6, truck_capacity_kg=1e6, truck_capacity_ea=1e6), AS_OF, load_spec()
    )
    assert free["quantity_ea"].to_list() == wide["quantity_ea"].to_list()
    both = recommend(three(heavy, truck_capacity_ea=40.0, truck_capacity_kg=100.0), AS_OF, load_spec())
    got = dict(both.select("item_id", "quantity_ea").iter_rows())
    assert sum(got.values()) <= 40 and got["A"] + 10 * got["B"] + got["C"] <= 100


def test_what_cannot_be_loaded_is_not_ordered_and_says_by_how_much() -> None:
    loads = {"A": (0.1, 2.0), "B": (2.0, 2.0), "C": (None, 2.0)}
    out = {
        r["item_id"]: r
        for r in recommend(three(loads, truck_capacity_m3=9.0), AS_OF, load_spec()).iter_rows(named=True)
    }
    assert out["A"]["quantity_ea"] > 0
    assert "a single pack of 6.0 takes 12.0 m3, 3.0 more than the truck from SUP to S1 holds" in out["B"]["reason"]
    assert "limited in m3 and nothing says what the item takes" in out["C"]["reason"]
    assert out["B"]["quantity_ea"] == out["C"]["quantity_ea"] == 0
