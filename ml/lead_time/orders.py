"""Lead times of any order table: choose the columns, refuse those that leak, choose the model walk-forward, answer.

Two candidates, judged on the last periods of the table itself: `effects` (shrunken effects of everything known at order
time, `ml.lead_time.aft`) and `grouped` (recency-weighted Kaplan-Meier per supplier, shrunk to all). Neither sees
anything dated after `as_of`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import QUANTILES
from aios_assets.contracts.errors import BadInputError
from ml.effects import Floats
from ml.lead_time.aft import AftModel, Columns, fit_aft, grouping, period_days, pinball
from ml.lead_time.lanes import without_forgotten
from ml.lead_time.leaks import find_leaks, identifiers

MODELS = ("effects", "grouped")
LATE_LEVEL = 0.8
TRUNCATED = "of suppliers that show no open orders: recent ones are missing, not quick"
FORGOTTEN = "open more than three times as long as 99 of 100 orders of that supplier took: never closed"
# Days are whole: an order that waits at the close of day a took longer than a days, which nothing between a and a + 1 denies.
HALF_DAY = 0.5
LATE_AFTER = "late_after_date"
_CHECKS = 3
LEAST_LEAD = 0.03  # share by which the grouped curve has to do better


@dataclass(frozen=True, slots=True)
class OrderColumns:
    """The part each column plays; None where there is none."""

    ordered: str
    received: str
    supplier: str | None = None
    due: str | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class LeadTimeAnswer:
    """What `forecast_lead_times` found.

    Attributes:
        rows: the rows asked for, in their order, with mean, quantiles, `late_after_date` and `late_probability_frac`.
        model: `effects` or `grouped`.
        why: why that model, in plain words.
        used: columns used.
        refused: columns that leak, with the reason.
        ignored: columns not used, with the reason.
        set_aside: order rows not learned from, by reason.
        unseen: suppliers asked for that no order names, with the rows that name them.
        checks: walk-forward figures per model: pinball in days, share below p50 and p90, orders judged.
    """

    rows: pl.DataFrame
    model: str
    why: str
    used: tuple[str, ...]
    refused: dict[str, str]
    ignored: dict[str, str]
    set_aside: dict[str, int]
    checks: dict[str, dict[str, float]] = field(default_factory=dict)
    unseen: dict[str, int] = field(default_factory=dict)


def forecast_lead_times(
    orders: pl.DataFrame,
    predict: pl.DataFrame,
    columns: OrderColumns,
    as_of: date,
    *,
    quantiles: Sequence[float] = QUANTILES,
    model: str | None = None,
) -> LeadTimeAnswer:
    """Lead-time quantiles and the chance of being late for every row of `predict`.

    Args:
        orders: one row per order line: ordered date, received date (null: still open), anything known at order time.
        predict: rows to answer; those ordered by `as_of` are taken as still open and conditioned on their age.
        columns: the part each column plays.
        as_of: last day known; anything dated later is not used.
        quantiles: levels, each between 0 and 1.
        model: force `effects` or `grouped`; None lets walk-forward choose.

    Raises:
        BadInputError: too few received orders, bad quantiles, unknown model.
    """
    _check(quantiles, model)
    rows, set_aside = prepare(_coded(_with_days(orders), columns.supplier), columns, as_of)
    rows, forgotten = drop_forgotten(rows, columns, as_of)
    rows, cut = drop_truncated(rows, columns, as_of)
    set_aside |= {FORGOTTEN: forgotten} if forgotten else {}
    set_aside |= {TRUNCATED: cut} if cut else {}
    known = rows.filter(pl.col("_received") <= as_of).height
    if known < 20:
        raise BadInputError(
            "too few received orders to learn from",
            where="orders",
            count=known,
            todo="give at least 20 received by the day judged",
        )
    special = {columns.ordered, columns.received, "_received", "_cluster", *([columns.order] if columns.order else [])}
    candidates = [c for c in orders.columns if c not in special]
    asked, predict = predict, _coded(_with_days(predict), columns.supplier)
    # a code that looks like a number in a short file is still the code it is in the orders
    codes = [
        c for c in candidates if c in predict.columns and rows.schema[c] == pl.String and asked.schema[c] != pl.String
    ]
    predict = predict.with_columns(pl.col(c).cast(pl.String) for c in codes)
    refused = find_leaks(
        rows, candidates, ordered=columns.ordered, received="_received", as_of=as_of, supplier=columns.supplier
    )
    ignored = identifiers(rows, [c for c in candidates if c not in refused])
    ignored |= {
        c: "the rows to answer do not have it" for c in candidates if c not in predict.columns and c not in refused
    }
    ignored |= {c: f"it is {predict.schema[c]} in the rows to answer, {rows.schema[c]} in the orders" for c in candidates
                if c in predict.columns and c not in refused and not _alike(rows.schema[c], predict.schema[c])}  # fmt: skip
    used = _roles(rows, [c for c in candidates if c not in refused and c not in ignored], columns)
    checks = walk_forward(rows, used, as_of)
    chosen, why = _choose(checks, model)
    fitted = _fit(chosen, rows, used, as_of)
    given = [*codes, *(c for c in asked.columns if asked.schema[c].base_type() == pl.Datetime and c != LATE_AFTER)]
    answer = _answer(fitted, rows, predict, columns, as_of, quantiles).with_columns(asked[c] for c in given)
    names = (*used.texts, *used.numbers, *used.dates) if chosen == "effects" else fitted.coder.columns
    unseen = _unseen(rows, predict, columns.supplier)
    return LeadTimeAnswer(answer, chosen, why, names, refused, ignored, set_aside, checks, unseen)


def _with_days(frame: pl.DataFrame) -> pl.DataFrame:
    """Timestamps as the day on the clock of their own time zone: an evening in New York is not the next day."""
    stamps = [c for c, kind in frame.schema.items() if kind.base_type() == pl.Datetime]
    return frame.with_columns(pl.col(c).dt.date() for c in stamps)


def _coded(frame: pl.DataFrame, supplier: str | None) -> pl.DataFrame:
    """A supplier is a code, not a number: 102 is not nearer to 101 than 907 is. Whole numbers lose a decimal point."""
    if supplier is None or supplier not in frame.columns or not frame.schema[supplier].is_numeric():
        return frame
    code = pl.col(supplier)
    if frame.schema[supplier].is_float():
        whole = code.is_finite() & (code == code.floor()) & (code.abs() < 2**53)
        code = pl.when(whole).then(code.cast(pl.Int64, strict=False).cast(pl.String)).otherwise(code.cast(pl.String))
    return frame.with_columns(code.cast(pl.String).alias(supplier))


def _unseen(rows: pl.DataFrame, predict: pl.DataFrame, supplier: str | None) -> dict[str, int]:
    if supplier is None or supplier not in predict.columns or supplier not in rows.columns:
        return {}
    strange = predict.filter(
        pl.col(supplier).is_not_null() & ~pl.col(supplier).is_in(rows[supplier].unique().implode())
    )
    return {str(s): int(n) for s, n in strange.group_by(supplier).len().sort(supplier).iter_rows()}


def _check(quantiles: Sequence[float], model: str | None) -> None:
    if not quantiles or any(not 0 < q < 1 for q in quantiles):
        raise BadInputError(
            f"quantiles {list(quantiles)} are not all between 0 and 1",
            where="--quantiles",
            todo="give levels such as 0.05,0.5,0.95",
        )
    if model is not None and model not in MODELS:
        raise BadInputError(f"model {model} is not known", where="--model", todo=f"choose one of {', '.join(MODELS)}")


def _alike(a: pl.DataType, b: pl.DataType) -> bool:
    return a == b or (a.is_numeric() and b.is_numeric()) or (a.is_temporal() and b.is_temporal())


def prepare(orders: pl.DataFrame, columns: OrderColumns, as_of: date) -> tuple[pl.DataFrame, dict[str, int]]:
    """Order rows fit to learn from, with `_received` and `_cluster`, and the rows set aside by reason.

    Raises:
        BadInputError: a named column is missing or holds no dates.
    """
    for name, what in ((columns.ordered, "ordered"), (columns.received, "received")):
        if name not in orders.columns:
            raise BadInputError(
                f"the {what} date column {name!r} is missing", where="orders", todo=f"name it with --{what}"
            )
        if not orders.schema[name].is_temporal():
            raise BadInputError(
                f"column {name!r} holds {orders.schema[name]}, not dates",
                where="orders",
                todo="give dates as YYYY-MM-DD",
            )
    cluster = pl.col(columns.order).cast(pl.String) if columns.order else pl.lit(None, dtype=pl.String)
    alone = "row " + pl.int_range(pl.len()).cast(pl.String)
    frame = orders.with_columns(
        pl.col(columns.ordered).cast(pl.Date),
        pl.col(columns.received).cast(pl.Date).alias("_received"),
        pl.coalesce(cluster, alone).alias("_cluster"),
    )
    reason = (
        pl.when(pl.col(columns.ordered).is_null()).then(pl.lit("no order date"))
        .when(pl.col(columns.ordered) > as_of).then(pl.lit("ordered after the day judged"))
        .when(pl.col("_received") < pl.col(columns.ordered)).then(pl.lit("received before it was ordered"))
    )  # fmt: skip
    frame = frame.with_columns(reason.alias("_reason"))
    aside = frame.filter(pl.col("_reason").is_not_null()).group_by("_reason").len().sort("_reason")
    kept = (
        frame.filter(pl.col("_reason").is_null()).drop("_reason").sort(columns.ordered, "_cluster", maintain_order=True)
    )
    kept = kept.with_columns(pl.when(pl.col("_received") <= as_of).then("_received").alias("_received"))
    return kept, {str(r): int(n) for r, n in aside.iter_rows()}


def drop_truncated(rows: pl.DataFrame, columns: OrderColumns, as_of: date) -> tuple[pl.DataFrame, int]:
    """Leave out recent orders of suppliers whose open orders are missing from the table.

    When some suppliers show open orders and one shows none although five or more of its recent orders should still be
    open, its table lists deliveries, not orders: its recent rows are only the quick ones (right truncation).

    Returns:
        The rows kept and the number left out.
    """
    if columns.supplier is None or columns.supplier not in rows.columns or rows["_received"].null_count() == 0:
        return rows, 0
    days = (pl.col("_received") - pl.col(columns.ordered)).dt.total_days()
    age = (pl.lit(as_of) - pl.col(columns.ordered)).dt.total_days()
    frame = rows.with_columns(days.alias("_d"), age.alias("_a"))
    slow = frame.group_by(columns.supplier).agg(
        pl.col("_received").null_count().alias("open"), pl.col("_d").filter(pl.col("_a") > 365).quantile(0.95).alias("p95"),
        pl.col("_d").filter(pl.col("_a") > 365).median().alias("p50"), (pl.col("_a") > 365).sum().alias("old"), pl.col("_a").alias("ages"),
    )  # fmt: skip
    gone = [
        (r[columns.supplier], r["p95"]) for r in slow.iter_rows(named=True)
        if r["open"] == 0 and r["old"] >= 20 and r["p50"] is not None and sum(a < r["p50"] for a in r["ages"]) >= 5
    ]  # fmt: skip
    if not gone:
        return rows, 0
    limits = pl.DataFrame(
        gone, schema={columns.supplier: rows.schema[columns.supplier], "_p95": pl.Float64}, orient="row"
    )
    kept = frame.join(limits, on=columns.supplier, how="left", maintain_order="left").filter(
        pl.col("_p95").is_null() | (pl.col("_a") > pl.col("_p95"))
    )
    return kept.drop("_d", "_a", "_p95"), rows.height - kept.height


def drop_forgotten(rows: pl.DataFrame, columns: OrderColumns, as_of: date) -> tuple[pl.DataFrame, int]:
    """Leave out orders that were never closed (`without_forgotten`), per supplier; a year later they say that some never arrive.

    Returns:
        The rows kept, in their order, and the number left out.
    """
    until = pl.coalesce("_received", pl.lit(as_of))
    who = pl.col(columns.supplier) if columns.supplier in rows.columns else pl.lit("")
    frame = rows.with_columns(
        (until - pl.col(columns.ordered)).dt.total_days().alias("days"),
        pl.col("_received").is_not_null().alias("is_received"), who.alias("_who"),
    )  # fmt: skip
    kept, forgotten = without_forgotten(frame.with_row_index("_n"), "_who")
    return rows[kept["_n"]], forgotten


def _roles(rows: pl.DataFrame, names: Sequence[str], columns: OrderColumns) -> Columns:
    texts = tuple(c for c in names if rows.schema[c] in (pl.String(), pl.Boolean()))
    numbers = tuple(c for c in names if rows.schema[c].is_numeric())
    dates = tuple(c for c in names if rows.schema[c].is_temporal() and rows.schema[c] != pl.Time)
    supplier = columns.supplier if columns.supplier in texts else None
    return Columns(texts, numbers, dates, supplier, columns.ordered)


def _fit(model: str, rows: pl.DataFrame, used: Columns, as_of: date) -> AftModel:
    if model == "effects":
        return fit_aft(rows, as_of, used)
    return fit_aft(rows, as_of, Columns(grouping(rows, used, as_of), (), (), None, used.ordered))


def walk_forward(rows: pl.DataFrame, used: Columns, as_of: date) -> dict[str, dict[str, float]]:
    """Judge both models on the last periods: fitted on what was known at each origin, judged on the orders that followed.

    Periods lie far enough back that nearly all of their orders have arrived; open ones are left out and counted.
    """
    ordered = used.ordered
    arrived = rows.filter(pl.col("_received").is_not_null())
    unit = period_days(rows, as_of, ordered)
    slow = float(arrived.select((pl.col("_received") - pl.col(ordered)).dt.total_days().quantile(0.95)).item())
    newest = as_of - timedelta(days=int(slow) + unit)
    out: dict[str, dict[str, float]] = {}
    for model in MODELS:
        losses, below50, below90, judged = 0.0, 0.0, 0.0, 0
        for k in range(_CHECKS):
            origin = newest - timedelta(days=unit * k)
            past = rows.filter(pl.col(ordered) <= origin)
            ahead = arrived.filter((pl.col(ordered) > origin) & (pl.col(ordered) <= origin + timedelta(days=unit)))
            if past.filter(pl.col("_received") <= origin).height < 40 or ahead.height == 0:
                continue
            fitted = _fit(model, past, used, origin)
            placed = fitted.place(ahead)
            actual = (
                ahead.select((pl.col("_received") - pl.col(ordered)).dt.total_days())
                .to_series()
                .cast(pl.Float64)
                .to_numpy()
            )
            q = np.stack([fitted.quantile(placed, level) for level in QUANTILES], axis=1)
            losses += float(pinball(actual, q, QUANTILES).sum())
            below50 += float((actual <= q[:, QUANTILES.index(0.5)]).sum())
            below90 += float((actual <= q[:, QUANTILES.index(0.9)]).sum())
            judged += ahead.height
        if judged:
            out[model] = {
                "pinball_days": losses / judged,
                "below_p50_frac": below50 / judged,
                "below_p90_frac": below90 / judged,
                "orders": float(judged),
            }
    return out


def _choose(checks: dict[str, dict[str, float]], forced: str | None) -> tuple[str, str]:
    if forced is not None:
        return forced, "asked for with --model"
    if len(checks) < 2:
        return "effects", "too little history to compare models walk-forward"
    # one column is told from all of them on few periods: a small lead of the simpler model is chance
    clear = checks["grouped"]["pinball_days"] < (1 - LEAST_LEAD) * checks["effects"]["pinball_days"]
    best = "grouped" if clear else "effects"
    other = next(m for m in MODELS if m != best)
    gain = 100 * (1 - checks[best]["pinball_days"] / max(checks[other]["pinball_days"], 1e-12))
    compared = f"{gain:.1f} % below {other}" if gain >= 0 else f"{-gain:.1f} % above {other}, which is no clear lead"
    return best, f"walk-forward pinball loss {checks[best]['pinball_days']:.2f} days, {compared}"


def _answer(
    fitted: AftModel,
    rows: pl.DataFrame,
    predict: pl.DataFrame,
    columns: OrderColumns,
    as_of: date,
    quantiles: Sequence[float],
) -> pl.DataFrame:
    """The rows asked for, with their quantiles; an order placed by `as_of` is conditioned on not having arrived."""
    frame = _with_order_date(predict, columns)
    placed = fitted.place(frame)
    age = (
        frame.select((pl.lit(as_of) - pl.col(columns.ordered)).dt.total_days())
        .to_series()
        .fill_null(-1)
        .cast(pl.Float64)
        .to_numpy()
    )
    age = np.where(age >= 0, age + HALF_DAY, -1.0)
    due = _due(frame, rows, columns)
    limit = np.where(np.isnan(due), 0.0, due)
    near = frame.select((pl.col(columns.ordered) <= fitted.near_until).fill_null(True)).to_series().to_numpy()
    found, fine, late = np.empty((len(age), len(quantiles))), np.empty((len(age), 50)), np.empty(len(age))
    for model, pick in ((fitted, near), (fitted.far or fitted, ~near)):
        where, waited = placed.take(pick), age[pick]
        found[pick] = np.stack([model.quantile(where, q, waited) for q in sorted(quantiles)], axis=1)
        fine[pick] = np.stack([model.quantile(where, q, waited) for q in (np.arange(50) + 0.5) / 50], axis=1)
        left = np.maximum(model.survive(where, waited), 1e-12)
        then = model.survive(where, limit[pick] + HALF_DAY)
        late[pick] = np.where(limit[pick] + HALF_DAY <= waited, 1.0, np.minimum(then / left, 1.0))
    found = np.maximum.accumulate(found, axis=1)
    series = [pl.Series("lead_time_days_mean", fine.mean(axis=1))]
    series += [pl.Series(quantile_name(q), found[:, i]) for i, q in enumerate(sorted(quantiles))]
    late_after = (
        frame.select(pl.col(columns.ordered)).to_series()
        + pl.Series(limit.astype(np.int64)).cast(pl.Duration("ms")) * 86_400_000
    )
    series.append(late_after.cast(pl.Date).alias(LATE_AFTER))
    series.append(pl.Series("late_probability_frac", np.where(np.isnan(due), np.nan, late)).fill_nan(None))
    return predict.drop([s.name for s in series], strict=False).with_columns(series)


def quantile_name(q: float) -> str:
    """Column of a quantile: 0.05 → `lead_time_days_p05`, 0.975 → `lead_time_days_p97_5`."""
    text = f"{q * 100:.6f}".rstrip("0").rstrip(".")
    whole, _, rest = text.partition(".")
    return f"lead_time_days_p{whole.zfill(2)}" + (f"_{rest}" if rest else "")


def _with_order_date(predict: pl.DataFrame, columns: OrderColumns) -> pl.DataFrame:
    if columns.ordered not in predict.columns:
        return predict.with_columns(pl.lit(None, dtype=pl.Date).alias(columns.ordered))
    if not predict.schema[columns.ordered].is_temporal():
        raise BadInputError(
            f"column {columns.ordered!r} holds {predict.schema[columns.ordered]}, not dates",
            where="rows to answer",
            todo="give dates as YYYY-MM-DD",
        )
    return predict.with_columns(pl.col(columns.ordered).cast(pl.Date))


def _due(frame: pl.DataFrame, rows: pl.DataFrame, columns: OrderColumns) -> Floats:
    """Days from order after which a row is late: to its due date, else what eight of ten recent orders of its supplier kept."""
    stated = np.full(frame.height, np.nan)
    if columns.due is not None and columns.due in frame.columns:
        days = (pl.col(columns.due).cast(pl.Date) - pl.col(columns.ordered)).dt.total_days().cast(pl.Float64)
        stated = frame.select(days.fill_null(float("nan"))).to_series().to_numpy()
    done = rows.filter(pl.col("_received").is_not_null()).with_columns(
        (pl.col("_received") - pl.col(columns.ordered)).dt.total_days().alias("_d")
    )
    whole = float(np.quantile(done["_d"].to_numpy(), LATE_LEVEL, method="higher"))
    usual = np.full(frame.height, whole)
    if columns.supplier is not None and columns.supplier in frame.columns and columns.supplier in rows.columns:
        recent = (
            done.sort(columns.ordered)
            .group_by(columns.supplier)
            .agg(pl.col("_d").tail(100).quantile(LATE_LEVEL, "higher").alias("q"), pl.len().alias("n"))
        )
        by = {r[columns.supplier]: float(r["q"]) for r in recent.filter(pl.col("n") >= 10).iter_rows(named=True)}
        usual = np.array([by.get(s, whole) for s in frame[columns.supplier].to_list()])
    return np.where(np.isnan(stated), usual, stated)
