"""The night's recommendations: what they promise whatever the data."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.decision_tables import REC_DECISIONS
from aios_assets.contracts.errors import BadInputError
from planning.inputs import PlanInputs, PlanSpec, load_spec
from planning.recommend import recommend
from tests.unit.planning.big_world import network
from tests.unit.planning.planning_world import AS_OF, forecast, items, lane, lead, order, orders, simple, sites, stock

SPEC = PlanSpec(scenarios=64)


@pytest.fixture(scope="module")
def night() -> tuple[PlanInputs, pl.DataFrame]:
    inputs = network(25, 6)
    return inputs, recommend(inputs, AS_OF, SPEC)


def only(frame: pl.DataFrame) -> dict[str, object]:
    assert frame.height == 1
    return frame.row(0, named=True)


def test_contract(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    _, out = night
    assert out.schema == REC_DECISIONS.schema
    assert out["rec_id"].n_unique() == out.height
    assert out["rank_no"].to_list() == list(range(1, out.height + 1))
    for column in REC_DECISIONS.columns:
        if not column.nullable:
            assert out[column.name].null_count() == 0, column.name
        if column.codes:
            assert set(out[column.name].drop_nulls()) <= set(column.codes)
    numbers = out.select(pl.selectors.float())
    assert numbers.select(pl.all().is_finite().all()).row(0) == (True,) * numbers.width
    assert out["confidence_frac"].is_between(0, 1).all()


def test_every_item_and_site_has_a_row(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    inputs, out = night
    assert inputs.stock is not None
    wanted = set(inputs.stock.select("item_id", "site_id").iter_rows())
    assert set(out.select("item_id", "site_id").iter_rows()) == wanted


def test_same_inputs_same_bytes_in_any_order(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    inputs, out = night
    shuffled = {
        f.name: frame.sample(fraction=1, shuffle=True, seed=5)
        for f in dataclasses.fields(inputs)
        if isinstance(frame := getattr(inputs, f.name), pl.DataFrame) and f.name not in ("lanes", "supplier_items")
    }
    again = recommend(dataclasses.replace(inputs, **shuffled), AS_OF, SPEC)
    assert again.equals(out)


def test_money_is_said_in_the_currency_it_is_counted_in(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    inputs, dollars = night
    euros = recommend(dataclasses.replace(inputs, currency_code="EUR"), AS_OF, SPEC)
    assert dollars["reason"].str.contains(" USD").any() and set(euros["currency_code"]) == {"EUR"}
    said = euros.with_columns(
        pl.lit("USD").alias("currency_code"), pl.col("reason", "drivers_json", "alternatives_json").str.replace_all(r"\bEUR\b", "USD")
    )  # fmt: skip
    assert said.equals(dollars), "nothing else changes"


def test_one_item_alone_gets_the_same_decision() -> None:
    inputs = network(8, 4)
    loose = dataclasses.replace(inputs, suppliers=None)
    whole = recommend(loose, AS_OF, SPEC)
    keep = pl.col("item_id") == "I00003"
    assert loose.forecasts is not None and loose.stock is not None and loose.open_orders is not None
    alone = recommend(
        dataclasses.replace(
            loose,
            forecasts=loose.forecasts.filter(keep),
            stock=loose.stock.filter(keep),
            open_orders=loose.open_orders.filter(keep),
        ),
        AS_OF,
        SPEC,
    )
    columns = ["decision_code", "site_id", "quantity_ea"]
    assert alone.select(columns).sort(columns).equals(whole.filter(keep).select(columns).sort(columns))


def test_every_number_in_a_reason_is_a_stored_field(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    _, out = night
    for row in out.iter_rows(named=True):
        stored = {**row, **json.loads(row["drivers_json"])}
        known = set()
        for value in stored.values():
            if isinstance(value, float | int) and not isinstance(value, bool):
                known |= {round(float(value), 2), round(float(value), 4)}
        text = re.sub(r"\d{4}-\d\d-\d\d", "", row["reason"])
        for name in (
            row["source_id"],
            row["order_number"],
            row["site_id"],
            stored.get("from_id"),
            stored.get("late_order_number"),
            "DC0",
            "SUP1",
            "SUP2",
            "SUP3",
            "SUPX",
        ):
            text = text.replace(name or "\0", "")
        for number in re.findall(r"(?<![A-Za-z])\d+(?:\.\d+)?", text):
            assert float(number) in known, (number, row["reason"])


def test_json_fields_are_json(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    _, out = night
    for row in out.iter_rows(named=True):
        assert isinstance(json.loads(row["drivers_json"]), dict)
        assert isinstance(json.loads(row["alternatives_json"]), list)
        if row["flip_json"]:
            assert json.loads(row["flip_json"])["becomes"]
        if row["decision_code"] != "none":
            assert json.loads(row["alternatives_json"]), "something was weighed against it"


@given(on_hand=st.integers(0, 60), mean=st.floats(0.05, 12), pack=st.sampled_from([1, 6, 24]), days=st.integers(0, 12))
@settings(max_examples=40, deadline=None)
def test_never_orders_twice_for_the_same_need(on_hand: int, mean: float, pack: int, days: int) -> None:
    base = simple(float(on_hand), mean, pack, days, lead_times=pl.DataFrame([lead("SUP", "S1", float(days), 1.0)]))
    first = only(recommend(base, AS_OF, SPEC))
    if first["quantity_ea"] == 0:
        return
    placed = orders(order("N1", "A", "S1", "SUP", float(first["quantity_ea"]), AS_OF + timedelta(days=1)))  # type: ignore[arg-type]
    second = only(recommend(dataclasses.replace(base, open_orders=placed), AS_OF, SPEC))
    assert second["decision_code"] == "none", second["reason"]


def test_a_whole_night_placed_leaves_nothing_to_order() -> None:
    inputs = dataclasses.replace(network(20, 5), suppliers=None, open_orders=None)
    assert inputs.lanes is not None and inputs.supplier_items is not None
    inputs = dataclasses.replace(
        inputs, lanes=inputs.lanes.filter(~pl.col("origin_id").str.starts_with("S0")), supplier_items=inputs.supplier_items.filter(pl.col("preference_no") == 1)
    )  # fmt: skip
    first = recommend(inputs, AS_OF, SPEC).filter(pl.col("decision_code") == "replenish")
    placed = orders(
        *(
            order(r["rec_id"], r["item_id"], r["site_id"], r["source_id"], r["quantity_ea"], r["order_by_date"])
            for r in first.iter_rows(named=True)
        )
    )
    second = recommend(dataclasses.replace(inputs, open_orders=placed), AS_OF, SPEC)
    again = second.filter(pl.col("decision_code") == "replenish").join(first, on=["item_id", "site_id"])
    fully = again.filter(~pl.col("reason_right").str.contains("for all its stores"))
    assert fully.is_empty(), fully["reason"].to_list()


@given(
    on_hand=st.integers(0, 40),
    more=st.integers(0, 20),
    pack=st.sampled_from([1, 12]),
    minimum=st.sampled_from([0.0, 30.0]),
)
@settings(max_examples=30, deadline=None)
def test_more_stock_never_orders_more(on_hand: int, more: int, pack: int, minimum: float) -> None:
    seller = pl.DataFrame(
        [{"supplier_id": "SUP", "item_id": "A", "unit_cost_usd": 2.0, "minimum_order_ea": minimum, "preference_no": 1}]
    )
    few = only(recommend(simple(float(on_hand), 4.0, pack, supplier_items=seller), AS_OF, SPEC))
    many = only(recommend(simple(float(on_hand + more), 4.0, pack, supplier_items=seller), AS_OF, SPEC))
    assert many["quantity_ea"] <= few["quantity_ea"]  # type: ignore[operator]


@given(on_hand=st.integers(0, 30), factor=st.sampled_from([0.1, 3.0, 10.0]))
@settings(max_examples=20, deadline=None)
def test_scaling_all_costs_changes_no_quantity(on_hand: int, factor: float) -> None:
    base = only(recommend(simple(float(on_hand)), AS_OF, SPEC))
    scaled = simple(float(on_hand), items=items(("A", 1, 2.0 * factor, 3.0 * factor)))
    assert only(recommend(scaled, AS_OF, SPEC))["quantity_ea"] == base["quantity_ea"]


def test_longer_lead_time_never_needs_a_lower_level() -> None:
    """The stock at which nothing is ordered rises with the lead time; the order itself need not, where sales are lost first."""
    levels = [
        json.loads(str(only(recommend(simple(0.0, days=d), AS_OF, SPEC))["flip_json"]))["change_ea"]
        for d in (1, 3, 6, 10)
    ]
    assert levels == sorted(levels) and levels[0] < levels[-1]


def test_packs_are_whole_and_minimum_is_kept(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    inputs, out = night
    assert inputs.items is not None
    bought = out.filter(pl.col("decision_code").is_in(["replenish", "switch_supplier"])).join(
        inputs.items, on="item_id"
    )
    packs = (bought["quantity_ea"] / bought["pack_ea"]).to_numpy()
    assert np.allclose(packs, np.round(packs))
    assert (bought.filter(pl.col("site_id") == "DC0")["quantity_ea"] >= 6).all()


def test_stores_never_get_more_than_the_centre_has(night: tuple[PlanInputs, pl.DataFrame]) -> None:
    inputs, out = night
    assert inputs.stock is not None
    sent = out.filter(pl.col("source_id") == "DC0").group_by("item_id").agg(pl.col("quantity_ea").sum())
    had = inputs.stock.filter(pl.col("site_id") == "DC0")
    both = sent.join(had, on="item_id")
    assert both.height == sent.height > 0
    assert (both["quantity_ea"] <= both["on_hand_qty_ea"] + 1e-9).all()


def test_flip_is_the_smallest_change() -> None:
    row = only(recommend(simple(20.0), AS_OF, SPEC))
    change = json.loads(str(row["flip_json"]))["change_ea"]
    assert only(recommend(simple(20.0 + change), AS_OF, SPEC))["decision_code"] == "none"
    assert only(recommend(simple(20.0 + change - 1), AS_OF, SPEC))["decision_code"] == "replenish"


MISSING = [
    ("no stock report", {"on_hand": None}),
    ("stock reported is negative (-3.0)", {"on_hand": -3.0}),
    ("no lead time from SUP to S1", {"lanes": None}),
    ("no supplier or serving centre", {"items": items(("A", 1, 2.0, 3.0), supplier=None)}),
    ("no unit cost", {"items": items(("A", 1, None, 3.0))}),
    ("unit cost is 0", {"items": items(("A", 1, 0.0, 3.0))}),
    ("no selling price", {"items": items(("A", 1, 2.0, None))}),
    ("does not exceed the cost", {"items": items(("A", 1, 3.0, 3.0))}),
    (
        f"newest stock report is of {AS_OF - timedelta(days=4)}, 4 days old, and at most {SPEC.max_stock_age_days} are taken",
        {"stock": stock(("A", "S1", 0.0), day=AS_OF - timedelta(days=4))},
    ),
    ("fewer than 7 days", {"forecasts": forecast("A", "S1", 5.0, days=5)}),
    ("below a single pack of 24", {"sites": sites(("S1", "store", None), capacity={"S1": 10.0}), "pack": 24}),
]


@pytest.mark.parametrize(("sentence", "change"), MISSING, ids=[m[0] for m in MISSING])
def test_nothing_is_ordered_on_a_guess(sentence: str, change: dict[str, object]) -> None:
    row = only(recommend(simple(**change), AS_OF, SPEC))  # type: ignore[arg-type]
    assert (row["decision_code"], row["quantity_ea"]) == ("none", 0.0)
    assert sentence in str(row["reason"])


def test_unknown_item_is_a_row_with_its_reason() -> None:
    out = recommend(simple(0.0, stock=stock(("A", "S1", 0.0), ("GHOST", "S1", 4.0))), AS_OF, SPEC)
    assert (
        "no forecast: sales of the last weeks are not known"
        in out.filter(pl.col("item_id") == "GHOST")["reason"].item()
    )


def test_bare_edi_gives_rows_not_errors() -> None:
    bare = PlanInputs(
        forecasts=forecast("A", "S1", 5.0),
        stock=stock(("A", "S1", 1.0)),
        open_orders=orders(order("P1", "A", "S1", "SUP", 3.0, AS_OF)),
    )
    assert "no lead time from SUP to S1" in str(only(recommend(bare, AS_OF, SPEC))["reason"])
    assert recommend(PlanInputs(), AS_OF, SPEC).is_empty()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stock": stock(("A", "S1", 1.0), day=AS_OF + timedelta(days=1))}, "after the day planned for"),
        ({"stock": stock(("A", "S1", 1.0), ("A", "S1", 2.0))}, "share the key"),
        ({"open_orders": orders(order("P", "A", "S1", "SUP", -3.0, AS_OF))}, "negative"),
        ({"stock": pl.DataFrame({"item_id": ["A"], "site_id": ["S1"], "on_hand_qty_ea": ["many"]})}, "wrong type"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        recommend(simple(0.0, **change), AS_OF, SPEC)


def test_an_expensive_gap_is_expedited_once() -> None:
    lanes = pl.DataFrame([lane("SUP", "S1", 10.0), lane("SUP", "S1", 1.0, "expedite", 5.0, 0.05)])
    late = orders(order("P9", "A", "S1", "SUP", 60.0, AS_OF - timedelta(days=4), AS_OF + timedelta(days=7)))
    out = recommend(simple(4.0, lanes=lanes, open_orders=late), AS_OF, SPEC)
    hurried = out.filter(pl.col("decision_code") == "expedite")
    assert hurried["order_number"].to_list() == ["P9"] and hurried["quantity_ea"].to_list() == [60.0]
    dear = pl.DataFrame([lane("SUP", "S1", 10.0), lane("SUP", "S1", 1.0, "expedite", 500.0, 5.0)])
    kept = recommend(simple(4.0, lanes=dear, open_orders=late), AS_OF, SPEC)
    assert "expedite" not in kept["decision_code"].to_list()
    rejected = json.loads(kept["alternatives_json"][0])
    assert any(a["decision"] == "expedite" and a["cost_usd"] > 0 for a in rejected)


def test_an_order_likely_late_is_decided_on_again() -> None:
    """Plenty of stock, so nothing pays; but the order crosses its threshold, and each faster way is shown with its cost."""
    lanes = pl.DataFrame([lane("SUP", "S1", 10.0), lane("SUP", "S1", 1.0, "expedite", 5.0, 0.05)])
    late = orders(order("P9", "A", "S1", "SUP", 60.0, AS_OF - timedelta(days=4), AS_OF + timedelta(days=7)))

    def night(chance: float) -> dict[str, object]:
        arrival = pl.DataFrame(
            [{"order_number": "P9", "item_id": "A", "site_id": "S1", "source_id": "SUP", "origin_date": AS_OF,
              "remaining_days_p50": 9.0, "remaining_days_p90": 14.0, "late_probability_frac": chance}]
        )  # fmt: skip
        return dict(only(recommend(simple(150.0, lanes=lanes, open_orders=late, arrivals=arrival), AS_OF, SPEC)))

    on_time, crossed = night(0.4), night(0.8)
    assert "late" not in str(on_time["reason"]) and "expedite" not in str(on_time["alternatives_json"])
    assert "Order P9 is late with probability 0.8" in str(crossed["reason"])
    assert json.loads(str(crossed["drivers_json"]))["late_probability_frac"] == 0.8
    ways = {a["decision"]: a["cost_usd"] for a in json.loads(str(crossed["alternatives_json"]))}
    assert ways["expedite"] >= 8.0, "a premium of 5 + 60 × 0.05 USD and no sale saved"


def test_spare_stock_moves_where_a_lane_exists() -> None:
    inputs = simple(
        0.0,
        forecasts=pl.concat([forecast("A", "S1", 5.0), forecast("A", "S2", 0.2)]),
        stock=stock(("A", "S1", 0.0), ("A", "S2", 80.0)),
        sites=sites(("S1", "store", None), ("S2", "store", None)),
        lanes=pl.DataFrame(
            [lane("SUP", "S1", 10.0), lane("SUP", "S2", 10.0), lane("S2", "S1", 1.0, fixed=2.0, each=0.05)]
        ),
    )
    moved = recommend(inputs, AS_OF, SPEC).filter(pl.col("decision_code") == "transfer")
    assert moved.select("source_id", "site_id").row(0) == ("S2", "S1")
    assert 20 < moved["quantity_ea"][0] <= 80


def faster_ways() -> dict[str, Callable[[float], PlanInputs]]:
    """Inputs by the stock on hand at S1 in which one faster way pays: its kind, and a maker."""
    late = orders(order("P9", "A", "S1", "SUP", 60.0, AS_OF - timedelta(days=4), AS_OF + timedelta(days=7)))
    fast = pl.DataFrame([lane("SUP", "S1", 10.0), lane("SUP", "S1", 1.0, "expedite", 5.0, 0.05)])
    moving = pl.DataFrame(
        [lane("SUP", "S1", 10.0), lane("SUP", "S2", 10.0), lane("S2", "S1", 1.0, fixed=2.0, each=0.05)]
    )
    two = pl.concat([forecast("A", "S1", 5.0), forecast("A", "S2", 0.2)])
    sellers = pl.DataFrame(
        [{"supplier_id": s, "item_id": "A", "unit_cost_usd": c, "minimum_order_ea": 0.0, "preference_no": n}
         for s, c, n in (("SUP", 2.0, 1), ("NEAR", 2.2, 2))]
    )  # fmt: skip
    return {
        "expedite": lambda have: simple(have, lanes=fast, open_orders=late),
        "transfer": lambda have: simple(
            have, forecasts=two, stock=stock(("A", "S1", have), ("A", "S2", 80.0)), lanes=moving,
            sites=sites(("S1", "store", None), ("S2", "store", None)),
        ),
        "switch_supplier": lambda have: simple(
            have, supplier_items=sellers, lanes=pl.DataFrame([lane("SUP", "S1", 15.0), lane("NEAR", "S1", 2.0, fixed=1.0)])
        ),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["expedite", "transfer", "switch_supplier"])
def test_the_flip_of_a_faster_way_is_the_smallest_change(kind: str) -> None:
    make = faster_ways()[kind]

    def kinds(have: float) -> list[str]:
        return recommend(make(have), AS_OF, SPEC).filter(pl.col("site_id") == "S1")["decision_code"].to_list()

    row = recommend(make(3.0), AS_OF, SPEC).filter(pl.col("decision_code") == kind)
    assert row.height == 1
    flip = json.loads(str(row["flip_json"][0]))
    assert flip["field"] == "on_hand_qty_ea" and flip["becomes"] != kind
    change = flip["change_ea"]
    assert change >= 1
    assert kind in kinds(3.0 + change - 1) and kind not in kinds(3.0 + change)


def test_supplier_minimum_holds_back_a_small_order_and_fills_up_an_urgent_one() -> None:
    suppliers = pl.DataFrame([{"supplier_id": "SUP", "minimum_order_usd": 300.0, "order_weekdays": None}])
    calm = only(recommend(simple(200.0, suppliers=suppliers), AS_OF, SPEC))
    assert calm["decision_code"] == "none"
    urgent = only(recommend(simple(0.0, suppliers=suppliers), AS_OF, SPEC))
    assert urgent["decision_code"] == "replenish"
    assert urgent["order_cost_usd"] >= 300  # type: ignore[operator]


def test_storage_cuts_the_order_and_says_so() -> None:
    room = sites(("S1", "store", None), capacity={"S1": 10.0})
    row = only(recommend(simple(0.0, sites=room), AS_OF, SPEC))
    assert row["quantity_ea"] == 10.0 and "torage at S1 holds 10" in str(row["reason"])


def test_an_order_is_cut_to_what_sells_before_it_spoils() -> None:
    def night(days: int | None, **more: object) -> dict[str, object]:
        kept = items(("A", 6, 2.0, 3.0)).with_columns(pl.lit(days, dtype=pl.Int32).alias("shelf_life_days"))
        slow = pl.DataFrame([lane("SUP", "S1", 3.0, fixed=400.0)])
        return dict(only(recommend(simple(0.0, items=kept, lanes=slow, **more), AS_OF, SPEC)))

    free, cut, none = night(None), night(7), night(1)
    assert free["quantity_ea"] > 35 >= cut["quantity_ea"] > 0  # type: ignore[operator]
    assert cut["quantity_ea"] == 30 and "keeps 7 days" in str(cut["reason"]), "5 a day for 7 days, in packs of 6"
    assert (none["decision_code"], none["quantity_ea"]) == ("none", 0) and "keeps 1 days" in str(none["reason"])


def test_the_daily_cap_keeps_the_lines_worth_most() -> None:
    inputs = network(12, 4)
    free = recommend(inputs, AS_OF, SPEC)
    capped = recommend(inputs, AS_OF, dataclasses.replace(SPEC, max_lines_per_day=5))
    lines = capped.filter(pl.col("decision_code") == "replenish")
    assert lines.height == 5
    best = (
        free.filter(pl.col("decision_code") == "replenish")
        .sort("money_at_stake_usd", descending=True)["rec_id"]
        .head(5)
    )
    assert set(lines["rec_id"]) == set(best)


def test_default_specification_and_its_errors(tmp_path: object) -> None:
    assert load_spec() == PlanSpec()
    import pathlib

    bad = pathlib.Path(str(tmp_path)) / "p.yaml"
    bad.write_text("holding_rate: 1\n")
    with pytest.raises(BadInputError, match="unknown keys holding_rate"):
        load_spec(bad)
    bad.write_text("scenarios: 3\n")
    with pytest.raises(BadInputError, match="scenarios is 3"):
        load_spec(bad)


def test_what_only_a_later_delivery_replaces_is_not_to_spare() -> None:
    coming = orders(order("BIG", "A", "S2", "SUP", 500.0, AS_OF - timedelta(days=2), AS_OF + timedelta(days=8)))
    inputs = simple(
        0.0,
        forecasts=pl.concat([forecast("A", "S1", 5.0), forecast("A", "S2", 5.0)]),
        stock=stock(("A", "S1", 0.0), ("A", "S2", 30.0)),
        open_orders=coming,
        sites=sites(("S1", "store", None), ("S2", "store", None)),
        lanes=pl.DataFrame([lane("SUP", "S1", 10.0), lane("SUP", "S2", 10.0), lane("S2", "S1", 1.0)]),
    )
    assert "transfer" not in recommend(inputs, AS_OF, SPEC)["decision_code"].to_list()


def test_stores_share_what_the_centre_receives_in_the_morning() -> None:
    arriving = orders(order("IN", "A", "DC", "SUP", 60.0, AS_OF - timedelta(days=6), AS_OF + timedelta(days=1)))
    inputs = simple(
        0.0,
        stock=stock(("A", "S1", 0.0), ("A", "DC", 0.0)),
        open_orders=arriving,
        sites=sites(("S1", "store", "DC"), ("DC", "dc", None)),
        lanes=pl.DataFrame([lane("DC", "S1", 1.0), lane("SUP", "DC", 7.0)]),
    )
    store = recommend(inputs, AS_OF, SPEC).filter(pl.col("site_id") == "S1")
    assert store["decision_code"].to_list() == ["replenish"] and store["quantity_ea"][0] > 0


def test_a_centre_risks_a_share_of_its_margin_by_waiting_and_a_store_all_of_it(
    night: tuple[PlanInputs, pl.DataFrame],
) -> None:
    inputs, out = night
    whole = recommend(inputs, AS_OF, dataclasses.replace(SPEC, centre_waiting_share_frac=1.0))
    key, risk = (
        ["item_id", "site_id"],
        pl.col("drivers_json").str.json_path_match("$.waiting_risk_usd").cast(pl.Float64),
    )
    both = out.select(*key, share=risk).join(whole.select(*key, all=risk), on=key).filter(pl.col("all") > 1)
    for centre, expected in ((True, SPEC.centre_waiting_share_frac), (False, 1.0)):
        rows = both.filter((pl.col("site_id") == "DC0") == centre)
        assert rows.height > 0 and (rows["share"] / rows["all"]).to_numpy() == pytest.approx(expected, abs=1e-2)
