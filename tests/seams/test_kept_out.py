"""Lines kept out because of their unit, from the finding to the decision and to `aios explain`."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from aios_assets.assets.glue_policy import decide_night
from aios_assets.assets.s7_recommend import plan_inputs
from aios_assets.contracts.errors import BadInputError
from aios_assets.explain import explain
from aios_assets.explain_text import render
from aios_assets.resources.handles import World
from aios_assets.resources.kept_out import kept_out_by_place
from tests.seams.ladder_world import cutoff, rows
from tests.seams.test_whatif import NIGHT, write_night
from tests.unit.planning.planning_world import AS_OF

WHY = "item NUTS is counted in eaches and the line in {}; it is kept out until the item master says base_unit_code {}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A planned night; before it, lines of NUTS in pounds and one in kilograms, one too old, one settled, one only assumed."""
    world = write_night(tmp_path_factory.mktemp("home"))
    said = [
        ("1", 3, "unknown_unit", WHY.format("LB", "LB"), None), ("2", 2, "unknown_unit", WHY.format("LB", "LB"), None),
        ("3", 1, "unknown_unit", WHY.format("KGM", "KGM"), None), ("4", 40, "unknown_unit", WHY.format("GRM", "GRM"), None),
        ("5", 1, "unknown_unit", WHY.format("ONZ", "ONZ"), cutoff(AS_OF) - timedelta(hours=9)), ("6", 0, "unknown_pack", "unit CA is a case; taken as 1", None),
    ]  # fmt: skip
    made = pl.DataFrame(
        [{"finding_id": f, "finding_date": AS_OF - timedelta(days=ago), "kind_code": kind, "reason": why, "superseded_at_utc": gone} for f, ago, kind, why, gone in said],
        schema_overrides={"superseded_at_utc": pl.Datetime("us", "UTC")},
    )  # fmt: skip
    stated = {"item_id": "NUTS", "site_id": "S1", "subject": "852 set 1", "document_id": "0" * 64, "available_at_utc": cutoff(AS_OF - timedelta(days=45))}  # fmt: skip
    window = (AS_OF - timedelta(days=60), AS_OF + timedelta(days=1))
    world.lake.write("int_findings_detected", rows("int_findings_detected", made, **stated), window=window)
    decided, _ = decide_night(world, AS_OF, plan_inputs(world, AS_OF))
    stamped = decided.with_columns(available_at_utc=pl.lit(world.cutoff(AS_OF)).cast(pl.Datetime("us", "UTC")))
    world.lake.write("rec_decisions", stamped, window=NIGHT)
    return world


def test_lines_are_counted_by_place_with_the_newest_reason(world: World) -> None:
    assert kept_out_by_place(world.lake, AS_OF, world.cutoff(AS_OF)).rows() == [("NUTS", "S1", 3, WHY.format("KGM", "KGM"))]  # fmt: skip


def test_the_item_has_a_decision_and_explain_follows_it_to_the_lines(world: World, capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    chain = explain(world.lake, "NUTS@S1")
    reason = chain["recommendation"]["reason"]
    assert reason.startswith("Nothing can be decided: 3 lines of the last 28 days are kept out because of their unit (item NUTS ")  # fmt: skip
    assert [r["finding_id"] for r in chain["kept_out"]] == ["1", "2", "3"]
    render(chain)
    told = " ".join(capsys.readouterr().out.split())
    assert "kept out because of their unit (3 lines of the last weeks)" in told and "base_unit_code KGM" in told
    assert not explain(world.lake, "A@S1")["kept_out"]


def test_before_a_night_decided_anything_explain_says_what_is_kept_out(world: World, tmp_path: Path) -> None:
    world.lake.write("rec_decisions", world.lake.read("rec_decisions").filter(pl.col("item_id") != "NUTS"), window=NIGHT)  # fmt: skip
    with pytest.raises(BadInputError, match=r"no night decided about item NUTS .*3 lines are kept out because of their unit \(item NUTS"):  # fmt: skip
        explain(world.lake, "NUTS@S1")
