"""How many rows of a table break its contract: the one count that checks, gates and `aios check` share."""

from __future__ import annotations

import polars as pl

from aios_assets.contracts.table import Table


def contract_faults(table: Table, *parts: pl.LazyFrame) -> dict[str, int]:
    """How many rows break the contract, by fault; empty when none does.

    Args:
        table: the contract.
        parts: rows of the table, in one frame or several that are looked at one after the other: a table of years need not fit in
            memory, eight bytes of each row do. Only key, non-nullable and coded columns are read.
    """
    nulls = [
        pl.col(c.name).null_count().alias(f"null:{c.name}")
        for c in table.columns
        if not c.nullable and c.type != "bytes"
    ]
    codes = [(~pl.col(c.name).is_in(list(c.codes))).sum().alias(f"code:{c.name}") for c in table.columns if c.codes]
    hashes, counted = [pl.Series(dtype=pl.UInt64)], {"duplicate_key": 0}
    for part in parts:
        rows = part.select(pl.struct(table.key).hash().alias("hash"), *nulls, *codes).collect()
        hashes.append(rows["hash"])
        if rows.height:
            for name, count in rows.drop("hash").row(0, named=True).items():
                counted[name] = counted.get(name, 0) + count
    # Equal keys have equal hashes, so where no two hashes are equal no two keys are; the keys themselves settle the rest.
    ordered = pl.concat(hashes).sort()
    if (ordered == ordered.shift(1)).any():
        keys = pl.concat([part.select(table.key) for part in parts])
        counted["duplicate_key"] = keys.select(pl.len() - pl.struct(table.key).n_unique()).collect().item()
    return {name: int(count) for name, count in counted.items() if count}
