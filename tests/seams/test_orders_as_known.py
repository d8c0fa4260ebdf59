"""Order lines are folded once for all steps of a night, and anew as soon as the events or the night are others."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from aios_assets.marts.open_orders import open_orders_as_of
from aios_assets.resources import as_known
from aios_assets.resources.lake import Lake
from tests.unit.dbt.test_open_orders import START, event, frame


def test_one_fold_per_night_and_state_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, folds = Lake(tmp_path), []

    def counted(events: pl.DataFrame, instant: datetime, **options: Any) -> pl.DataFrame:
        folds.append(instant)
        return open_orders_as_of(events, instant, **options)

    monkeypatch.setattr(as_known, "open_orders_as_of", counted)
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
