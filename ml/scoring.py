"""Score the nightly forecasts: 28 horizons × item × site in one matrix, every row with the model that made it.

From: features at the origin, promotions and holidays as announced, weekdays on which sites are closed, the champion's artefact. Form: `pred_demand__28d`. When
there is no healthy champion the named baseline answers, and every row says so with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import PRED_DEMAND_28D, QUANTILES
from aios_assets.contracts.errors import AiosError
from ml.datasets import HORIZON, Covariates, Encoding, demand_frame
from ml.distribution import coded
from ml.models import average
from ml.models.base import Forecast
from ml.models.boosted import BoostedModel
from ml.training import encoding_of, without


@dataclass(frozen=True, slots=True)
class Scorer:
    """A model with its registered identity, or the reason why there is none.

    Attributes:
        model: loaded model; None for the baseline.
        name: registered name, or the baseline's.
        version: registered version; "0" for the baseline.
        digest: SHA-256 of the artefact, or of the baseline's specification.
        reason: why the baseline answers; empty when the model does.
        artifact: the model's bytes as registered, for workers elsewhere; empty for the baseline.
    """

    model: BoostedModel | None
    name: str
    version: str
    digest: str
    reason: str = ""
    artifact: bytes = field(default=b"", repr=False)

    @classmethod
    def fallback(cls, reason: str) -> Scorer:
        """The named baseline, with the reason why it answers."""
        return cls(None, average.NAME, "0", average.specification_digest(), reason)

    @classmethod
    def of(cls, artifact: bytes, name: str, version: str, digest: str) -> Scorer:
        """A scorer from verified bytes; bytes that fail verification give the fallback."""
        try:
            return cls(BoostedModel.from_bytes(artifact, digest), name, version, digest, artifact=artifact)
        except AiosError as error:
            return cls.fallback(str(error))


def score_demand(
    scorer: Scorer, features: pl.DataFrame, covariates: Covariates, *, horizon: int = HORIZON
) -> pl.DataFrame:
    """Forecasts of every series at the origin of its feature row.

    Args:
        scorer: model or fallback.
        features: rows of `feat_item_site__demand` (attributes joined as in training), one per series and origin.
        covariates: promotions and holidays; only those announced by the origin's cut-off count; and closed weekdays.
        horizon: days ahead.

    Returns:
        Rows of `pred_demand__28d`, sorted by key; as many as feature rows × horizon.
    """
    if features.height == 0:
        return PRED_DEMAND_28D.empty()
    forecast, rows, segment, used = _forecast(scorer, features, covariates, horizon)
    forecast = _without_closed(forecast, rows, covariates.closed)
    known = features.select(
        "item_id", "site_id", pl.col("feature_date").alias("origin_date"), "available_at_utc",
        pl.col("feature_date").dt.strftime("%Y-%m").alias("origin_month"),
    )  # fmt: skip
    names, label = coded(segment)
    frame = rows.with_columns(
        pl.Series("demand_qty_ea_mean", forecast.mean),
        *(pl.Series(f"demand_qty_ea_p{round(q * 100):02d}", forecast.quantiles[:, i]) for i, q in enumerate(QUANTILES)),
        pl.lit(used.name).alias("model_name"),
        pl.lit(used.version).alias("model_version"),
        pl.lit(used.digest).alias("model_digest"),
        pl.lit(used.model is None).alias("is_fallback"),
        pl.lit(used.reason or None, dtype=pl.String).alias("fallback_reason"),
        pl.Series("demand_class", names, dtype=pl.String).gather(label),
    ).join(known, on=["item_id", "site_id", "origin_date"], how="left", maintain_order="left")
    return frame.select(PRED_DEMAND_28D.names).cast(dict(PRED_DEMAND_28D.schema))  # type: ignore[arg-type]


def _without_closed(forecast: Forecast, rows: pl.DataFrame, closed: pl.DataFrame) -> Forecast:
    """The forecast, zero on weekdays on which a site is closed."""
    if closed.is_empty():
        return forecast
    days = rows.select("site_id", pl.col("target_date").dt.weekday().alias("weekday"))
    is_closed = days.join(closed.with_columns(shut=True), on=["site_id", "weekday"], how="left", maintain_order="left")
    opened = is_closed["shut"].is_null().to_numpy()
    return Forecast(forecast.mean * opened, forecast.quantiles * opened[:, None], forecast.levels)


def _forecast(
    scorer: Scorer, features: pl.DataFrame, covariates: Covariates, horizon: int
) -> tuple[Forecast, pl.DataFrame, np.ndarray[tuple[int, ...], np.dtype[np.str_]], Scorer]:
    if scorer.model is not None:
        try:
            frame = demand_frame(features, covariates, encoding_of(scorer.model), horizon=horizon)
            drop = scorer.model.extra.get("drop", [])
            design = without(frame.design, drop) if drop else frame.design  # the whole matrix is not copied for nothing
            forecast = scorer.model.predict(design, QUANTILES)
            if np.isfinite(forecast.mean).all() and np.isfinite(forecast.quantiles).all():
                return forecast, frame.rows, frame.design.segment, scorer
            scorer = Scorer.fallback(f"{scorer.name} {scorer.version} gave values that are not finite")
        except (AiosError, KeyError) as error:
            scorer = Scorer.fallback(f"{scorer.name} {scorer.version} could not score: {error}")
    frame = demand_frame(features, covariates, Encoding({}), horizon=horizon)
    return average.RecentAverage().predict(frame.design, QUANTILES), frame.rows, frame.design.segment, scorer
