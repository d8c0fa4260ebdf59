"""The night's decisions against answers that do not come from the code: hand-worked days, plain simulation, own random draws."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.inputs import PlanInputs, PlanSpec
from planning.position import open_position
from planning.recommend import recommend
from tests.unit.planning.big_world import network
from tests.unit.planning.planning_world import AS_OF, forecast, items, lane, order, orders, simple, sites, stock

SPEC = PlanSpec(scenarios=64)


def day(n: int) -> date:
    return AS_OF + timedelta(days=n)


def supplier(minimum: float | None = None, weekdays: str | None = None, name: str = "SUP") -> pl.DataFrame:
    return pl.DataFrame(
        [{"supplier_id": name, "minimum_order_usd": minimum, "order_weekdays": weekdays}],
        schema={"supplier_id": pl.String, "minimum_order_usd": pl.Float64, "order_weekdays": pl.String},
    )


def steady(item: str = "A", site: str = "S1", mean: float = 5.0, days: int = 28) -> pl.DataFrame:
    """A forecast without any doubt: every day the same."""
    return forecast(item, site, mean, spread=0.0, days=days)


def certain(on_hand: float, days: float, **more: object) -> PlanInputs:
    return simple(on_hand, days=days, **({"forecasts": steady()} | more))


def of(frame: pl.DataFrame, kind: str) -> pl.DataFrame:
    return frame.filter(pl.col("decision_code") == kind)


def quantity(frame: pl.DataFrame, kind: str = "replenish") -> float:
    return float(of(frame, kind)["quantity_ea"].sum())


def least_order(on_hand: float, arriving: dict[int, float], arrive: int, until: int, daily: float = 5.0) -> float:
    """Smallest quantity, sold from day `arrive` on, that loses no sale before `until`: found by trying, day by day."""
    for units in range(1000):
        shelf, lost = on_hand, 0.0
        for t in range(1, until):
            shelf += arriving.get(t, 0.0) + (units if t == arrive else 0.0)
            lost += max(daily - shelf, 0.0) if t >= arrive else 0.0
            shelf = max(shelf - daily, 0.0)
        if lost == 0:
            return float(units)
    raise AssertionError("no quantity is enough")


def test_a_week_worked_by_hand() -> None:
    """As of Monday the 5th, ordered on Wednesdays, three days on the road: sold from Saturday the 10th, must last to Friday the 16th.

    50 on hand, 5 a day: 20 are sold from Tuesday to Friday, 30 are left when it arrives, 35 are wanted: 5 are lacking.
    """
    row = of(recommend(certain(50.0, 3.0, suppliers=supplier(weekdays="3")), AS_OF, SPEC), "replenish").row(
        0, named=True
    )
    assert row["quantity_ea"] == 5.0
    assert (row["order_by_date"], row["due_date"]) == (date(2026, 1, 7), date(2026, 1, 10))
    assert json.loads(row["drivers_json"])["covers_until_date"] == "2026-01-16"
    assert quantity(recommend(certain(55.0, 3.0, suppliers=supplier(weekdays="3")), AS_OF, SPEC)) == 0.0
    for comes, lacking in ((date(2026, 1, 16), 0.0), (date(2026, 1, 17), 5.0)):
        coming = orders(order("N", "A", "S1", "OTHER", 10.0, day(-3), comes))
        assert (
            quantity(recommend(certain(50.0, 3.0, suppliers=supplier(weekdays="3"), open_orders=coming), AS_OF, SPEC))
            == lacking
        )


@given(
    on_hand=st.integers(0, 90),
    lead=st.integers(0, 9),
    weekdays=st.sampled_from([None, "1", "25", "246", "7"]),
    arrivals=st.dictionaries(st.integers(1, 25), st.integers(1, 40), max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_without_doubt_the_order_is_what_a_plain_simulation_lacks(
    on_hand: int, lead: int, weekdays: str | None, arrivals: dict[int, int]
) -> None:
    coming = orders(*(order(f"N{t}", "A", "S1", "OTHER", float(q), day(-1), day(t)) for t, q in arrivals.items()))
    out = recommend(
        certain(float(on_hand), float(lead), suppliers=supplier(weekdays=weekdays), open_orders=coming), AS_OF, SPEC
    )
    allowed = [t for t in range(1, 20) if weekdays is None or str(day(t).isoweekday()) in weekdays]
    arrive, until = allowed[0] + lead, allowed[1] + lead
    assert quantity(out) == least_order(on_hand, {t: float(q) for t, q in arrivals.items()}, arrive, until)


@pytest.mark.parametrize("days", [80, 95, 120, 150])
def test_a_long_lead_time_is_ordered_for_in_full(days: int) -> None:
    """Sea freight: with an empty shelf and daily orders, one day's demand is ordered; a day covered by what is coming, nothing."""
    assert quantity(recommend(certain(0.0, float(days)), AS_OF, SPEC)) == 5.0
    coming = orders(*(order(f"N{t}", "A", "S1", "SUP", 5.0, day(t - days), day(t)) for t in range(1, days + 1)))
    assert quantity(recommend(certain(0.0, float(days), open_orders=coming), AS_OF, SPEC)) == 5.0
    enough = 5.0 * (days + 1)
    assert quantity(recommend(certain(enough, float(days)), AS_OF, SPEC)) == 0.0
    assert quantity(recommend(certain(enough - 1, float(days)), AS_OF, SPEC)) == 1.0


def test_what_must_last_beyond_the_days_looked_ahead_is_not_decided_and_says_so() -> None:
    row = recommend(certain(0.0, 300.0), AS_OF, SPEC).row(0, named=True)
    assert row["decision_code"] == "none"
    assert (
        "takes up to 300.0 days and must last until day 301 from now, and only 180 days are looked ahead"
        in row["reason"]
    )


def test_an_order_asked_for_later_does_not_arrive_with_tonights() -> None:
    """300 ordered yesterday for a day in two months: until then they serve nobody."""
    far = order("BIG", "A", "S1", "SUP", 300.0, day(-1)) | {"requested_date": day(60)}
    row = recommend(certain(0.0, 3.0, open_orders=orders(far)), AS_OF, SPEC).row(0, named=True)
    assert (row["decision_code"], row["quantity_ea"]) == ("replenish", 5.0)
    assert "300 on order (300 of it later)" in row["reason"]
    soon = order("BIG", "A", "S1", "SUP", 300.0, day(-1)) | {"requested_date": day(4)}
    assert quantity(recommend(certain(0.0, 3.0, open_orders=orders(soon)), AS_OF, SPEC)) == 0.0


def test_an_overdue_order_of_the_lane_is_not_ordered_again() -> None:
    late = order("LATE", "A", "S1", "SUP", 300.0, day(-20), day(-10)) | {"requested_date": day(-12)}
    assert quantity(recommend(certain(0.0, 3.0, open_orders=orders(late)), AS_OF, SPEC)) == 0.0


def test_nothing_is_ordered_for_days_after_the_last_selling_day() -> None:
    def kept(last: int) -> pl.DataFrame:
        return items(("A", 1, 2.0, 3.0)).with_columns(pl.lit(day(last)).alias("discontinued_date"))

    weekly = supplier(weekdays="2")
    for last, wanted in ((30, 35.0), (10, 35.0), (9, 30.0), (4, 5.0), (3, 0.0), (2, 0.0)):  # sold from day 4 to 10
        out = recommend(certain(0.0, 3.0, suppliers=weekly, items=kept(last)), AS_OF, SPEC)
        assert quantity(out) == wanted, last
    assert "It is sold until 2026-01-07" in out["reason"][0]
    assert "10 are not met on average before an order could arrive" in out["reason"][0]


def two_suppliers(minimum: float | None) -> PlanInputs:
    sellers = pl.DataFrame(
        [{"supplier_id": s, "item_id": "A", "unit_cost_usd": c, "minimum_order_ea": 0.0, "preference_no": n}
         for s, c, n in (("SUP", 2.0, 1), ("NEAR", 2.2, 2))]
    )  # fmt: skip
    return certain(
        3.0, 15.0, supplier_items=sellers, suppliers=pl.concat([supplier(), supplier(minimum, name="NEAR")]),
        lanes=pl.DataFrame([lane("SUP", "S1", 15.0), lane("NEAR", "S1", 2.0, fixed=1.0)]),
    )  # fmt: skip


def test_another_supplier_is_not_asked_for_less_than_his_minimum_value() -> None:
    """The gap from day 3 to 15 is 65 pieces, 143 USD at the other supplier."""
    assert quantity(recommend(two_suppliers(None), AS_OF, SPEC), "switch_supplier") == 65.0
    assert quantity(recommend(two_suppliers(143.0), AS_OF, SPEC), "switch_supplier") == 65.0
    assert quantity(recommend(two_suppliers(5000.0), AS_OF, SPEC), "switch_supplier") == 0.0


def donor_and_two_in_need(given: float, room: float | None = None) -> PlanInputs:
    names = ("S1", "S2", "S3")
    return simple(
        0.0, forecasts=pl.concat([steady("A", "S1"), steady("A", "S2", 1.0), steady("A", "S3", 4.0)]),
        stock=stock(("A", "S1", 0.0), ("A", "S2", given), ("A", "S3", 0.0)),
        sites=sites(*((s, "store", None) for s in names), capacity={} if room is None else {"S1": room}),
        lanes=pl.DataFrame([lane("SUP", s, 10.0) for s in names] + [lane("S2", s, 1.0, fixed=2.0, each=0.05) for s in ("S1", "S3")]),
    )  # fmt: skip


@pytest.mark.parametrize("given", [15.0, 40.0, 70.0, 300.0])
def test_one_donor_serves_all_it_can_and_keeps_what_it_needs(given: float) -> None:
    """Moved goods sell from day 2, the regular order from day 11: 45 and 36 are lacking; the donor itself sells 1 a day until day 11."""
    moved = of(recommend(donor_and_two_in_need(given), AS_OF, SPEC), "transfer")
    spare = max(given - 11.0, 0.0)
    assert moved["quantity_ea"].sum() == min(spare, 45.0 + 36.0)
    assert dict(moved.select("site_id", "quantity_ea").iter_rows()).get("S1", 0.0) == min(spare, 45.0)


@pytest.mark.parametrize("room", [8.0, 20.0, 50.0])
def test_what_is_moved_to_a_site_takes_its_room_too(room: float) -> None:
    out = recommend(donor_and_two_in_need(300.0, room), AS_OF, SPEC).filter(pl.col("site_id") == "S1")
    assert 0 < quantity(out, "transfer") <= room
    assert quantity(out, "transfer") + quantity(out) <= room


def test_what_a_store_refused_is_promised_to_it_again_by_its_centre() -> None:
    line = {
        "item_id": "A",
        "site_id": "S",
        "source_id": "C",
        "open_qty_ea": 10.0,
        "shipped_qty_ea": 10.0,
        "received_qty_ea": 0.0,
    }
    found = [
        open_position(pl.DataFrame([line | {"refused_qty_ea": refused}])).filter(site_id="C")["allocated_qty_ea"].item()
        for refused in (0.0, 4.0)
    ]
    assert found == [0, 4]


def test_promised_goods_are_not_given_away() -> None:
    """50 on hand at the donor, of which 30 are ordered from it and not yet shipped."""
    inputs = donor_and_two_in_need(50.0)
    taken = orders(order("P", "A", "S9", "S2", 30.0, day(-1), day(2)))
    assert taken is not None
    taken = taken.with_columns(pl.lit(0.0).alias("shipped_qty_ea"), pl.lit(0.0).alias("received_qty_ea"))
    out = recommend(dataclasses.replace(inputs, open_orders=taken), AS_OF, SPEC)
    assert quantity(out, "transfer") == 50.0 - 30.0 - 11.0


@given(
    on_hand=st.tuples(st.integers(0, 40), st.integers(0, 60)),
    minimum=st.sampled_from([0.0, 60.0, 150.0, 300.0]),
    least=st.tuples(st.sampled_from([0.0, 20.0, 48.0]), st.sampled_from([0.0, 48.0])),
    life=st.sampled_from([None, 4, 9, 30]),
    room=st.sampled_from([None, 70.0, 110.0, 200.0]),
    cap=st.sampled_from([None, 1]),
)
@settings(max_examples=50, deadline=None)
def test_no_order_breaks_a_limit_whatever_limits_meet(
    on_hand: tuple[int, int],
    minimum: float,
    least: tuple[float, float],
    life: int | None,
    room: float | None,
    cap: int | None,
) -> None:
    pack, cost = 6, 2.0
    inputs = simple(
        0.0, forecasts=pl.concat([forecast("A", "S1", 5.0), forecast("B", "S1", 3.0)]),
        stock=stock(("A", "S1", float(on_hand[0])), ("B", "S1", float(on_hand[1]))),
        items=items(("A", pack, cost, 3.0), ("B", pack, cost, 3.0)).with_columns(pl.lit(life, dtype=pl.Int32).alias("shelf_life_days")),
        supplier_items=pl.DataFrame(
            [{"supplier_id": "SUP", "item_id": i, "unit_cost_usd": cost, "minimum_order_ea": m, "preference_no": 1} for i, m in zip("AB", least, strict=True)]
        ),
        sites=sites(("S1", "store", None), capacity={} if room is None else {"S1": room}), suppliers=supplier(minimum, "135"),
        lanes=pl.DataFrame([lane("SUP", "S1", 3.0, fixed=5.0)]),
    )  # fmt: skip
    out = recommend(inputs, AS_OF, dataclasses.replace(SPEC, max_lines_per_day=cap))
    placed = of(out, "replenish")
    assert (placed["quantity_ea"] % pack == 0).all()
    for row in placed.iter_rows(named=True):
        drivers = json.loads(row["drivers_json"])
        assert row["quantity_ea"] >= dict(zip("AB", least, strict=True))[row["item_id"]], row["reason"]
        if life is not None:
            sells = drivers["daily_qty_ea_mean"] * life - drivers["stock_at_arrival_ea"]
            assert row["quantity_ea"] <= sells + 0.1, row["reason"]
    value = placed["quantity_ea"].sum() * cost
    assert value == 0 or value >= minimum, placed["reason"].to_list()
    assert value == 0 or room is None or sum(on_hand) + value / cost <= room
    assert cap is None or placed.height <= cap
    told(out)


def told(out: pl.DataFrame) -> None:
    """Every number in a reason is stored, and an alternative cheaper than the decision says what forbade it."""
    for row in out.iter_rows(named=True):
        stored = {**row, **json.loads(row["drivers_json"])}
        known = {
            round(float(v), d)
            for v in stored.values()
            if isinstance(v, int | float) and not isinstance(v, bool)
            for d in (2, 4)
        }
        text = re.sub(r"\d{4}-\d\d-\d\d", "", row["reason"])
        for name in (row["order_number"], stored.get("late_order_number"), stored.get("beside_order_number")):
            text = text.replace(name or "\0", "")
        for number in re.findall(r"(?<![A-Za-z0-9])\d+(?:\.\d+)?", text):
            assert float(number) in known, (number, row["reason"])
        for other in json.loads(row["alternatives_json"]):
            if row["decision_code"] == "none" and (other["cost_usd"] or 0) < 0:
                limit = stored.get("limit") or f"critical ratio is held to {stored['critical_ratio_frac']}"
                assert limit in other["why"], other
            if row["decision_code"] == other["decision"] == "replenish":
                assert other["quantity_ea"] != row["quantity_ea"], other
        if row["decision_code"] != "none":
            _adds_up(row, stored)


def _adds_up(row: dict[str, Any], stored: dict[str, Any]) -> None:
    """What a reader gets from the figures in a reason is the money at stake, as exactly as they are written."""
    worth = stored["margin_usd"] * stored.get("lost_share_frac", 1.0)
    if row["decision_code"] == "replenish":
        paid = (row["quantity_ea"] - stored["units_saved_ea"]) * stored["holding_usd_per_ea"]
    else:
        extra = {"expedite": "premium_usd", "transfer": "freight_usd", "switch_supplier": "extra_cost_usd"}
        paid = stored[extra[row["decision_code"]]] + stored["left_over_usd"]
    written = 0.006 * (stored["units_saved_ea"] + stored["margin_usd"] + 1) + 0.0001 * row["quantity_ea"]
    assert stored["units_saved_ea"] * worth - paid == pytest.approx(row["money_at_stake_usd"], abs=written), row


def with_fixed_cost(n_items: int, n_stores: int, fixed: float, seed: int) -> PlanInputs:
    inputs = network(n_items, n_stores, seed)
    assert inputs.lanes is not None
    paid = pl.when(pl.col("mode_code") == "standard").then(fixed).otherwise("cost_per_order_usd")
    return dataclasses.replace(inputs, lanes=inputs.lanes.with_columns(paid.alias("cost_per_order_usd")))


@pytest.mark.parametrize(("fixed", "seed"), [(0.0, 1), (12.0, 1), (4.0, 3), (30.0, 5)])
def test_reasons_of_a_network_that_waits_for_joint_orders(fixed: float, seed: int) -> None:
    told(recommend(with_fixed_cost(8, 4, fixed, seed), AS_OF, SPEC))


def in_need(n_items: int, n_stores: int, seed: int) -> PlanInputs:
    """A network whose stores wait five times as long for their centre: what one of them has more, another one asks for."""
    inputs = network(n_items, n_stores, seed)
    assert inputs.lead_times is not None
    days = [c for c in inputs.lead_times.columns if c.startswith("lead_time_days")]
    longer = pl.when(pl.col("source_id") == "DC0").then(5.0).otherwise(1.0)
    return dataclasses.replace(inputs, lead_times=inputs.lead_times.with_columns(pl.col(c) * longer for c in days))


@pytest.mark.parametrize(("fixed", "seed"), [(0.0, 1), (12.0, 2), (4.0, 3), (None, 6)])
def test_every_flip_stated_in_a_network_flips_and_one_piece_less_does_not(fixed: float | None, seed: int) -> None:
    inputs = in_need(5, 3, seed) if fixed is None else with_fixed_cost(5, 3, fixed, seed)
    out = recommend(inputs, AS_OF, SPEC)

    def decided(row: dict[str, Any], change: float) -> list[str]:
        assert inputs.stock is not None
        here = (pl.col("item_id") == row["item_id"]) & (pl.col("site_id") == row["site_id"])
        other = inputs.stock.with_columns(pl.col("on_hand_qty_ea") + pl.when(here).then(change).otherwise(0.0))
        found: list[str] = (
            recommend(dataclasses.replace(inputs, stock=other), AS_OF, SPEC).filter(here)["decision_code"].to_list()
        )
        return found

    stated = out.filter(pl.col("flip_json").is_not_null())
    assert stated.height >= 5
    for row in stated.iter_rows(named=True):
        flip = json.loads(row["flip_json"])
        change = flip["change_ea"]
        after, before = decided(row, change), decided(row, change - np.sign(change))
        # a faster way may go while the regular order beside it stays
        regular = row["decision_code"] in ("none", "replenish")
        assert row["decision_code"] not in after and (flip["becomes"] in after or not regular), (row["reason"], flip)
        assert row["decision_code"] in before, (row["reason"], flip)


def test_the_flip_of_large_quantities_is_exact_too() -> None:
    row = recommend(certain(0.0, 3.0, forecasts=steady(mean=40_000.0)), AS_OF, SPEC).row(0, named=True)
    assert json.loads(row["flip_json"]) == {"becomes": "none", "change_ea": 160_000.0, "field": "on_hand_qty_ea"}


def draws(mean: float, count: int) -> np.ndarray[Any, Any]:
    """Days of demand from the stated quantiles by the inverse of their distribution, with a seed of our own."""
    row = forecast("A", "S1", mean).row(0, named=True)
    levels = np.array([0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95])
    values = np.array([row[f"demand_qty_ea_p{round(p * 100):02d}"] for p in levels])
    levels, values = np.append(0.0, levels), np.append(2 * values[0] - values[1], values)
    u = np.random.default_rng(99).random(count)
    body = np.interp(u, levels, values)
    below = np.trapezoid(values, levels) + 0.05 * values[-1]
    tail = values[-1] + np.log(0.05 / np.maximum(1 - u, 1e-9)) * (mean - below) / 0.05
    return np.where(u > 0.95, tail, body)


def test_money_at_stake_and_confidence_are_those_of_an_independent_simulation() -> None:
    """Empty shelf, daily orders: tonight's order meets the demand of one day, margin 1 USD, and is kept for a day."""
    out = recommend(simple(0.0, mean=50.0), AS_OF, dataclasses.replace(SPEC, scenarios=4096)).row(0, named=True)
    demand, held = draws(50.0, 400_000), 0.25 * 2.0 / 365
    level = np.quantile(demand, 0.97)
    assert out["quantity_ea"] == pytest.approx(level, rel=0.03)
    sold = np.minimum(demand, out["quantity_ea"])
    saved = sold * 1.0 - (out["quantity_ea"] - sold) * held
    assert out["money_at_stake_usd"] == pytest.approx(saved.mean(), rel=0.02)
    assert out["confidence_frac"] == pytest.approx((saved > 0).mean(), abs=0.02)
    drivers = json.loads(out["drivers_json"])
    assert drivers["units_saved_ea"] == pytest.approx(sold.mean(), rel=0.02)
    assert drivers["lost_before_ea"] == pytest.approx(3 * 50.0, rel=0.02)
    waiting = next(a for a in json.loads(out["alternatives_json"]) if a["decision"] == "none")
    assert waiting["cost_usd"] == out["money_at_stake_usd"]


def test_items_that_share_nothing_do_not_change_each_others_orders() -> None:
    """The second item comes from another supplier; names that keep their order change nothing either."""
    alone = recommend(simple(7.0, suppliers=supplier(60.0, "24")), AS_OF, SPEC)
    both = dataclasses.replace(
        simple(7.0, suppliers=pl.concat([supplier(60.0, "24"), supplier(500.0, "1", "ELSE")])),
        forecasts=pl.concat([forecast("A", "S1", 5.0), forecast("Z", "S1", 70.0)]),
        stock=stock(("A", "S1", 7.0), ("Z", "S1", 1.0)),
        items=pl.concat([items(("A", 1, 2.0, 3.0)), items(("Z", 12, 9.0, 30.0), supplier="ELSE")]),
        lanes=pl.DataFrame([lane("SUP", "S1", 3.0), lane("ELSE", "S1", 9.0, fixed=80.0)]),
    )
    same = recommend(both, AS_OF, SPEC).filter(pl.col("item_id") == "A").drop("rank_no")
    assert same.equals(alone.drop("rank_no"))
    renamed = dataclasses.replace(both, **{
        name: getattr(both, name).with_columns(pl.col("item_id").replace({"A": "AA-1", "Z": "ZZ-9"})) for name in ("forecasts", "stock", "items")
    })  # fmt: skip
    columns = ["decision_code", "site_id", "quantity_ea", "money_at_stake_usd", "order_by_date"]
    assert (
        recommend(renamed, AS_OF, SPEC)
        .sort("item_id")
        .select(columns)
        .equals(recommend(both, AS_OF, SPEC).sort("item_id").select(columns))
    )


def test_a_night_in_many_parts_is_the_night_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large nights are solved some items at a time; what flips a line is found when all lanes are decided."""
    inputs = with_fixed_cost(9, 4, 6.0, 2)
    whole = recommend(inputs, AS_OF, SPEC)
    monkeypatch.setattr("planning.recommend.CHUNK_CELLS", 64 * 40 * 8)
    assert recommend(inputs, AS_OF, SPEC).equals(whole)
    assert whole["flip_json"].drop_nulls().len() > 5 and whole["decision_code"].n_unique() > 1
