"""The contracts keep the house's own rules: one name, units as suffix, two clocks, keys that exist."""

from __future__ import annotations

import re

import pytest

from aios_assets.contracts.errors import UsageError
from aios_assets.contracts.registry import TABLES, table
from aios_assets.contracts.table import Table

NAME = re.compile(r"^(raw|stg|int|fct|dim|feat|pred|rec|mon)_[a-z0-9]+(_[a-z0-9]+)*(__[a-z0-9_]+)?$")
UNIT_SUFFIX = {
    "ea": ("_ea", "_qty_ea"), "usd": ("_usd",), "days": ("_days",), "frac": ("_frac",), "bytes": ("_bytes",), "ns": ("_ns",),
}  # fmt: skip
# Features whose names follow the field: a relative price, and counts of days named by what they count.
RATIOS = {"price_rel_28d", "days_since_sale", "days_on_sale", "days_reported"}
EVERY = pytest.mark.parametrize("contract", TABLES.values(), ids=list(TABLES))


@EVERY
def test_names_say_layer_and_content(contract: Table) -> None:
    assert NAME.match(contract.name), contract.name
    assert re.match(r"^s[1-8]_[a-z]+$", contract.stage)
    assert len(set(contract.names)) == len(contract.names)


@EVERY
def test_keys_clocks_and_partitions_are_columns(contract: Table) -> None:
    wanted = {
        *contract.key,
        *contract.partition_by,
        *(c for c in (contract.window, contract.event_clock, contract.known_clock) if c),
    }
    assert wanted <= set(contract.names)
    assert all(not contract.column(k).nullable for k in contract.key)


@EVERY
def test_every_table_says_when_we_could_have_known(contract: Table) -> None:
    assert contract.known_clock, f"{contract.name} has no known clock"
    assert contract.column(contract.known_clock).type == "ts"


@EVERY
def test_units_are_suffixes(contract: Table) -> None:
    for column in contract.columns:
        wanted = UNIT_SUFFIX.get(column.unit)
        if wanted and not re.search(r"_(lag|mean|std|p)_?\d|_mean|_mean_|_p\d\d|_std_", column.name):
            assert any(suffix in column.name for suffix in wanted) or column.name in RATIOS, (
                contract.name,
                column.name,
            )


@EVERY
def test_null_means_something(contract: Table) -> None:
    assert all(c.means for c in contract.columns)
    assert contract.grain


def test_same_name_means_same_type_everywhere() -> None:
    types: dict[str, set[str]] = {}
    for contract in TABLES.values():
        for column in contract.columns:
            types.setdefault(column.name, set()).add(column.type)
    mixed = {name: kinds for name, kinds in types.items() if len(kinds) > 1}
    assert mixed == {}


def test_unknown_table_is_a_clear_error() -> None:
    with pytest.raises(UsageError, match="there is no table 'nonsense'"):
        table("nonsense")
