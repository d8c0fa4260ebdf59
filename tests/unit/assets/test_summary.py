"""What a person reads after a night says why nothing is recommended, and why a figure is not known."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from aios_assets.assets.glue_monitoring import night_notes
from aios_assets.cli import app
from aios_assets.cli_lake import rebuild_after_raw
from aios_assets.contracts.errors import AiosError, BadInputError
from aios_assets.contracts.registry import TABLES
from aios_assets.explain import find_recommendation
from aios_assets.explain_text import figure, render
from aios_assets.night import begun_path, only_one
from aios_assets.nights import unfinished
from aios_assets.resources.lake import Lake
from aios_assets.settings import Settings
from aios_assets.summary import (
    decisions,
    how_it_stands,
    how_they_stand,
    night_summary,
    recommendations,
    undecided,
    why_nothing,
)
from aios_assets.summary import render as render_summary
from monitoring.gates import NO_CHAMPION
from planning.inputs import PlanSpec
from planning.recommend import recommend
from tests.unit.planning.planning_world import AS_OF, simple, stock

KNOWN = datetime(2026, 3, 3, 7, tzinfo=UTC)


def said(tmp_path: Path, rows: pl.DataFrame) -> tuple[list[dict[str, Any]], str]:
    lake = Lake(tmp_path / "lake")
    table = TABLES["rec_decisions"]
    lake.write(
        table, rows.with_columns(available_at_utc=KNOWN).select(table.names), window=(AS_OF, AS_OF + timedelta(days=1))
    )
    summary = {"undecided": undecided(lake, AS_OF), "decisions": decisions(lake, AS_OF), "unfinished": []}
    return summary["undecided"], why_nothing(summary)


def night(*shelves: tuple[str, str, float | None], day: date = AS_OF) -> pl.DataFrame:
    """A night of one forecast item, and more items that have stock and no forecast."""
    return recommend(simple(0.0, stock=stock(*shelves, day=day)), AS_OF, PlanSpec(scenarios=16))


def test_items_of_one_unit_that_are_kept_out_are_one_reason_whatever_they_are_called(tmp_path: Path) -> None:
    why = "item {} is counted in eaches and the line in {}; it is kept out until the item master says base_unit_code {}"
    kept = [
        (item, "S1", n, why.format(item, unit, unit))
        for n, (item, unit) in enumerate([("NUTS", "KGM"), ("RICE", "KGM"), ("OIL", "LTR")], 3)
    ]
    out = pl.DataFrame(kept, schema=["item_id", "site_id", "lines", "reason"], orient="row")
    rows = recommend(simple(0.0, stock=stock(), kept_out=out), AS_OF, PlanSpec(scenarios=16))
    counted, _ = said(tmp_path, rows.filter(pl.col("item_id") != "A"))
    assert [(r["rows"], "NUTS" in r["reason"]) for r in counted] == [(2, True), (1, False)]


def test_without_any_stock_the_reason_is_that(tmp_path: Path) -> None:
    counted, why = said(tmp_path, night(("A", "S1", None)))
    assert counted == [{"rows": 1, "reason": "Nothing can be decided: no stock report."}]
    assert why == "nothing is recommended: no stock report, for 1 of 1 items and sites"


def test_old_stock_is_told_with_its_day_and_the_limit(tmp_path: Path) -> None:
    day = AS_OF - timedelta(days=9)
    _, why = said(tmp_path, night(("A", "S1", 5.0), day=day))
    assert f"stock report is of {day}, 9 days old, and at most 3 are taken (max_stock_age_days)" in why


def test_reasons_that_differ_in_figures_are_counted_together(tmp_path: Path) -> None:
    counted, why = said(tmp_path, night(("A", "S1", -3.0), ("B", "S1", -4.5), ("C", "S1", 4.0)))
    assert [row["rows"] for row in counted] == [2, 1]
    assert "negative (-3.0)" in counted[0]["reason"] and "no forecast" in counted[1]["reason"]
    assert "2 of 3 items and sites" in why


def test_without_any_row_or_any_need_the_line_says_so() -> None:
    assert "neither stock nor a forecast" in why_nothing({"undecided": [], "decisions": [], "unfinished": []})
    assert "enough everywhere" in why_nothing({"undecided": [], "decisions": [{"rows": 4}], "unfinished": []})


def test_a_figure_that_is_not_known_says_why() -> None:
    assert figure("fct_inventory_daily", "closing_qty_ea", 0.0) == "closing_qty_ea 0.0"
    assert figure("fct_inventory_daily", "closing_qty_ea", None) == "closing_qty_ea unknown (not reported)"
    assert (
        figure("fct_order_events", "quantity_ea", None)
        == "quantity_ea unknown (a status has none, nor an acceptance of the order as it stands)"
    )


def test_the_chain_of_a_recommendation_never_says_none(capsys: pytest.CaptureFixture[str]) -> None:
    place = {"document_id": "d" * 64, "set_no": 1, "segment_no": 2}
    stock_row = place | {
        "inventory_date": AS_OF, "opening_qty_ea": None, "receipts_qty_ea": 1.0, "outbound_qty_ea": 2.0, "closing_qty_ea": None,
    }  # fmt: skip
    event = place | {
        "event_code": "status", "event_date": AS_OF, "order_number": "P1", "quantity_ea": None, "expected_date": None,
    }  # fmt: skip
    sold = place | {
        "demand_date": AS_OF, "version_no": 1, "sales_qty_ea": 3.0, "closing_qty_ea": None, "is_stockout": False,
    }  # fmt: skip
    rec = {
        "decision_code": "replenish", "quantity_ea": 5.0, "item_id": "A", "site_id": "S1", "rec_id": "r", "reason": "why",
        "as_of_date": AS_OF, "money_at_stake_usd": 1.0, "currency_code": None, "base_unit_code": None, "confidence_frac": 0.5,
    }  # fmt: skip
    render(
        {
            "recommendation": rec, "forecast": [], "model": {}, "features": [], "lead_time": [], "documents": [],
            "stock": [stock_row], "open_orders": [event], "demand": [sold], "kept_out": [],
        }
    )  # fmt: skip
    text = " ".join(capsys.readouterr().out.split())
    assert "None" not in text
    assert text.count("unknown (") == 5


def failed(day: str) -> dict[str, Any]:
    return {
        "day": day,
        "run_id": "abc",
        "failed_steps": ["curate"],
        "causes": ["no room [/x]"],
        "is_under_way": False,
        "is_dropped": False,
    }


def test_a_night_that_failed_is_no_night_without_need() -> None:
    summary = {"day": "2024-07-31", "undecided": [], "decisions": [], "unfinished": [failed("2024-07-31")]}
    assert "did not come that far" in why_nothing(summary)
    assert "neither stock nor a forecast" in why_nothing(summary | {"day": "2024-07-30"})


def test_what_became_of_a_night_says_what_to_do() -> None:
    assert how_it_stands(failed("2024-07-31")) == (
        "The night of 2024-07-31 failed at curate: no room [/x] (run abc in `make ui`): NOT FINISHED. To do: aios run --day 2024-07-31"
    )
    assert "ended before its time" in how_it_stands(failed("2024-07-31") | {"failed_steps": [], "causes": []})
    assert "under way" in how_it_stands(failed("2024-07-31") | {"failed_steps": [], "causes": [], "is_under_way": True})


def test_every_recommendation_is_shown_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lake = Lake(tmp_path / "lake")
    rows = recommend(simple(9.0), AS_OF, PlanSpec(scenarios=16)).with_columns(available_at_utc=KNOWN)
    lake.write("rec_decisions", rows, window=(AS_OF, AS_OF + timedelta(days=1)))
    best = recommendations(lake, AS_OF)
    assert best
    render_summary(night_summary(lake, AS_OF) | {"unfinished": [failed("2026-03-03")]}, "home")
    shown = capsys.readouterr().out
    assert "NOT FINISHED" in shown
    for row in best:
        assert row["reason"] in shown and row["rec_id"] in shown and row["source_id"] in shown


def test_nights_that_were_begun_are_listed_until_they_end_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))
    conf = Settings()
    (tmp_path / "nights").mkdir()
    assert unfinished(conf) == []
    begun_path(conf, AS_OF).write_text('{"run_id": "", "failed_steps": []}')
    assert [(n["day"], n["is_under_way"]) for n in unfinished(conf)] == [(AS_OF.isoformat(), False)]
    with only_one(conf):
        assert unfinished(conf)[0]["is_under_way"]


def test_item_and_site_find_the_newest_decision_also_that_nothing_is_ordered(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    rows = night(("A", "S1", 500.0), ("B", "S1", None)).with_columns(available_at_utc=KNOWN)
    lake.write("rec_decisions", rows, window=(AS_OF, AS_OF + timedelta(days=1)))
    found = find_recommendation(lake, "A@S1")
    assert (found["item_id"], found["decision_code"]) == ("A", "none") and found["reason"]
    assert find_recommendation(lake, found["rec_id"][:12]) == found
    with pytest.raises(BadInputError, match="no night decided about item A at site S9"):
        find_recommendation(lake, "A@S9")
    with pytest.raises(BadInputError, match=r"no recommendation has that id \(zz\)"):
        find_recommendation(lake, "zz")


@pytest.mark.parametrize("subject", ["none", "demand-v2-abc"])
def test_a_night_without_a_champion_says_who_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], subject: str
) -> None:
    lake = Lake(tmp_path / "lake")
    gate = {"gate_code": "champion_age", "subject": subject, "is_passed": False, "metric": "m", "value": None, "threshold": 60.0, "reason": "r"}  # fmt: skip
    render_summary(night_summary(lake, AS_OF) | {"gates": [gate], "unfinished": []}, "home")
    assert (NO_CHAMPION in capsys.readouterr().out) == (subject == "none")
    world: Any = SimpleNamespace(
        lake=lake, cutoff=lambda day: KNOWN, champion_label=lambda model, day: subject, own_ids=[]
    )
    assert night_notes(world, AS_OF) == ([NO_CHAMPION] if subject == "none" else [])


def test_nights_that_a_rebuild_dropped_are_damage_until_they_are_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebuild that failed at its second night left the later ones without decisions, and `aios check` called that intact."""
    monkeypatch.setenv("AIOS_HOME", str(tmp_path))
    conf, days = Settings(), [AS_OF - timedelta(days=n) for n in (1, 0)]
    lake = Lake(conf.lake_root)
    for day in days:
        rows = night(("A", "S1", 5.0)).with_columns(
            pl.lit(day).alias("as_of_date"), pl.lit(KNOWN).alias("available_at_utc")
        )
        rows = rows.with_columns(rec_id=pl.col("rec_id") + day.isoformat())
        lake.write("rec_decisions", rows, window=(day, day + timedelta(days=1)))
    (tmp_path / "nights").mkdir()

    def fails(*words: Any, **more: Any) -> Any:
        return SimpleNamespace(is_success=False)

    monkeypatch.setattr("aios_assets.night.run_night", fails)
    with pytest.raises(AiosError, match="a night failed during the rebuild"):
        rebuild_after_raw(conf)
    assert [n["day"] for n in unfinished(conf)] == [day.isoformat() for day in days]
    assert "NOT FINISHED. To do: aios rebuild" in " ".join(how_they_stand(unfinished(conf)))
    done = CliRunner().invoke(app, ["check"])
    assert done.exit_code == 1 and "a rebuild dropped this night" in done.stdout
    for day in days:
        begun_path(conf, day).unlink()
    assert "a rebuild dropped" not in CliRunner().invoke(app, ["check"]).stdout
