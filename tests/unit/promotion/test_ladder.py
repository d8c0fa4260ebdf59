"""Cost, canary, rollback, ladder, fairness, cards: planted truth, refusals, stickiness."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS
from aios_assets.contracts.errors import BadInputError, RefusedError
from aios_assets.contracts.gates import Evidence, GateDecision
from ml.promotion.canary import STEPS, assign_canary, shares, strata
from ml.promotion.cards import CARD_SECTIONS, SHEET_SECTIONS, data_sheet, model_card
from ml.promotion.cost import CostDifference, cost_difference, cost_evidence
from ml.promotion.deployments import champion_at, deployment_row, live_at, promotion_rows
from ml.promotion.fairness import concentration, concentration_rise, gap_rise, service_gap
from ml.promotion.ladder import RUNG_OF_GATE, climb, shadow_divergence, steps_for, supersede
from ml.promotion.rollback import judge_kpis, tick
from monitoring.gates import load_thresholds

DAY = date(2025, 3, 1)
T0 = datetime(2025, 3, 2, 6, tzinfo=UTC)
LIMITS = load_thresholds().gates


def costs(
    gain: float, seed: int = 0, units: int = 120, weeks: int = 26, noise: float = 0.15
) -> tuple[pl.DataFrame, pl.DataFrame]:
    rng = np.random.default_rng(seed)
    base = rng.gamma(1.0, 50.0, units)[:, None] * rng.gamma(8, 1 / 8, (units, weeks))
    new = base * (1 - gain) * np.exp(rng.normal(0, noise, (units, weeks)) - noise**2 / 2)
    keys = pl.DataFrame(
        {
            "item_id": np.repeat([f"I{i}" for i in range(units)], weeks),
            "site_id": "S",
            "week_date": [DAY - timedelta(days=7 * w) for w in range(weeks)] * units,
        }
    )
    return keys.with_columns(pl.Series("cost_usd", base.ravel())), keys.with_columns(pl.Series("cost_usd", new.ravel()))


def test_cheaper_is_seen_and_equal_is_not_called_cheaper() -> None:
    better = cost_difference(*costs(0.05), seed=1)
    assert isinstance(better, CostDifference)
    assert (
        better.difference == pytest.approx(-0.05, abs=0.02)
        and better.high < 0
        and better.low < better.difference < better.high
    )
    called = [cost_difference(*costs(0.0, seed=s), seed=1) for s in range(20)]
    assert sum(isinstance(c, CostDifference) and c.high < 0 for c in called) <= 2


def test_costs_that_do_not_match_are_refused() -> None:
    a, b = costs(0.05)
    nan = b.with_columns(pl.lit(float("nan")).alias("cost_usd"))
    for left, right, words in ((a, b.head(9), "same items"), (a.drop("cost_usd"), b, "lack"), (a, nan, "missing or infinite"), (a, b.clear(), "no costs"),
                               (pl.concat([a, a]), b, "twice"), (a.with_columns(pl.lit(0.0).alias("cost_usd")), b, "zero")):  # fmt: skip
        found = cost_difference(left, right, seed=1)
        assert isinstance(found, str) and words in found
        assert cost_evidence(found, newest=DAY).problem == found
    good = cost_evidence(cost_difference(a, b, seed=1), newest=DAY)
    assert good.rows == 26 and good.value is not None and good.value < 0


def units(n: int = 2000, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "item_id": [f"I{i}" for i in range(n)],
            "site_id": "S",
            "stratum": rng.choice(["AX", "AY", "BX", "CZ"], n, p=[0.4, 0.3, 0.2, 0.1]),
        }
    )


def test_shares_are_exact_nested_sticky_and_independent_of_order() -> None:
    previous = None
    inside: set[str] = set()
    for share in STEPS:
        now = assign_canary(
            units().sample(fraction=1.0, shuffle=True, seed=3), share, rollout="demand:7", previous=previous
        )
        assert (shares(now)["share_frac"] - share).abs().max() <= 0.01  # type: ignore[operator]
        members = set(now.filter("is_canary")["item_id"])
        assert inside <= members
        again = assign_canary(units(), share, rollout="demand:7", previous=now)
        assert again.equals(now)
        inside, previous = members, now
    assert len(inside) == 2000
    other = assign_canary(units(), 0.25, rollout="demand:8")
    mine = assign_canary(units(), 0.25, rollout="demand:7")
    assert 0.15 < other.filter("is_canary").join(mine.filter("is_canary"), on="item_id").height / 500 < 0.35


def test_new_units_and_changed_strata_move_nobody() -> None:
    first = assign_canary(units(1000), 0.05, rollout="r")
    grown = pl.concat([units(1000).with_columns(pl.lit("AX").alias("stratum")), units(1500).tail(500)])
    second = assign_canary(grown, 0.05, rollout="r", previous=first)
    both = first.join(second, on=["item_id", "site_id"], suffix="_now")
    assert both.filter(pl.col("is_canary") & ~pl.col("is_canary_now")).height == 0
    assert both.filter(~pl.col("is_canary") & pl.col("is_canary_now")).height <= 30
    with pytest.raises(BadInputError):
        assign_canary(units(), 1.2, rollout="r")
    with pytest.raises(BadInputError):
        assign_canary(pl.concat([units(5), units(5)]), 0.5, rollout="r")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 300), st.floats(0, 1), st.integers(0, 5))
def test_share_is_right_to_half_a_unit_per_stratum(n: int, share: float, seed: int) -> None:
    out = shares(assign_canary(units(n, seed), share, rollout="r"))
    assert ((out["share_frac"] - share).abs() * out["units"] <= 0.5 + 1e-9).all()


def test_strata_follow_money_and_variation() -> None:
    days = [DAY - timedelta(days=k) for k in range(140)]
    rows = (
        [("big", d, 50.0) for d in days]
        + [("mid", d, 8.0) for d in days]
        + [("rare", d, 70.0 if k == 3 else 0.0) for k, d in enumerate(days)]
    )
    demand = pl.DataFrame(rows, schema=["item_id", "demand_date", "sales_qty_ea"], orient="row").with_columns(
        pl.lit("S").alias("site_id")
    )
    got = {r["item_id"]: r["stratum"] for r in strata(demand).iter_rows(named=True)}
    assert got["big"] == "AX" and got["rare"] == "CZ" and got["mid"][1] == "X"


def kpis(drop: float, seed: int, n: int = 1500, share: float = 0.1) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    wanted = rng.poisson(40, n).astype(float) + 1
    canary = rng.random(n) < share
    fill = np.clip(rng.normal(0.95, 0.04, n) - drop * canary, 0, 1)
    return pl.DataFrame(
        {"item_id": [f"I{i}" for i in range(n)], "site_id": "S", "is_canary": canary, "wanted_qty_ea": wanted, "sales_qty_ea": wanted * fill, "days": 7.0,
         "stockout_days": rng.binomial(7, np.clip(0.03 + drop * canary, 0, 1)).astype(float), "expedite_cost_usd": rng.gamma(1, 2, n)}
    )  # fmt: skip


def live() -> pl.DataFrame:
    table = promotion_rows(
        MON_DEPLOYMENTS.empty(),
        decision="promote",
        model_name="m",
        model_version="1",
        model_digest="d1",
        reason="r",
        instant=T0,
    )
    return pl.concat(
        [
            table,
            promotion_rows(
                table,
                decision="promote",
                model_name="m",
                model_version="2",
                model_digest="d2",
                reason="r",
                instant=T0 + timedelta(days=1),
            ),
        ]
    )


def verdicts(drop: float, seed: int) -> tuple[GateDecision, ...]:
    return judge_kpis(kpis(drop, seed), kpis(0.0, seed + 100), subject="m:2", as_of=DAY, newest=DAY, limits=LIMITS)


def test_a_drop_moves_the_alias_in_one_tick_and_opens_an_incident() -> None:
    now = T0 + timedelta(days=2)
    result = tick(live(), verdicts(0.08, 1), model_name="m", instant=now)
    assert result.rolled_back and result.canary_frozen and result.incident.height == 1
    after = pl.concat([live(), result.deployments])
    assert champion_at(after, now, "m") == "1"
    assert "kpi_fill_rate" in result.incident["reason"][0]


def test_quiet_runs_roll_nothing_back() -> None:
    assert not any(
        tick(live(), verdicts(0.0, s), model_name="m", instant=T0 + timedelta(days=2)).rolled_back for s in range(10)
    )


def test_evidence_that_cannot_be_judged_freezes_and_changes_nothing() -> None:
    for frame in (
        kpis(0.0, 1).clear(),
        kpis(0.0, 1).drop("wanted_qty_ea"),
        kpis(0.0, 1).head(20),
        kpis(0.0, 1).with_columns(pl.lit(float("nan")).alias("sales_qty_ea")),
    ):
        found = judge_kpis(frame, None, subject="m:2", as_of=DAY, newest=DAY, limits=LIMITS)
        result = tick(live(), found, model_name="m", instant=T0 + timedelta(days=2))
        assert not result.rolled_back and result.canary_frozen and result.deployments.height == 0


def passed(*codes: str, ok: bool = True) -> list[GateDecision]:
    return [GateDecision(DAY, c, "m:2", ok, "x", 0.0, 1.0, "passed" if ok else "failed") for c in codes]


def step(table: pl.DataFrame, day: int, found: list[GateDecision], nights: int) -> tuple[pl.DataFrame, str, float]:
    result = climb(
        table,
        model_name="m",
        model_version="2",
        model_digest="d2",
        verdicts=found,
        nights_on_rung=nights,
        instant=T0 + timedelta(days=day),
    )
    return pl.concat([table, result.deployments]), result.rung, result.share


def test_a_challenger_climbs_every_rung_in_order() -> None:
    table = promotion_rows(
        MON_DEPLOYMENTS.empty(),
        decision="promote",
        model_name="m",
        model_version="1",
        model_digest="d1",
        reason="r",
        instant=T0,
    )
    table, rung, _ = step(table, 1, passed("promote_pinball_vs_naive"), 0)
    assert rung == "cost"
    seen = []
    table, rung, share = step(table, 2, passed("promote_pinball_vs_naive", "promote_cost"), 0)
    for day in range(3, 8):
        seen.append((rung, share))
        table, rung, share = step(table, day, passed("kpi_fill_rate"), 99)
    assert [*seen, (rung, share)] == [
        ("shadow", 0.0),
        ("canary", 0.01),
        ("canary", 0.05),
        ("canary", 0.25),
        ("full", 1.0),
        ("full", 1.0),
    ]
    assert champion_at(table, T0 + timedelta(days=9), "m") == "2"
    assert live_at(table, T0 + timedelta(days=9), "m")["alias"].to_list() == ["champion"]


def test_no_evidence_holds_and_failed_evidence_ends_the_climb() -> None:
    table = promotion_rows(
        MON_DEPLOYMENTS.empty(),
        decision="promote",
        model_name="m",
        model_version="1",
        model_digest="d1",
        reason="r",
        instant=T0,
    )
    table, _, _ = step(table, 1, passed("promote_cost"), 0)
    table, rung, share = step(table, 2, passed("shadow_divergence"), 3)
    assert (rung, share) == ("canary", 0.01)
    assert step(table, 3, [], 99)[1:] == ("canary", 0.01)
    assert step(table, 3, passed("kpi_fill_rate"), 1)[1:] == ("canary", 0.01)
    after, rung, _ = step(table, 3, passed("kpi_fill_rate", ok=False), 9)
    assert rung == "rejected"
    assert {r["alias"]: r["share_frac"] for r in live_at(after, T0 + timedelta(days=3), "m").iter_rows(named=True)} == {
        "champion": 1.0
    }


def test_shadow_divergence_is_the_planned_money_that_differs() -> None:
    champion = pl.DataFrame(
        {"as_of_date": [DAY, DAY], "item_id": ["A", "B"], "site_id": "S", "order_cost_usd": [100.0, 50.0]}
    )
    shadow = pl.DataFrame(
        {"as_of_date": [DAY, DAY], "item_id": ["A", "C"], "site_id": "S", "order_cost_usd": [90.0, 20.0]}
    )
    assert shadow_divergence(champion, shadow, DAY).value == pytest.approx((10 + 50 + 20) / 150)
    assert shadow_divergence(champion, shadow.clear(), DAY).problem


def test_fairness_gaps_and_concentration() -> None:
    size = pl.DataFrame({"site_id": list("abcdef"), "size": [1.0, 2, 3, 4, 5, 6]})
    rows = pl.DataFrame({"site_id": list("abcdef"), "wanted_qty_ea": 100.0, "sales_qty_ea": [80.0, 80, 90, 90, 96, 96]})
    gap = service_gap(rows, size, key="site_id", newest=DAY)
    assert gap.value == pytest.approx(0.16)
    assert service_gap(rows, size.head(2), key="site_id", newest=DAY).problem
    even = pl.DataFrame({"source_id": ["A", "B"], "order_cost_usd": [50.0, 50.0]})
    one = pl.DataFrame({"source_id": ["A"], "order_cost_usd": [100.0]})
    assert concentration(even) == 0.5 and concentration_rise(even, one, DAY).value == 0.5
    assert concentration_rise(even, one.clear(), DAY).problem
    penalised = service_gap(pl.concat([rows] * 5), size, key="site_id", newest=DAY)
    assert (
        not load_thresholds()
        .judge("fairness_site_size", Evidence(penalised.value, penalised.rows, DAY), subject="m:2", as_of=DAY)
        .is_passed
    )


def test_cards_are_whole_or_refused() -> None:
    sections = {s: "text" for s in CARD_SECTIONS if s != "Gates"} | {
        "Quality by demand class": [{"class": "lumpy", "pinball": 0.5}]
    }
    card = model_card("m", "2", sections, passed("promote_cost"))
    assert "| lumpy | 0.5 |" in card.markdown and "promote_cost" in card.html and "<table>" in card.html
    with pytest.raises(RefusedError, match="Calibration"):
        model_card("m", "2", {k: v for k, v in sections.items() if k != "Calibration"}, passed("g"))
    with pytest.raises(RefusedError, match="Gates"):
        model_card("m", "2", sections)
    with pytest.raises(RefusedError, match="not known"):
        data_sheet("m", "2", dict.fromkeys(SHEET_SECTIONS, "x") | {"Other": "y"})
    assert "<script>" not in data_sheet("m", "<script>", dict.fromkeys(SHEET_SECTIONS, "<script>")).html


def test_refused_evidence_freezes_a_canary_and_a_measured_failure_ends_it() -> None:
    table = pl.concat([live(), deployment_row(model_name="m", model_version="3", model_digest="d3", alias="canary", share_frac=0.05,
                                              valid_from_utc=T0 + timedelta(days=2), verdict="promote", reason="r")])  # fmt: skip
    unjudged = [GateDecision(DAY, "kpi_fill_rate", "m:3", False, "x", None, 0.02, "refused: only 3 rows of evidence")]
    call = {"model_name": "m", "model_version": "3", "model_digest": "d3", "nights_on_rung": 99}
    frozen = climb(table, verdicts=unjudged, instant=T0 + timedelta(days=9), **call)  # type: ignore[arg-type]
    assert (frozen.rung, frozen.share, frozen.deployments.height) == ("canary", 0.05, 0) and "frozen" in frozen.reason
    failed = climb(table, verdicts=passed("kpi_fill_rate", ok=False), instant=T0 + timedelta(days=9), **call)  # type: ignore[arg-type]
    assert failed.rung == "rejected"
    small = climb(table, verdicts=passed("kpi_fill_rate"), instant=T0 + timedelta(days=9), steps=steps_for(100), **call)  # type: ignore[arg-type]
    assert small.share == 0.25


@pytest.mark.parametrize(
    ("units", "shares_used"), [(30_000, (0.01, 0.05, 0.25, 1.0)), (480, (0.05, 0.25, 1.0)), (32, (0.25, 1.0))]
)
def test_a_share_of_a_handful_of_units_is_no_step(units: int, shares_used: tuple[float, ...]) -> None:
    assert steps_for(units) == shares_used


@pytest.mark.parametrize("alias", ["shadow", "canary"])
def test_a_newer_version_ends_an_older_climb(alias: str) -> None:
    now = T0 + timedelta(days=5)
    old = deployment_row(model_name="m", model_version="3", model_digest="d3", alias=alias, share_frac=0.05, valid_from_utc=T0 + timedelta(days=3), verdict="promote", reason="r")  # fmt: skip
    table = pl.concat([live(), old])
    begun = climb(
        table,
        model_name="m",
        model_version="4",
        model_digest="d4",
        verdicts=passed("promote_cost"),
        nights_on_rung=0,
        instant=now,
    )
    after = pl.concat([table, supersede(table, model_name="m", newer="4", instant=now), begun.deployments])
    for rows in (after, after.reverse()):
        alive = {(r["alias"], r["model_version"]) for r in live_at(rows, now, "m").iter_rows(named=True)}
        assert alive == {("champion", "2"), ("shadow", "4")}
    assert supersede(live(), model_name="m", newer="4", instant=now).is_empty()


def test_every_limit_of_the_ladder_belongs_to_one_rung() -> None:
    gates = {g for g in LIMITS if g.startswith(("promote_", "shadow_", "kpi_", "fairness_", "supplier_"))}
    assert gates == set(RUNG_OF_GATE)


def test_a_gap_that_was_there_before_is_not_the_challengers_doing() -> None:
    def side(small: float) -> pl.DataFrame:
        rows = [
            (f"I{i}", f"S{s}", 100.0 * (s + 1), 100.0 * (s + 1) * (small if s < 2 else 0.05))
            for i in range(10)
            for s in range(6)
        ]
        return pl.DataFrame(rows, schema=["item_id", "site_id", "wanted_qty_ea", "lost_qty_ea"], orient="row")

    same, worse = (
        gap_rise(side(0.2), side(0.2), key="site_id", newest=DAY),
        gap_rise(side(0.2), side(0.3), key="site_id", newest=DAY),
    )
    assert same.value == pytest.approx(0.0) and same.rows == 60
    assert worse.value == pytest.approx(0.1)
    assert gap_rise(side(0.2).filter(site_id="S1"), side(0.2).filter(site_id="S1"), key="site_id", newest=DAY).problem
