"""Lead time of any order table: accelerated failure time with shrunken effects and a residual learned walk-forward.

log(days + c) = effects of what is known at order time + residual. Open orders are censored rows: their expected rest is
imputed for the effects (Buckley & James 1979) and they stay censored in the residual's Kaplan-Meier curve. The residual
mixes two samples: out-of-fold residuals (orders kept whole, so that lines of one order never judge each other) and
walk-forward residuals, where a model of the past met the next period: these carry the drift, so that the quantiles hold
when times change. Recent orders weigh more in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from ml.effects import Effects, Floats, Ints, fit_effects, shrunken_means
from ml.lead_time.effects import Coder, make_coder
from ml.lead_time.residuals import Bools, Residuals, Shapes, column_of_shapes, fit_shapes, kaplan_meier
from ml.metrics import pinball_matrix

FAR_PERIODS = 4
# Two rounds of imputation left a table with many open orders a fifth too short; it settles after some thirty.
MOST_IMPUTATIONS = 60
SETTLED = 2e-4


@dataclass(frozen=True, slots=True)
class AftSpec:
    """Settings, chosen by walk-forward on real purchase orders (docs/lead-times.md).

    Attributes:
        strength: pseudo-orders that pull an effect towards zero, per effect: many columns share one truth.
        drift_share: weight of the walk-forward residuals.
        folds: folds of the out-of-fold residuals.
        periods: past periods played forward.
        location_half_life: periods after which an order counts half for the effects.
        residual_half_life: periods after which an order counts half for the residual.
        recent_half_life: periods after which an order counts half for what its supplier does lately beyond all effects.
        recent_strength: pseudo-orders that pull that towards zero.
    """

    strength: float = 1.75
    drift_share: float = 0.35
    folds: int = 4
    periods: int = 6
    location_half_life: float = 2.0
    residual_half_life: float = 4.0
    recent_half_life: float = 0.5
    recent_strength: float = 4.0


@dataclass(frozen=True, slots=True)
class Placed:
    """Where rows stand before their residual: log days expected, and which curve of residuals each has."""

    location: Floats
    curve: Ints

    def take(self, pick: Bools) -> Placed:
        """Some rows."""
        return Placed(self.location[pick], self.curve[pick])


@dataclass(frozen=True, slots=True)
class AftModel:
    """A fitted model.

    Attributes:
        coder: how rows become levels.
        effects: their effects.
        shift: c in log(days + c).
        shapes: distribution of the residual.
        ordered: column of the order date.
        near_until: rows ordered up to this day are answered by this model, later ones by `far`.
        far: the same effects with the residuals of orders placed more than a period after what was known; None where the
            history is too short to have met any.
    """

    coder: Coder
    effects: Effects
    shift: float
    shapes: Shapes
    ordered: str
    near_until: date = date.max
    far: AftModel | None = None

    def place(self, frame: pl.DataFrame) -> Placed:
        """Log days expected of each row, before the residual, and its curve."""
        codes = self.coder.encode(frame, self.ordered)
        return Placed(_located(self.effects, codes, frame.height), self.shapes.of(codes, frame.height))

    def survive(self, at: Placed, days: Floats) -> Floats:
        """P(T > days) per row; negative days give 1."""
        r = np.log(np.maximum(days, 0.0) + self.shift) - at.location
        return np.where(days < 0, 1.0, self.shapes.survive(at.curve, r))

    def quantile(self, at: Placed, q: float, age: Floats | None = None) -> Floats:
        """Days by which a share q has arrived, given that the order waited `age` days already (−1: not yet ordered)."""
        start = np.ones_like(at.location) if age is None else self.survive(at, age)
        target = np.maximum(start * (1.0 - q), 1e-12)
        days = np.exp(at.location + self.shapes.where(at.curve, target)) - self.shift
        floor = 0.0 if age is None else np.maximum(age, 0.0)
        return np.maximum(days, floor)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of an order table are used, and how."""

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    dates: tuple[str, ...]
    supplier: str | None
    ordered: str


def fit_aft(rows: pl.DataFrame, as_of: date, columns: Columns, *, spec: AftSpec | None = None) -> AftModel:
    """Fit on an order table as known on `as_of`.

    Args:
        rows: columns of `columns`, `_received` (date, null or later than `as_of`: open) and `_cluster` (text).
        as_of: last day known.
        columns: columns used.
        spec: settings.
    """
    spec = spec or AftSpec()
    seen = _as_known(rows, as_of, columns.ordered)
    unit = period_days(seen, as_of, columns.ordered)
    shift = max(1.0, 0.05 * float(np.median(seen["_days"].to_numpy())))
    coder, effects = _fit_location(seen, as_of, columns, spec, unit, shift)
    folds = _out_of_fold(seen, as_of, columns, spec, unit, shift, coder)
    forward = _walk_forward(rows, as_of, columns, spec, unit, shift, coder)
    near = _mixed(folds, _met(forward, 0), spec)
    column = column_of_shapes(near, shift)
    model = AftModel(coder, effects, shift, fit_shapes(near, column), columns.ordered)
    beyond = _met(forward, 1)
    if beyond is None:
        return model
    far = replace(model, shapes=fit_shapes(_mixed(folds, beyond, spec), column))
    return replace(model, near_until=as_of + timedelta(days=unit), far=far)


def grouping(rows: pl.DataFrame, columns: Columns, as_of: date) -> tuple[str, ...]:
    """The one text column by whose levels lead times differ most, judged on orders not seen; the supplier where none does.

    Args:
        rows, as_of: see `fit_aft`.
        columns: columns to choose from.
    """
    seen = _as_known(rows, as_of, columns.ordered)
    unit, spec = period_days(seen, as_of, columns.ordered), AftSpec()
    coder = make_coder(seen, texts=columns.texts, numbers=(), dates=(), supplier=None, ordered=columns.ordered)
    weight = _decay(seen, as_of, columns.ordered, spec.residual_half_life * unit)
    codes = coder.encode(seen, columns.ordered)
    found = column_of_shapes(_residuals(seen, _numbered(seen), np.zeros(seen.height), weight, 1.0, codes), 1.0)
    return (columns.texts[found],) if found >= 0 else ((columns.supplier,) if columns.supplier else ())


def _mixed(folds: Residuals, forward: Residuals | None, spec: AftSpec) -> Residuals:
    """Out-of-fold and walk-forward residuals, each with its share of the weight."""
    if forward is None:
        return Residuals.joined([folds], [1.0])
    return Residuals.joined([folds, forward], [1.0 - spec.drift_share, spec.drift_share])


def period_days(seen: pl.DataFrame, as_of: date, ordered: str) -> int:
    """Length of a period: a twelfth of the history, from four weeks to a quarter."""
    first = seen[ordered].min()
    span = (as_of - first).days if isinstance(first, date) else 0
    return int(np.clip(span // 12, 28, 91))


def _as_known(rows: pl.DataFrame, as_of: date, ordered: str) -> pl.DataFrame:
    """Rows ordered by `as_of` with what was known then: days waited or taken, and whether it had arrived."""
    known = pl.col("_received").is_not_null() & (pl.col("_received") <= as_of)
    until = pl.when(known).then(pl.col("_received")).otherwise(pl.lit(as_of))
    return rows.filter(pl.col(ordered) <= as_of).with_columns(
        (until - pl.col(ordered)).dt.total_days().cast(pl.Float64).alias("_days"), known.alias("_arrived"),
        (1.0 / pl.len().over("_cluster")).sqrt().alias("_weight"),
    )  # fmt: skip


def _decay(seen: pl.DataFrame, as_of: date, ordered: str, half_life_days: float) -> Floats:
    age = (pl.Series([as_of]) - seen[ordered]).dt.total_days().cast(pl.Float64).to_numpy()
    return np.asarray(seen["_weight"].to_numpy() * 0.5 ** (age / half_life_days), dtype=np.float64)


def _fit_location(
    seen: pl.DataFrame, as_of: date, columns: Columns, spec: AftSpec, unit: int, shift: float
) -> tuple[Coder, Effects]:
    coder = make_coder(
        seen,
        texts=columns.texts,
        numbers=columns.numbers,
        dates=columns.dates,
        supplier=columns.supplier,
        ordered=columns.ordered,
    )
    codes, sizes = coder.encode(seen, columns.ordered), [len(v) for v in coder.levels.values()]
    weights = _decay(seen, as_of, columns.ordered, spec.location_half_life * unit)
    log_days, arrived = np.log(seen["_days"].to_numpy() + shift), seen["_arrived"].to_numpy()
    strength = max(spec.strength * len(sizes), 8.0)
    filled, effects = log_days, fit_effects(codes, sizes, log_days, weights, strength=strength)
    for _ in range(0 if arrived.all() else MOST_IMPUTATIONS):
        location = effects.predict(codes) if codes else np.full(len(log_days), effects.base)
        before, filled = filled, impute(log_days, arrived, location, weights)
        if float(np.abs(filled - before).mean()) < SETTLED:
            break
        effects = fit_effects(codes, sizes, filled, weights, strength=strength)
    if columns.supplier not in coder.levels:
        return coder, effects
    at = list(coder.levels).index(columns.supplier)
    named = codes[at] >= 0
    recent = _decay(seen, as_of, columns.ordered, spec.recent_half_life * unit)[named]
    rest = (filled - effects.predict(codes))[named]
    return coder, effects.moved(at, shrunken_means(codes[at][named], sizes[at], rest, recent, spec.recent_strength))


def impute(log_days: Floats, arrived: Bools, location: Floats, weights: Floats) -> Floats:
    """Expected log days of open orders given that they lasted this long already; received ones stay as they are."""
    residual = log_days - location
    support, survival = kaplan_meier(residual, arrived, weights)
    mass = -np.diff(survival, prepend=1.0)
    mass[-1] += survival[-1]
    above = np.cumsum((mass * support)[::-1])[::-1] / np.maximum(np.cumsum(mass[::-1])[::-1], 1e-12)
    place = np.minimum(np.searchsorted(support, residual), len(support) - 1)
    return np.where(arrived, log_days, np.maximum(log_days, location + above[place]))


def _out_of_fold(
    seen: pl.DataFrame, as_of: date, columns: Columns, spec: AftSpec, unit: int, shift: float, coder: Coder
) -> Residuals:
    cluster = _numbered(seen)
    fold = (cluster * 2654435761) % 2**32 % spec.folds
    location = np.empty(seen.height)
    for k in range(spec.folds):
        inside = pl.Series(fold != k)
        train, rest = seen.filter(inside), seen.filter(~inside)
        if rest.height and train.height:
            part, effects = _fit_location(train, as_of, columns, spec, unit, shift)
            location[fold == k] = _located(effects, part.encode(rest, columns.ordered), rest.height)
        elif rest.height:
            location[fold == k] = float(np.log(rest["_days"].to_numpy() + shift).mean())
    weight = _decay(seen, as_of, columns.ordered, spec.residual_half_life * unit)
    return _residuals(seen, cluster, location, weight, shift, coder.encode(seen, columns.ordered))


def _numbered(seen: pl.DataFrame) -> Ints:
    """Number of each row's order."""
    numbers = {c: i for i, c in enumerate(sorted(seen["_cluster"].unique().to_list()))}
    return np.array([numbers[c] for c in seen["_cluster"].to_list()], dtype=np.int64)


def _residuals(
    frame: pl.DataFrame, cluster: Ints, location: Floats, weight: Floats, shift: float, codes: Sequence[Ints]
) -> Residuals:
    levels = np.array(codes, dtype=np.int64).reshape(len(codes), frame.height).T
    value = np.log(frame["_days"].to_numpy() + shift) - location
    return Residuals(value, frame["_arrived"].to_numpy(), weight, location, cluster, levels)


def _located(effects: Effects, codes: Sequence[Ints], rows: int) -> Floats:
    return effects.predict(codes) if codes else np.full(rows, effects.base)


def _walk_forward(
    rows: pl.DataFrame, as_of: date, columns: Columns, spec: AftSpec, unit: int, shift: float, coder: Coder
) -> list[tuple[int, Residuals]]:
    """Residuals under models that knew only the periods before: of the next period (0) and of the three after it (1)."""
    found: list[tuple[int, Residuals]] = []
    now = _as_known(rows, as_of, columns.ordered)
    now = now.with_columns(pl.Series("_order", _numbered(now)))
    for k in range(1, spec.periods + 1):
        origin = as_of - timedelta(days=unit * k)
        past = _as_known(rows, origin, columns.ordered)
        if int(past["_arrived"].sum()) < 60:
            break
        part, effects = _fit_location(past, origin, columns, spec, unit, shift)
        for later, (first, last) in enumerate(((0, 1), (1, FAR_PERIODS))):
            day = pl.col(columns.ordered)
            ahead = now.filter(
                (day > origin + timedelta(days=unit * first)) & (day <= origin + timedelta(days=unit * last))
            )
            if ahead.height == 0:
                continue
            location = _located(effects, part.encode(ahead, columns.ordered), ahead.height)
            weight = _decay(ahead, as_of, columns.ordered, spec.residual_half_life * unit)
            codes = coder.encode(ahead, columns.ordered)
            found.append((later, _residuals(ahead, ahead["_order"].to_numpy(), location, weight, shift, codes)))
    return found


def _met(found: list[tuple[int, Residuals]], later: int) -> Residuals | None:
    """All residuals of one distance; None where none of their orders arrived."""
    parts = [residuals for distance, residuals in found if distance == later]
    if not any(part.arrived.any() for part in parts):
        return None
    return Residuals.joined(parts)


def pinball(actual: Floats, quantiles: Floats, levels: Sequence[float]) -> Floats:
    """Mean pinball loss over the levels, per row, in days."""
    return np.asarray(pinball_matrix(actual, quantiles, levels).mean(axis=1))
