"""Order lines are folded once for all steps of a night, and anew as soon as the events or the night are others."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aios_assets.marts.open_orders import fold_parts
from aios_assets.resources import as_known, lake_read
from aios_assets.resources.lake import Lake
from aios_assets.resources.lake_branch import BranchLake
from tests.unit.dbt.test_open_orders import START, event, frame, open_orders_as_of


def test_one_fold_per_night_and_state_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, folds = Lake(tmp_path), []

    def counted(parts: Iterable[pl.DataFrame], newest: datetime | None) -> pl.DataFrame:
        folds.append(newest)
        return fold_parts(parts, newest)

    monkeypatch.setattr(as_known, "fold_parts", counted)
    rows = [event(1, "ordered", 10, sent=0, known=0), event(2, "ordered", 5, sent=0, known=0, order_number="Q")]
    rows.append(event(3, "received", 5, sent=20, known=20, order_number="Q"))
    tonight, before = START + timedelta(hours=30), START + timedelta(hours=10)
    assert as_known.orders_as_known(lake, tonight).is_empty()
    lake.write("fct_order_events", frame(rows))
    for instant, closed, folded in [(tonight, True, 2), (tonight, False, 2), (before, False, 3), (tonight, False, 4)]:
        found = as_known.orders_as_known(lake, instant, include_closed=closed)
        assert_frame_equal(found, open_orders_as_of(frame(rows), instant, include_closed=closed))
        assert len(folds) == folded
    rows.append(event(4, "received", 10, sent=21, known=21))
    lake.write("fct_order_events", frame(rows))
    assert as_known.orders_as_known(lake, tonight).is_empty() and len(folds) == 5


def test_a_table_of_many_files_is_folded_some_whole_orders_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files end wherever they are full, also in the middle of an order."""
    lake, sizes = Lake(tmp_path / "lake"), []
    rows = [event(n, "ordered", 10, sent=n, known=n, order_number=f"P{n // 2}", item_id="AB"[n % 2]) for n in range(9)]
    rows += [event(20 + n, "received", 4, sent=30, known=30, order_number=f"P{n}", item_id="A") for n in range(5)]
    events = frame(rows).sort("order_number", "item_id", "event_code")
    lake.write_ordered("fct_order_events", events.iter_slices(4))
    assert len(lake.files("fct_order_events")) == 4

    def counted(parts: Iterable[pl.DataFrame], newest: datetime | None) -> pl.DataFrame:
        kept = list(parts)
        sizes.extend(part.height for part in kept)
        return fold_parts(kept, newest)

    monkeypatch.setattr(lake_read, "PART_ROWS", 4)
    monkeypatch.setattr(as_known, "fold_parts", counted)
    instant = START + timedelta(hours=40)
    branch = BranchLake(tmp_path / "branch", lake, {"fct_order_events": lake.version("fct_order_events")})
    for where in (lake, branch):
        sizes.clear()
        found = as_known.orders_as_known(where, instant, include_closed=True)
        assert_frame_equal(found, open_orders_as_of(events, instant, include_closed=True))
        assert sum(sizes) == events.height and max(sizes) < events.height / 2
