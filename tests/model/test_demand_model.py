"""The nightly demand model on a made-up world: better than seasonal naive, calibrated, deterministic, safe to load."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from aios_assets.assets.glue_training import _refuse_unmeasured
from aios_assets.contracts.decision_tables import PRED_DEMAND_28D
from aios_assets.contracts.errors import BadInputError, IntegrityError
from ml.closing import CLOSED
from ml.datasets import Covariates, training_origins, training_request
from ml.explain import explain
from ml.features import demand_features
from ml.models.base import Design
from ml.models.boosted import MOST_BALANCE, BoostedModel, BoostSpec, digest_of
from ml.scoring import Scorer, score_demand
from ml.training import TrainedModel, TrainSpec, gain_over, train_demand
from tests.model.demand_world import FIRST, DemandWorld, cutoff, make_world
from tests.unit.ml.conftest import labels_as_of

DAYS = 420
SPEC = TrainSpec(boost=BoostSpec(trees=90, spread_trees=30), most_rows=60_000)


@pytest.fixture(scope="module")
def world() -> DemandWorld:
    return make_world(40, 4, DAYS, seed=5, stockouts=0.05)


@pytest.fixture(scope="module")
def features(world: DemandWorld) -> pl.DataFrame:
    last = FIRST + timedelta(days=DAYS - 1)
    return demand_features(world.versions, training_origins(last, DAYS, 7), cutoff)


@pytest.fixture(scope="module")
def trained(world: DemandWorld, features: pl.DataFrame) -> TrainedModel:
    last = FIRST + timedelta(days=DAYS - 1)
    return train_demand(features, labels_as_of(world.versions, cutoff(last)), world.covariates, SPEC, 7, as_of=last)


@pytest.fixture(scope="module")
def newest(world: DemandWorld) -> pl.DataFrame:
    last = FIRST + timedelta(days=DAYS - 1)
    return demand_features(world.versions, (last, last), cutoff)


def scorer(trained: TrainedModel) -> Scorer:
    return Scorer.of(trained.artifact, "demand", "3", trained.digest)


def test_pinball_is_at_least_ten_percent_below_seasonal_naive_in_every_class(trained: TrainedModel) -> None:
    gains = gain_over(trained.table.filter(pl.col("rows") >= 300))
    assert min(gains.values()) >= 0.10, gains


def test_it_beats_every_statistical_baseline_over_all_rows(trained: TrainedModel) -> None:
    rows = trained.table.filter(pl.col("segment") == "all")
    ours = rows.filter(pl.col("model") == "lightgbm_direct")["pinball"][0]
    assert rows.filter(pl.col("model") != "lightgbm_direct")["pinball"].min() > ours
    assert rows.height == 9


def test_the_80_percent_interval_covers_75_to_85_percent_by_class(trained: TrainedModel) -> None:
    rows = trained.table.filter(
        (pl.col("model") == "lightgbm_direct") & (pl.col("rows") >= 500) & (pl.col("by") != "week")
    )
    assert rows.height >= 3
    for row in rows.iter_rows(named=True):
        assert 0.75 <= row["coverage80_frac"] <= 0.85, row


def test_every_row_asked_for_is_kept_or_set_aside_with_a_reason(trained: TrainedModel) -> None:
    f = trained.figures
    set_aside = sum(v for k, v in f.items() if k.startswith("rows_") and k not in ("rows_asked", "rows_kept"))
    assert f["rows_asked"] == f["rows_kept"] + set_aside
    assert f["rows_stockout_censored"] > 0


def test_masking_stock_outs_is_corrected_upwards_and_reported(trained: TrainedModel, world: DemandWorld) -> None:
    factors = trained.figures["bias_correction"]["factor"]
    assert factors and all(1.0 <= v <= 1.15 for v in factors.values())
    masked = world.versions.filter(~pl.col("is_stockout"))["sales_qty_ea"].mean()
    assert isinstance(masked, float) and world.true_demand.mean() > masked  # what masking takes away, by construction


def test_the_same_input_and_seed_give_the_same_bytes(
    trained: TrainedModel, features: pl.DataFrame, world: DemandWorld
) -> None:
    last = FIRST + timedelta(days=DAYS - 1)
    labels = labels_as_of(world.versions, cutoff(last)).sample(fraction=1, shuffle=True, seed=3)
    again = train_demand(
        features.sample(fraction=1, shuffle=True, seed=2),
        labels,
        world.covariates,
        SPEC,
        7,
        as_of=last,
        with_plots=False,
    )
    assert again.digest == trained.digest
    assert again.metrics == trained.metrics


def test_predictions_fit_the_contract_and_do_not_cross(
    trained: TrainedModel, newest: pl.DataFrame, world: DemandWorld
) -> None:
    out = score_demand(scorer(trained), newest, world.covariates)
    assert out.schema == PRED_DEMAND_28D.schema
    assert out.height == newest.height * 28
    assert not out["is_fallback"].any() and out["model_version"].unique().to_list() == ["3"]
    q = out.select(pl.col("^demand_qty_ea_p.*$")).to_numpy()
    assert (np.diff(q, axis=1) >= 0).all() and (q >= 0).all()
    assert out.null_count().drop("fallback_reason").sum_horizontal().item() == 0
    assert (out["origin_month"] == out["origin_date"].dt.strftime("%Y-%m")).all()


def test_features_a_model_left_out_are_left_out_when_it_scores(
    world: DemandWorld, features: pl.DataFrame, newest: pl.DataFrame
) -> None:
    last, left_out = FIRST + timedelta(days=DAYS - 1), ("is_promo", "promo_price_rel")
    few = features.filter(pl.col("feature_date") >= last - timedelta(days=120))
    spec = TrainSpec(boost=BoostSpec(trees=10, spread_trees=5), most_rows=10_000, drop=left_out)
    small = train_demand(few, labels_as_of(world.versions, cutoff(last)), world.covariates, spec, 7, as_of=last)
    out = score_demand(scorer(small), newest, world.covariates)
    assert not out["is_fallback"].any()
    assert out.equals(score_demand(scorer(small), newest, Covariates(holidays=world.covariates.holidays)))


def test_one_row_alone_scores_as_among_all(trained: TrainedModel, newest: pl.DataFrame, world: DemandWorld) -> None:
    everything = score_demand(scorer(trained), newest, world.covariates)
    for place in (0, 77, 159):
        alone = score_demand(scorer(trained), newest[place : place + 1], world.covariates)
        assert alone.equals(
            everything.join(
                alone.select("item_id", "site_id"), on=["item_id", "site_id"], how="semi", maintain_order="left"
            )
        )


def test_no_model_and_broken_bytes_fall_back_and_say_so(trained: TrainedModel, newest: pl.DataFrame) -> None:
    broken = Scorer.of(trained.artifact[:-1] + b" ", "demand", "3", trained.digest)
    out = score_demand(broken, newest, Covariates())
    assert out["is_fallback"].all() and "SHA-256" in out["fallback_reason"][0]
    assert out["model_name"][0] == "recent_average" and len(out["model_digest"][0]) == 64
    assert out.height == newest.height * 28 and out["demand_qty_ea_mean"].is_finite().all()
    with pytest.raises(IntegrityError):
        BoostedModel.from_bytes(b"x", trained.digest)


def test_features_that_do_not_fit_fall_back(trained: TrainedModel, newest: pl.DataFrame, world: DemandWorld) -> None:
    out = score_demand(scorer(trained), newest.with_columns(pl.lit("A").alias("category_code")), world.covariates)
    assert out["is_fallback"].all() and "could not score" in out["fallback_reason"][0]


@pytest.mark.parametrize("is_live", [True, False])
def test_nothing_is_forecast_for_weekdays_on_which_a_site_is_closed(
    trained: TrainedModel, newest: pl.DataFrame, world: DemandWorld, is_live: bool
) -> None:
    by = scorer(trained) if is_live else Scorer.fallback("a test")
    site = str(newest["site_id"][0])
    closed = pl.DataFrame({"site_id": [site], "weekday": [7]}, schema=CLOSED)
    rows = score_demand(by, newest, replace(world.covariates, closed=closed))
    is_shut = (pl.col("site_id") == site) & (pl.col("target_date").dt.weekday() == 7)
    figures = [c for c in rows.columns if c.startswith("demand_qty_ea")]
    assert rows.filter(is_shut).select(figures).unique().row(0) == (0.0,) * len(figures)
    open_rows = score_demand(by, newest, world.covariates).filter(~is_shut)
    assert rows.filter(~is_shut).equals(open_rows)
    assert 0 < open_rows.height < rows.height


def test_a_promotion_announced_after_the_origin_changes_nothing(
    trained: TrainedModel, newest: pl.DataFrame, world: DemandWorld
) -> None:
    late = world.covariates.promotions.with_columns(
        pl.lit(cutoff(FIRST + timedelta(days=DAYS + 5))).dt.cast_time_unit("us").alias("available_at_utc")
    )
    none = score_demand(scorer(trained), newest, Covariates())
    assert score_demand(scorer(trained), newest, Covariates(promotions=late)).equals(none)


def test_attributions_add_up_to_the_score(trained: TrainedModel, newest: pl.DataFrame, world: DemandWorld) -> None:
    from ml.datasets import demand_frame
    from ml.training import encoding_of

    model = BoostedModel.from_bytes(trained.artifact, trained.digest)
    model.bias, model.balance = {}, {}
    frame = demand_frame(newest[:5], world.covariates, encoding_of(model))
    parts = model.contributions(frame.design)
    mean = model.predict(frame.design).mean
    assert np.allclose(np.exp(parts.sum(axis=1)) * frame.design.scale, mean, rtol=1e-9)


def heavy_tailed(absurd: float = 0.0) -> Design:
    """Forty origins of 300 series and two horizons: half sell rarely and then much, half every day."""
    g, n = np.random.default_rng(3), 24_000
    series, origin = np.tile(np.repeat(np.arange(300), 2), 40), np.repeat(np.arange(40), 600)
    is_lumpy, level = series % 2 == 0, g.gamma(2.0, 3.0, 300)[series]
    rare = (g.random(n) < 0.1) * g.lognormal(1.0, 1.0, n) * 3
    y = level * np.where(is_lumpy, rare, g.poisson(5, n) / 5)
    y[is_lumpy.argmax()] += absurd
    x = np.column_stack([g.random((n, 3)), is_lumpy, np.log(level)]).astype(np.float32)
    horizon = np.tile(np.array([1, 2], dtype=np.int32), n // 2)
    names = ("a", "b", "c", "is_lumpy", "log_scale")
    return Design(
        x,
        names,
        (),
        level,
        np.where(is_lumpy, "lumpy", "smooth"),
        horizon,
        origin + horizon,
        origin,
        y,
        tie=(series * 0.6180339887) % 1,
    )


def test_means_add_up_to_what_they_were_learned_from_in_every_class() -> None:
    """Boosted Tweedie means alone fall short where demand is heavy-tailed."""
    design = heavy_tailed()
    assert design.y is not None
    model = BoostedModel(BoostSpec(trees=60, spread_trees=10)).fit(design, 7)
    model = BoostedModel.from_bytes(model.to_bytes(), digest_of(model.to_bytes()))
    balanced = model.predict(design).mean
    for name in ("lumpy", "smooth"):
        rows = design.segment == name
        assert balanced[rows].sum() == pytest.approx(design.y[rows].sum(), rel=0.05)
    model.balance = {}
    lumpy = design.segment == "lumpy"
    assert model.predict(design).mean[lumpy].sum() < 0.85 * design.y[lumpy].sum()
    assert [e.mean for e in explain(model, design.take(np.arange(3)))] == pytest.approx(model.predict(design).mean[:3])


def test_one_absurd_sale_does_not_move_the_balance_of_its_class() -> None:
    spec = BoostSpec(trees=60, spread_trees=10)
    plain, absurd = (BoostedModel(spec).fit(heavy_tailed(more), 7).balance["lumpy"] for more in (0.0, 1e6))
    assert absurd == pytest.approx(plain, abs=0.05)
    assert 1.1 < plain < MOST_BALANCE


def test_training_request_asks_for_series_from_their_first_report_on() -> None:
    first = pl.DataFrame(
        {"item_id": ["A", "B"], "site_id": ["S", "S"], "first_date": [FIRST, FIRST + timedelta(days=10)]}
    )
    days = [FIRST + timedelta(days=k) for k in (0, 10, 20)]
    asked = training_request(first, days, cutoff)
    assert asked.height == 5 and asked["event_timestamp"][0] == cutoff(FIRST)


def test_too_little_to_learn_from_is_said(features: pl.DataFrame, world: DemandWorld) -> None:
    labels = labels_as_of(world.versions, cutoff(FIRST)).head(0)
    with pytest.raises(BadInputError, match="no labelled rows"):
        train_demand(features.head(3), labels, Covariates(), SPEC, 1, as_of=FIRST)
    with pytest.raises(BadInputError, match="no feature rows"):
        train_demand(features.head(0), labels, Covariates(), SPEC, 1, as_of=FIRST)
    few = features.filter(pl.col("feature_date").is_in(features["feature_date"].unique().sort().tail(4).implode()))
    known = labels_as_of(world.versions, cutoff(FIRST + timedelta(days=world.days)))
    spec = replace(SPEC, boost=replace(SPEC.boost, trees=3))
    unmeasured = train_demand(few, known, Covariates(), spec, 1, as_of=FIRST, with_plots=False)
    with pytest.raises(BadInputError, match="too few origins to calibrate on some and to measure on others"):
        _refuse_unmeasured(unmeasured)  # the night registers no version that nothing can judge


def test_factors_multiply_up_to_the_forecast_and_are_said_in_words(
    trained: TrainedModel, newest: pl.DataFrame, world: DemandWorld
) -> None:
    from ml.datasets import demand_frame
    from ml.explain import explain, plot
    from ml.training import encoding_of

    model = BoostedModel.from_bytes(trained.artifact, trained.digest)
    frame = demand_frame(newest[:3], world.covariates, encoding_of(model))
    out = score_demand(scorer(trained), newest[:3], world.covariates)
    for said, mean in zip(explain(model, frame.design), out["demand_qty_ea_mean"].to_list(), strict=True):
        product = said.level * said.base * said.censoring * float(np.prod(list(said.factors.values())))
        assert product == pytest.approx(mean, rel=1e-6) and f"{mean:.2f} a day" in said.words()
    assert plot(said).startswith(b"\x89PNG")
