"""All tables by name: the one list that schemas, checks, docs and the lake are derived from."""

from __future__ import annotations

from aios_assets.contracts.decision_tables import DECISION_TABLES
from aios_assets.contracts.edi_tables import EDI_FACT_TABLES, EDI_VERDICT_TABLES
from aios_assets.contracts.errors import UsageError
from aios_assets.contracts.mart_tables import FEATURE_TABLES, MART_TABLES
from aios_assets.contracts.planning_tables import PLANNING_TABLES
from aios_assets.contracts.raw_tables import MASTER_TABLES, STORE_TABLES, TELEMETRY_TABLES
from aios_assets.contracts.table import Table

TABLES: dict[str, Table] = {
    table.name: table
    for group in (
        STORE_TABLES,
        EDI_VERDICT_TABLES,
        EDI_FACT_TABLES,
        TELEMETRY_TABLES,
        MASTER_TABLES,
        MART_TABLES,
        FEATURE_TABLES,
        DECISION_TABLES,
        PLANNING_TABLES,
    )
    for table in group
}


def table(name: str) -> Table:
    """The contract of that name.

    Raises:
        UsageError: there is no such table.
    """
    if name not in TABLES:
        raise UsageError(f"there is no table '{name}'", todo="see `aios status --tables` for all names")
    return TABLES[name]
