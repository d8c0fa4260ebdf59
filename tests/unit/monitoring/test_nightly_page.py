"""The night's page shows the rule that the verdict used: red is what drifted, and the line is the limit that decided."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import polars as pl

from aios_assets.contracts.decision_tables import MON_DRIFT, MON_FORECAST_QUALITY, MON_GATE_VERDICTS
from monitoring.nightly_page import bars, lines, nightly_page

NIGHT = date(2026, 1, 5)
NOW = datetime(2026, 1, 6, 7, tzinfo=UTC)


def drift_row(name: str, value: float | None, natural: float | None, drifted: bool) -> dict[str, object]:
    return {
        "drift_date": NIGHT, "subject": "feat", "column_name": name, "segment": "all", "method": "psi", "value": value, "threshold": 0.1,
        "natural_threshold": natural, "is_drifted": drifted, "reference_rows": 9000, "current_rows": 900, "available_at_utc": NOW,
    }  # fmt: skip


def page(rows: list[dict[str, object]], **extra: pl.DataFrame) -> str:
    drift = pl.DataFrame(rows, schema=MON_DRIFT.schema)
    return nightly_page(
        night=NIGHT,
        verdicts=MON_GATE_VERDICTS.empty(),
        drift=drift,
        quality=MON_FORECAST_QUALITY.empty(),
        **extra,  # type: ignore[arg-type]
    )


def bars_of(html: str) -> list[tuple[float, str]]:
    return [(float(w), c) for w, c in re.findall(r'<rect [^>]*width="([\d.]+)" height="13" fill="(#\w+)"', html)]


def test_a_bar_beyond_its_named_limit_is_red_only_when_the_verdict_says_drifted() -> None:
    html = page(
        [drift_row("noisy", 0.3, 0.9, False), drift_row("moved", 0.8, 0.4, True), drift_row("gone", None, None, True)]
    )
    line = float(re.findall(r'<line x1="([\d.]+)"', html)[0]) - 190
    shown = bars_of(html)
    assert [colour for _, colour in shown].count("#b3361e") == 2
    assert all((width > line) == (colour == "#b3361e") for width, colour in shown)
    assert "quiet windows" in html and "No column drifted" not in html


def test_the_limit_alone_decides_where_quiet_windows_say_nothing() -> None:
    html = page([drift_row("steady", 0.05, None, False), drift_row("moved", 0.2, None, True)])
    assert sorted(colour for _, colour in bars_of(html)) == ["#2a5f9e", "#b3361e"]


def test_canary_against_control_is_on_the_page() -> None:
    table = pl.DataFrame({"rollout": ["demand:2, 25%"], "kpi_code": ["fill_rate_frac"], "canary": [0.97], "control": [0.98], "difference": [-0.01]})  # fmt: skip
    html = page([drift_row("steady", 0.05, None, False)], canary=table)
    assert "Canary against control" in html and "demand:2, 25%" in html


def test_findings_beyond_the_budget_are_counted_by_kind() -> None:
    shown = pl.DataFrame({"kind_code": ["a"], "subject": ["s"], "money_at_risk_usd": [5.0], "reason": ["r"]})
    empty = {"verdicts": MON_GATE_VERDICTS.empty(), "drift": MON_DRIFT.empty(), "quality": MON_FORECAST_QUALITY.empty()}
    night = date(2025, 3, 1)
    page = nightly_page(night=night, findings=shown, findings_left={"demand_anomaly": 1091, "sensor_gap": 2}, **empty)
    assert "Not shown: 1,091 demand_anomaly, 2 sensor_gap. All of them are in mon_findings." in page
    assert "Not shown" not in nightly_page(night=night, findings=shown, findings_left={}, **empty)


def test_one_night_alone_is_a_dot_and_names_are_whole() -> None:
    assert lines({"demand": [(1.0, 0.6)]}, title="t", x_label="nights").count("<circle") == 1
    name = "site_sales_qty_ea_mean_28d · intermittent"
    picture = bars([name], [0.3], limit=1.0, title="t", width=640)
    place = re.search(r'<text x="(\d+)" y="38" text-anchor="end">([^<]+)<', picture)
    assert place and place[2] == name and int(place[1]) > 6 * len(name)
