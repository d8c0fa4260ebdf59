"""What is told again: questions once a week until somebody answers them, each on its own; a change once while it lasts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import polars as pl

from aios_assets.assets.glue_findings import _not_said_yet
from aios_assets.contracts.decision_tables import MON_FINDINGS
from ml.anomaly import finding_rows

FIRST = datetime(2025, 3, 2, 2, tzinfo=UTC)


def day_of(n: int) -> date:
    return date(2025, 3, 1) + timedelta(days=n)


def night(n: int, orders: tuple[str, ...] = ("P1", "P2"), gap: bool = True) -> pl.DataFrame:
    """What night `n` finds: some measures without limits, and a sensor's gap of that day."""
    day = day_of(n)
    rows = [
        {
            "finding_date": day,
            "kind_code": "measure_not_judged",
            "item_id": "A",
            "site_id": "S1",
            "subject": o,
            "reason": "r",
        }
        for o in orders
    ]
    rows.append({"finding_date": day, "kind_code": "measure_not_judged", "subject": "trailer/c", "reason": "r"})
    rows += [{"finding_date": day, "kind_code": "sensor_gap", "subject": "T1", "reason": "r"}] * gap
    return finding_rows(rows, FIRST + timedelta(days=n))


def test_a_question_is_asked_once_a_week_and_everything_else_every_night() -> None:
    kept = MON_FINDINGS.empty()
    asked: dict[int, list[str]] = {}
    for n in range(16):
        new = _not_said_yet(
            night(n, ("P1", "P2") if n >= 2 else ("P1",)),
            [kept, MON_FINDINGS.empty()],
            day_of(n),
            FIRST + timedelta(days=n),
        )
        asked[n] = sorted(new.filter(pl.col("kind_code") != "sensor_gap")["subject"])
        assert new.filter(kind_code="sensor_gap").height == 1
        kept = pl.concat([kept, new])
    said = {n: subjects for n, subjects in asked.items() if subjects}
    assert said == {0: ["P1", "trailer/c"], 2: ["P2"], 7: ["P1", "trailer/c"], 9: ["P2"], 14: ["P1", "trailer/c"]}


def test_a_night_run_again_asks_again_what_it_asked() -> None:
    assert _not_said_yet(night(0), [night(0)], day_of(0), FIRST).height == night(0).height


def test_a_change_that_lasts_is_told_once_in_its_direction() -> None:
    kept = MON_FINDINGS.empty()
    told: list[tuple[int, str]] = []
    for n in range(50):
        after = 8.0 if n < 20 else 2.0
        rows = [
            {"finding_date": day_of(n), "kind_code": kind, "subject": "I", "value": after, "expected_value": 4.0, "reason": "r"}
            for kind in ("regime_change", "lead_time_change")
        ]  # fmt: skip
        tonight = finding_rows(rows, FIRST + timedelta(days=n))
        new = _not_said_yet(tonight, [kept], day_of(n), FIRST + timedelta(days=n))
        again = _not_said_yet(tonight, [kept, new], day_of(n), FIRST + timedelta(days=n))
        assert again.equals(new), "a night run again says the same"
        told += [(n, kind) for kind in new["kind_code"].sort()]
        kept = pl.concat([kept, new])
    assert told == [(n, kind) for n in (0, 20) for kind in ("lead_time_change", "regime_change")]
