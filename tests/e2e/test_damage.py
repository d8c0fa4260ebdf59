"""A flipped bit, a commit cut to nothing, a table gone: found with its place, healed to the same content."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import Home

pytestmark = pytest.mark.slow
VICTIMS = (
    "raw_edi__documents",
    "raw_edi__product_activity",
    "fct_demand_daily",
    "feat_item_site__demand",
    "rec_decisions",
)


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(bytes(data))


def data_files(home: Home, table: str) -> list[Path]:
    return sorted(p for p in (home.path / "lake" / table).rglob("*.parquet") if "_delta_log" not in p.parts)


def test_a_healthy_lake_passes(night_home: Home) -> None:
    night_home.aios("check")


@pytest.mark.parametrize("table", VICTIMS)
def test_a_flipped_bit_is_found_in_every_table(home: Home, table: str) -> None:
    victim = data_files(home, table)[0]
    flip_a_bit(victim)
    found = home.aios("check", ok=(1,))
    assert table in found.stdout + found.stderr and victim.name in found.stdout + found.stderr


def test_all_kinds_of_damage_are_healed_to_equal_hashes(home: Home) -> None:
    before = home.hashes()
    flip_a_bit(data_files(home, "raw_edi__documents")[0])
    flip_a_bit(data_files(home, "fct_demand_daily")[0])
    newest = sorted((home.path / "lake" / "rec_decisions" / "_delta_log").glob("*.json"))[-1]
    newest.write_bytes(b"")
    shutil.rmtree(home.path / "lake" / "feat_item_site__demand")
    found = home.aios("check", ok=(1,))
    text = found.stdout + found.stderr
    assert all(
        name in text for name in ("raw_edi__documents", "fct_demand_daily", "rec_decisions", "feat_item_site__demand")
    )
    home.aios("repair")
    home.aios("check")
    assert home.hashes() == before
