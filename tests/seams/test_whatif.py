"""What-if branches on a real lake: planned apart, compared, dropped; production keeps every byte."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from aios_assets.assets.glue_policy import decide_night
from aios_assets.assets.s7_recommend import plan_inputs
from aios_assets.cli import app
from aios_assets.resources.handles import World
from aios_assets.resources.lake import Lake
from aios_assets.resources.lake_branch import BranchLake, find_branch
from tests.seams.ladder_world import KNOWN, cutoff, rows
from tests.unit.planning.planning_world import AS_OF, forecast, lane, lead

LINE = {"document_id": "m", "line_no": 1, "available_at_utc": KNOWN}
NIGHT = (AS_OF, AS_OF + timedelta(days=1))


def write_night(home: Path) -> World:
    """Two items of one supplier at one store, planned for `AS_OF` in production."""
    world = World(home=str(home), inbox_path=str(home / "inbox"), business_tz="UTC", cutoff_hour=2, tracking_uri=f"sqlite:///{home}/m.db")  # fmt: skip
    lake = world.lake
    known = pl.lit(cutoff(AS_OF - timedelta(days=1))).cast(pl.Datetime("us", "UTC"))
    two = pl.concat([forecast("A", "S1", 5.0), forecast("B", "S1", 3.0)]).with_columns(available_at_utc=known)
    lake.write("pred_demand__28d", two, window=NIGHT)
    leads = pl.DataFrame([lead("SUP", "S1", 3.0, 1.0)]).with_columns(
        model_name=pl.lit("l"), model_version=pl.lit("1"), model_digest=pl.lit("d"), is_fallback=pl.lit(False), available_at_utc=known
    )  # fmt: skip
    lake.write(
        "pred_lead_time__lane", rows("pred_lead_time__lane", leads, received_orders=9, open_orders=0), window=NIGHT
    )
    stock = pl.DataFrame({"item_id": ["A", "B"], "site_id": ["S1", "S1"], "inventory_date": [AS_OF] * 2, "closing_qty_ea": [2.0, 40.0]})  # fmt: skip
    stamp = {"document_id": "d", "set_no": 1, "segment_no": 1, "version_no": 1, "is_suspect": False, "is_current": True}
    closes = rows(
        "fct_inventory_daily", stock.with_columns(available_at_utc=known), inventory_month="2026-01", receipts_qty_ea=0.0,
        outbound_qty_ea=0.0, adjustments_qty_ea=0.0, **stamp,
    )  # fmt: skip
    lake.write("fct_inventory_daily", closes, window=NIGHT)
    items = pl.DataFrame({"item_id": ["A", "B"], "pack_ea": [6, 1], "unit_cost_usd": [2.0, 4.0], "unit_price_usd": [3.0, 7.0], "supplier_id": ["SUP"] * 2, "unit_volume_m3": [0.1, 0.2]})  # fmt: skip
    lake.write("raw_master__items", rows("raw_master__items", items, **LINE))
    lake.write("raw_master__sites", rows("raw_master__sites", pl.DataFrame({"site_id": ["S1"], "site_type": ["store"]}), **LINE))  # fmt: skip
    lake.write("raw_master__suppliers", rows("raw_master__suppliers", pl.DataFrame({"supplier_id": ["SUP"]}), **LINE))
    lake.write("raw_master__lanes", rows("raw_master__lanes", pl.DataFrame([lane("SUP", "S1", 3.0)]), **LINE))
    decided, _ = decide_night(world, AS_OF, plan_inputs(world, AS_OF))
    stamped = decided.with_columns(available_at_utc=pl.lit(world.cutoff(AS_OF)).cast(pl.Datetime("us", "UTC")))
    lake.write("rec_decisions", stamped, window=NIGHT)
    return world


def digests(root: Path) -> dict[str, str]:
    """SHA-256 of every file of production's lake."""
    return {
        str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(root.rglob("*"))
        if p.is_file()
    }


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whatif") / "home"
    write_night(home)
    return home


@pytest.fixture
def home(planned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIOS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("AIOS_BUSINESS_TZ", "UTC")
    shutil.copytree(planned, tmp_path / "home")
    return tmp_path / "home"


def aios(*words: str) -> tuple[int, Any, str]:
    result = CliRunner().invoke(app, ["whatif", *words])
    text = result.stdout.strip()
    return result.exit_code, json.loads(text.splitlines()[-1]) if text.startswith(("{", "[")) else text, result.stderr


def test_a_branch_is_planned_apart_and_production_keeps_every_byte(home: Path) -> None:
    before = digests(home / "lake")
    assert any(name.startswith("rec_decisions/") for name in before)
    code, made, _ = aios("new", "rush", "--set", "demand=2", "--set", "unit_cost@B=1.1", "--json")
    assert code == 0
    night, branch = made["sums"]
    assert branch["units_ea"] > night["units_ea"] > 0
    code, found, _ = aios("compare", "rush", "--json")
    assert code == 0 and found["sums"][1]["units_ea"] == branch["units_ea"] and found["differing"] == 2
    assert {d["item_id"] for d in found["differences"]} == {"A", "B"}
    assert all(d["quantity_ea_after"] >= d["quantity_ea_before"] for d in found["differences"])
    own = sorted(
        p.name for p in (home / "whatif" / "rush" / "lake").iterdir() if p.is_dir() and not p.name.startswith("_")
    )
    assert own == ["rec_decisions"], "only decisions are written; everything else is read where it lies"
    assert aios("list", "--json")[1][0]["changes"] == "demand=2, unit_cost@B=1.1"
    assert aios("drop", "rush")[0] == 0 and not (home / "whatif" / "rush").exists()
    assert digests(home / "lake") == before


def test_a_branch_without_a_real_change_decides_what_the_night_decided(home: Path) -> None:
    assert aios("new", "same", "--set", "demand=1.0", "--json")[0] == 0
    code, found, _ = aios("compare", "same", "--json")
    assert code == 0 and found["differing"] == 0
    assert found["sums"][0] == {**found["sums"][1], "branch": "production"}


def test_two_branches_and_what_production_learns_later(home: Path) -> None:
    assert aios("new", "one", "--set", "lead_time@SUP=2")[0] == 0
    before = find_branch(home / "whatif", "one").note["versions"]
    lake = Lake(home / "lake")
    later = lake.read("rec_decisions").with_columns(quantity_ea=pl.col("quantity_ea") * 10)
    lake.write("rec_decisions", later, window=NIGHT)
    assert aios("new", "two", "--set", "truck_capacity_m3=0.7")[0] == 0
    found = aios("compare", "one", "--json")[1]
    assert found["sums"][0]["units_ea"] < lake.read("rec_decisions")["quantity_ea"].sum(), (
        "as it was when the branch was made"
    )
    pair = aios("compare", "two", "--with", "one", "--json")[1]
    assert [s["branch"] for s in pair["sums"]] == ["one", "two"] and pair["sums"][1]["units_ea"] <= 6
    branch = find_branch(home / "whatif", "one").lake(lake)
    assert isinstance(branch, BranchLake) and before["rec_decisions"] + 1 == lake.version("rec_decisions")
    assert branch.read("pred_demand__28d").height == 56 and branch.read("fct_order_events").is_empty()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("new", "x", "--set", "colour=1"), "'colour' cannot be changed"),
        (("new", "x", "--set", "demand"), "not of the form what=value"),
        (("new", "x", "--set", "demand=-1"), "needed is a number from 0"),
        (("new", "x", "--set", "demand@NOBODY=2"), "meets nothing that is known"),
        (("new", "x", "--set", "lost_supplier=NOBODY"), "there is no supplier 'NOBODY'"),
        (("new", "x", "--set", "alpha_max=3"), "alpha_max is 3, allowed is 0 to 0.9999"),
        (("new", "x", "--set", "demand=2", "--set", "demand=3"), "set twice"),
        (("new", "../x", "--set", "demand=2"), "cannot be a branch's name"),
        (("new", "x", "--set", "demand=2", "--day", "2020-01-01"), "the night of 2020-01-01 was not planned"),
        (("new", "x", "--set", "demand=2", "--day", "soon"), "not a day"),
        (("compare", "x"), "there is no branch 'x'"),
        (("drop", ".."), "there is no branch '..'"),
    ],
)
def test_bad_words_have_their_sentence_and_leave_nothing(home: Path, words: tuple[str, ...], sentence: str) -> None:
    code, _, said = aios(*words)
    assert code in (1, 2) and sentence in said.replace("\n", " "), said
    assert not list((home / "whatif").glob("*")) and (home / "lake").exists()


def test_a_lost_supplier_leaves_nothing_to_order_on_a_guess(home: Path) -> None:
    assert aios("new", "alone", "--set", "lost_supplier=SUP")[0] == 0
    sums = aios("compare", "alone", "--json")[1]["sums"][1]
    assert sums["lines"] == 0 and sums["undecided"] == 2
    assert aios("new", "alone", "--set", "demand=2")[2].startswith("aios: there is a branch 'alone'")
    assert isinstance(AS_OF, date)
