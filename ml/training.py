"""Train the nightly demand model: learn, measure on days it had not seen, compare with the baselines, correct censoring.

From: features through Feast, labels as known on the day of training, promotions and holidays. Form: one artefact (bytes with
a SHA-256), metrics by demand class beside the baselines', plots, and a model card. Pure: tracking is `ml.tracking`'s.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError
from ml.datasets import HORIZON, KEYS, Covariates, DemandFrame, Encoding, demand_frame, describe
from ml.metrics import pinball_matrix, score_by
from ml.models.average import RecentAverage
from ml.models.base import F64, Design, Forecast
from ml.models.boosted import BoostedModel, BoostSpec, digest_of, tie_draws
from ml.models.naive import SeasonalNaive, column
from ml.models.statistical import FLAT

MODEL_NAME = "demand"
HALF_LIFE_DAYS = 365.0
MOST_BIAS_FACTOR = 1.15


@dataclass(frozen=True, slots=True)
class TrainSpec:
    """What a training run is asked for.

    Attributes:
        boost: parameters of the global model.
        horizon: days ahead.
        most_rows: rows of the training set; more are sampled down with the seed.
        drop: features left out (experiments).
    """

    boost: BoostSpec = field(default_factory=BoostSpec)
    horizon: int = HORIZON
    most_rows: int = 320_000
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A candidate with everything that a registry and a gate want to know.

    Attributes:
        name: registered name.
        artifact: bytes (JSON with LightGBM's text).
        digest: SHA-256 of the bytes.
        params: parameters.
        metrics: flat figures, `<metric>.<class>` and `<metric>.<class>.<baseline>`.
        table: the same as a frame: model, by, segment, metrics.
        plots: name to PNG bytes.
        card: model card in Markdown.
        feature_names: the model's input.
        figures: rows asked, kept and set aside, bias corrections.
        seed: seed.
        backtest: forecasts of rows the measured model had not seen, with actuals; `role` is challenger, fallback or naive.
    """

    name: str
    artifact: bytes
    digest: str
    params: dict[str, Any]
    metrics: dict[str, float]
    table: pl.DataFrame
    plots: dict[str, bytes]
    card: str
    feature_names: tuple[str, ...]
    figures: dict[str, Any]
    seed: int
    backtest: pl.DataFrame


def train_demand(
    features: pl.DataFrame,
    labels: pl.DataFrame,
    covariates: Covariates,
    spec: TrainSpec,
    seed: int,
    *,
    as_of: date,
    with_plots: bool = True,
) -> TrainedModel:
    """Train a demand model from features at their origins.

    Args:
        features: rows of `feat_item_site__demand` at the training origins, item attributes joined where known.
        labels: what is known at the day of training (`ml.datasets.labels_as_of`).
        covariates: promotions and holidays.
        spec: what is asked for.
        seed: seed of sampling and of LightGBM.
        as_of: last business day known; stated in the card.
        with_plots: draw the plots.

    Raises:
        BadInputError: too little to learn from.
    """
    encoding = Encoding.fit(features)
    frame = demand_frame(
        features, covariates, encoding, labels=labels, horizon=spec.horizon, most_rows=spec.most_rows, seed=seed
    )
    if frame.design.rows == 0:
        raise BadInputError("no labelled rows to train on", where="training set", count=frame.counted.asked)
    frame = _without(frame, spec.drop)
    design = replace(frame.design, weight=_weights(frame.design))
    model = BoostedModel(spec.boost)
    model.fit(design, seed)
    bias = _censoring(model, design, frame.censored)
    model.bias = bias["factor"]
    model.extra = {
        "maps": {k: dict(v) for k, v in encoding.maps.items()},
        "horizon": spec.horizon,
        "as_of": as_of.isoformat(),
        "drop": list(spec.drop),
    }
    table = _compare(model, design, frame.rows, labels)
    artifact = model.to_bytes()
    figures = describe(frame) | {"balance": model.balance, "bias_correction": bias}
    plots = _plots(model, design, table) if with_plots else {}
    params = asdict(spec) | {"seed": seed, "as_of": as_of.isoformat()}
    card = model_card(params, table, figures, design.names)
    return TrainedModel(
        MODEL_NAME,
        artifact,
        digest_of(artifact),
        params,
        flat_metrics(table),
        table,
        plots,
        card,
        design.names,
        figures,
        seed,
        backtest_rows(model, design, frame.rows),
    )


def backtest_rows(model: BoostedModel, design: Design, rows: pl.DataFrame) -> pl.DataFrame:
    """Held-out rows with actuals and forecasts, of the model, of what answers without one, and of seasonal naive: what a promotion gate judges.

    Grain: role, item, site, origin, horizon. Columns: those of `rows`, `demand_class`, `actual_ea`, mean and quantiles.
    """
    if model.measured is None or design.y is None:
        return pl.DataFrame()
    pick, forecast = model.measured
    test = design.take(pick)
    assert test.y is not None
    base = rows.filter(pl.Series(pick)).with_columns(
        pl.Series("demand_class", test.segment), pl.Series("actual_ea", test.y)
    )
    forecasts = {
        "challenger": forecast,
        "fallback": RecentAverage().predict(test, model.spec.levels),
        "naive": SeasonalNaive().predict(test, model.spec.levels),
    }
    return pl.concat(
        base.with_columns(
            pl.lit(role).alias("role"),
            pl.Series("demand_qty_ea_mean", f.mean),
            *(
                pl.Series(f"demand_qty_ea_p{round(q * 100):02d}", f.quantiles[:, i])
                for i, q in enumerate(model.spec.levels)
            ),
        )
        for role, f in forecasts.items()
    )


def encoding_of(model: BoostedModel) -> Encoding:
    """The codes a model was trained with."""
    return Encoding(model.extra["maps"])


def without(design: Design, drop: Sequence[str]) -> Design:
    """A design without some features."""
    keep = [i for i, name in enumerate(design.names) if name not in drop]
    return replace(
        design, x=np.ascontiguousarray(design.x[:, keep]), names=tuple(design.names[i] for i in keep),
        categorical=tuple(c for c in design.categorical if c not in drop),
    )  # fmt: skip


def _without(frame: DemandFrame, drop: Sequence[str]) -> DemandFrame:
    """The frame without some features.

    Raises:
        BadInputError: a name that is no feature.
    """
    if not drop:
        return frame
    unknown = sorted(set(drop) - set(frame.design.names))
    if unknown:
        raise BadInputError(
            f"there are no features {', '.join(unknown)} to leave out", where="drop_features", count=len(unknown),
            todo=f"features are {', '.join(frame.design.names)}",
        )  # fmt: skip
    censored = None if frame.censored is None else without(frame.censored, drop)
    return replace(frame, design=without(frame.design, drop), censored=censored)


def _weights(design: Design) -> F64:
    """Newer rows weigh more (half-life one year), and larger series more than small ones (root of the level)."""
    age = design.target_index.max() - design.target_index
    out: F64 = np.power(0.5, age / HALF_LIFE_DAYS) * np.sqrt(design.scale)
    scaled: F64 = out / out.mean()
    return scaled


def _censoring(model: BoostedModel, design: Design, censored: Design | None) -> dict[str, Any]:
    """Factor per class that gives back the demand that masking stock-out days took away.

    Sold-out days are days of high demand more often than not; a model of the other days is too low. What a sold-out day
    tells is "at least this much": its expected demand given that replaces the mean in the total. Limited to a factor of
    `MOST_BIAS_FACTOR`; both the raw and the applied factor are reported.
    """
    out: dict[str, Any] = {"factor": {}, "raw_factor": {}, "censored_rows": {}}
    if censored is None or censored.y is None:
        return out
    expected = model.expected_above(censored, censored.y)
    mean = model.predict_grid(censored)[1]
    open_mean = model.predict_grid(design)[1]
    for name in sorted(set(censored.segment.tolist())):
        c, k = censored.segment == name, design.segment == name
        total = float(open_mean[k].sum() + mean[c].sum())
        raw = float(open_mean[k].sum() + expected[c].sum()) / total if total > 0 else 1.0
        out["raw_factor"][name], out["censored_rows"][name] = raw, int(c.sum())
        out["factor"][name] = min(max(raw, 1.0), MOST_BIAS_FACTOR)
    return out


def _compare(model: BoostedModel, design: Design, rows: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    """Metrics of the model and of every baseline on rows none of them had seen."""
    if model.measured is None or design.y is None:
        return pl.DataFrame()
    pick, forecast = model.measured
    test = design.take(pick)
    assert test.y is not None
    levels = model.spec.levels
    plain: tuple[SeasonalNaive | RecentAverage, ...] = (SeasonalNaive(), RecentAverage())
    forecasts: dict[str, Forecast] = {model.name: forecast} | {m.name: m.predict(test, levels) for m in plain}
    first = model.held_out & ~pick
    forecasts |= _statistical(design, rows, labels, first if first.any() else pick, pick, levels)
    labelled = {
        "demand_class": test.segment,
        "week": np.array([f"week {w}" for w in np.ceil(test.horizon / 7).astype(int)]),
    }
    tables = [
        score_by(labelled, test.y, f.mean, f.quantiles, levels).with_columns(pl.lit(name).alias("model"))
        for name, f in forecasts.items()
    ]
    return pl.concat(tables).select("model", "by", "segment", pl.exclude("model", "by", "segment"))


def _statistical(
    design: Design, rows: pl.DataFrame, labels: pl.DataFrame, fit: npt.NDArray[np.bool_], test: npt.NDArray[np.bool_],
    levels: Sequence[float],
) -> dict[str, Forecast]:  # fmt: skip
    """The statistical baselines at the same origins, with the same calibration of quantiles as the model's."""
    from ml.distribution import calibrated, fit_levels, fit_shape, shape_quantiles

    wide, series, first_day = wide_panel(labels)
    place = rows.join(series, on=list(KEYS), how="left")["s"].to_numpy()
    column_of = (rows["origin_date"] - first_day).dt.total_days().to_numpy()
    flats = {name: rule(wide)[place, column_of] for name, rule in FLAT.items()} | {
        "window_average": column(design, "mean_28") * design.scale
    }
    assert design.y is not None
    spread = np.maximum(np.nan_to_num(column(design, "std_56") * design.scale), 1e-3)
    draws = tie_draws(design)[test]
    out = {}
    for name, flat in flats.items():
        mean = np.maximum(np.nan_to_num(flat), 1e-3)
        shape = fit_shape(mean[fit], spread[fit], design.y[fit])
        moved = fit_levels(shape_quantiles(shape, mean[fit], spread[fit]), design.y[fit], design.segment[fit], levels)
        grid = shape_quantiles(shape, mean[test], spread[test])
        out[name] = Forecast(mean[test], calibrated(grid, moved.rows(design.segment[test]), draws), tuple(levels))
    return out


def wide_panel(labels: pl.DataFrame) -> tuple[F64, pl.DataFrame, date]:
    """Labels as (series, days) with NaN where nothing is known or stock ran out; series index frame; first day."""
    first, last = labels["demand_date"].min(), labels["demand_date"].max()
    assert isinstance(first, date) and isinstance(last, date)
    series = labels.select(KEYS).unique().sort(KEYS).with_row_index("s").with_columns(pl.col("s").cast(pl.Int64))
    rows = labels.join(series, on=list(KEYS), how="left")
    wide = np.full((series.height, (last - first).days + 1), np.nan)
    t = (rows["demand_date"] - first).dt.total_days().to_numpy()
    sold = rows["sales_qty_ea"].cast(pl.Float64).fill_null(np.nan).to_numpy()
    out = (
        rows["is_stockout"].fill_null(False).to_numpy()
        if "is_stockout" in rows.columns
        else np.zeros(rows.height, dtype=bool)
    )
    wide[rows["s"].to_numpy(), t] = np.where(out, np.nan, sold)
    return wide, series, first


def flat_metrics(table: pl.DataFrame) -> dict[str, float]:
    """The table as flat names for a tracking server: `<metric>.<segment>.<model>`; the model itself without suffix."""
    out: dict[str, float] = {}
    for row in table.iter_rows(named=True):
        tail = "" if row["model"] == BoostedModel.name else f".{row['model']}"
        for name, value in row.items():
            if isinstance(value, float) and np.isfinite(value):
                out[f"{name}.{row['segment'].replace(' ', '_')}{tail}"] = value
    return out


def model_card(params: dict[str, Any], table: pl.DataFrame, figures: dict[str, Any], names: Sequence[str]) -> str:
    """Model card in Markdown: purpose, data, method, figures, limits."""
    lines = [
        "# Demand model", "", "Daily demand per item and site, 1–28 days ahead: mean and seven quantiles.", "",
        "## Data", "", *(f"- {k}: {v}" for k, v in figures.items()), "",
        "## Method", "", "Global LightGBM, direct multi-horizon, Tweedie mean and expected spread; quantiles from held-out days,",
        "conformally corrected per demand class and group of horizons in time order. Stock-out days are masked and the bias of",
        "masking is corrected per class.", "", "## Parameters", "", "```json", json.dumps(params, indent=1, default=str, sort_keys=True), "```", "",
        f"{len(names)} features: {', '.join(names)}.", "",
        "## Measured on days it had not seen", "", markdown_table(table), "",
        "## Limits", "", "Promotions and holidays count only as announced by the origin. A demand regime that changed after the last",
        "training day is seen through lags only. Quantiles are calibrated on average per class, not per series.",
    ]  # fmt: skip
    return "\n".join(lines)


def markdown_table(table: pl.DataFrame) -> str:
    """A frame as a Markdown table."""
    if table.height == 0:
        return "(nothing measured: history too short)"
    head = "| " + " | ".join(table.columns) + " |\n|" + "---|" * table.width
    body = (
        "| " + " | ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in row) + " |"
        for row in table.iter_rows()
    )
    return "\n".join([head, *body])


def _plots(model: BoostedModel, design: Design, table: pl.DataFrame) -> dict[str, bytes]:
    if model.measured is None or design.y is None:
        return {}
    pick, forecast = model.measured
    return {
        "pinball_by_class": plot_pinball(table.filter(pl.col("by").is_in(["all", "demand_class"]))),
        "calibration": plot_calibration(design.y[pick], forecast, design.segment[pick]),
    }


def plot_pinball(table: pl.DataFrame) -> bytes:
    """Bars of pinball loss relative to seasonal naive, per class and model (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    base = {r["segment"]: r["pinball"] for r in table.filter(pl.col("model") == "seasonal_naive").iter_rows(named=True)}
    models = table["model"].unique(maintain_order=True).to_list()
    for i, name in enumerate(models):
        part = table.filter(pl.col("model") == name)
        heights = [
            p / base[s] if base.get(s) else np.nan for s, p in zip(part["segment"], part["pinball"], strict=True)
        ]
        axes.bar(np.arange(part.height) + 0.8 * i / len(models), heights, width=0.8 / len(models), label=name)
    axes.set_xticks(np.arange(len(base)) + 0.35, list(base))
    axes.set_ylabel("pinball ÷ seasonal naive")
    axes.legend(fontsize=7, ncols=4)
    return _png(FigureCanvasAgg(figure))


def plot_calibration(actual: F64, forecast: Forecast, segment: npt.NDArray[np.str_]) -> bytes:
    """Share of actuals at or below each quantile, per class, against the promised level (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color="grey", linewidth=0.8)
    for name in np.unique(segment):
        pick = segment == name
        share = (actual[pick, None] <= forecast.quantiles[pick]).mean(axis=0)
        axes.plot(forecast.levels, share, marker="o", markersize=3, label=str(name))
    axes.set_xlabel("promised level")
    axes.set_ylabel("share at or below")
    axes.legend(fontsize=7)
    return _png(FigureCanvasAgg(figure))


def _png(canvas: Any) -> bytes:
    buffer = io.BytesIO()
    canvas.print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()


def gain_over(table: pl.DataFrame, baseline: str = "seasonal_naive", metric: str = "pinball") -> dict[str, float]:
    """Share by which the model's metric lies below the baseline's, per segment (0.1 = 10 % better)."""
    ours = {r["segment"]: r[metric] for r in table.filter(pl.col("model") == BoostedModel.name).iter_rows(named=True)}
    theirs = {r["segment"]: r[metric] for r in table.filter(pl.col("model") == baseline).iter_rows(named=True)}
    return {s: 1 - v / theirs[s] for s, v in ours.items() if theirs.get(s)}


def pinball_by_row(actual: F64, forecast: Forecast) -> F64:
    """Mean pinball loss of each row over the levels."""
    out: F64 = pinball_matrix(actual, forecast.quantiles, forecast.levels).mean(axis=1)
    return out
