"""Drift between pinned reference windows and tonight's window: PSI, Wasserstein, missing share, schema; per column and segment.

A column of a segment has drifted when its distance is beyond the named limit and stands out from the distances that
the reference's own windows keep among themselves (season, weekday, correlation within an item and site are all in
there), with the rate of false discoveries controlled over everything tested that night (Benjamini & Hochberg 1995).
What cannot be measured counts as drift.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
import polars as pl

from aios_assets.contracts.decision_tables import MON_DRIFT
from aios_assets.contracts.errors import BadInputError, IntegrityError
from aios_assets.contracts.false_discovery import discoveries
from monitoring.gates import Thresholds
from monitoring.histograms import Floats, Grid, Ints, bin_numbers, count, make_grid, numbers, psi, wasserstein

FORMAT = "aios-drift-reference-1"
METHODS = ("psi", "wasserstein", "missing")
ALL = "all"
PRIOR_FREEDOM = 6
PRIOR_LOG_SD = 0.6
MIN_WINDOWS = 4
FLOOR = 1e-4
SURPRISE = "sales_vs_weekday_log"


@dataclass(frozen=True, slots=True)
class Natural:
    """How far the reference's own windows lie from the whole: mean and deviation of the log distance."""

    windows: int
    mean: float
    sd: float


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """One column of a pinned reference: its grid, and per segment counts, missing rows and natural variation."""

    grid: Grid
    counts: dict[str, Floats]
    missing: dict[str, float]
    natural: dict[str, dict[str, Natural]]


@dataclass(frozen=True, slots=True)
class Reference:
    """A pinned reference window.

    Attributes:
        subject: table or model whose columns they are.
        start_date: first day of the window.
        end_date: last day of the window.
        rows: rows per segment; `all` is every row.
        window_days: length of the windows compared each night.
        columns: by name.
    """

    subject: str
    start_date: date
    end_date: date
    rows: dict[str, int]
    window_days: int
    columns: dict[str, ColumnReference]

    def to_bytes(self) -> bytes:
        """Canonical JSON; the same reference gives the same bytes."""
        columns = {
            name: {
                "grid": asdict(c.grid) | {"edges": c.grid.edges.tolist(), "group": c.grid.group.tolist()},
                "counts": {s: v.tolist() for s, v in c.counts.items()},
                "missing": c.missing,
                "natural": {s: {m: asdict(n) for m, n in by.items()} for s, by in c.natural.items()},
            }
            for name, c in self.columns.items()
        }
        body = {
            "format": FORMAT, "subject": self.subject, "start_date": self.start_date.isoformat(),
            "end_date": self.end_date.isoformat(), "rows": self.rows, "window_days": self.window_days, "columns": columns,
        }  # fmt: skip
        return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()

    @property
    def digest(self) -> str:
        """SHA-256 of `to_bytes`: the version of the reference."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    @staticmethod
    def from_bytes(data: bytes, digest: str | None = None) -> Reference:
        """Read a pinned reference back, checking its digest before a byte is parsed.

        Raises:
            IntegrityError: the digest differs or the bytes are no reference.
        """
        if digest is not None and hashlib.sha256(data).hexdigest() != digest:
            raise IntegrityError(
                "the pinned reference is not what was pinned", todo="pin it again from its data version"
            )
        try:
            body = json.loads(data)
            if body["format"] != FORMAT:
                raise KeyError(body["format"])
            return Reference(
                body["subject"], date.fromisoformat(body["start_date"]), date.fromisoformat(body["end_date"]),
                body["rows"], body["window_days"], {n: _column(c) for n, c in body["columns"].items()},
            )  # fmt: skip
        except (ValueError, KeyError, TypeError) as error:
            raise IntegrityError("these bytes are no drift reference", where=FORMAT, todo="pin it again") from error


def _column(body: Mapping[str, Any]) -> ColumnReference:
    g = body["grid"]
    grid = Grid(
        g["name"], g["kind"], np.array(g["edges"], dtype=np.float64), tuple(g["categories"]),
        np.array(g["group"], dtype=np.int64), g["is_discrete"], g["low"], g["high"], g["sd"],
    )  # fmt: skip
    counts = {s: np.array(v, dtype=np.float64) for s, v in body["counts"].items()}
    natural = {s: {m: Natural(**n) for m, n in by.items()} for s, by in body["natural"].items()}
    return ColumnReference(grid, counts, dict(body["missing"]), natural)


def with_surprise(features: pl.DataFrame) -> pl.DataFrame:
    """Add `sales_vs_weekday_log`: log of tonight's sales over what is usual for the series on that weekday.

    Levels differ a thousandfold between series and hide a change that all of them share; against its own weekday mean
    every series says the same thing. Null where either is unknown.

    Args:
        features: rows of `feat_item_site__demand`.
    """
    usual = pl.col("weekday_mean_56d").cast(pl.Float64)
    return features.with_columns(
        ((pl.col("sales_qty_ea_lag_0").cast(pl.Float64) + 0.5) / (usual + 0.5)).log().alias(SURPRISE)
    )


def build_reference(
    frame: pl.DataFrame,
    *,
    subject: str,
    columns: Sequence[str],
    date_column: str,
    segment_column: str | None = None,
    window_days: int = 7,
    bins: int = 20,
) -> Reference:
    """Pin a reference window.

    Args:
        frame: rows of the window, one per entity and day.
        subject: table or model whose columns they are.
        columns: columns to watch.
        date_column: day of each row.
        segment_column: demand class or the like; every segment is watched beside `all`.
        window_days: length of the windows compared each night; natural variation is measured between such windows.
        bins: bins of the PSI.

    Raises:
        BadInputError: no rows, or a column is missing.
    """
    wanted = [*columns, date_column, *([segment_column] if segment_column else [])]
    absent = [c for c in wanted if c not in frame.columns]
    if absent or frame.height == 0:
        what = f"the reference window lacks {', '.join(absent)}" if absent else "the reference window has no rows"
        raise BadInputError(what, where=subject, todo="pin a window that holds them")
    days = frame[date_column].cast(pl.Int32).to_numpy().astype(np.int64)
    last = int(days.max())
    # windows are laid backwards from the end so that only the oldest can be short
    block = (last - days) // window_days
    full = block <= (last - int(days.min()) + 1) // window_days - 1
    block = np.where(full, block, -1)
    segments, member = _segments(frame, segment_column)
    rows = {ALL: frame.height} | {s: int((member == i).sum()) for i, s in enumerate(segments)}
    blocks = int(block.max()) + 1
    watched = {c: _reference_column(frame[c], segments, member, block, blocks, bins) for c in columns}
    day = frame[date_column]
    return Reference(subject, _as_date(day.min()), _as_date(day.max()), rows, window_days, watched)


def _as_date(value: object) -> date:
    if not isinstance(value, date):
        raise BadInputError("the date column holds no dates", where="drift reference", todo="give a Date column")
    return value


def _segments(frame: pl.DataFrame, column: str | None) -> tuple[list[str], Ints]:
    """Sorted segment names and the number of the segment of each row; −1 where it is null."""
    if column is None:
        return [], np.full(frame.height, -1, dtype=np.int64)
    names = sorted(str(v) for v in frame[column].drop_nulls().unique().to_list())
    values = pl.Series(names, dtype=pl.String)
    numbered = (
        frame[column]
        .cast(pl.String)
        .replace_strict(values, pl.Series(np.arange(len(names)), dtype=pl.Int64), default=-1, return_dtype=pl.Int64)
    )
    return names, numbered.to_numpy().astype(np.int64)


def _reference_column(
    series: pl.Series, segments: list[str], member: Ints, block: Ints, blocks: int, bins: int
) -> ColumnReference:
    grid = make_grid(series, bins)
    bin_no = bin_numbers(series, grid)
    counts: dict[str, Floats] = {}
    missing: dict[str, float] = {}
    natural: dict[str, dict[str, Natural]] = {}
    for i, name in enumerate([ALL, *segments]):
        inside = np.ones(len(bin_no), dtype=bool) if name == ALL else member == i - 1
        one, gone = count(bin_no, np.where(inside, 0, -1), 1, grid.bins)
        counts[name], missing[name] = one[0], float(gone[0])
        many, many_gone = count(bin_no, np.where(inside, block, -1), max(blocks, 1), grid.bins)
        natural[name] = _natural(one, gone, many, many_gone, grid)
    return ColumnReference(grid, counts, missing, natural)


def _natural(whole: Floats, gone: Floats, many: Floats, many_gone: Floats, grid: Grid) -> dict[str, Natural]:
    """Log distances of the reference's own windows from the rest of the reference."""
    total = many.sum(axis=1) + many_gone
    usable = total > 0
    rest = np.maximum(whole - many, 0.0)[usable]
    current = many[usable]
    share = many_gone[usable] / total[usable]
    overall = float(gone[0] / max(float(whole.sum() + gone[0]), 1.0))
    distances = {
        "psi": psi(rest, current, grid),
        "wasserstein": wasserstein(rest, current, grid, grid.low, grid.high),
        "missing": np.abs(share - overall),
    }
    return {m: _log_stats(v) for m, v in distances.items()}


def _log_stats(values: Floats) -> Natural:
    logs = np.log(np.maximum(values, FLOOR))
    sd = float(logs.std(ddof=1)) if logs.size > 1 else 0.0
    return Natural(int(logs.size), float(logs.mean()) if logs.size else 0.0, sd)


@dataclass(frozen=True, slots=True)
class _Test:
    """One distance measured against one reference."""

    column: str
    segment: str
    method: str
    value: float | None
    limit: float
    p: float
    reference_rows: int
    current_rows: int
    natural: Natural | None = None

    @property
    def excess(self) -> float:
        return math.inf if self.value is None else self.value / self.limit


def measure_drift(
    references: Sequence[Reference],
    current: pl.DataFrame,
    *,
    drift_date: date,
    available_at_utc: datetime,
    thresholds: Thresholds,
    segment_column: str | None = None,
) -> pl.DataFrame:
    """Rows of `mon_drift`: tonight's window against the pinned references.

    With several references (say, the weeks before and the same weeks of last year) a column drifts only when it is
    unlike every one of them: that is how season is taken into account.

    Args:
        references: pinned windows of one subject with the same columns; at least one.
        current: rows of tonight's window.
        drift_date: business day.
        available_at_utc: its cut-off.
        thresholds: limits (`drift_psi`, `drift_wasserstein`, `drift_missing`) and settings.
        segment_column: column that holds the segment, as in the references.

    Raises:
        BadInputError: no reference, or references of different subjects.
    """
    if not references or len({r.subject for r in references}) != 1:
        raise BadInputError(
            "drift needs pinned references of one subject", where="drift", todo="pin a reference window first"
        )
    rate = float(thresholds.drift["discovery_rate"])
    found = [_judge_all(r, current, segment_column, thresholds, rate) for r in references]
    rows = []
    for key in sorted({k for f in found for k in f}):
        # the most forgiving reference decides; a column unknown to a reference is judged by the others
        test, drifted, stands_out = min((f[key] for f in found if key in f), key=lambda t: (t[1], t[0].excess))
        rows.append((drift_date, references[0].subject, test.column, test.segment, test.method, test.value, test.limit,
                     stands_out, drifted, test.reference_rows, test.current_rows, available_at_utc))  # fmt: skip
    return pl.DataFrame(rows, schema=MON_DRIFT.schema, orient="row")


def _judge_all(
    reference: Reference, current: pl.DataFrame, segment_column: str | None, thresholds: Thresholds, rate: float
) -> dict[tuple[str, str], tuple[_Test, bool, float | None]]:
    """Every column and segment against one reference: the worst method, whether it drifted, and from where it stands out."""
    tests = _measure(reference, current, segment_column, thresholds)
    significant = discoveries(np.array([t.p for t in tests]), rate)
    cut = rate * max(int(significant.sum()), 1) / max(len(tests), 1)
    by_key: dict[tuple[str, str], list[tuple[_Test, bool, float | None]]] = {}
    for test, found in zip(tests, significant, strict=True):
        drifted = test.value is None or (test.excess > 1.0 and bool(found))
        stands_out = None if test.natural is None else distance_at(cut, test.natural)
        by_key.setdefault((test.column, test.segment), []).append((test, drifted, stands_out))
    return {k: max(v, key=lambda t: (t[1], t[0].excess)) for k, v in by_key.items()}


def _measure(
    reference: Reference, current: pl.DataFrame, segment_column: str | None, thresholds: Thresholds
) -> list[_Test]:
    has_segment = segment_column is not None and segment_column in current.columns
    names, member = _segments(current, segment_column if has_segment else None)
    tests: list[_Test] = []
    for column, ref in reference.columns.items():
        if column not in current.columns:
            limit = thresholds.gates["drift_missing"].value
            tests.append(_Test(column, ALL, "missing", None, limit, 0.0, reference.rows[ALL], 0))
            continue
        tests += _measure_column(current[column], ref, reference.rows, names, member, thresholds)
    return tests


def _measure_column(
    series: pl.Series,
    ref: ColumnReference,
    rows: dict[str, int],
    names: list[str],
    member: Ints,
    thresholds: Thresholds,
) -> list[_Test]:
    grid = ref.grid
    try:
        bin_no = bin_numbers(series, grid)
        values = numbers(series) if grid.kind == "numeric" else np.empty(0)
    except pl.exceptions.PolarsError:
        limit = thresholds.gates["drift_missing"].value
        return [_Test(series.name, ALL, "missing", None, limit, 0.0, rows[ALL], series.len())]
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (grid.low, grid.high)
    tests: list[_Test] = []
    for segment in ref.counts:
        if segment == ALL:
            cells = np.zeros(len(bin_no), dtype=np.int64)
        elif segment in names:
            cells = np.where(member == names.index(segment), 0, -1)
        else:
            continue
        counts, gone = count(bin_no, cells, 1, grid.bins)
        n = int(counts.sum() + gone[0])
        need = thresholds.gates["drift_psi"].min_rows
        if n < need:
            # a small segment is judged through `all`; too little of everything is itself a finding
            if segment == ALL:
                tests.append(
                    _Test(series.name, ALL, "missing", None, thresholds.gates["drift_missing"].value, 0.0, rows[ALL], n)
                )
            continue
        tests += _distances(series.name, segment, ref, counts, float(gone[0]), n, rows[segment], low, high, thresholds)
    return tests


def _distances(
    column: str, segment: str, ref: ColumnReference, counts: Floats, gone: float, n: int, reference_rows: int,
    low: float, high: float, thresholds: Thresholds,
) -> list[_Test]:  # fmt: skip
    whole = ref.counts[segment][None, :]
    rise = gone / n - ref.missing[segment] / max(reference_rows, 1)
    measured = {"missing": max(rise, 0.0)}
    if counts.sum() > 0 and whole.sum() > 0:
        measured["psi"] = float(psi(whole, counts, ref.grid)[0])
        measured["wasserstein"] = float(wasserstein(whole, counts, ref.grid, low, high)[0])
    elif counts.sum() == 0 and whole.sum() > 0:
        measured["missing"] = 1.0
    return [
        _Test(
            column,
            segment,
            m,
            v,
            thresholds.gates[f"drift_{m}"].value,
            p_value(v, ref.natural[segment][m]),
            reference_rows,
            n,
            ref.natural[segment][m],
        )
        for m, v in measured.items()
    ]


def p_value(distance: float, natural: Natural) -> float:
    """Chance that one more window of the reference lies this far out, from the log distances of its own windows.

    The spread is moderated towards the usual one of such distances (Smyth 2004). Fewer than four windows say nothing
    about natural variation; then only the named limit decides (p = 0).
    """
    from scipy.special import stdtr

    if natural.windows < MIN_WINDOWS:
        return 0.0
    freedom, sd = _moderated(natural)
    return float(stdtr(freedom, -(math.log(max(distance, FLOOR)) - natural.mean) / sd))


def distance_at(p: float, natural: Natural) -> float | None:
    """The distance whose `p_value` is `p`: what lies further out stands out; None where the windows say nothing.

    >>> quiet = Natural(14, -3.0, 0.4)
    >>> round(p_value(distance_at(0.001, quiet), quiet), 9)
    0.001
    """
    from scipy.special import stdtrit

    if natural.windows < MIN_WINDOWS:
        return None
    freedom, sd = _moderated(natural)
    return math.exp(natural.mean - sd * float(stdtrit(freedom, p)))


def _moderated(natural: Natural) -> tuple[float, float]:
    """Degrees of freedom and spread of one more window's log distance, moderated towards the usual spread."""
    # a handful of windows says little about their own spread: it is moderated by what such distances usually have
    freedom = natural.windows - 1 + PRIOR_FREEDOM
    variance = ((natural.windows - 1) * natural.sd**2 + PRIOR_FREEDOM * PRIOR_LOG_SD**2) / freedom
    return freedom, math.sqrt(variance * (1.0 + 1.0 / natural.windows))
