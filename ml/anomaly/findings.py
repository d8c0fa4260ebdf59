"""The common form of a finding, false-discovery control, ranking by money and the daily budget."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.decision_tables import MON_FINDINGS
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.false_discovery import discoveries

__all__ = ["Floats", "discoveries", "finding_rows", "rank_findings"]

Floats = npt.NDArray[np.float64]


def finding_rows(rows: Iterable[Mapping[str, Any]], available_at_utc: datetime) -> pl.DataFrame:
    """Rows of `mon_findings`, sorted by identifier; the same finding twice is one.

    Args:
        rows: `finding_date, kind_code, subject, reason` and any of `item_id, site_id, value, expected_value,
            money_at_risk_usd, document_id`.
        available_at_utc: cut-off of the night that found it.
    """
    out = []
    for row in rows:
        place = "|".join(str(row.get(k) or "") for k in ("item_id", "site_id", "subject"))
        key = f"{row['kind_code']}|{place}|{row['finding_date']}"
        out.append(
            {name: row.get(name) for name in MON_FINDINGS.names}
            | {"finding_id": hashlib.sha256(key.encode()).hexdigest()[:16], "available_at_utc": available_at_utc}
        )
    frame = pl.DataFrame(out, schema=MON_FINDINGS.schema)
    return frame.unique(subset=["finding_id"], keep="first", maintain_order=True).sort("finding_id")


def rank_findings(
    findings: Iterable[pl.DataFrame], *, budget: int = 50, per_kind: int = 3
) -> tuple[pl.DataFrame, dict[str, int]]:
    """The findings worth a person's time: most money first, a few of every kind, no more than the budget.

    Args:
        findings: frames of `mon_findings`.
        budget: most rows a day; zero keeps none.
        per_kind: of each kind at least this many are kept, if the budget allows, so that a loud kind cannot hide others.

    Returns:
        The rows kept, most money first (unknown money last), and the number left out by kind.
    """
    if budget < 0:
        raise BadInputError("the daily budget is negative", where="findings", todo="give the number of findings a day")
    everything = pl.concat([MON_FINDINGS.empty(), *findings]).unique(
        subset=["finding_id"], keep="first", maintain_order=True
    )
    order = ["money_at_risk_usd", "kind_code", "finding_id"]
    ranked = everything.sort(order, descending=[True, False, False], nulls_last=True)
    ranked = ranked.with_columns(
        (pl.int_range(pl.len()).over("kind_code") >= per_kind).alias("late"), pl.int_range(pl.len()).alias("place")
    )
    kept = ranked.sort("late", "place").head(budget).sort("place")
    left = ranked.join(kept, on="finding_id", how="anti")
    counts = {str(k): int(n) for k, n in left.group_by("kind_code").len().sort("kind_code").iter_rows()}
    return kept.select(MON_FINDINGS.names), counts
