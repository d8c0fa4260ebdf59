"""Any demand panel as wide arrays: read, checked, put on its calendar; every treatment is counted and said.

Long rows (keys, time, target and whatever else) become (series, periods). What cannot be read is refused with the series and
the count; what can be treated is treated as documented and noted:

| found | treatment |
|---|---|
| duplicate key and time | refused |
| infinite target | refused |
| dates off the frequency (weekly rows on several weekdays) | refused; days inside a month are read as that month |
| missing target, missing period inside a series | not known: neither learned nor scored (`gaps="zero"` reads it as no sale) |
| negative target (net returns) | read as zero demand |
| period out of stock (`in_stock` false) | sales are a lower bound: masked |
| all-zero series, series shorter than a season, one series | forecast, and said |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

import numpy as np
import polars as pl

from aios_assets.contracts.days import as_days
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.flags import as_flags
from ml.panel_rows import (
    F64,
    SEASON,
    Freq,
    as_numbers,
    first_day,
    need_columns,
    period_index,
    refuse_rows,
    say_kind,
    series_name,
    with_gaps,
)

RARE_TEXTS = 0.2  # texts of more periods than this name no feasts, and leaving them out would leave little
MOST_CODES = 400  # more values of a key or attribute would each be seen too rarely


@dataclass(frozen=True, slots=True)
class PanelData:
    """A checked panel.

    Attributes:
        keys: one row per series, in the order of the arrays.
        key_names: their columns.
        time_name: name of the time column.
        freq: D, W or M.
        first: first period (its first day as given).
        y: (series, periods) demand; NaN where not known or out of stock.
        sales: (series, periods) the target as given (out-of-stock periods included), NaN where not known.
        future: covariates known ahead, name to (series, periods + horizon); NaN where not given.
        texts: names in `future` that are codes of texts; see `ml.panel_texts`.
        static: numeric attributes per series, name to (series,); codes for texts.
        coded: names in `static` that are codes.
        notes: treatments, in words with counts.
    """

    keys: pl.DataFrame
    key_names: tuple[str, ...]
    time_name: str
    freq: Freq
    first: date
    y: F64
    sales: F64
    future: dict[str, F64] = field(default_factory=dict)
    texts: tuple[str, ...] = ()
    static: dict[str, F64] = field(default_factory=dict)
    coded: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def ahead(self, name: str) -> F64:
        """Covariate `name`, one row only where it is alike for all series (broadcast from one)."""
        wide = self.future[name]
        return wide[:1] if wide.strides[0] == 0 else wide

    def unnamed(self, block: slice) -> F64:
        """(series, periods) demand of some series but for periods that a rare text names: a feast or a closed day is no usual day."""
        y = self.y[block]
        for name in self.texts:
            wide = self.ahead(name)
            named = ~np.isnan(wide[:, : self.periods][block if wide.shape[0] == self.n else slice(None)])
            if named.mean() <= RARE_TEXTS:
                y = np.where(named, np.nan, y)
        return y

    def times(self, factor: float) -> PanelData:
        """The same panel counted in other units."""
        return replace(self, y=self.y * factor, sales=self.sales * factor)

    @property
    def n(self) -> int:
        """Number of series."""
        return int(self.y.shape[0])

    @property
    def periods(self) -> int:
        """Number of periods."""
        return int(self.y.shape[1])

    def since(self, index: int) -> PanelData:
        """The same panel without the periods before `index`."""
        return replace(
            self, first=self.day(index), y=self.y[:, index:], sales=self.sales[:, index:],
            future={name: wide[:, index:] for name, wide in self.future.items()},
        )  # fmt: skip

    def day(self, index: int) -> date:
        """First day of the period at `index` (may lie beyond the panel)."""
        if self.freq == "M":
            month = self.first.month - 1 + index
            return date(self.first.year + month // 12, month % 12 + 1, 1)
        return self.first + timedelta(days=index * (7 if self.freq == "W" else 1))


def build_panel(
    frame: pl.DataFrame,
    keys: Sequence[str],
    time: str,
    target: str,
    freq: Freq,
    horizon: int,
    *,
    in_stock: str | None = None,
    future: pl.DataFrame | None = None,
    static: pl.DataFrame | None = None,
    gaps: Literal["unknown", "zero"] = "unknown",
) -> PanelData:
    """Check a long frame and make it wide.

    Args:
        frame: one row per series and period.
        keys: columns that name a series; none means one series.
        time: date column (date, datetime or ISO text).
        target: demand, not negative.
        freq: D, W or M.
        horizon: periods that `future` has to cover.
        in_stock: column that is false where stock ran out.
        future: keys, time and covariates for the periods ahead; their past must be in `frame` under the same names.
        static: keys and attributes, one row per series.
        gaps: what a missing period inside a series means.

    Raises:
        BadInputError: see the module's table; the message names series and count.
    """
    needed = [*keys, time, target, *([in_stock] if in_stock else [])]
    need_columns(frame, needed, "panel")
    if freq not in SEASON:
        raise BadInputError(f"frequency {freq} is not known", todo="use D, W or M")
    if frame.height == 0:
        raise BadInputError("the panel has no rows", where="panel")
    names = tuple(keys)
    rows = frame if names else frame.with_columns(pl.lit("all").alias("series"))
    names = names or ("series",)
    rows = rows.with_columns(
        [pl.col(k).cast(pl.String) for k in names]
        + [as_days(rows[time], "panel").alias("_date"), as_numbers(rows, target)]
    )
    refuse_rows(rows, names, pl.any_horizontal(pl.col(k).is_null() for k in names), "rows without a key")
    refuse_rows(rows, names, pl.col("_target").is_infinite(), "infinite targets")
    rows = rows.with_columns(pl.Series("_t", period_index(rows, freq)))
    first_index = int(rows["_t"].min())  # type: ignore[arg-type]
    doubled = rows.filter(rows.select(*names, "_t").is_duplicated())
    if doubled.height:
        raise BadInputError(
            f"several rows of one series and period, first for {series_name(doubled, names)}", where=f"{target} by {', '.join(names)}, {time}",
            count=doubled.height, todo="sum or remove them",
        )  # fmt: skip
    return _wide(
        rows, frame, names, time, target, freq, horizon, first_index, in_stock, future, static, gaps, bool(keys)
    )


def _wide(
    rows: pl.DataFrame, given: pl.DataFrame, names: tuple[str, ...], time: str, target: str, freq: Freq, horizon: int,
    first_index: int, in_stock: str | None, future: pl.DataFrame | None, static: pl.DataFrame | None, gaps: str, keyed: bool,
) -> PanelData:  # fmt: skip
    notes: list[str] = []
    keys = rows.select(names).unique().sort(names).with_row_index("_s").with_columns(pl.col("_s").cast(pl.Int64))
    rows = rows.join(keys, on=list(names), how="left")
    periods = int(rows["_t"].max()) - first_index + 1  # type: ignore[arg-type]
    s, t = rows["_s"].to_numpy(), rows["_t"].to_numpy() - first_index
    value = rows["_target"].fill_nan(None).to_numpy().astype(np.float64)
    negative = value < 0
    if negative.any():
        notes.append(
            f"{int(negative.sum()):,} negative targets in {np.unique(s[negative]).size:,} series read as zero demand (net returns)"
        )
    sales = np.full((keys.height, periods), np.nan)
    sales[s, t] = np.where(negative, 0.0, value)
    missing = int(np.isnan(value).sum())
    if missing:
        notes.append(
            f"{missing:,} missing targets in {np.unique(s[np.isnan(value)]).size:,} series: not known, left out"
        )
    sales = with_gaps(sales, s, t, gaps, notes)
    y = sales.copy()
    if in_stock:
        stocked = as_flags(rows[in_stock], "panel")
        unsaid = int(stocked.is_null().sum())
        if unsaid:
            notes.append(f"{unsaid:,} rows do not say whether {in_stock} was true: read as in stock")
        out = ~stocked.fill_null(True).to_numpy()
        y[s[out], t[out]] = np.nan
        notes.append(
            f"{int(out.sum()):,} periods out of stock in {np.unique(s[out]).size:,} series masked as censored demand"
        )
    say_kind(y, freq, notes)
    panel = PanelData(keys.drop("_s"), names, time, freq, first_day(rows, freq, first_index), y, sales)
    ahead, texts = _future(panel, rows, future, first_index, horizon, keyed, notes) if future is not None else ({}, ())
    attributes, coded = _static(panel, static, keyed, notes)
    return PanelData(
        panel.keys, names, time, freq, panel.first, y, sales, ahead, texts, attributes, coded, tuple(notes)
    )


def _keyed(frame: pl.DataFrame, panel: PanelData, keyed: bool, what: str, notes: list[str]) -> pl.DataFrame:
    """Rows with the place `_s` of their series; a row without some of the keys counts for every series that shares the others."""
    if not keyed:
        frame = frame.with_columns(pl.lit("all").alias("series"))
    shared = [k for k in panel.key_names if k in frame.columns]
    absent = [k for k in panel.key_names if k not in frame.columns]
    if absent:
        notes.append(f"the {what} has no column {', '.join(absent)}: a row counts for every {', '.join(absent)}")
    frame = frame.with_columns([pl.col(k).cast(pl.String) for k in shared])
    place = panel.keys.with_row_index("_s").with_columns(pl.col("_s").cast(pl.Int64))
    found = frame.join(place, on=shared, how="inner") if shared else frame.join(place, how="cross")
    strange = frame.select(shared).unique().join(place, on=shared, how="anti") if shared else frame.clear()
    if strange.height:
        notes.append(
            f"{strange.height:,} series of the {what} are not in the panel, first {series_name(strange.sort(shared), shared)}: "
            "not forecast. A row with an empty target puts one in"
        )
    return found


def _future(
    panel: PanelData, past: pl.DataFrame, future: pl.DataFrame, first_index: int, horizon: int, keyed: bool, notes: list[str]
) -> tuple[dict[str, F64], tuple[str, ...]]:  # fmt: skip
    """Covariates over past and horizon, and which of them are codes of texts; every series and period ahead must be covered.

    The past of a column is that of the panel, else what the file itself says of it (a calendar from the first day on).
    """
    known = _file_rows(panel, future, first_index, keyed, notes)
    past = past.with_columns(pl.col("_t") - first_index)
    behind = known.filter(pl.col("_t") < panel.periods)
    ahead = known.filter((pl.col("_t") >= panel.periods) & (pl.col("_t") < panel.periods + horizon))
    _covered(panel, ahead, horizon, notes)
    skip = {*panel.key_names, panel.time_name, "_s", "_t", "_date", "series"}
    out: dict[str, F64] = {}
    texts: tuple[str, ...] = ()
    for name in [c for c in future.columns if c not in skip]:
        source = past if name in past.columns else behind
        if source[name].null_count() == source.height:
            notes.append(f"future column {name} has no past in the panel: not used")
            continue
        before, after, text = _numbers_or_codes(source[name], ahead[name])
        wide = np.full((panel.n, panel.periods + horizon), np.nan)
        wide[source["_s"].to_numpy(), source["_t"].to_numpy()] = before
        wide[ahead["_s"].to_numpy(), ahead["_t"].to_numpy()] = after
        if np.isinf(wide).any():
            raise BadInputError("infinite values", where=f"future column {name}", count=int(np.isinf(wide).sum()))
        out[name] = wide
        texts += (name,) if text else ()
    return out, texts


def _file_rows(panel: PanelData, future: pl.DataFrame, first_index: int, keyed: bool, notes: list[str]) -> pl.DataFrame:
    """Rows of the future file by place `_s` of their series and period `_t` of the panel, from its first period on.

    Raises:
        BadInputError: no time column, or several rows of one series and period.
    """
    need_columns(future, [panel.time_name], "future file")
    future = future.with_columns(as_days(future[panel.time_name], "future file").alias("_date"))
    future = future.with_columns((period_index(future, panel.freq) - first_index).alias("_t"))
    rows = _keyed(future.filter(pl.col("_t") >= 0), panel, keyed, "future file", notes)
    doubled = int(rows.select("_s", "_t").is_duplicated().sum())
    if doubled:
        raise BadInputError(
            "several rows of one series and period", where="future file", count=doubled,
            todo=f"give each of {', '.join((*panel.key_names, panel.time_name))} once",
        )  # fmt: skip
    return rows


def _covered(panel: PanelData, ahead: pl.DataFrame, horizon: int, notes: list[str]) -> None:
    """Refuse a file that misses a whole period ahead or most rows; say which series miss some."""
    counts = np.bincount(ahead["_s"].to_numpy(), minlength=panel.n)
    short = np.flatnonzero(counts < horizon)
    if not short.size:
        return
    name = series_name(panel.keys[short[:1].tolist()], panel.key_names)
    if ahead["_t"].n_unique() < horizon or counts.sum() < 0.5 * panel.n * horizon:
        raise BadInputError(
            f"the future file does not cover all {horizon} periods ahead, first for series {name}", where="future file", count=int(short.size),
            todo=f"give every series each period from {panel.day(panel.periods)} to {panel.day(panel.periods + horizon - 1)}",
        )  # fmt: skip
    missing = int(panel.n * horizon - counts.sum())
    notes.append(
        f"the future file lacks {missing:,} rows of {short.size:,} series, first {name}: their covariates are not known then"
    )


def _numbers_or_codes(past: pl.Series, ahead: pl.Series) -> tuple[F64, F64, bool]:
    """A covariate's past and future as numbers, or as codes of its texts; says which.

    Raises:
        BadInputError: numbers on one side, texts on the other.
    """
    known = [v for v in (past, ahead) if v.null_count() < v.len()]
    numeric = [v.dtype.is_numeric() or v.dtype == pl.Boolean for v in known]
    if any(numeric) and not all(numeric):
        raise BadInputError(
            "a column is numbers in one file and texts in the other",
            where=f"future column {past.name}",
            todo="give both alike",
        )
    if all(numeric):
        both = pl.concat([past.cast(pl.Float64), ahead.cast(pl.Float64)]).fill_null(np.nan).to_numpy()
    else:
        texts = pl.concat([past.cast(pl.String), ahead.cast(pl.String)])
        both = (texts.rank("dense").cast(pl.Float64) - 1).fill_null(np.nan).to_numpy()
    return both[: past.len()], both[past.len() :], not all(numeric)


def _static(
    panel: PanelData, static: pl.DataFrame | None, keyed: bool, notes: list[str]
) -> tuple[dict[str, F64], tuple[str, ...]]:
    """Attributes of series: numbers as they are, texts and keys as codes in alphabetical order."""
    out: dict[str, F64] = {}
    coded: list[str] = []
    for name in panel.key_names:
        values = panel.keys[name]
        if 1 < values.n_unique() <= MOST_CODES:
            out[f"key_{name}"] = (values.rank("dense") - 1).cast(pl.Float64).to_numpy()
            coded.append(f"key_{name}")
    if len(panel.key_names) > 1 and panel.n <= MOST_CODES:  # what is special to one series of few
        out["keys_together"] = np.arange(panel.n, dtype=np.float64)
        coded.append("keys_together")
    if static is None:
        return out, tuple(coded)
    rows = _keyed(static, panel, keyed, "static file", notes)
    doubled = int(rows["_s"].is_duplicated().sum())
    if doubled:
        todo = f"give each of {', '.join(panel.key_names)} once"
        raise BadInputError("several rows of one series", where="static file", count=doubled, todo=todo)
    s = rows["_s"].to_numpy()
    for name in [c for c in rows.columns if c not in {*panel.key_names, "_s", "series"}]:
        values = rows[name]
        number = values.dtype.is_numeric() or values.dtype == pl.Boolean
        column = values.cast(pl.Float64) if number else (values.cast(pl.String).rank("dense") - 1).cast(pl.Float64)
        wide = np.full(panel.n, np.nan)
        wide[s] = column.fill_null(np.nan).to_numpy()
        if np.isinf(wide).any():
            raise BadInputError("infinite values", where=f"static column {name}", count=int(np.isinf(wide).sum()))
        if not number and values.n_unique() > MOST_CODES:
            notes.append(f"static column {name} has more than {MOST_CODES} values: each is seen too rarely to be used")
            continue
        out[f"static_{name}"] = wide
        if not number:
            coded.append(f"static_{name}")
    return out, tuple(coded)
