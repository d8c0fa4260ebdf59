"""Writes dbt's YAML for sources and exported models from the table contracts, so that no column is described twice.

Run `python dbt_project/contract_yaml.py` after a contract changes; `tests/contracts/test_dbt_contracts.py` says when it is due.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent))

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES, RAW_EDI_INTERCHANGES  # noqa: E402 - after the path is set
from aios_assets.contracts.mart_tables import FEATURE_TABLES, MART_TABLES  # noqa: E402
from aios_assets.contracts.raw_tables import MASTER_TABLES  # noqa: E402
from aios_assets.contracts.table import Table  # noqa: E402

DATA_TYPES = {
    "str": "varchar",
    "i64": "bigint",
    "i32": "integer",
    "f64": "double",
    "f32": "float",
    "bool": "boolean",
    "date": "date",
    "ts": "timestamp with time zone",
    "bytes": "blob",
}
HEADER = "# Written by contract_yaml.py from aios_assets/contracts; change the contract, then run it.\n"
# Tests that a contract cannot say: each layer step keeps every row (tests/generic).
RECONCILIATIONS: dict[str, list[dict[str, Any]]] = {
    "fct_demand_daily": [
        {
            "nothing_lost": {
                "name": "fct_demand_daily_keeps_every_version",
                "arguments": {
                    "parent": "ref('int_site_days_versioned')",
                    "parent_key": ["item_id", "site_id", "business_date", "available_at_utc"],
                    "child_key": ["item_id", "site_id", "demand_date", "available_at_utc"],
                    "parent_where": "sales_qty_ea is not null and (getvariable('window_start') is null or "
                    "(business_date >= getvariable('window_start') and business_date < getvariable('window_end')))",
                },
            }
        },
        {
            "one_current": {
                "name": "fct_demand_daily_has_one_current_version",
                "arguments": {"key": ["item_id", "site_id", "demand_date"]},
            }
        },
    ],
    "fct_inventory_daily": [
        {
            "nothing_lost": {
                "name": "fct_inventory_daily_keeps_every_day",
                "arguments": {
                    "parent": "ref('int_site_days_versioned')",
                    "parent_key": ["item_id", "site_id", "business_date"],
                    "child_key": ["item_id", "site_id", "inventory_date"],
                    "parent_where": "(getvariable('window_start') is null or "
                    "(business_date >= getvariable('window_start') and business_date < getvariable('window_end')))",
                },
            }
        },
        {
            "one_current": {
                "name": "fct_inventory_daily_has_one_current_version",
                "arguments": {"key": ["item_id", "site_id", "inventory_date"]},
            }
        },
        {"balance_closes": {"name": "fct_inventory_daily_residual_is_the_balance"}},
    ],
    "fct_order_events": [
        {
            "as_many_rows": {
                "name": "fct_order_events_keeps_every_event",
                "arguments": {"parent": "ref('int_order_events_gathered')"},
            }
        },
    ],
    "fct_purchase_order_lines": [
        {
            "nothing_lost": {
                "name": "fct_purchase_order_lines_keeps_every_order",
                "arguments": {
                    "parent": "ref('fct_order_events')",
                    "parent_key": ["order_number", "item_id"],
                    "child_key": ["order_number", "item_id"],
                    "parent_where": "event_code in ('ordered', 'changed', 'cancelled') and superseded_at_utc is null",
                },
            }
        },
    ],
    "fct_service_daily": [
        {
            "nothing_lost": {
                "name": "fct_service_daily_keeps_every_site_day",
                "arguments": {
                    "parent": "ref('fct_inventory_daily')",
                    "parent_key": ["site_id", "inventory_date"],
                    "child_key": ["site_id", "service_date"],
                    "parent_where": "is_current",
                },
            }
        },
    ],
    "dim_item": [
        {
            "nothing_lost": {
                "name": "dim_item_keeps_every_item_of_demand",
                "arguments": {
                    "parent": "ref('fct_demand_daily')",
                    "parent_key": ["item_id"],
                    "child_key": ["item_id"],
                },
            }
        },
    ],
    "dim_site": [
        {
            "nothing_lost": {
                "name": "dim_site_keeps_every_site_of_demand",
                "arguments": {
                    "parent": "ref('fct_demand_daily')",
                    "parent_key": ["site_id"],
                    "child_key": ["site_id"],
                },
            }
        },
    ],
    "int_findings_detected": [
        {
            "nothing_lost": {
                "name": "int_findings_detected_names_every_line_kept_out",
                "arguments": {
                    "parent": "ref('int_lines_rejected')",
                    "parent_key": ["kind_code", "business_date", "item_id"],
                    "child_key": ["kind_code", "finding_date", "item_id"],
                    "parent_where": "(getvariable('window_start') is null or "
                    "(business_date >= getvariable('window_start') and business_date < getvariable('window_end')))",
                },
            }
        },
    ],
}


def columns_of(table: Table) -> list[dict[str, Any]]:
    """dbt columns of a contract: name, type, meaning."""
    rows = []
    for column in table.columns:
        meaning = column.means + (f"; null: {column.null_means}" if column.null_means else "")
        row: dict[str, Any] = {
            "name": column.name,
            "data_type": DATA_TYPES[column.type],
            "description": meaning + (f" [{column.unit}]" if column.unit else ""),
        }
        rows.append(row)
    return rows


def model_of(table: Table) -> dict[str, Any]:
    """dbt's description of an exported model."""
    return {
        "name": table.name,
        "description": f"Grain: {table.grain}. From {table.source}.",
        "columns": columns_of(table),
        "data_tests": [
            {"unique_key": {"name": f"{table.name}_key_is_unique", "arguments": {"columns": list(table.key)}}},
            {
                "never_null": {
                    "name": f"{table.name}_has_no_forbidden_null",
                    "arguments": {
                        "columns": [c.name for c in table.columns if not c.nullable and c.name not in table.key]
                    },
                }
            },
            *RECONCILIATIONS.get(table.name, []),
        ],
    }


def staging_of(table: Table, group: str) -> dict[str, Any]:
    """dbt's description of the staging model over one raw table: same rows, trimmed, none dropped but what only a test says."""
    name = f"stg_{group}__{table.name.split('__')[1]}"
    arguments, which = {"parent": f"source('{group}', '{table.name}')"}, "none"
    if group == "edi":
        arguments["left_out"], which = "ref('stg_edi__test_interchanges')", "only what test interchanges say"
    return {
        "name": name,
        "description": f"Grain: {table.grain}. The rows of {table.name}, texts trimmed, codes in capitals; {which} is dropped.",
        "data_tests": [
            {
                "as_many_rows": {
                    "name": f"{name}_keeps_every_row",
                    "arguments": arguments,
                }
            }
        ],
    }


def source_of(name: str, tables: list[Table], means: str) -> dict[str, Any]:
    """dbt's description of one group of raw tables."""
    return {
        "name": name,
        "schema": "lake",
        "description": means,
        "tables": [
            {
                "name": table.name,
                "description": f"Grain: {table.grain}. From {table.source}.",
                "config": {"meta": {"dagster": {"asset_key": [table.name]}}},
                "columns": columns_of(table),
            }
            for table in tables
        ],
    }


def documents() -> dict[Path, str]:
    """Every YAML file that the contracts determine, with its text."""
    exported = [table for table in (*MART_TABLES, *FEATURE_TABLES) if table.writer == "dbt"]
    groups = {
        "models/marts/_marts.yml": [t for t in exported if t.name.startswith(("fct_", "dim_"))],
        "models/features/_features.yml": [t for t in exported if t.name.startswith("feat_")],
        "models/intermediate/quality/_findings.yml": [t for t in exported if t.name.startswith("int_")],
    }
    # Invoices and acknowledgements feed no mart.
    facts = [
        t for t in EDI_FACT_TABLES if (ROOT / f"models/staging/edi/stg_edi__{t.name.split('__')[1]}.sql").is_file()
    ]
    masters = [t for t in MASTER_TABLES if t.name.split("__")[1] in ("items", "sites", "suppliers")]
    sources = {
        "version": 2,
        "sources": [
            source_of(
                "edi", [*facts, RAW_EDI_INTERCHANGES], "Typed EDI facts and envelopes, as the front door landed them."
            ),
            source_of("master", masters, "Master data statements, one row per document that states it."),
        ],
    }
    staging = {
        "version": 2,
        "models": [staging_of(t, "edi") for t in facts] + [staging_of(t, "master") for t in masters],
    }
    texts = {
        ROOT / path: _text({"version": 2, "models": [model_of(t) for t in tables]}) for path, tables in groups.items()
    }
    return texts | {
        ROOT / "models/staging/_sources.yml": _text(sources),
        ROOT / "models/staging/_staging.yml": _text(staging),
    }


def _text(data: dict[str, Any]) -> str:
    return HEADER + yaml.safe_dump(data, sort_keys=False, width=120, allow_unicode=True)


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
