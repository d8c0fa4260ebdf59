"""Times with an X12 time code, against the zone database of Python."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.zones import MINUTES, PLACES, to_utc
from tests.unit.edi.make import frame, x12


def status(day: str, hour: str, zone: str) -> datetime:
    content = x12("214", "B10*REF*SH1*SCAC", "LX*1", f"AT7*X3*NS***{day}*{hour}*{zone}")
    (row,) = read_documents(frame(content)).facts["raw_edi__shipment_statuses"].to_dicts()
    at = row["status_at_utc"]
    assert isinstance(at, datetime)
    return at


@pytest.mark.parametrize("code", sorted(MINUTES))
def test_fixed_codes(code: str) -> None:
    local = datetime(2026, 7, 5, 14, 30, tzinfo=UTC)
    assert status("20260705", "1430", code) == local - timedelta(minutes=MINUTES[code])


def test_numbered_codes_count_up_in_the_east_and_down_in_the_west() -> None:
    assert [MINUTES[code] // 60 for code in ("01", "12", "13", "20", "24")] == [1, 12, -12, -5, -1]


@pytest.mark.parametrize("code", sorted(PLACES))
@pytest.mark.parametrize("day", [5, 185])
def test_codes_that_leave_summer_open_follow_the_clocks(code: str, day: int) -> None:
    local = datetime(2026, 1, 1, 14, 30) + timedelta(days=day)
    want = local.replace(tzinfo=ZoneInfo(PLACES[code])).astimezone(UTC)
    assert status(local.strftime("%Y%m%d"), "1430", code) == want


@pytest.mark.parametrize("code", ["LT", "", "XX"])
def test_local_and_unknown_times_are_as_they_stand(code: str) -> None:
    assert status("20260705", "1430", code) == datetime(2026, 7, 5, 14, 30, tzinfo=UTC)


def test_hours_shown_twice_or_never_lose_no_instant() -> None:
    said = [datetime(2026, 3, 8, 2, 30, tzinfo=UTC), datetime(2026, 11, 1, 1, 30, tzinfo=UTC), None]
    rows = pl.DataFrame(
        {"at": said, "zone": ["ET", "ET", "ET"]}, schema={"at": pl.Datetime("us", "UTC"), "zone": pl.String}
    )
    assert to_utc(rows, "at", "zone")["at"].to_list() == [
        datetime(2026, 3, 8, 7, 30, tzinfo=UTC),
        datetime(2026, 11, 1, 5, 30, tzinfo=UTC),
        None,
    ]
