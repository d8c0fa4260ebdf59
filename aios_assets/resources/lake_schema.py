"""What may enter a table: a frame is checked against its contract column by column, and nothing is cast with a loss.

Delta itself accepts 1.7 into an integer column, "7" as 7, null keys and NaN without a word; this module does not.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from aios_assets.contracts.errors import ContractError, UsageError
from aios_assets.contracts.table import Column, Table

_SMALL_INTS = (pl.Int8, pl.Int16, pl.Int32, pl.UInt8, pl.UInt16, pl.UInt32)
_INT_LIMITS: dict[pl.DataType, tuple[int, int]] = {
    pl.Int32(): (-(2**31), 2**31 - 1),
    pl.Int64(): (-(2**63), 2**63 - 1),
}
_EXACT_IN_F64 = 2**53


def conform(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """`frame` in the contract's column order and types, sorted by key.

    Args:
        table: contract.
        frame: rows to store.

    Returns:
        The same rows, exact widenings applied (i32 to i64, f32 to f64, integers that all fit, categories to text).

    Raises:
        ContractError: missing or extra column, lossy or foreign type, null where none is allowed, NaN or infinity, value
            outside the closed codes, duplicate key. Names the column and how many rows.
    """
    _check_names(table, frame)
    frame = pl.DataFrame([_exact(table, frame.get_column(c.name), c) for c in table.columns])
    for column in table.columns:
        _check_values(table, frame.get_column(column.name), column)
    if frame.height < 2:
        return frame  # one huge document alone need not be copied to be sorted
    frame = frame.sort(list(table.key), maintain_order=True)
    _check_key(table, frame)
    return frame


def _fail(table: Table, column: str, what: str, count: int | None = None, todo: str = "") -> ContractError:
    return ContractError(f"column '{column}' {what}", where=f"{table.name}.{column}", count=count, todo=todo)


def _check_names(table: Table, frame: pl.DataFrame) -> None:
    missing = [name for name in table.names if name not in frame.columns]
    extra = [name for name in frame.columns if name not in table.names]
    if missing or extra:
        parts = ([f"missing {', '.join(missing)}"] if missing else []) + (
            [f"extra {', '.join(extra)}"] if extra else []
        )
        raise ContractError(
            f"the frame's columns are not those of the contract: {'; '.join(parts)}",
            where=table.name,
            todo="give exactly the contract's columns",
        )


def _exact(table: Table, values: pl.Series, column: Column) -> pl.Series:
    """`values` in the contract's type, or an error when that would change a value."""
    have, want = values.dtype, column.dtype
    if have == want:
        return values
    if have == pl.Null:
        return values.cast(want)
    if want == pl.String() and isinstance(have, pl.Categorical | pl.Enum):
        return values.cast(want)
    if want == pl.Float64() and (have in _SMALL_INTS or have == pl.Float32):
        return values.cast(want)
    if have.is_integer() and want in _INT_LIMITS:
        low, high = _INT_LIMITS[want]
        return _fitting(table, values, column, low, high)
    if have.is_integer() and want == pl.Float64():
        return _fitting(table, values, column, -_EXACT_IN_F64, _EXACT_IN_F64)
    if (
        isinstance(have, pl.Datetime)
        and isinstance(want, pl.Datetime)
        and have.time_zone == "UTC"
        and have.time_unit == "ms"
    ):
        return values.cast(want)
    raise _fail(
        table, column.name, f"is {have}, the contract says {want}: such a cast can change values", values.len(),
        "cast it where it is made, on purpose",
    )  # fmt: skip


def _fitting(table: Table, values: pl.Series, column: Column, low: int, high: int) -> pl.Series:
    # Compared in 128 bits: a limit of one integer type need not exist in another.
    wide = values.cast(pl.Int128)
    outside = int(((wide < low) | (wide > high)).sum())
    if outside:
        raise _fail(table, column.name, f"holds integers that do not fit {column.dtype}", outside)
    return values.cast(column.dtype)


def _check_values(table: Table, values: pl.Series, column: Column) -> None:
    nulls = values.null_count()
    if nulls and (not column.nullable or column.name in table.key):
        why = "is part of the key" if column.name in table.key else "is never null"
        raise _fail(table, column.name, f"holds null, but {why}", nulls, "set such rows aside as rejects")
    if values.dtype.is_float():
        bad = values.len() - nulls - int(values.is_finite().sum())
        if bad:
            raise _fail(table, column.name, "holds NaN or infinity", bad, "use null where a value is unknown")
    if column.codes:
        foreign = values.drop_nulls().filter(~values.drop_nulls().is_in(list(column.codes)))
        if foreign.len():
            shown = ", ".join(foreign.unique().sort().head(3).to_list())
            raise _fail(table, column.name, f"holds codes that are not in its list: {shown}", foreign.len())


def _check_key(table: Table, frame: pl.DataFrame) -> None:
    """`frame` is sorted by key, so equal keys are neighbours."""
    same = frame.select(
        pl.all_horizontal(pl.col(k).eq_missing(pl.col(k).shift(1)) for k in table.key).slice(1).sum().alias("n")
    ).item()
    if same:
        raise ContractError(
            f"the key ({', '.join(table.key)}) is not unique", where=table.name, count=int(same),
            todo="remove the duplicates where the frame is made",
        )  # fmt: skip


def check_window(contract: Table, rows: pl.DataFrame, window: tuple[date, date] | None) -> None:
    """Raise unless a window is given where one is needed and no row lies outside it.

    Raises:
        UsageError: no window, or one too many, or an empty one.
        ContractError: rows outside it; says how many.
    """
    if contract.write != "window":
        if window is not None:
            raise UsageError(f"a {contract.write} table takes no window", where=contract.name)
        return
    if window is None:
        raise UsageError("a window table needs the window that the rows replace", where=contract.name)
    start, end = window
    if start >= end:
        raise UsageError(f"the window {start} to {end} is empty: it is half-open", where=contract.name)
    day = pl.col(contract.window)
    outside = rows.filter((day < start) | (day >= end) | day.is_null()).height
    if outside:
        raise ContractError(
            f"column '{contract.window}' holds days outside the window {start} to {end}",
            where=f"{contract.name}.{contract.window}", count=outside, todo="write each row in its own window",
        )  # fmt: skip


def content_digest(table: Table, frame: pl.DataFrame) -> str:
    """SHA-256 (hex) over all rows in key order: equal content gives equal digests, however it is laid out in files.

    Args:
        table: contract; its key orders the rows and its columns are digested in contract order.
        frame: rows.
    """
    import hashlib

    ordered = frame.sort(list(table.key))
    digest = hashlib.sha256(f"{table.name}:{ordered.height}".encode())
    for column in table.columns:
        values = ordered.get_column(column.name)
        digest.update(f"|{column.name}:{column.type}|".encode())
        digest.update(values.is_null().to_numpy().tobytes())
        digest.update(_bytes_of(values))
    return digest.hexdigest()


def _bytes_of(values: pl.Series) -> bytes:
    if values.dtype in (pl.String, pl.Binary):
        filled = values.cast(pl.Binary).fill_null(b"").rechunk()
        arrow = filled.to_arrow(compat_level=pl.CompatLevel.oldest())
        lengths = filled.bin.size(unit="b").cast(pl.Int64)
        start = (
            int.from_bytes(arrow.buffers()[1][8 * arrow.offset : 8 * arrow.offset + 8], "little") if len(arrow) else 0
        )
        data = arrow.buffers()[2]
        text = bytes(data[start : start + int(lengths.sum())]) if data is not None else b""
        return lengths.to_numpy().tobytes() + text
    if values.dtype == pl.Boolean:
        return values.fill_null(False).to_numpy().tobytes()
    if values.dtype.is_temporal():
        return values.to_physical().fill_null(0).to_numpy().tobytes()
    plain = values.fill_null(0).to_numpy()
    # Adding zero turns -0.0 into 0.0: the two are equal, so their digests must be.
    return (plain + 0.0).astype(plain.dtype).tobytes() if values.dtype.is_float() else plain.tobytes()
