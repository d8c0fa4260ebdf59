"""Direct multi-horizon demand frames: features at an origin × horizons, known-future covariates, labels; every row accounted for.

A row is item, site, origin day and horizon. Features come as they were known at the origin (through Feast); promotions and
holidays only if they were announced by then; labels are what is known at the day of training. Labels of days without stock
are censored demand: they are set aside, counted, and the bias that brings is corrected by `ml.training`. Sales net of returns that are
below zero are no demand (0), and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.errors import BadInputError, ContractError
from ml.closing import CLOSED
from ml.distribution import text_draws
from ml.models.base import F64, Counted, Design
from ml.models.statistical import demand_class
from ml.newborn import Births, newborn_of
from ml.own_features import LAGS, WINDOWS

KEYS = ("item_id", "site_id")
LABELS = (*KEYS, "demand_date", "sales_qty_ea", "is_stockout", "is_suspect")
HORIZON = 28
EPOCH = date(2000, 1, 1)
SCALE_FLOOR_EA = 0.1
NEW_DAYS = 28
MOST_ITEM_CODES = 1_000
BLOCK_ROWS = 65_536
DRAWN_ROWS = 4_194_304
CODES = ("weekday", "site_code", "category_code", "item_code")
PROMOTIONS = pl.Schema(
    {"item_id": pl.String(), "site_id": pl.String(), "start_date": pl.Date(), "end_date": pl.Date(), "promo_price_usd": pl.Float64(),
     "available_at_utc": pl.Datetime("us", "UTC"), "superseded_at_utc": pl.Datetime("us", "UTC")}
)  # fmt: skip
HOLIDAYS = pl.Schema(
    {"holiday_date": pl.Date(), "is_closed": pl.Boolean(), "available_at_utc": pl.Datetime("us", "UTC"),
     "superseded_at_utc": pl.Datetime("us", "UTC")}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Covariates:
    """What is known of the future.

    Attributes:
        promotions: rows of `raw_master__promotions` (`end_date` is the day after the last), with `available_at_utc`, and where a promotion
            was stated anew also `superseded_at_utc`: an origin sees the statement that stood then.
        holidays: rows of `raw_master__holidays`, likewise; one that is withdrawn is none from that statement on.
        closed: sites and weekdays on which nothing is to be expected (`ml.closing`); scoring alone reads it.
        births: how often young series of the network sell at the day of scoring (`ml.newborn`); None: as the features at each origin say.
    """

    promotions: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=PROMOTIONS))
    holidays: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=HOLIDAYS))
    closed: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CLOSED))
    births: Births | None = None


@dataclass(frozen=True, slots=True)
class Encoding:
    """Codes of categorical values, fixed at training; an unknown value is missing, not a new code."""

    maps: Mapping[str, Mapping[str, int]]

    @classmethod
    def fit(cls, features: pl.DataFrame) -> Encoding:
        """Codes in alphabetical order, so that the same data gives the same codes."""
        maps: dict[str, dict[str, int]] = {}
        for code, column in (("site_code", "site_id"), ("category_code", "category_code"), ("item_code", "item_id")):
            values = features[column].drop_nulls().unique().sort().to_list() if column in features.columns else []
            if code == "item_code" and len(values) > MOST_ITEM_CODES:
                values = []
            maps[code] = {value: i for i, value in enumerate(values)}
        return cls(maps)

    def code(self, name: str, values: pl.Series) -> F64:
        """Codes of values, NaN where unknown."""
        table = self.maps.get(name, {})
        if not table:
            return np.full(len(values), np.nan)
        out: F64 = (
            values.replace_strict(dict(table), default=None, return_dtype=pl.Float64).fill_null(np.nan).to_numpy()
        )
        return out


@dataclass(frozen=True, slots=True)
class DemandFrame:
    """A design with what its rows are.

    Attributes:
        design: features, scale, segment, labels.
        rows: item_id, site_id, origin_date, horizon_days, target_date, in the order of the design.
        counted: rows asked, kept, set aside by reason.
        censored: the design rows of stock-out days (labels are lower bounds), or None.
        net_returns: labelled rows whose sales, net of returns, are below zero; they stand as no demand.
    """

    design: Design
    rows: pl.DataFrame
    counted: Counted
    censored: Design | None = None
    net_returns: int = 0


def training_request(
    first_known: pl.DataFrame, origins: Sequence[date], cutoff: Callable[[date], datetime]
) -> pl.DataFrame:
    """Entity rows to ask the feature store for: every series × every origin from its first report on.

    Args:
        first_known: item_id, site_id, first_date (first business day reported).
        origins: origin days.
        cutoff: instant at which a day's knowledge is closed.

    Returns:
        item_id, site_id, feature_date, event_timestamp, sorted.
    """
    days = pl.DataFrame(
        {"feature_date": list(origins), "event_timestamp": [cutoff(day) for day in origins]}
    ).with_columns(pl.col("event_timestamp").cast(pl.Datetime("us", "UTC")))
    rows = first_known.join(days, how="cross").filter(pl.col("feature_date") >= pl.col("first_date"))
    return rows.select(*KEYS, "feature_date", "event_timestamp").sort(*KEYS, "feature_date")


def is_answered() -> pl.Expr:
    """Whether a series is forecast from a feature row: something of it was known of the last four weeks.

    A model learns from such rows only. Of a history that reached us at once nothing was known at the days it speaks of: rows
    without features teach absolute sizes in place of shapes, and look well on held-out rows that are as empty.
    """
    return pl.col("sales_qty_ea_mean_28d").is_not_null()


def training_origins(as_of: date, history_days: int, stride_days: int, horizon: int = HORIZON) -> list[date]:
    """Origins of a training set: every `stride_days` back from the last one whose whole horizon has passed."""
    newest = as_of - timedelta(days=horizon)
    return [newest - timedelta(days=k) for k in range(0, max(history_days - horizon, 1), stride_days)][::-1]


def demand_frame(
    features: pl.DataFrame,
    covariates: Covariates,
    encoding: Encoding,
    *,
    labels: pl.DataFrame | None = None,
    horizon: int = HORIZON,
    most_rows: int | None = None,
    seed: int = 0,
) -> DemandFrame:
    """Rows of a design from features at their origins.

    Args:
        features: rows of `feat_item_site__demand` (item attributes may be joined), one per item, site and `feature_date`.
        covariates: promotions and holidays.
        encoding: codes of categorical values.
        labels: `LABELS` of every day, one row each, as known when the model learns; None when scoring.
        horizon: horizons 1 … `horizon`.
        most_rows: keep a random sample of about so many rows (learning only).
        seed: seed of the sample.

    Raises:
        BadInputError: no features, or two rows of one item, site and day, or (learning) nothing was known at any origin.
        ContractError: rows were lost or doubled on the way.
    """
    if features.height == 0:
        raise BadInputError("no feature rows to build a demand frame from", where="feat_item_site__demand")
    doubled = features.height - features.select(*KEYS, "feature_date").n_unique()
    if doubled:
        raise BadInputError("feature rows are doubled", where="feat_item_site__demand", count=doubled)
    features, asked = features.sort(*KEYS, "feature_date"), features.height * horizon
    dropped: dict[str, int] = {}
    if labels is not None:
        features, dropped = _answered(features, horizon)
    origin, ahead = _sampled(features.height, horizon, most_rows, seed)
    if origin.size < features.height * horizon:
        dropped["not_sampled"] = features.height * horizon - origin.size
    rows = features.select(*KEYS, pl.col("feature_date").alias("origin_date"), "available_at_utc")[origin]
    rows = rows.with_columns(pl.Series("horizon_days", ahead, dtype=pl.Int32)).with_columns(
        (pl.col("origin_date") + pl.duration(days=pl.col("horizon_days"))).alias("target_date")
    )
    if labels is None:
        design = _design(features, origin, rows, covariates, encoding, None)
        return DemandFrame(design, rows.drop("available_at_utc"), Counted(asked, design.rows, dropped))
    return _labelled(features, origin, rows, covariates, encoding, labels, Counted(asked, origin.size, dropped))


def _answered(features: pl.DataFrame, horizon: int) -> tuple[pl.DataFrame, dict[str, int]]:
    """The feature rows that a model may learn from, and how many design rows the others would have made."""
    known = features.filter(is_answered())
    if known.is_empty():
        raise BadInputError(
            "nothing was known at any day to learn from", where="feat_item_site__demand", count=features.height,
            todo="a history that reached us at once teaches from that day on: wait eight weeks, or load it into a new home with the "
            "times at which it was known (`aios ingest FOLDER --as-sent`, files that keep their times)",
        )  # fmt: skip
    left = (features.height - known.height) * horizon
    return known, {"nothing_known": left} if left else {}


def _labelled(
    features: pl.DataFrame, origin: npt.NDArray[np.int64], rows: pl.DataFrame, covariates: Covariates, encoding: Encoding,
    labels: pl.DataFrame, counted: Counted,
) -> DemandFrame:  # fmt: skip
    # Joined with a sample of the days: a table of all labels to look them up in would be larger than the labels.
    asked = rows.select(*KEYS, "target_date").unique()
    known = labels.rename({"demand_date": "target_date"}).join(asked, on=[*KEYS, "target_date"], how="semi")
    joined = rows.join(known, on=[*KEYS, "target_date"], how="left", maintain_order="left")
    if joined.height != rows.height:
        raise ContractError("labels are doubled", where="fct_demand_daily", count=joined.height - rows.height)
    y = joined["sales_qty_ea"].cast(pl.Float64)
    missing = y.is_null().to_numpy()
    flags = [
        joined[c].fill_null(False).to_numpy() if c in joined.columns else np.zeros(rows.height, bool)
        for c in ("is_stockout", "is_suspect")
    ]
    suspect = ~missing & flags[1]
    stockout = ~missing & ~suspect & flags[0]
    keep = ~missing & ~suspect & ~stockout
    dropped = counted.dropped | {
        "no_report": int(missing.sum()),
        "suspect": int(suspect.sum()),
        "stockout_censored": int(stockout.sum()),
    }
    # More came back than was sold: nobody wanted less than nothing, and a learner of counts refuses to learn it.
    below = (y < 0).fill_null(False).to_numpy() & (keep | stockout)
    actual = np.where(below, 0.0, y.fill_null(np.nan).to_numpy())

    def part(pick: npt.NDArray[np.bool_]) -> Design:
        return _design(features, origin[pick], rows.filter(pl.Series(pick)), covariates, encoding, actual[pick])

    censored = part(stockout) if stockout.any() else None
    kept = Counted(counted.asked, int(keep.sum()), dropped)
    chosen = rows.filter(pl.Series(keep)).drop("available_at_utc")
    return DemandFrame(part(keep), chosen, kept, censored, int(below.sum()))


def _sampled(n: int, horizon: int, most: int | None, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    size = n * horizon
    if most is None or size <= most:
        return np.repeat(np.arange(n, dtype=np.int64), horizon), np.tile(np.arange(1, horizon + 1, dtype=np.int32), n)
    # Drawn block by block, the same numbers as at once: of many millions of rows only the chosen ones are ever in memory.
    draws = np.random.default_rng(seed)
    blocks = (range(low, min(low + DRAWN_ROWS, size)) for low in range(0, size, DRAWN_ROWS))
    chosen = np.concatenate([np.flatnonzero(draws.random(len(b)) < most / size) + b.start for b in blocks])
    return chosen // horizon, (chosen % horizon + 1).astype(np.int32)


def scale_of(features: pl.DataFrame) -> F64:
    """Level of each series at the origin, in eaches a day: mean of the 28-, 56- and 180-day means, not below a floor."""
    means = [_array(features, f"sales_qty_ea_mean_{w}d") for w in (28, 56, 180)]
    with np.errstate(invalid="ignore"):
        stacked = np.array(means)
        n = (~np.isnan(stacked)).sum(axis=0)
        level = np.nansum(stacked, axis=0) / np.maximum(n, 1)
    out: F64 = np.maximum(level, SCALE_FLOOR_EA)
    return out


def classes_of(features: pl.DataFrame) -> npt.NDArray[np.str_]:
    """Demand class at the origin from 180 days: ADI and CV² follow from mean, deviation and share of zeros."""
    mean, deviation = _array(features, "sales_qty_ea_mean_180d"), _array(features, "sales_qty_ea_std_180d")
    selling = 1.0 - _array(features, "zero_frac_180d")
    age = _array(features, "days_on_sale")
    with np.errstate(invalid="ignore", divide="ignore"):
        adi = 1.0 / selling
        cv2 = (deviation**2 + mean**2) * selling / mean**2 - 1.0
    return demand_class(adi, np.nan_to_num(cv2, nan=0.0), np.isnan(age) | (age < NEW_DAYS))


def _array(features: pl.DataFrame, name: str) -> F64:
    out: F64 = features[name].cast(pl.Float64).fill_null(np.nan).to_numpy()
    return out


def _design(
    features: pl.DataFrame, origin: npt.NDArray[np.int64], rows: pl.DataFrame, covariates: Covariates, encoding: Encoding,
    y: F64 | None,
) -> Design:  # fmt: skip
    scale = scale_of(features)
    known = _origin_columns(features, scale, encoding)
    columns = _target_columns(features, origin, rows, scale)
    columns |= _promotion_columns(rows, covariates.promotions, _array(features, "price_usd_lag_0")[origin])
    columns |= _holiday_columns(rows, covariates.holidays)
    names = (*known, *columns)
    x = np.empty((rows.height, len(names)), dtype=np.float32)
    table = np.column_stack(list(known.values())).astype(np.float32)
    for low in range(0, rows.height, BLOCK_ROWS):  # columns that all horizons share are copied by row
        part = slice(low, low + BLOCK_ROWS)
        x[part, : len(known)] = table[origin[part]]
        for i, values in enumerate(columns.values(), start=len(known)):
            x[part, i] = values[part]
    newborn = newborn_of(features, covariates.births)
    target = (rows["target_date"] - EPOCH).dt.total_days().to_numpy()
    start = (rows["origin_date"] - EPOCH).dt.total_days().to_numpy()
    return Design(
        x, names, tuple(c for c in CODES if c in names), scale[origin], classes_of(features)[origin],
        rows["horizon_days"].to_numpy(), target, start, y, None, _ties(features)[origin],
        None if newborn is None else newborn.take(origin),
    )  # fmt: skip


def _ties(features: pl.DataFrame) -> F64:
    """A number in [0, 1) per feature row from its item and site (neighbouring rows of one series are hashed once)."""
    names = features.select(pl.concat_str(KEYS, separator="|")).to_series()
    runs = names.rle().struct.field("value").to_list()
    out: F64 = text_draws(runs)[names.rle_id().to_numpy()]
    return out


def _origin_columns(features: pl.DataFrame, scale: F64, encoding: Encoding) -> dict[str, F64]:
    out: dict[str, F64] = {f"lag_{k}": _array(features, f"sales_qty_ea_lag_{k}") / scale for k in LAGS}
    for w in WINDOWS:
        out[f"mean_{w}"] = _array(features, f"sales_qty_ea_mean_{w}d") / scale
        out[f"std_{w}"] = _array(features, f"sales_qty_ea_std_{w}d") / scale
    for name in ("zero_frac_28d", "zero_frac_180d", "in_stock_frac_28d", "price_rel_28d"):
        out[name] = _array(features, name)
    out["log_days_since_sale"] = np.log1p(_array(features, "days_since_sale"))
    out["log_days_on_sale"] = np.log1p(np.minimum(_array(features, "days_on_sale"), 730))
    out["weekday_mean_56"] = _array(features, "weekday_mean_56d") / scale
    out["log_site_mean"] = np.log1p(_array(features, "site_sales_qty_ea_mean_28d"))
    out["item_mean"] = _array(features, "item_sales_qty_ea_mean_28d") / scale
    out["log_scale"] = np.log(scale)
    out["log_price"] = np.log1p(_array(features, "price_usd_lag_0"))
    out["site_code"] = encoding.code("site_code", features["site_id"])
    if "category_code" in features.columns:
        out["category_code"] = encoding.code("category_code", features["category_code"])
    if encoding.maps.get("item_code"):
        out["item_code"] = encoding.code("item_code", features["item_id"])
    return out


def _target_columns(
    features: pl.DataFrame, origin: npt.NDArray[np.int64], rows: pl.DataFrame, scale: F64
) -> dict[str, F64]:
    ahead = rows["horizon_days"].to_numpy().astype(np.int64)
    week = np.column_stack([_array(features, f"sales_qty_ea_lag_{k}") / scale for k in range(7)])
    day = rows["target_date"]
    angle = 2 * np.pi * day.dt.ordinal_day().to_numpy() / 365.25
    return {
        "same_weekday_lag": week[origin, (-ahead) % 7],
        "horizon": ahead.astype(np.float64),
        "weekday": day.dt.weekday().to_numpy().astype(np.float64),
        "day_of_month": day.dt.day().to_numpy().astype(np.float64),
        "year_sin_1": np.sin(angle), "year_cos_1": np.cos(angle), "year_sin_2": np.sin(2 * angle), "year_cos_2": np.cos(2 * angle),
    }  # fmt: skip


def _promotion_columns(rows: pl.DataFrame, promotions: pl.DataFrame, last_price: F64) -> dict[str, F64]:
    """Whether the target day is on promotion, and the promoted price over the last one, as announced by the origin."""
    nothing = {"is_promo": np.zeros(rows.height), "promo_price_rel": np.full(rows.height, np.nan)}
    if promotions.height == 0 or rows.height == 0:
        return nothing
    first, last = rows.select(first=pl.col("target_date").min(), last=pl.col("target_date").max()).row(0)
    daily = promoted_days(promotions, first, last)
    index = rows.select(*KEYS, "target_date", "available_at_utc").with_row_index("row")
    hits = index.join(daily, on=[*KEYS, "target_date"]).filter(
        (pl.col("announced") <= pl.col("available_at_utc"))
        & (pl.col("until") > pl.col("available_at_utc")).fill_null(True)
    )
    best = (
        hits.sort("row", "announced", "promo_price_usd")
        .group_by("row", maintain_order=True)
        .agg(pl.col("promo_price_usd").last())
    )
    place = best["row"].to_numpy()
    nothing["is_promo"][place] = 1.0
    nothing["promo_price_rel"][place] = best["promo_price_usd"].fill_null(np.nan).to_numpy() / last_price[place]
    return nothing


def promoted_days(promotions: pl.DataFrame, first: date, last: date) -> pl.DataFrame:
    """One row per promotion and day between two days (both included): a promotion until further notice may end in 9999.

    Args:
        promotions: see `Covariates`.
        first: first day wanted.
        last: last day wanted.

    Returns:
        KEYS, promo_price_usd, announced, until, target_date.
    """
    start, end = pl.max_horizontal("start_date", pl.lit(first)), pl.min_horizontal("end_date", pl.lit(last + timedelta(days=1)))  # fmt: skip
    near = promotions.with_columns(_until(promotions), start=start, end=end).filter(pl.col("start") < pl.col("end"))
    days = pl.date_ranges("start", "end", closed="left").alias("target_date")
    return near.select(*KEYS, "promo_price_usd", pl.col("available_at_utc").alias("announced"), "until", days).explode(
        "target_date"
    )


def _until(statements: pl.DataFrame) -> pl.Expr:
    """When a later statement took the place of each; null while none did."""
    name = "superseded_at_utc"
    given = pl.col(name) if name in statements.columns else pl.lit(None)
    return given.cast(pl.Datetime("us", "UTC")).alias("until")


def _holiday_columns(rows: pl.DataFrame, holidays: pl.DataFrame) -> dict[str, F64]:
    """Days to the next and since the last holiday (capped at 8), and whether shops are closed, as announced by the origin."""
    ahead, behind, closed = np.full(rows.height, 8.0), np.full(rows.height, 8.0), np.zeros(rows.height)
    target = (rows["target_date"] - EPOCH).dt.total_days().to_numpy()
    known = rows["available_at_utc"].dt.timestamp("us").to_numpy()
    for holiday in _not_withdrawn(holidays).with_columns(_until(holidays)).sort("holiday_date").iter_rows(named=True):
        gap = (holiday["holiday_date"] - EPOCH).days - target
        stands = known >= int(holiday["available_at_utc"].timestamp() * 1e6)
        if holiday["until"] is not None:
            stands &= known < int(holiday["until"].timestamp() * 1e6)
        near = np.flatnonzero((np.abs(gap) < 8) & stands)
        ahead[near] = np.where(gap[near] >= 0, np.minimum(ahead[near], gap[near]), ahead[near])
        behind[near] = np.where(gap[near] <= 0, np.minimum(behind[near], -gap[near]), behind[near])
        closed[near] = np.where((gap[near] == 0) & bool(holiday["is_closed"]), 1.0, closed[near])
    return {"days_to_holiday": ahead, "days_after_holiday": behind, "is_closed": closed}


def _not_withdrawn(holidays: pl.DataFrame) -> pl.DataFrame:
    """Statements that a day is a holiday; what stood before one was withdrawn ended with that (`superseded_at_utc`)."""
    if "is_withdrawn" not in holidays.columns:
        return holidays
    return holidays.filter(~pl.col("is_withdrawn").fill_null(False))


def describe(frame: DemandFrame) -> dict[str, Any]:
    """Figures of a frame for metadata: rows asked, kept, set aside by reason; rows of net returns are kept as no demand."""
    return {
        "rows_asked": frame.counted.asked,
        "rows_kept": frame.counted.kept,
        "rows_net_returns": frame.net_returns,
    } | {f"rows_{k}": v for k, v in frame.counted.dropped.items()}
