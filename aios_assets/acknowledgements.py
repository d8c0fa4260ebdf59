"""What we sent and whether it was acknowledged, from the lake: for `aios edi acks` and the night's summary."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.edi.sent import OVERDUE_AFTER, match_acknowledgements, own_ids, sent_by_us

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

STATES = ("overdue", "rejected", "accepted_with_errors", "waiting", "accepted")


def acknowledgement_states(
    lake: Lake, as_of: datetime, ours: Sequence[str], overdue_after: timedelta = OVERDUE_AFTER
) -> pl.DataFrame:
    """State of everything that we sent, the overdue first.

    Args:
        lake: where received and own documents were read into.
        as_of: the moment of asking.
        ours: our identifications; none tells them from the interchanges.
        overdue_after: how long a partner may take.

    Raises:
        UsageError: it cannot be told who we are.
    """
    interchanges = lake.read("raw_edi__interchanges")
    sent = sent_by_us(interchanges, lake.read("raw_edi__sets"), ours or own_ids(interchanges), as_of)
    answers = lake.read("raw_edi__acknowledgements")
    rows = match_acknowledgements(sent, answers, as_of=as_of, overdue_after=overdue_after)
    rank = pl.col("state").replace_strict({s: n for n, s in enumerate(STATES)}, return_dtype=pl.Int8)
    return rows.sort(rank, "sent_at_utc", "partner_id", "control_number", maintain_order=True)


def count_states(rows: pl.DataFrame) -> dict[str, int]:
    """How many there are in each state, none left out."""
    found: dict[str, Any] = dict(rows.group_by("state").len().iter_rows())
    return {state: int(found.get(state, 0)) for state in STATES}
