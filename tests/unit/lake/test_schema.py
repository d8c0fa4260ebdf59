"""What the lake refuses: everything that Delta would take and change without a word."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl
import pytest

from aios_assets.contracts.errors import ContractError
from aios_assets.resources.lake_schema import conform, content_digest
from tests.unit.lake.tables import APPEND, rows

GOOD = rows([("A", 0, 1.0), ("B", 1, 2.0)])


def put(name: str, values: list[object], dtype: pl.DataType | type[pl.DataType]) -> pl.DataFrame:
    return GOOD.with_columns(pl.Series(name, values, dtype=dtype, strict=False))


REFUSED: dict[str, tuple[Callable[[], pl.DataFrame], str]] = {
    "extra column": (lambda: GOOD.with_columns(x=1), "extra x"),
    "missing column": (lambda: GOOD.drop("note"), "missing note"),
    "renamed column": (lambda: GOOD.rename({"note": "remark"}), "missing note; extra remark"),
    "integer overflow": (lambda: put("pack_ea", [1, 2**31], pl.Int64), "do not fit"),
    "junk text in a number": (lambda: put("pack_ea", ["x", "y"], pl.String), "is String"),
    "1.7 into an integer": (lambda: put("pack_ea", [1.7, 2.0], pl.Float64), "is Float64"),
    "whole float into an integer": (lambda: put("pack_ea", [1.0, 2.0], pl.Float64), "is Float64"),
    "text 7 into an integer": (lambda: put("pack_ea", ["7", "8"], pl.String), "is String"),
    "integer into text": (lambda: put("item_id", [1, 2], pl.Int64), "is Int64"),
    "1e300 into single precision": (lambda: put("price_usd", [1e300, 1.0], pl.Float64), "is Float64"),
    "double into single precision": (lambda: put("price_usd", [0.1, 0.2], pl.Float64), "is Float64"),
    "null key": (lambda: put("item_id", [None, "B"], pl.String), "part of the key"),
    "null where never null": (lambda: put("quantity_ea", [None, 1.0], pl.Float64), "never null"),
    "NaN": (lambda: put("quantity_ea", [float("nan"), 1.0], pl.Float64), "NaN"),
    "infinity": (lambda: put("quantity_ea", [float("inf"), 1.0], pl.Float64), "infinity"),
    "minus infinity": (lambda: put("price_usd", [float("-inf"), None], pl.Float32), "infinity"),
    "duplicate key": (lambda: pl.concat([GOOD, GOOD]), "not unique"),
    "foreign code": (lambda: put("kind_code", ["a", "z"], pl.String), "not in its list: z"),
    "integer beyond exact double": (lambda: put("quantity_ea", [2**53 + 1, 1], pl.Int64), "do not fit"),
    "instant without zone": (lambda: GOOD.with_columns(pl.col("available_at_utc").dt.replace_time_zone(None)), "Datetime"),
    "instant in another zone": (
        lambda: GOOD.with_columns(pl.col("available_at_utc").dt.convert_time_zone("Europe/Berlin")), "Datetime",
    ),
    "instant cut from nanoseconds": (lambda: GOOD.with_columns(pl.col("available_at_utc").dt.cast_time_unit("ns")), "Datetime"),
    "date as instant": (lambda: GOOD.with_columns(pl.col("sold_date").cast(pl.Datetime("us", "UTC"))), "Datetime"),
    "truth value as integer": (lambda: put("pack_ea", [True, False], pl.Boolean), "is Boolean"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    make, words = REFUSED[case]
    with pytest.raises(ContractError, match=words) as caught:
        conform(APPEND, make())
    assert "test_append" in str(caught.value)


def test_names_column_and_count() -> None:
    with pytest.raises(ContractError) as caught:
        conform(APPEND, put("quantity_ea", [float("nan"), float("inf")], pl.Float64))
    assert caught.value.count == 2
    assert "'quantity_ea'" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "values", "dtype"),
    [
        ("pack_ea", [1, 2], pl.Int64), ("pack_ea", [1, 2], pl.UInt32), ("quantity_ea", [1, 2], pl.Int32),
        ("quantity_ea", [1.5, 2.5], pl.Float32), ("note", [None, None], pl.Null), ("note", ["x", "y"], pl.Categorical),
    ],
)  # fmt: skip
def test_takes_what_loses_nothing(name: str, values: list[object], dtype: type[pl.DataType]) -> None:
    frame = conform(APPEND, put(name, values, dtype))
    assert frame.schema == APPEND.schema
    assert [None if v is None else type(v)(x) for v, x in zip(values, frame[name], strict=True)] == values


def test_sorts_by_key_and_orders_columns() -> None:
    frame = conform(APPEND, GOOD.reverse().select(reversed(GOOD.columns)))
    assert frame.equals(GOOD)


def test_digest_sees_content_alone() -> None:
    assert content_digest(APPEND, GOOD.reverse()) == content_digest(APPEND, GOOD)
    changed = [
        put("quantity_ea", [1.0, 2.0000001], pl.Float64), put("note", ["", None], pl.String), put("item_id", ["AB", "C"], pl.String),
        put("price_usd", [0.0, None], pl.Float32), put("price_usd", [None, 0.0], pl.Float32), GOOD.head(1),
    ]  # fmt: skip
    digests = [content_digest(APPEND, f) for f in changed] + [content_digest(APPEND, GOOD)]
    assert len(set(digests)) == len(digests)


def test_digest_takes_minus_zero_for_zero() -> None:
    plus, minus = (put("quantity_ea", [z, 1.0], pl.Float64) for z in (0.0, -0.0))
    assert content_digest(APPEND, plus) == content_digest(APPEND, minus)
