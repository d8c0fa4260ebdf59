"""Orders that were lost, and stock that is given away: what the rows say, held against worlds of known truth."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from planning.inputs import PlanInputs, PlanSpec
from planning.night import days_left
from planning.recommend import recommend
from tests.unit.planning.planning_world import AS_OF, forecast, lane, lead, order, orders, simple, sites, stock

SPEC = PlanSpec(scenarios=64)


def lost(age: int, promised: int | None = None, **more: Any) -> PlanInputs:
    """2 on hand, 5 sold a day, a lane of 3 days (95 of 100 within 4.6), and 60 ordered `age` days ago and never received."""
    line = order("LOST", "A", "S1", "SUP", 60.0, AS_OF - timedelta(days=age))
    if promised is not None:
        line |= {"promised_date": AS_OF + timedelta(days=promised)}
    return simple(2.0, lead_times=pl.DataFrame([lead("SUP", "S1", 3.0, 1.0)]), open_orders=orders(line), **more)


def night(inputs: PlanInputs, item: str = "A", site: str = "S1") -> tuple[dict[str, Any], dict[str, Any]]:
    """The only row of an item and site, and its drivers."""
    row = recommend(inputs, AS_OF, SPEC).filter(item_id=item, site_id=site).row(0, named=True)
    return row, json.loads(row["drivers_json"])


def told(row: dict[str, Any], drivers: dict[str, Any]) -> None:
    """Every number of the reason is a stored field."""
    stored = {round(float(v), 4) for v in (row | drivers).values() if isinstance(v, int | float)}
    text = re.sub(r"\d{4}-\d\d-\d\d", "", row["reason"])
    for number in re.findall(r"(?<![A-Za-z0-9])\d+(?:\.\d+)?", text):
        assert float(number) in stored, (number, row["reason"])


@pytest.mark.parametrize("age", [21, 60, 400])
def test_a_lost_order_counts_but_is_asked_about_with_what_would_be_wanted_without_it(age: int) -> None:
    row, drivers = night(lost(age))
    without, _ = night(dataclasses.replace(lost(age), open_orders=None))
    assert without["quantity_ea"] > 10, "the world wants an order if the lost one is forgotten"
    assert row["quantity_ea"] == 0, "the same need is not ordered twice"
    assert drivers["wanted_without_doubtful_ea"] == without["quantity_ea"]
    assert (drivers["doubtful_order_number"], drivers["doubtful_qty_ea"]) == ("LOST", 60.0)
    assert (drivers["doubtful_waiting_days"], drivers["doubtful_limit_days"]) == (float(age), 20.8), "3 × 4.6 + 7"
    assert "Ask SUP whether it comes, and cancel it if not." in row["reason"]
    assert {"decision": "replenish", "quantity_ea": without["quantity_ea"], "source_id": "SUP", "cost_usd": None,
            "why": "what would be wanted if order LOST were cancelled"} in json.loads(row["alternatives_json"])  # fmt: skip
    told(row, drivers)


@pytest.mark.parametrize(("age", "promised"), [(1, None), (20, None), (400, 5), (400, -17)])
def test_an_order_within_reach_of_its_lane_or_of_its_promise_is_no_doubt(age: int, promised: int | None) -> None:
    """Promised for 17 days ago and usually there in 3: waited for 20 days."""
    row, drivers = night(lost(age, promised))
    assert "Doubtful" not in row["reason"] and "doubtful_qty_ea" not in drivers


def test_a_promise_long_past_is_counted_from_its_day() -> None:
    assert night(lost(400, -18))[1]["doubtful_waiting_days"] == 21.0


@pytest.mark.parametrize(
    ("received", "quoted", "other", "limit"),
    [
        (6, 4.0, None, 19.0),  # 3 × 4 days quoted + 7, and not 3 × 46 + 7, of which one is the lost order itself
        (6, None, 10.0, 41.8),  # the slowest lane that is well known: 3 × 11.6 + 7
        (6, 4.0, 10.0, 41.8),
        (6, None, None, 145.0),  # nothing else is known: the lane's own
        (20, 4.0, 10.0, 145.0),  # well known itself
    ],
)
def test_a_young_lane_is_judged_by_what_is_quoted_and_by_lanes_that_are_well_known(
    received: int, quoted: float | None, other: float | None, limit: float
) -> None:
    """The lane's forecast says 46 days of 95 of 100 orders."""
    learned = [lead("SUP", "S1", 7.0) | {"lead_time_days_p95": 46.0, "received_orders": received}]
    learned += [lead("FAR", "S1", other, 1.0) | {"received_orders": 300}] if other else []
    routes = pl.DataFrame(
        [lane("SUP", "S1", 1.0) | {"quoted_lead_time_days": quoted}],
        schema_overrides={"quoted_lead_time_days": pl.Float64},
    )
    line = order("LOST", "A", "S1", "SUP", 60.0, AS_OF - timedelta(days=150))
    row, drivers = night(simple(2.0, lead_times=pl.DataFrame(learned), lanes=routes, open_orders=orders(line)))
    assert round(drivers["doubtful_limit_days"], 6) == limit
    assert "Ask SUP whether it comes" in row["reason"]
    assert row["quantity_ea"] < drivers["wanted_without_doubtful_ea"], "it counts all the same"


@pytest.mark.parametrize(
    ("waited", "comes"),
    [(0, [3, 6, 9]), (2, [1, 4, 7]), (4, [2, 2, 5]), (7, [2, 2, 2]), (9, [4, 7, 10]), (30, [4, 7, 10])],
)
def test_an_overdue_order_takes_what_longer_lead_times_of_its_lane_leave(waited: int, comes: list[int]) -> None:
    """Three, six or nine days, one as likely as another: of those waited for four days half take two more and half five more, …"""
    left = days_left(np.array([[3, 6, 9]]), np.array([float(waited)]))
    assert left.tolist() == [comes]


def test_several_lost_orders_are_one_question() -> None:
    lines = [order(n, "A", "S1", "SUP", q, AS_OF - timedelta(days=a)) for n, q, a in (("O", 60.0, 90), ("P", 5.0, 40), ("Q", 4.0, 2))]  # fmt: skip
    inputs = dataclasses.replace(lost(90), open_orders=orders(*lines))
    row, drivers = night(inputs)
    kept = dataclasses.replace(inputs, open_orders=orders(lines[2]))
    assert (drivers["doubtful_orders"], drivers["doubtful_qty_ea"], drivers["doubtful_order_number"]) == (2, 65.0, "O")
    assert drivers["wanted_without_doubtful_ea"] == night(kept)[0]["quantity_ea"]
    told(row, drivers)


def test_what_cannot_be_decided_asks_about_its_lost_order_too() -> None:
    row, drivers = night(dataclasses.replace(lost(60), stock=None))
    assert row["reason"].startswith("Nothing can be decided: no stock report. Doubtful: 60 of what is on order.")
    assert drivers["wanted_without_doubtful_ea"] is None
    told(row, drivers)


def test_speed_is_not_paid_for_an_order_that_may_not_exist() -> None:
    lanes = pl.DataFrame([lane("SUP", "S1", 10.0), lane("SUP", "S1", 1.0, "expedite", 0.1, 0.01)])
    young, old = (
        recommend(simple(0.0, lanes=lanes, open_orders=orders(order("P", "A", "S1", "SUP", 60.0, AS_OF - timedelta(days=a)))), AS_OF, SPEC)
        for a in (3, 38)
    )  # fmt: skip
    assert (young["decision_code"] == "expedite").any() and not (old["decision_code"] == "expedite").any()


def test_the_row_of_a_giver_says_what_it_gives_and_to_whom() -> None:
    names = ("S1", "S2", "S3")
    inputs = simple(
        0.0, forecasts=pl.concat([forecast("A", s, m, spread=0.0) for s, m in (("S1", 5.0), ("S2", 1.0), ("S3", 4.0))]),
        stock=stock(("A", "S1", 0.0), ("A", "S2", 70.0), ("A", "S3", 0.0)), sites=sites(*((s, "store", None) for s in names)),
        lanes=pl.DataFrame([lane("SUP", s, 10.0) for s in names] + [lane("S2", s, 1.0, fixed=2.0, each=0.05) for s in ("S1", "S3")]),
    )  # fmt: skip
    out = recommend(inputs, AS_OF, SPEC)
    moved = dict(out.filter(decision_code="transfer").select("site_id", "quantity_ea").iter_rows())
    row, drivers = night(inputs, site="S2")
    assert moved == {"S1": 45.0, "S3": 14.0}, "70 less the 11 that the giver sells until its own order could come"
    assert (drivers["given_qty_ea"], drivers["given_to_S1_ea"], drivers["given_to_S3_ea"]) == (59.0, 45.0, 14.0)
    assert "Of what is on hand 59 is given away tonight (45 to S1, 14 to S3) and counts as gone." in row["reason"]
    told(row, drivers)
    taker, taken = night(inputs, site="S1")
    assert "given away" not in taker["reason"] and "given_qty_ea" not in taken
