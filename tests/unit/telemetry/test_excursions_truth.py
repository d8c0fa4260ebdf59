"""Excursions of random streams beside a plain reading of them, and whose goods they put at risk."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import polars as pl
import pytest

from aios_assets.contracts.raw_tables import RAW_TELEMETRY_READINGS
from aios_assets.telemetry import excursions
from tests.unit.telemetry.plain import LIMITS, START, TRAILER, Row, plain_excursions, stream


def table(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=RAW_TELEMETRY_READINGS.schema)


def test_random_streams_hold_the_excursions_that_a_plain_reading_finds() -> None:
    kinds: Counter[str] = Counter()
    for seed in range(60):
        rows, limit = stream(seed), LIMITS[seed % len(LIMITS)]
        found, theirs = excursions(table(rows), (limit,)).rows(), plain_excursions(rows, limit)
        assert [f[:4] for f in found] == [e[:4] for e in theirs], seed
        for ours, expected in zip(found, theirs, strict=True):
            assert ours[4:6] + ours[8:] == expected[4:6] + expected[8:], (seed, ours)
            assert ours[6:8] == pytest.approx(expected[6:8]), (seed, ours)
        kinds.update(str(e[2]) for e in theirs)
    assert min(kinds[k] for k in ("high", "low", "spike", "gap", "stuck")) >= 10, kinds


def test_goods_that_come_on_board_while_it_is_too_warm_have_a_stretch_of_their_own() -> None:
    """The trailer was not cooled before: the first hour is nobody's, what follows is SH1's, then SH2's."""
    loads = [None, None, "SH1", "SH1", "SH1", "SH2"]
    rows = [
        {"sensor_id": "s", "measure_code": "temperature_c", "read_at_utc": START + timedelta(minutes=30 * n), "value": 9.0 + n,
         "asset_type": "trailer", "asset_id": "A", "site_id": None, "shipment_id": load, "document_id": f"d{n}", "line_no": 1,
         "available_at_utc": START + timedelta(hours=9), "available_month": "2026-01"}
        for n, load in enumerate(loads)
    ]  # fmt: skip
    found = excursions(table(rows), (TRAILER,)).select("shipment_id", "readings", "peak_value", "document_id").rows()
    assert found == [(None, 2, 10.0, "d0"), ("SH1", 3, 13.0, "d2"), ("SH2", 1, 14.0, "d5")]
