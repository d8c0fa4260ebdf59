"""Configuration of a plan on any data: periods, lead time, costs, constraints; every wrong value has its sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from aios_assets.contracts.errors import BadInputError, InfeasibleError

F64 = NDArray[np.float64]
BY_KEY = (
    "holding_cost", "shortage_cost", "pack_units", "minimum_order_units", "capacity_units", "maximum_order_units", "unit_volume",
    "unit_weight",
)  # fmt: skip
BY_GROUP = ("truck_units", "truck_volume", "truck_weight", "storage_units", "storage_volume")
FILES = BY_KEY + BY_GROUP


# A number in quotes, or with a comma: no file is called so.
AS_NUMBER = re.compile(r"[+-]?[\d.,]*\d[.,]?")


@dataclass(frozen=True, slots=True)
class PlanConfig:
    """What the user states about his inventory.

    Attributes:
        period: D, W or M.
        lead_time: periods n and their probabilities: what is ordered at the end of period X is on the shelf at the start
            of X + n + 1.
        review_periods: periods between two orders.
        unmet_demand: lost or backordered.
        holding_cost: per unit left at the end of a period; number, or path of a file by key.
        shortage_cost: per unit of unmet demand (each period it waits, when backordered); number, or path.
        pack_units: order multiples; None for the unit that demand is counted in (`counted_in`).
        minimum_order_units: smallest order; capacity_units: most stock that fits.
        maximum_order_units: largest order of one series; null for no limit.
        truck_units, truck_volume, truck_weight: what the truck of one shipment holds: of all orders made together that share
            the columns of `truck_by` (keys, or columns constant per series such as a supplier); number, or path of a file by
            those columns. storage_units, storage_volume: what fits in one place at once, stock and transit included; the
            same with `storage_by`.
        unit_volume, unit_weight: of one unit; number, or path of a file by key.
        budget: most units that all orders together may hold this time; null for no limit.
        critical_ratio: replaces shortage / (shortage + overage); null takes it from the costs.
        overage_periods: periods that a unit too many is kept on average. The textbook says 1, as if the next order could
            always undo it; forecasts fall and slow items wait longer. 1.5 cost least in walk-forward windows of a public
            inventory game (0.2 against 1.0 gives 0.77 instead of 0.83) and the optimum is flat.
        missing_periods: periods without a row between a series' first and last are `zero` sales or `unknown`.
        scenarios: sample paths; seed: fixes them.
    """

    period: Literal["D", "W", "M"]
    lead_time: tuple[tuple[int, float], ...]
    holding_cost: float | str
    shortage_cost: float | str
    review_periods: int = 1
    unmet_demand: Literal["lost", "backordered"] = "lost"
    pack_units: float | str | None = None
    minimum_order_units: float | str = 0.0
    capacity_units: float | str | None = None
    maximum_order_units: float | str | None = None
    truck_units: float | str | None = None
    truck_volume: float | str | None = None
    truck_weight: float | str | None = None
    truck_by: tuple[str, ...] = ()
    storage_units: float | str | None = None
    storage_volume: float | str | None = None
    storage_by: tuple[str, ...] = ()
    unit_volume: float | str | None = None
    unit_weight: float | str | None = None
    budget: float | None = None
    critical_ratio: float | None = None
    overage_periods: float = 1.5
    missing_periods: Literal["zero", "unknown"] = "zero"
    scenarios: int = 500
    seed: int = 20260101

    @property
    def longest(self) -> int:
        """Longest lead time in periods."""
        return max(n for n, _ in self.lead_time)

    @property
    def horizon(self) -> int:
        """Periods that an order made now can be judged by."""
        return self.longest + self.review_periods


def _lead_time(value: Any, where: str) -> tuple[tuple[int, float], ...]:
    """One number, or `{periods: probability}`."""
    if value is None:
        raise BadInputError(
            "lead_time_periods is missing", where=where, todo="state the periods between order and shelf"
        )
    pairs = value.items() if isinstance(value, dict) else [(value, 1.0)]
    try:
        found = sorted((int(n), float(p)) for n, p in pairs)
        whole = all(float(n) == int(n) for n, _ in pairs)
    except (TypeError, ValueError) as error:
        raise BadInputError(
            f"lead_time_periods is {value!r}", where=where, todo="give a whole number, or {periods: probability}"
        ) from error
    if not whole or not found or found[0][0] < 0 or any(not 0 <= p <= 1 for _, p in found):
        raise BadInputError(
            f"lead_time_periods is {value!r}, needed are whole numbers from 0 with probabilities", where=where
        )
    total = sum(p for _, p in found)
    if abs(total - 1) > 1e-6:
        raise BadInputError(f"the probabilities of lead_time_periods sum to {total:g}, not 1", where=where)
    return tuple((n, p) for n, p in found if p > 0)


def parse_config(values: Any, where: str) -> PlanConfig:
    """Check a mapping as read from YAML.

    Raises:
        BadInputError: a key is unknown or missing, or a value cannot be planned with.
    """
    if not isinstance(values, dict):
        raise BadInputError(
            "the configuration is not a mapping of names to values", where=where,
            todo="write lines such as `period: W`; docs/planning.md lists them",
        )  # fmt: skip
    values = dict(values)
    known = {f.name for f in fields(PlanConfig)} - {"lead_time"} | {"lead_time_periods"}
    unknown = sorted(str(k) for k in set(values) - known)
    if unknown:
        raise BadInputError(
            f"unknown keys {', '.join(unknown)}", where=where, todo=f"known are {', '.join(sorted(known))}"
        )
    if values.get("period") not in ("D", "W", "M"):
        raise BadInputError(f"period is {values.get('period')!r}", where=where, todo="use D, W or M")
    if values.get("unmet_demand", "lost") not in ("lost", "backordered"):
        raise BadInputError(f"unmet_demand is {values['unmet_demand']!r}", where=where, todo="use lost or backordered")
    if values.get("missing_periods", "zero") not in ("zero", "unknown"):
        raise BadInputError(
            f"missing_periods is {values['missing_periods']!r}", where=where, todo="use zero or unknown"
        )
    lead = _lead_time(values.pop("lead_time_periods", None), where)
    for name in ("holding_cost", "shortage_cost"):
        if values.get(name) is None:
            raise BadInputError(f"{name} is missing", where=where, todo="state it per unit and period")
    for name in (*FILES, "budget", "critical_ratio", "overage_periods"):
        _number(values, name, where)
    for name in ("truck_by", "storage_by"):
        values[name] = _columns(values.get(name), name, where)
    for name, low in (("review_periods", 1), ("scenarios", 16), ("seed", 0)):
        if name in values and (not isinstance(values[name], int) or values[name] < low):
            raise BadInputError(f"{name} is {values[name]!r}, needed is a whole number from {low}", where=where)
    ratio = values.get("critical_ratio")
    if ratio is not None and not 0 < ratio < 1:
        raise BadInputError(f"critical_ratio is {ratio}, needed is a number between 0 and 1", where=where)
    config = PlanConfig(lead_time=lead, **values)
    _refuse_small(config, where)
    return config


def _columns(value: Any, name: str, where: str) -> tuple[str, ...]:
    """A column, or a list of them."""
    found = [value] if isinstance(value, str) else (value or [])
    if not isinstance(found, list | tuple) or not all(isinstance(c, str) for c in found):
        raise BadInputError(f"{name} is {value!r}, needed is a column or a list of columns", where=where)
    return tuple(found)


def counted_in(config: PlanConfig, unit: float, where: str) -> PlanConfig:
    """The configuration with that unit as pack where none is stated.

    Raises:
        InfeasibleError: a limit is below a single pack.
    """
    config = replace(config, pack_units=unit) if config.pack_units is None else config
    _refuse_small(config, where)
    return config


def _refuse_small(config: PlanConfig, where: str) -> None:
    """Refuse what no order can ever meet, as far as numbers for all series say so; files by key are judged series by series.

    Raises:
        InfeasibleError: a limit is below a single pack, or no volume or weight is stated for a limit on it.
    """
    pack = config.pack_units
    measures = {"units": 1.0, "volume": config.unit_volume, "weight": config.unit_weight}
    limits = [("budget", "units", config.budget), ("maximum order", "units", config.maximum_order_units)]
    for name in BY_GROUP:
        what, measure = name.split("_")
        limits.append((what, measure, getattr(config, name)))
    for what, measure, room in limits:
        use = measures[measure]
        if room is None:
            continue
        if use is None:
            raise InfeasibleError(
                f"{what}_{measure} limits the {measure}, but unit_{measure} is not stated", where=where,
                todo=f"state unit_{measure}: a number or a file by key",
            )  # fmt: skip
        if isinstance(room, float) and isinstance(use, float) and isinstance(pack, float) and room < pack * use - 1e-9:
            takes = "" if measure == "units" else f", which takes {measure} {pack * use:g}"
            raise InfeasibleError(
                f"the {what} of {room:g} {measure} is {pack * use - room:g} below a single pack of {pack:g}{takes}", where=where,
                todo=f"give the {what} more room, or a smaller pack",
            )  # fmt: skip


def _number(values: dict[str, Any], name: str, where: str) -> None:
    """Numbers become float; zero or negative costs are refused; a text is a file by key."""
    value = values.get(name)
    if value is None:
        values.pop(name, None)
        return
    if isinstance(value, str) and name in FILES and not AS_NUMBER.fullmatch(value.strip()):
        return
    if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
        raise BadInputError(
            f"{name} is {value!r}, needed is a number" + (" or a file by key" if name in FILES else ""), where=where,
            todo="write it with a point and without quotes",
        )  # fmt: skip
    if value <= 0 and name in ("holding_cost", "shortage_cost"):
        raise BadInputError(
            f"{name} is {value:g}: with a cost of zero any quantity is as good as any other",
            where=where,
            todo="state a cost above 0",
        )
    if value < 0 or (value == 0 and name in ("pack_units", "overage_periods")):
        raise BadInputError(f"{name} is {value:g}", where=where, todo="state a value above 0")
    values[name] = float(value)


def load_config(path: Path) -> PlanConfig:
    """Read and check a configuration; files by key are resolved beside it.

    Raises:
        BadInputError: unreadable, or a value cannot be planned with.
    """
    import yaml

    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = " ".join(str(error).split())[:200]
        raise BadInputError(
            f"the configuration cannot be read: {first}", where=str(path), todo="correct the YAML, saved as UTF-8"
        ) from error
    config = parse_config(values, str(path))
    beside = {
        name: str((path.parent / value).resolve()) for name in FILES if isinstance(value := getattr(config, name), str)
    }
    return replace(config, **beside)  # type: ignore[arg-type]


def by_key(config: PlanConfig, name: str, keys: pl.DataFrame, read: Any) -> F64:
    """A setting as one number per key row: (n,), NaN where the file has no row for a key or no limit applies.

    Args:
        keys: key columns, one row per series.
        read: callable from path to frame.

    Raises:
        BadInputError: the file lacks key columns or the value column, has a key twice, or a value that is no number (it
            would read as no limit) or, where none can be meant, negative.
    """
    value = getattr(config, name)
    if value is None:
        return np.full(keys.height, np.nan)
    if not isinstance(value, str):
        return np.full(keys.height, float(value))
    frame = read(Path(value))
    columns = keys.columns
    lacking = [c for c in columns if c not in frame.columns]
    others = [c for c in frame.columns if c not in columns]
    column = name if name in others else (others[0] if len(others) == 1 else None)
    if lacking or column is None:
        raise BadInputError(
            f"the file for {name} has the columns {', '.join(frame.columns)}", where=value,
            todo=f"give {', '.join(columns)} and {name}",
        )  # fmt: skip
    texts = frame[column].cast(pl.String)
    frame = frame.select(pl.col(columns).cast(pl.String), pl.col(column).cast(pl.Float64, strict=False).alias("value"))
    if frame.select(columns).n_unique() != frame.height:
        raise BadInputError(f"the file for {name} has a key twice", where=value, todo="give one row per key")
    _refuse_values(frame["value"], texts, name, value)
    joined = keys.select(pl.col(columns).cast(pl.String)).join(frame, on=columns, how="left", maintain_order="left")
    return joined["value"].cast(pl.Float64).to_numpy().copy()


def _refuse_values(values: pl.Series, texts: pl.Series, name: str, where: str) -> None:
    """Refuse cells that say something and are no number, and amounts below zero; costs, packs and capacities are judged by series."""
    lost = texts.is_not_null() & (texts.str.strip_chars() != "") & ~values.is_finite().fill_null(False)
    if lost.any():
        raise BadInputError(
            f"{name} is no number, such as '{texts.filter(lost)[0]}'", where=where, count=int(lost.sum()),
            todo="write numbers with a point, and leave empty what has none",
        )  # fmt: skip
    if name in ("minimum_order_units", "unit_volume", "unit_weight") and (values < 0).any():
        raise BadInputError(
            f"{name} is negative", where=where, count=int((values < 0).sum()), todo="state values from 0 up"
        )
