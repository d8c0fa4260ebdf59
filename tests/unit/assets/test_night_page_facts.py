"""What the night's page takes from tables: premiums paid for speed, and what partners did not acknowledge."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from aios_assets.assets.glue_monitoring import acknowledgement_notes, night_kpis
from aios_assets.contracts.decision_tables import REC_DECISIONS
from aios_assets.edi import read_documents
from aios_assets.resources.lake import Lake
from planning.recommend import recommend
from tests.unit.edi.make import frame
from tests.unit.edi.test_sent import LATER, SENT, answer, ours
from tests.unit.planning.planning_world import AS_OF
from tests.unit.planning.test_decision_oracles import SPEC, certain, day, lane, order, orders

DAY = timedelta(days=1)


def test_premiums_of_hurried_orders_are_in_the_kpis_of_four_weeks(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lanes = pl.DataFrame([lane("SUP", "S1", 10.0), lane("SUP", "S1", 1.0, "expedite", 5.0, 0.05)])
    coming = orders(order("P9", "A", "S1", "SUP", 60.0, day(-4), day(7)))
    night = recommend(certain(4.0, 10.0, lanes=lanes, open_orders=coming), AS_OF, SPEC).select(REC_DECISIONS.names)
    lake.write("rec_decisions", night, window=(AS_OF, AS_OF + DAY))
    world: Any = SimpleNamespace(lake=lake, cutoff=lambda day: LATER)

    def premium(last: int) -> float:
        """60 pieces hurried for 5 USD and 5 cents each, over the 40 that were sold."""
        sold = pl.DataFrame({"item_id": "A", "site_id": "S1", "demand_date": [AS_OF + last * DAY], "sales_qty_ea": 40.0, "is_stockout": False})  # fmt: skip
        found = night_kpis(world, AS_OF + last * DAY, sold)
        return float(found.filter(kpi_code="expedite_cost_usd_per_ea")["value"][0])

    assert premium(1) == pytest.approx(8.0 / 40.0)
    assert premium(0) == 0.0, "tonight's plan is not carried out yet"
    assert premium(29) == 0.0, "longer ago than four weeks"


def test_what_was_not_acknowledged_is_on_the_page_with_where_to_look(tmp_path: Path) -> None:
    batch = read_documents(frame(*(ours(n) for n in range(1, 5)), answer(1, 1, "A"), answer(3, 3, "R"), when=SENT + timedelta(hours=1)))  # fmt: skip
    lake = Lake(tmp_path / "lake")
    lake.write("raw_edi__interchanges", batch.interchanges)
    lake.write("raw_edi__sets", batch.sets)
    lake.write("raw_edi__acknowledgements", batch.facts["raw_edi__acknowledgements"])

    def notes(**who: Any) -> list[str]:
        world: Any = SimpleNamespace(lake=lake, **who)
        return acknowledgement_notes(world, AS_OF)

    late = notes(cutoff=lambda day: LATER, own_ids=["US"])
    assert len(late) == 1 and "2 is not acknowledged after a day and 1 was refused: `aios edi acks`" in late[0]
    assert "0 is not acknowledged" in notes(cutoff=lambda day: SENT + timedelta(hours=2), own_ids=["US"])[0]
    assert notes(cutoff=lambda day: SENT, own_ids=["US"]) == [], "nothing was known yet"
    assert notes(cutoff=lambda day: LATER, own_ids=[]) == [], "it cannot be told who we are"
