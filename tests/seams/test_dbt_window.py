"""Which days a night makes again when something was said about them."""

from __future__ import annotations

import itertools
from datetime import date, timedelta
from pathlib import Path

import pytest

from aios_assets.contracts.errors import RefusedError
from aios_assets.contracts.registry import TABLES
from aios_assets.resources.dbt import WINDOWED, forget_build, remember_build, window_to_build
from aios_assets.resources.lake import Lake
from tests.seams.dbt_world import DAY, World, at

SETTLED = {"business_tz": "America/New_York", "cutoff": "02:00", "count_tests_of": "", "currency": "EUR"}


def day(offset: int) -> date:
    return DAY + timedelta(days=offset)


def test_a_notice_sent_again_reaches_back_to_the_day_that_it_named_before(tmp_path: Path) -> None:
    """H1 was shipped on day 0, says the first notice; the second, a week later, says day 6."""
    lake = Lake(tmp_path / "lake")
    world = World(tmp_path / "lake")
    world.shipment("H1", day(0), "A", 5, order="P", source="DC", site="S1")
    world.receipt("R1", day(2), "A", 5, site="S1", order="P")
    world.write()
    for name in WINDOWED:
        lake.write(name, TABLES[name].empty(), window=(day(0), day(1)))
    (tmp_path / "dbt").mkdir()
    assert window_to_build(lake, tmp_path, [day(2)], SETTLED) is None  # nothing was built yet
    remember_build(lake, tmp_path, SETTLED)
    assert window_to_build(lake, tmp_path, [day(7)], SETTLED) == (day(7), day(9))
    for name, value in (("count_tests_of", "ACME"), ("business_tz", "Europe/Berlin"), ("cutoff", "03:00")):
        assert window_to_build(lake, tmp_path, [day(7)], SETTLED | {name: value}) is None, "it counts for all history"
    later = World(tmp_path / "lake")
    later.counter = itertools.count(10)  # documents of their own
    later.shipment("H2", day(5), "A", 5, order="P", source="DC", site="S1", known=at(day(7)))
    later.write()
    assert window_to_build(lake, tmp_path, [day(7)], SETTLED) == (day(5), day(9))
    later.shipment("H1", day(6), "A", 5, order="P", source="DC", site="S1", known=at(day(7), 6))
    later.write()
    assert window_to_build(lake, tmp_path, [day(7)], SETTLED) == (day(0), day(9))
    remember_build(lake, tmp_path, SETTLED)
    again = World(tmp_path / "lake")
    again.counter = itertools.count(20)
    again.receipt("R1", day(4), "A", 5, site="S1", order="P", known=at(day(8)))
    again.write()
    assert window_to_build(lake, tmp_path, [day(8)], SETTLED) == (day(2), day(10))
    remember_build(lake, tmp_path, SETTLED)
    # One that is taken back as a whole, too; the shipment of its number is none of ours.
    again = World(tmp_path / "lake")
    again.counter = itertools.count(30)
    said = {"notice_code": "received", "notice_id": "R1", "said_date": day(9), "action_code": "cancel"}
    again.message("raw_edi__whole_notices", at(day(9)), said, set_code="861")
    again.write()
    assert window_to_build(lake, tmp_path, [day(9)], SETTLED) == (day(2), day(11))


def test_a_home_goes_on_in_the_currency_that_it_counted_in(tmp_path: Path) -> None:
    """Costs in master files name no currency: called dollars, euros would be other amounts."""
    lake = Lake(tmp_path / "lake")
    remember_build(lake, tmp_path, SETTLED)
    with pytest.raises(RefusedError, match=r"counts money in EUR, AIOS_CURRENCY says USD.*aios rebuild"):
        window_to_build(lake, tmp_path, [day(7)], SETTLED | {"currency": "USD"})
    forget_build(tmp_path)
    assert window_to_build(lake, tmp_path, [day(7)], SETTLED | {"currency": "USD"}) is None


def test_what_a_master_said_before_its_newest_makes_everything_again_and_the_same_said_again_does_not(
    tmp_path: Path,
) -> None:
    lake = Lake(tmp_path / "lake")
    for name in WINDOWED:
        lake.write(name, TABLES[name].empty(), window=(day(0), day(1)))
    (tmp_path / "dbt").mkdir()

    def stated(known: int, pack: int) -> tuple[date, date] | None:
        world = World(tmp_path / "lake")
        world.masters(at(day(known)), {"A": pack})
        world.write()
        window = window_to_build(lake, tmp_path, [day(9)], SETTLED)
        remember_build(lake, tmp_path, SETTLED)
        return window

    assert stated(2, 12) is None and stated(4, 6) is None
    assert stated(5, 6) == (day(9), day(11))
    # A file that says it was known before: what was written between the two lists held 24.
    assert stated(3, 24) is None
