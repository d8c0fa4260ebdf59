"""One global LightGBM model for all series and horizons: a Tweedie mean, an expected spread, a calibrated distribution.

Each row is a series, an origin and a horizon (direct multi-horizon: no forecast is fed back). The target is divided by the
level of its series, so that the trees learn shapes, not sizes. The mean is a Tweedie regression; a second, smaller model
learns the expected absolute deviation; `ml.distribution` turns both into quantiles that were calibrated on rows held out in
time order. Boosted Tweedie means do not add up to what they learned from where demand is heavy-tailed (Denuit, Charpentier
and Trufin 2021, "Autocalibration and Tweedie-dominance for insurance pricing"): a factor per demand class makes them. The artefact is LightGBM's own text plus JSON: no pickle, the same bytes for the same input and seed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError, IntegrityError
from ml.distribution import (
    GRID,
    Levels,
    Shape,
    at_levels,
    coded,
    even_draws,
    fit_levels,
    fit_shape,
    quantiles_at,
    row_draws,
    shape_quantiles,
    split_ties,
)
from ml.models.base import F64, Design, Forecast, Labels
from ml.models.walk import Booster

FORMAT = 1
TINY = 1e-6
MIN_CALIBRATION_ROWS = 200
SCORE_ROWS = 65_536
Kinds = tuple[list[str], npt.NDArray[np.int64]]
# What brings the mean of a class to what it learned from is the median of that of some groups of series, so that one absurd
# sale cannot move it; held near that of all classes where a class sold little of the whole (share), and never more than this.
BALANCE_GROUPS = 9
BALANCE_SHARE = 0.02
MOST_BALANCE = 1.5
# Where fewer rows than this share have a sale, a leaf holds at least so many sales: its level is then known to a tenth (1 ÷ √100).
RARE_SHARE = 0.1
SALES_PER_LEAF = 100


@dataclass(frozen=True, slots=True)
class BoostSpec:
    """Parameters of the global model.

    Attributes:
        trees: trees of the mean model.
        spread_trees: trees of the spread model.
        leaves: most leaves of a tree.
        max_depth: deepest level; bounds the time of scoring.
        learning_rate: shrinkage.
        min_rows_leaf: fewest rows of a leaf.
        tweedie_power: 1 is Poisson-like, 2 gamma-like.
        feature_frac: share of features tried per tree.
        row_frac: share of rows per tree.
        l2: penalty on leaf values.
        threads: threads of LightGBM; part of the specification because it may change the last bit.
        holdout_frac: share of target periods, the newest, held out to calibrate and to measure.
        levels: quantile levels that are calibrated.
        horizon_edges: last horizon of each horizon group, for the calibration by segment.
    """

    trees: int = 220
    spread_trees: int = 60
    leaves: int = 48
    max_depth: int = 8
    learning_rate: float = 0.06
    min_rows_leaf: int = 60
    tweedie_power: float = 1.3
    feature_frac: float = 0.7
    row_frac: float = 0.8
    l2: float = 2.0
    threads: int = 2
    holdout_frac: float = 0.2
    levels: tuple[float, ...] = QUANTILES
    horizon_edges: tuple[int, ...] = (7, 14)

    def params(self, seed: int, objective: str) -> dict[str, Any]:
        """LightGBM's parameters, deterministic."""
        return {
            "objective": objective, "num_leaves": self.leaves, "max_depth": self.max_depth, "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_rows_leaf, "feature_fraction": self.feature_frac, "bagging_fraction": self.row_frac,
            "bagging_freq": 1, "lambda_l2": self.l2, "max_bin": 127, "num_threads": self.threads, "deterministic": True,
            "force_row_wise": True, "seed": seed, "verbosity": -1, "feature_pre_filter": False,
            **({"tweedie_variance_power": self.tweedie_power} if objective == "tweedie" else {}),
        }  # fmt: skip


def train_booster(frame: Design, y: F64, weight: F64 | None, params: dict[str, Any], trees: int) -> str:
    """Train one booster and return its text."""
    return train_boosters(frame, y, weight, [params], trees)[0]


def train_boosters(
    frame: Design, y: F64, weight: F64 | None, params: Sequence[dict[str, Any]], trees: int
) -> list[str]:
    """Several boosters on the same rows and targets; the rows are binned once."""
    data = _binned(frame, y, weight, params[0])
    import lightgbm as lgb

    return [str(lgb.train(p, data, num_boost_round=trees).model_to_string()) for p in params]


def train_seen(frame: Design, y: F64, weight: F64 | None, params: dict[str, Any], trees: int) -> tuple[str, F64]:
    """One booster's text and its predictions of the rows it learned from: training kept them, no tree is walked again."""
    data = _binned(frame, y, weight, params)
    import lightgbm as lgb

    booster = lgb.train(params, data, num_boost_round=trees, keep_training_booster=True)
    seen: list[F64] = []

    def keep(predictions: F64, _: Any) -> tuple[str, float, bool]:
        seen.append(predictions.copy())
        return "kept", 0.0, True

    booster.eval_train(keep)
    return str(booster.model_to_string()), seen[0]


def _binned(frame: Design, y: F64, weight: F64 | None, params: dict[str, Any]) -> Any:
    """The rows as LightGBM's data set, which is binned once however many boosters learn from it."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # spinning threads cost a factor of three on a busy machine
    import lightgbm as lgb

    bins = {k: params[k] for k in ("max_bin", "min_data_in_leaf", "feature_pre_filter", "verbosity")}
    return lgb.Dataset(
        frame.x, label=y, weight=weight, feature_name=list(frame.names), categorical_feature=list(frame.categorical), params=bins
    )  # fmt: skip


def train_stopped(
    frame: Design, y: F64, weight: F64, held: Design, actual: F64, params: dict[str, Any], most: int, patience: int = 40
) -> tuple[str, int]:
    """A booster cut where its squared error on held-out rows was least, and its number of trees.

    Args:
        frame: rows to learn from.
        y: their targets, scaled as the model sees them.
        weight: their weights.
        held: held-out rows.
        actual: their targets, scaled.
        params: LightGBM's parameters.
        most: most trees.
        patience: trees to wait for a better one; then it ends.
    """
    data = _binned(frame, y, weight, params)
    import lightgbm as lgb

    valid = lgb.Dataset(held.x, label=actual, reference=data)
    stop = lgb.early_stopping(patience, verbose=False)
    booster = lgb.train(params | {"metric": "l2"}, data, most, valid_sets=[valid], callbacks=[stop])
    return str(booster.model_to_string(num_iteration=booster.best_iteration)), int(booster.best_iteration)


def booster_of(text: str) -> Booster:
    """A booster from its text; LightGBM itself is loaded only where it is asked."""
    return Booster(text, _native)


def _native(text: str) -> Any:
    import lightgbm as lgb

    return lgb.Booster(model_str=text)


def cells_of(segment: Labels, horizon: npt.NDArray[np.int32], edges: Sequence[int]) -> Labels:
    """Calibration segments: demand class and group of horizons."""
    group = np.searchsorted(np.asarray(edges), horizon, side="left")
    names, place = coded(segment)
    kinds = np.array([[f"{name}|h{k}" for k in range(len(edges) + 1)] for name in names], dtype=np.str_)
    out: Labels = kinds[place, group]
    return out


def tie_draws(frame: Design) -> F64:
    """A number in [0, 1) per row for ties at zero: from series and target day, so that it is even over days and series.

    Rows without a key fall back on their own values; then series of the same level share their draws.
    """
    if frame.tie is not None:
        return even_draws(frame.tie, frame.target_index)
    return row_draws(frame.scale, frame.target_index, frame.horizon)


def by_class(factors: dict[str, float], kinds: Kinds) -> F64:
    """The factor of each row's demand class; 1 for a class that has none."""
    names, place = kinds
    out: F64 = np.array([factors.get(name, 1.0) for name in names])[place]
    return out


def least_rows(asked: int, y: F64) -> int:
    """Fewest rows of a leaf: as asked, fewer on a small panel, and where sales are rare so many that a leaf holds some.

    Sixty rows of a panel that sells on one day in a hundred hold half a sale: trees learn by heart which rows had one, call
    nearly all others nothing, and the days to come are forecast at half of what sells or less (docs/forecasting.md).
    """
    least = max(3, min(asked, y.size // 60))
    return least if (y > 0).mean() >= RARE_SHARE else max(least, rows_of_sales(y, 0.25))


def rows_of_sales(y: F64, most_frac: float) -> int:
    """How many rows hold `SALES_PER_LEAF` sales, at most this share of them all."""
    return int(min(SALES_PER_LEAF / max(float((y > 0).mean()), TINY), y.size * most_frac))


def balance_of(frame: Design, mean: F64) -> dict[str, float]:
    """Factor per demand class with which the means add up to the units they were learned from.

    Args:
        frame: the rows learned from.
        mean: their fitted means ÷ scale.
    """
    assert frame.y is not None
    names, place = coded(frame.segment)
    series = frame.tie if frame.tie is not None else np.arange(frame.rows) / frame.rows
    cell = place * BALANCE_GROUPS + (series * BALANCE_GROUPS).astype(np.int64)
    shape = (len(names), BALANCE_GROUPS)
    fitted = np.bincount(cell, mean * frame.scale, len(names) * BALANCE_GROUPS).reshape(shape)
    actual = np.bincount(cell, frame.y, len(names) * BALANCE_GROUPS).reshape(shape)
    whole, prior = np.median(actual.sum(0) / np.maximum(fitted.sum(0), TINY)), BALANCE_SHARE * fitted.sum(0)
    raw = np.median((actual + whole * prior) / np.maximum(fitted + prior, TINY), axis=1)
    return {str(n): float(f) for n, f in zip(names, np.clip(raw, 1 / MOST_BALANCE, MOST_BALANCE), strict=True)}


class BoostedModel:
    """Global direct multi-horizon LightGBM with a calibrated distribution."""

    name = "lightgbm_direct"

    def __init__(self, spec: BoostSpec = BoostSpec()) -> None:
        self.spec = spec
        self.names: tuple[str, ...] = ()
        self.extra: dict[str, Any] = {}
        self.bias: dict[str, float] = {}
        self.balance: dict[str, float] = {}
        self._mean_text = self._spread_text = ""
        self._shape: Shape | None = None
        self._levels: Levels | None = None
        self._boosters: tuple[Booster, Booster] | None = None
        self.measured: tuple[npt.NDArray[np.bool_], Forecast] | None = None
        self.held_out: npt.NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self.expected: F64 = np.zeros(0)

    # --- learning -------------------------------------------------------------------------------------------------
    def fit(self, frame: Design, seed: int) -> BoostedModel:
        """Learn mean and spread on old rows, measure and calibrate on newer ones, then learn both again on all rows.

        `measured` afterwards holds the rows that no part of the measured model had seen (targets after the calibration's),
        and the forecasts made for them.

        Raises:
            BadInputError: too few rows to hold some out.
        """
        old, new = self._split(frame)
        self._train(frame.take(old), seed)
        origins = np.unique(frame.origin_index[new])
        middle = origins[origins.size // 2]
        first = new & (frame.target_index <= middle)
        if first.sum() < MIN_CALIBRATION_ROWS:
            first = new & (frame.origin_index < middle)
        last = new & (frame.origin_index >= middle)
        if first.any():
            self._calibrate(frame.take(first))
            self.measured = (last, self.predict(frame.take(last)))
        self._calibrate(frame.take(new))
        self.held_out = new
        self.expected = self._expected(frame, new)
        self._train(frame, seed)
        return self

    def _expected(self, frame: Design, pick: npt.NDArray[np.bool_]) -> F64:
        """Mean forecasts of the held-out rows by the model that had not seen them."""
        return self._mean_spread(frame.take(pick))[0]

    def _split(self, frame: Design) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        if frame.y is None or frame.rows < 30:
            raise BadInputError("too few rows to learn from", where="training set", count=frame.rows)
        origins = np.unique(frame.origin_index)
        if origins.size < 2:
            raise BadInputError(
                "one origin is not enough to hold rows out in time order", where="training set", count=frame.rows
            )
        cut = origins[max(1, round(origins.size * (1 - self.spec.holdout_frac))) if origins.size > 2 else 1]
        new: npt.NDArray[np.bool_] = frame.origin_index >= cut
        old: npt.NDArray[np.bool_] = frame.target_index <= cut  # targets known at the first held-out origin
        if old.sum() < 30:
            old = frame.origin_index < cut
        return old, new

    def _train(self, frame: Design, seed: int) -> None:
        assert frame.y is not None
        spec, self.names, self._boosters = self.spec, frame.names, None
        scaled = frame.y / frame.scale
        spec = replace(spec, min_rows_leaf=least_rows(spec.min_rows_leaf, frame.y))
        self._mean_text, seen = train_seen(frame, scaled, frame.weight, spec.params(seed, "tweedie"), spec.trees)
        mean = np.maximum(seen, TINY)
        self.balance = balance_of(frame, mean)
        x = np.column_stack([frame.x, np.log(mean).astype(np.float32)])
        wide = replace(frame, x=x, names=(*frame.names, "log_mean"))
        params = replace(spec, leaves=min(24, spec.leaves), learning_rate=0.08).params(seed + 1, "tweedie")
        self._spread_text = train_booster(wide, np.abs(scaled - mean), frame.weight, params, spec.spread_trees)

    def _calibrate(self, frame: Design) -> None:
        assert frame.y is not None
        mean, spread = self._mean_spread(frame)
        origins = np.unique(frame.origin_index)
        first = (
            frame.origin_index < origins[max(1, origins.size // 2)]
            if origins.size > 1
            else np.ones(frame.rows, dtype=bool)
        )
        cells = cells_of(frame.segment, frame.horizon, self.spec.horizon_edges)
        shape = fit_shape(mean[first], spread[first], frame.y[first])
        later = ~first if origins.size > 1 else first
        grid = shape_quantiles(shape, mean[later], spread[later])
        self._levels = fit_levels(grid, frame.y[later], cells[later], self.spec.levels)
        self._shape = shape

    # --- scoring --------------------------------------------------------------------------------------------------
    def _mean_spread(self, frame: Design, kinds: Kinds | None = None) -> tuple[F64, F64]:
        if frame.names != self.names:
            missing = sorted(set(self.names) - set(frame.names))
            raise BadInputError(f"features do not fit the model; missing: {missing}", where=self.name)
        if self._boosters is None:
            self._boosters = (booster_of(self._mean_text), booster_of(self._spread_text))
        first, second = self._boosters
        mean = np.maximum(first.predict(frame.x, num_threads=self.spec.threads), TINY)
        spread = second.predict(frame.x, num_threads=self.spec.threads, last=np.log(mean).astype(np.float32))
        spread = np.maximum(spread, 1e-3 * mean)
        mean = mean * frame.scale * by_class(self.balance, kinds or coded(frame.segment))
        return mean, np.maximum(spread * frame.scale, TINY)

    def predict(self, frame: Design, levels: Sequence[float] | None = None) -> Forecast:
        """Mean and quantiles of every row, in units of the target."""
        asked = self.spec.levels if levels is None else tuple(levels)
        assert self._shape is not None and self._levels is not None
        names, label = classes = coded(frame.segment)
        mean, spread = self._corrected(frame, classes)
        moved, nudge = self._levels.moved, self._levels.nudge
        if asked != self._levels.asked:
            known = (0.0, *self._levels.asked, 1.0)
            moved = np.array([np.interp(asked, known, (0.0, *row, 1.0)) for row in moved])
            nudge = np.array([np.interp(asked, self._levels.asked, row) for row in nudge])
        edges = np.asarray(self.spec.horizon_edges)
        kinds = np.array([[f"{name}|h{k}" for k in range(edges.size + 1)] for name in names], dtype=np.str_)
        table = self._levels.groups(kinds.ravel()).reshape(kinds.shape)
        group = table[label, np.searchsorted(edges, frame.horizon, side="left")]
        out, draws = np.empty((frame.rows, len(asked))), tie_draws(frame)
        for low in range(0, frame.rows, SCORE_ROWS):
            rows = slice(low, low + SCORE_ROWS)
            limits = quantiles_at(self._shape, mean[rows], spread[rows], group[rows], moved)
            out[rows] = split_ties(limits, nudge[group[rows]], draws[rows])
        return Forecast(mean, out, asked)

    def _corrected(self, frame: Design, kinds: Kinds) -> tuple[F64, F64]:
        """Mean and spread with the demand lost at stock-outs given back; `kinds` are the classes of the rows, coded."""
        mean, spread = self._mean_spread(frame, kinds)
        factor = by_class(self.bias, kinds)
        return mean * factor, spread * factor

    def predict_grid(self, frame: Design) -> tuple[F64, F64, F64]:
        """Uncorrected quantiles at `ml.distribution.GRID`, mean and spread; stock-out bias corrected."""
        assert self._shape is not None
        mean, spread = self._corrected(frame, coded(frame.segment))
        return shape_quantiles(self._shape, mean, spread), mean, spread

    def expected_above(self, frame: Design, floor: F64) -> F64:
        """Expected demand given that it was at least `floor` (what a stock-out day tells)."""
        grid, _, _ = self.predict_grid(frame)
        mass = np.gradient(np.asarray(GRID))[None, :] * (grid >= floor[:, None])
        total = mass.sum(axis=1)
        out: F64 = np.where(total > 0, (mass * grid).sum(axis=1) / np.maximum(total, TINY), floor)
        return np.maximum(out, floor)

    def contributions(self, frame: Design) -> F64:
        """Exact tree attributions of log(mean ÷ scale): (rows, features + 1), the last column is the base."""
        out: F64 = booster_of(self._mean_text).native.predict(frame.x, pred_contrib=True, num_threads=self.spec.threads)
        return out

    # --- bytes ----------------------------------------------------------------------------------------------------
    def to_bytes(self) -> bytes:
        """The artefact: UTF-8 JSON with LightGBM's text inside."""
        assert self._shape is not None and self._levels is not None
        data = {
            "format": FORMAT, "name": self.name, "spec": asdict(self.spec), "names": list(self.names), "mean": self._mean_text,
            "spread": self._spread_text, "shape": self._shape.to_json(), "levels": self._levels.to_json(), "bias": self.bias,
            "balance": self.balance, "extra": self.extra,
        }  # fmt: skip
        return json.dumps(data, sort_keys=True, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, artifact: bytes, digest: str) -> BoostedModel:
        """Read an artefact after its SHA-256 was compared.

        Raises:
            IntegrityError: the bytes are not those of `digest`, or no artefact of this format.
        """
        if hashlib.sha256(artifact).hexdigest() != digest:
            raise IntegrityError(
                "the model's bytes do not have the registered SHA-256", where=digest, todo="aios repair, or roll back"
            )
        try:
            data = json.loads(artifact)
        except ValueError as error:
            raise IntegrityError("the model's bytes are not an artefact", where=digest) from error
        if not isinstance(data, dict) or data.get("format") != FORMAT or data.get("name") != cls.name:
            raise IntegrityError("the model's bytes are not an artefact of this format", where=digest)
        spec: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data["spec"].items()}
        model = cls(BoostSpec(**spec))
        model.names, model._mean_text, model._spread_text = tuple(data["names"]), data["mean"], data["spread"]
        model._shape, model._levels = Shape.from_json(data["shape"]), Levels.from_json(data["levels"])
        model.bias, model.extra = data["bias"], data["extra"]
        model.balance = data.get("balance", {})  # models trained before it was learned have none
        return model


def digest_of(artifact: bytes) -> str:
    """SHA-256 of an artefact, in hexadecimal."""
    return hashlib.sha256(artifact).hexdigest()


__all__ = [
    "BoostSpec",
    "BoostedModel",
    "at_levels",
    "booster_of",
    "cells_of",
    "digest_of",
    "rows_of_sales",
    "tie_draws",
    "train_booster",
    "train_boosters",
    "train_seen",
    "train_stopped",
]
