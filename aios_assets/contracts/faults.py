"""How many rows of a table break its contract: the one count that checks, gates and `aios check` share."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.table import Table


def contract_faults(table: Table, rows: pl.LazyFrame) -> dict[str, int]:
    """How many rows break the contract, by fault; empty when none does.

    Args:
        table: the contract.
        rows: rows of the table; only key, non-nullable and coded columns are read.
    """
    nulls = [
        pl.col(c.name).null_count().alias(f"null:{c.name}")
        for c in table.columns
        if not c.nullable and c.type != "bytes"
    ]
    codes = [(~pl.col(c.name).is_in(list(c.codes))).sum().alias(f"code:{c.name}") for c in table.columns if c.codes]
    keys = (pl.len() - pl.struct(table.key).n_unique()).alias("duplicate_key")
    counted = rows.select(keys, *nulls, *codes).collect().row(0, named=True)
    return {name: int(count) for name, count in counted.items() if count}
