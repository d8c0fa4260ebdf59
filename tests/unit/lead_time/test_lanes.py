"""Lane lead times: against lifelines, planted truth, invariants, bad input."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.decision_tables import PRED_LEAD_TIME_LANE, PRED_ORDER_ARRIVAL
from aios_assets.contracts.errors import BadInputError, IntegrityError
from ml.lead_time import LeadTimeModel, fit_lead_times, predict_lanes, predict_open_orders
from ml.lead_time.lanes import lead_time_observations
from ml.lead_time.survival import Curves, mean_days, remaining_quantile, survival_curves, survive

AS_OF = date(2024, 10, 1)
CUT = datetime(2024, 10, 2, 6, tzinfo=UTC)


def orders(seed: int = 0, n: int = 1500, lanes: int = 3, scale: float = 1.5) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    day = rng.integers(0, 270, n)
    lead = rng.gamma(9, scale, n).astype(int)
    start = date(2024, 1, 5)
    return pl.DataFrame(
        {
            "order_number": [f"PO{i}" for i in range(n)],
            "item_id": [f"I{i % 40}" for i in range(n)],
            "source_id": [f"S{i % lanes}" for i in range(n)],
            "site_id": "DC1",
            "order_date": [start + timedelta(days=int(d)) for d in day],
            "received_date": [start + timedelta(days=int(d + k)) for d, k in zip(day, lead, strict=True)],
            "promised_date": [start + timedelta(days=int(d) + 14) for d in day],
            "open_qty_ea": 10.0,
        }
    )


def test_one_group_without_prior_is_the_kaplan_meier_of_lifelines() -> None:
    from lifelines import KaplanMeierFitter

    rng = np.random.default_rng(1)
    days, received = rng.integers(1, 40, 300), rng.random(300) < 0.7
    weights = np.ones(300)
    curves = survival_curves(
        np.zeros(300, dtype=np.int64), days, received, weights, count=1, parent=None, strength=0.0, horizon=40
    )
    oracle = KaplanMeierFitter().fit(days, received).survival_function_at_times(np.arange(41)).to_numpy()
    assert np.allclose(curves.survival[0], oracle, atol=1e-12)


def test_open_orders_are_counted_as_not_yet_arrived() -> None:
    """A slow-down that completed orders cannot show: truth 18.5 days median, completed orders alone say far less."""
    rng = np.random.default_rng(3)
    n = 4000
    age = rng.integers(0, 25, n)
    lead = np.maximum(rng.gamma(18.5**2 / 36, 36 / 18.5, n).round().astype(int), 1)
    frame = pl.DataFrame(
        {
            "order_number": np.arange(n).astype(str), "source_id": "S", "site_id": "D",
            "order_date": [AS_OF - timedelta(days=int(a)) for a in age],
            "received_date": [AS_OF - timedelta(days=int(a)) + timedelta(days=int(k)) for a, k in zip(age, lead, strict=True)],
        }
    )  # fmt: skip
    model = fit_lead_times(frame, AS_OF, half_life_days=0.0)
    median = predict_lanes(model, frame, origin_date=AS_OF, available_at_utc=CUT)["lead_time_days_p50"][0]
    done = frame.filter(pl.col("received_date") <= AS_OF)
    completed = (done["received_date"] - done["order_date"]).dt.total_days().median()
    assert abs(median - np.median(lead)) <= 1.0
    assert completed < median - 2.5


@pytest.mark.parametrize(
    ("received", "waited", "kept"), [(6, 40, False), (6, 25, True), (1, 300, False), (0, 300, True)]
)
def test_a_lost_order_of_a_young_source_is_judged_by_all_orders(received: int, waited: int, kept: bool) -> None:
    """All orders took 6 days, those of the young source 7: what waits longer than 3 × 7 + 7 days was never closed, if anything was received."""
    old = [("S", f"O{n}", 20 + n, 6) for n in range(40)]
    young = [("Y", f"N{n}", 20 + n, 7) for n in range(received)]
    rows = [(s, o, AS_OF - timedelta(days=age), AS_OF - timedelta(days=age - took)) for s, o, age, took in old + young]
    frame = pl.DataFrame(
        [*rows, ("Y", "LOST", AS_OF - timedelta(days=waited), None)],
        schema={"source_id": pl.String, "order_number": pl.String, "order_date": pl.Date, "received_date": pl.Date}, orient="row",
    ).with_columns(pl.lit("DC1").alias("site_id"))  # fmt: skip
    obs, aside = lead_time_observations(frame, AS_OF)
    assert ("LOST" in obs["cluster"].to_list(), sum(aside.values())) == (kept, int(not kept))
    if not kept:
        answer = predict_lanes(fit_lead_times(frame, AS_OF), frame, origin_date=AS_OF, available_at_utc=CUT)
        assert answer.filter(source_id="Y")["lead_time_days_p95"].item() <= 7


def test_a_line_more_of_the_same_order_changes_nothing() -> None:
    base = orders(n=300)
    doubled = pl.concat([base, base.with_columns(pl.lit("other").alias("item_id"))])
    a, b = fit_lead_times(base, AS_OF), fit_lead_times(doubled, AS_OF)
    assert np.allclose(a.curves.survival, b.curves.survival, atol=1e-12)
    assert a.received == b.received


def test_the_future_is_not_seen() -> None:
    full = orders()
    truncated = full.filter(pl.col("order_date") <= AS_OF).with_columns(
        pl.when(pl.col("received_date") <= AS_OF).then("received_date").alias("received_date")
    )
    seen, cut = fit_lead_times(full, AS_OF), fit_lead_times(truncated, AS_OF)
    assert seen.curves.survival.tobytes() == cut.curves.survival.tobytes()


def test_order_of_rows_does_not_matter_and_bytes_come_back() -> None:
    frame = orders()
    model = fit_lead_times(frame, AS_OF)
    again = fit_lead_times(frame.sample(fraction=1.0, shuffle=True, seed=5), AS_OF)
    assert model.to_bytes() == again.to_bytes()
    back = LeadTimeModel.from_bytes(model.to_bytes(), model.digest)
    assert back.to_bytes() == model.to_bytes()
    left, right = (predict_lanes(m, frame, origin_date=AS_OF, available_at_utc=CUT) for m in (model, back))
    assert left.equals(right)


def test_tampered_and_foreign_bytes_are_refused() -> None:
    model = fit_lead_times(orders(), AS_OF)
    with pytest.raises(IntegrityError):
        LeadTimeModel.from_bytes(model.to_bytes().replace(b"S0", b"S9"), model.digest)
    for junk in (b"", b"{}", b"[1]", b"\x80\x04N.", b'{"format": "other"}'):
        with pytest.raises(IntegrityError):
            LeadTimeModel.from_bytes(junk)


def test_small_lane_leans_on_its_source_and_unknown_lane_on_all() -> None:
    many = orders(n=900, lanes=1)
    one = many.head(1).with_columns(pl.lit("DC9").alias("site_id"), pl.lit("X").alias("order_number"),
                                    pl.lit(date(2024, 7, 1)).alias("order_date"), pl.lit(date(2024, 8, 30)).alias("received_date"))  # fmt: skip
    model = fit_lead_times(pl.concat([many, one]), AS_OF)
    lanes = pl.DataFrame({"source_id": ["S0", "S0", "S0", "new"], "site_id": ["DC1", "DC9", "DC77", "DC1"]})
    got = {
        (r["source_id"], r["site_id"]): r
        for r in predict_lanes(model, lanes, origin_date=AS_OF, available_at_utc=CUT).iter_rows(named=True)
    }
    big, small = got["S0", "DC1"]["lead_time_days_p50"], got["S0", "DC9"]["lead_time_days_p50"]
    assert big <= small < 30
    assert got["S0", "DC77"]["received_orders"] == 1 + many.filter(pl.col("received_date") <= AS_OF).height
    assert got["new", "DC1"]["lead_time_days_p50"] == pytest.approx(big, abs=1)


def test_recent_orders_weigh_more() -> None:
    early, late = orders(seed=1, n=600, lanes=1, scale=1.0), orders(seed=2, n=600, lanes=1, scale=2.5)
    late = late.with_columns(
        (pl.col("order_date") + pl.duration(days=0)), ("L" + pl.col("order_number")).alias("order_number")
    )
    both = pl.concat(
        [early.filter(pl.col("order_date") < date(2024, 6, 1)), late.filter(pl.col("order_date") >= date(2024, 6, 1))]
    )
    lanes = both.head(1)
    mid = {
        h: predict_lanes(fit_lead_times(both, AS_OF, half_life_days=h), lanes, origin_date=AS_OF, available_at_utc=CUT)[
            "lead_time_days_p50"
        ][0]
        for h in (0.0, 45.0)
    }
    assert mid[45.0] > mid[0.0]


def test_open_orders_get_hazard_given_age() -> None:
    frame = orders(lanes=1)
    model = fit_lead_times(frame, AS_OF)
    waiting = frame.head(3).with_columns(
        pl.Series("order_date", [AS_OF - timedelta(days=k) for k in (1, 12, 30)]),
        pl.Series("promised_date", [AS_OF + timedelta(days=13), AS_OF + timedelta(days=2), AS_OF - timedelta(days=5)]),
    )
    out = predict_open_orders(model, waiting, AS_OF, available_at_utc=CUT).sort("age_days")
    assert out.schema == PRED_ORDER_ARRIVAL.schema
    late = out["late_probability_frac"].to_list()
    assert 0 < late[0] < late[1] < late[2] == 1.0
    assert (out["remaining_days_p50"] >= 1).all()
    assert (out["remaining_days_p90"] >= out["remaining_days_p50"]).all()


def test_an_order_without_due_date_has_no_chance_of_being_late() -> None:
    frame = orders(lanes=1)
    waiting = frame.head(1).with_columns(
        pl.lit(AS_OF).alias("order_date"), pl.lit(None, dtype=pl.Date).alias("promised_date")
    )
    out = predict_open_orders(fit_lead_times(frame, AS_OF), waiting, AS_OF, available_at_utc=CUT)
    assert out["late_probability_frac"].to_list() == [None]


def test_rows_have_the_contract_and_quantiles_do_not_cross() -> None:
    out = predict_lanes(fit_lead_times(orders(), AS_OF), orders(), origin_date=AS_OF, available_at_utc=CUT)
    assert out.schema == PRED_LEAD_TIME_LANE.schema
    quantiles = out.select(pl.col("^lead_time_days_p\\d\\d$")).to_numpy()
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert out.select(PRED_LEAD_TIME_LANE.key).n_unique() == out.height == 3


def test_what_cannot_be_used_is_set_aside_and_counted() -> None:
    frame = orders(n=50).with_columns(pl.lit(False).alias("is_cancelled"))
    bad = frame.head(4).with_columns(
        pl.Series("order_date", [None, date(2024, 3, 1), date(2024, 3, 1), date(2025, 1, 1)]),
        pl.Series("received_date", [None, date(2024, 2, 1), date(2024, 3, 9), None]),
        pl.Series("is_cancelled", [False, False, True, False]),
    )
    kept, aside = lead_time_observations(pl.concat([frame, bad]), AS_OF)
    assert aside == {
        "cancelled": 1,
        "no order date": 1,
        "ordered after the day judged": 1,
        "received before it was ordered": 1,
    }
    assert kept.height + sum(aside.values()) == 54


def test_bad_input_has_one_clear_sentence() -> None:
    with pytest.raises(BadInputError, match="received_date"):
        fit_lead_times(orders().drop("received_date"), AS_OF)
    with pytest.raises(BadInputError, match="no order was received yet"):
        fit_lead_times(orders().with_columns(pl.lit(None, dtype=pl.Date).alias("received_date")), AS_OF)
    with pytest.raises(BadInputError, match="dated after"):
        predict_open_orders(
            fit_lead_times(orders(), AS_OF),
            orders().with_columns(pl.lit(date(2030, 1, 1)).alias("order_date")),
            AS_OF,
            available_at_utc=CUT,
        )


@settings(max_examples=60, deadline=None)
@given(
    days=st.lists(st.integers(0, 60), min_size=1, max_size=40),
    flags=st.lists(st.booleans(), min_size=40, max_size=40),
    strength=st.floats(0, 20),
)
def test_curves_fall_from_one_and_quantiles_invert_them(days: list[int], flags: list[bool], strength: float) -> None:
    days_ = np.array(days)
    received = np.array(flags[: len(days)])
    received[0] = True
    whole = survival_curves(
        np.zeros(len(days), dtype=np.int64),
        days_,
        received,
        np.ones(len(days)),
        count=1,
        parent=None,
        strength=0,
        horizon=61,
    )
    shrunk = survival_curves(
        np.zeros(len(days), dtype=np.int64),
        days_,
        received,
        np.ones(len(days)),
        count=1,
        parent=whole,
        strength=strength,
        horizon=61,
    )
    for c in (whole, shrunk):
        assert (np.diff(c.survival, axis=1) <= 1e-12).all()
        assert c.survival.min() >= 0 and c.survival.max() <= 1
        assert np.isfinite(mean_days(c)).all()
    # shrinking a curve to itself changes nothing
    assert np.allclose(shrunk.survival, whole.survival, atol=1e-9)
    g = np.zeros(1, dtype=np.int64)
    for age in (-1, 0, 10, 70):
        for q in (0.1, 0.5, 0.9):
            r = remaining_quantile(whole, g, np.array([age]), q)[0]
            base = survive(whole, g, np.array([age]))[0]
            if base > 1e-9 and age < 61:
                assert survive(whole, g, np.array([age + int(r)]))[0] <= base * (1 - q) + 1e-9
                if r > 0:
                    assert survive(whole, g, np.array([age + int(r) - 1]))[0] > base * (1 - q) - 1e-9


def test_the_tail_beyond_the_grid_is_geometric() -> None:
    c = Curves(np.array([[1.0, 0.5]]), np.array([0.1]))
    g = np.zeros(1, dtype=np.int64)
    assert survive(c, g, np.array([11]))[0] == pytest.approx(0.5 * 0.9**10)
    assert mean_days(c)[0] == pytest.approx(1.0 + 0.5 + 0.5 * 0.9 / 0.1)


def test_lines_that_were_never_closed_do_not_stretch_the_lane() -> None:
    good = orders(n=400, lanes=1, scale=0.3)
    dead = good.head(40).with_columns(
        pl.lit(None, dtype=pl.Date).alias("received_date"), ("X" + pl.col("order_number")).alias("order_number")
    )
    dead = dead.with_columns(pl.lit(date(2024, 2, 1)).alias("order_date"))
    model = fit_lead_times(pl.concat([good, dead]), AS_OF)
    clean = fit_lead_times(good, AS_OF)
    assert list(model.set_aside.values()) == [40] or 40 in model.set_aside.values()
    p90 = [
        predict_lanes(m, good.head(1), origin_date=AS_OF, available_at_utc=CUT)["lead_time_days_p90"][0]
        for m in (model, clean)
    ]
    assert p90[0] == p90[1]
    # the same for a lane that is merely slow: its open orders stay
    waiting = good.head(20).with_columns(pl.lit(None, dtype=pl.Date).alias("received_date"), pl.lit(AS_OF - timedelta(days=9)).alias("order_date"),
                                         ("W" + pl.col("order_number")).alias("order_number"))  # fmt: skip
    assert fit_lead_times(pl.concat([good, waiting]), AS_OF).open[-1] >= 20
