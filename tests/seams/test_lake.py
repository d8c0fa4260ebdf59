"""The lake on real Delta tables: same rows twice commit nothing, windows replace themselves alone, damage is found and healed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aios_assets.contracts.errors import ConflictError, ContractError, IntegrityError, UsageError
from aios_assets.contracts.registry import TABLES
from aios_assets.contracts.table import Column
from aios_assets.resources.inbox import document_frame, document_row
from aios_assets.resources.lake import Lake
from aios_assets.resources.lake_check import check_lake, drop_derived, pending_rebuild, repair
from aios_assets.resources.lake_files import digest_of, pages_intact
from aios_assets.resources.locks import file_lock
from tests.unit.lake.tables import APPEND, FULL, START, WINDOW, rows

AT = datetime(2026, 1, 5, 7, tzinfo=UTC)
DOCUMENTS = "raw_edi__documents"


def day(n: int) -> date:
    return START + timedelta(days=n)


def documents(texts: list[str]) -> pl.DataFrame:
    return document_frame(document_row(t.encode(), f"{t}.edi", "folder", AT) for t in texts)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake", lock_timeout_s=5)


def test_append_takes_each_key_once(lake: Lake) -> None:
    first = lake.write(APPEND, rows([("A", 0, 1.0), ("B", 0, 2.0)]))
    assert (first.rows_in, first.rows_written, first.rows_unchanged, first.is_new) == (2, 2, 0, True)
    again = lake.write(APPEND, rows([("B", 0, 2.0), ("A", 0, 1.0)]))
    assert (again.version, again.rows_written, again.rows_unchanged, again.is_new) == (first.version, 0, 2, False)
    more = lake.write(APPEND, rows([("A", 0, 9.0), ("C", 14, 3.0)]))
    assert (more.rows_written, more.rows_unchanged) == (1, 1)
    assert lake.read(APPEND)["quantity_ea"].to_list() == [1.0, 2.0, 3.0]
    assert DeltaTable(lake.folder(APPEND)).version() == more.version


MONTHS = ((day(-19), day(12)), (day(12), day(40)), (day(40), day(71)))  # January to March


def months(quantity: float = 1.0) -> list[tuple[tuple[date, date], pl.DataFrame]]:
    cells = [("A", 3, quantity), ("B", 3, 2.0), ("A", 20, quantity), ("A", 50, 3.0)]
    frame = rows(cells)
    return [(w, frame.filter(pl.col("sold_date").is_between(*w, closed="left"))) for w in MONTHS]


def test_a_window_in_parts_is_one_commit_of_the_same_files_as_the_whole_window(tmp_path: Path) -> None:
    whole, parted = Lake(tmp_path / "whole"), Lake(tmp_path / "parted")
    span = (MONTHS[0][0], MONTHS[-1][1])
    for quantity in (1.0, 5.0, 5.0):
        frame = pl.concat([frame for _, frame in months(quantity)])
        once, commit = whole.write(WINDOW, frame, window=span), parted.write_parts(WINDOW, iter(months(quantity)))
        assert (commit.version, commit.rows_in) == (once.version, 4)
        assert parted.content_hash(WINDOW) == whole.content_hash(WINDOW)
    assert (commit.is_new, commit.rows_written, commit.files) == (False, 0, 0)
    assert [e.version for e in parted.journal.entries(WINDOW.name)] == [0, 1, 2]
    first = [sorted(f.path for f in lake.files(WINDOW, 1)) for lake in (whole, parted)]
    assert first[0] == first[1]
    march = {f.path for f in parted.files(WINDOW, 1) if "2026-03" in f.path}
    assert march and march <= {f.path for f in parted.files(WINDOW)}  # what is there already is not written again
    assert not check_lake(parted)


def test_parts_that_touch_each_other_are_refused_and_change_nothing(lake: Lake) -> None:
    lake.write_parts(WINDOW, months())
    before = lake.version(WINDOW), lake.content_hash(WINDOW)
    january = months(9.0)[0]
    within = ((day(0), day(4)), rows([("A", 3, 7.0)])), ((day(4), day(12)), rows([("A", 5, 7.0)]))
    for wrong in ([*months(9.0), january], [january, january], [*within, ((day(3), day(9)), rows([]))]):
        with pytest.raises(UsageError, match="touches what an earlier part wrote"):
            lake.write_parts(WINDOW, wrong)
    assert (lake.version(WINDOW), lake.content_hash(WINDOW)) == before


def _write_and_die(root: Path, after: int) -> None:
    def parts() -> Iterator[tuple[tuple[date, date], pl.DataFrame]]:
        yield from months(9.0)[:after]
        os.kill(os.getpid(), signal.SIGKILL)

    Lake(root).write_parts(WINDOW, parts())


@pytest.mark.parametrize("after", [1, 3])
def test_a_writer_killed_between_parts_leaves_the_table_as_it_was(tmp_path: Path, after: int) -> None:
    lake = Lake(tmp_path / "lake", lock_timeout_s=5)
    lake.write_parts(WINDOW, months())
    before = lake.version(WINDOW), lake.content_hash(WINDOW)
    child = multiprocessing.get_context("spawn").Process(target=_write_and_die, args=(lake.root, after))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    again = Lake(lake.root, lock_timeout_s=5)
    assert (again.version(WINDOW), again.content_hash(WINDOW)) == before
    left = set(lake.folder(WINDOW).rglob("aios-*.parquet")) - {
        lake.folder(WINDOW) / f.path for f in again.files(WINDOW)
    }
    assert left and again.sweep(WINDOW) == len(left)
    done = again.write_parts(WINDOW, months(9.0))
    assert done.rows_written == 3 and not check_lake(again)
    assert again.read(WINDOW).sort("item_id", "sold_date")["quantity_ea"].to_list() == [9.0, 9.0, 3.0, 2.0]


def test_delta_readers_see_the_same_rows(lake: Lake) -> None:
    lake.write(APPEND, rows([("A", 0, 1.0), ("B", 20, 2.0)]))
    ours = lake.read(APPEND).sort("item_id")
    delta = pl.read_delta(str(lake.folder(APPEND))).select(ours.columns).sort("item_id")
    assert delta.equals(ours)
    arrow = DeltaTable(lake.folder(APPEND)).to_pyarrow_table()
    assert str(arrow.schema.field("item_id").type) == "string"
    assert sorted(DeltaTable(lake.folder(APPEND)).file_uris()) == sorted(lake.file_uris(APPEND))


def test_an_empty_frame_makes_an_empty_table_once(lake: Lake) -> None:
    assert lake.version(APPEND) == -1
    assert not lake.exists(APPEND)
    assert lake.read(APPEND).is_empty()
    for _ in range(2):
        assert lake.write(APPEND, rows([])).version == 0
    assert lake.exists(APPEND)
    assert lake.scan(APPEND).collect().schema == APPEND.schema
    assert lake.create_missing([APPEND, FULL]) == ["test_full"]


def test_window_replaces_its_days_alone(lake: Lake) -> None:
    lake.write(WINDOW, rows([("A", n, 1.0) for n in range(20)]), window=(day(0), day(20)))
    done = lake.write(WINDOW, rows([("B", 5, 7.0)]), window=(day(5), day(7)))
    assert done.is_new
    kept = lake.read(WINDOW).sort("sold_date")
    assert kept["item_id"].to_list() == ["A"] * 5 + ["B"] + ["A"] * 13
    assert not lake.write(WINDOW, rows([("B", 5, 7.0)]), window=(day(5), day(7))).is_new
    assert lake.write(WINDOW, rows([]), window=(day(0), day(20))).is_new
    assert lake.count(WINDOW) == 0
    assert lake.read(WINDOW).is_empty()


def test_window_is_asked_for_and_kept_to(lake: Lake) -> None:
    with pytest.raises(UsageError, match="needs the window"):
        lake.write(WINDOW, rows([("A", 0, 1.0)]))
    with pytest.raises(ContractError, match="outside the window") as caught:
        lake.write(WINDOW, rows([("A", 0, 1.0), ("A", 1, 1.0)]), window=(day(0), day(1)))
    assert caught.value.count == 1
    with pytest.raises(UsageError, match="half-open"):
        lake.write(WINDOW, rows([]), window=(day(1), day(1)))
    with pytest.raises(UsageError, match="takes no window"):
        lake.write(APPEND, rows([]), window=(day(0), day(1)))


def test_full_replaces_all_unless_equal(lake: Lake) -> None:
    first = lake.write(FULL, rows([("A", 0, 1.0), ("B", 0, 2.0)]))
    assert not lake.write(FULL, rows([("B", 0, 2.0), ("A", 0, 1.0)])).is_new
    second = lake.write(FULL, rows([("B", 0, 3.0)]))
    assert second.version == first.version + 1
    assert lake.read(FULL)["quantity_ea"].to_list() == [3.0]
    assert lake.read(FULL, version=first.version).height == 2
    with pytest.raises(UsageError, match="no version 9"):
        lake.read(FULL, version=9)


def test_every_page_has_a_checksum_and_every_file_its_digest(lake: Lake) -> None:
    import pyarrow.parquet as pq

    lake.write(APPEND, rows([(f"I{n}", n % 30, float(n)) for n in range(500)]))
    for path in map(Path, lake.file_uris(APPEND)):
        assert digest_of(path) in path.name
        data = bytearray(path.read_bytes())
        chunk = pq.ParquetFile(path).metadata.row_group(0).column(2)
        data[chunk.data_page_offset + chunk.total_compressed_size - 5] ^= 1
        path.write_bytes(data)
        assert not pages_intact(path)


def test_the_same_calls_give_the_same_files(tmp_path: Path) -> None:
    names = []
    for home in ("one", "two"):
        lake = Lake(tmp_path / home)
        lake.write(APPEND, rows([("A", 0, 1.0)]))
        lake.write(APPEND, rows([("B", 0, 1.0)]))
        names.append([f.path for f in lake.files(APPEND)])
    assert names[0] == names[1]


def test_a_busy_table_names_its_writer(lake: Lake) -> None:
    impatient = Lake(lake.root, lock_timeout_s=0.1)
    path = lake.root / "_aios" / "locks" / "test_append.lock"
    with file_lock(path, "backfill"), pytest.raises(ConflictError, match=r"process \d+ on .* \(backfill\)"):
        impatient.write(APPEND, rows([("A", 0, 1.0)]))


def test_sweep_goes_by_versions(lake: Lake) -> None:
    for n in range(5):
        lake.write(FULL, rows([("A", 0, float(n))]))
    assert lake.sweep(FULL, keep_versions=2) == 3
    assert lake.read(FULL)["quantity_ea"].to_list() == [4.0]
    assert lake.read(FULL, version=4)["quantity_ea"].to_list() == [3.0]
    assert check_lake(lake) == []


def test_a_contract_may_gain_a_column_that_may_be_null(lake: Lake) -> None:
    lake.write(APPEND, rows([("A", 0, 1.0)]))
    wider = replace(APPEND, columns=(*APPEND.columns, Column("colour", "str", "colour", null_means="unknown")))
    more = rows([("B", 0, 1.0)]).with_columns(colour=pl.lit("red"))
    assert lake.read(wider)["colour"].to_list() == [None]
    assert lake.write(wider, more).is_new
    assert lake.read(wider).sort("item_id")["colour"].to_list() == [None, "red"]
    assert pl.read_delta(str(lake.folder(wider))).sort("item_id")["colour"].to_list() == [None, "red"]
    assert check_lake(lake) == []


def test_another_contract_is_refused(lake: Lake) -> None:
    lake.write(APPEND, rows([("A", 0, 1.0)]))
    never_null = replace(APPEND, columns=(*APPEND.columns, Column("colour", "str", "colour")))
    with pytest.raises(ContractError, match=r"another contract: colour .*aios rebuild"):
        lake.write(never_null, rows([("B", 0, 1.0)]).with_columns(colour=pl.lit("red")))
    narrower = replace(APPEND, columns=tuple(c for c in APPEND.columns if c.name != "note"))
    with pytest.raises(ContractError, match="another contract: note"):
        lake.write(narrower, rows([("B", 0, 1.0)]).drop("note"))


def test_what_cannot_be_derived_is_not_dropped(lake: Lake) -> None:
    lake.write(DOCUMENTS, documents(["a"]))
    with pytest.raises(UsageError, match="cannot be derived"):
        lake.drop(DOCUMENTS)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 40), st.integers(0, 5)), max_size=8), max_size=4)
)
def test_append_is_a_set_of_keys_whatever_the_batches(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[tuple[str, int, int]]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("set"))
    expected: dict[tuple[str, int], float] = {}
    for batch in batches:
        unique = {(i, d): float(q) for i, d, q in batch}
        for key, value in unique.items():
            expected.setdefault(key, value)
        for _ in range(2):
            lake.write(APPEND, rows([(i, d, q) for (i, d), q in unique.items()]))
    have = {
        (i, (at - START).days): q
        for i, at, q in lake.read(APPEND, columns=["item_id", "sold_date", "quantity_ea"]).iter_rows()
    }
    assert have == expected


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 15), st.integers(0, 3)), max_size=5))
def test_windows_end_as_if_days_were_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, calls: list[tuple[int, int, int]]
) -> None:
    lake = Lake(tmp_path_factory.mktemp("windows"))
    expected: dict[int, float] = {}
    for n, (start, length, step) in enumerate(calls):
        days = [d for d in range(start, start + length) if step and d % step == 0]
        expected = {d: q for d, q in expected.items() if not start <= d < start + length} | dict.fromkeys(
            days, float(n)
        )
        lake.write(WINDOW, rows([("A", d, float(n)) for d in days]), window=(day(start), day(start + length)))
    have = {(at - START).days: q for at, q in lake.read(WINDOW, columns=["sold_date", "quantity_ea"]).iter_rows()}
    assert have == expected
    delta = pl.read_delta(str(lake.folder(WINDOW))) if calls else pl.DataFrame()
    assert delta.height == len(expected)


# -- damage ------------------------------------------------------------------------------------------------------------


def build(lake: Lake) -> None:
    lake.write(DOCUMENTS, documents(["a", "b"]))
    lake.write(DOCUMENTS, documents(["c"]))
    rebuild(lake)


def rebuild(lake: Lake) -> None:
    for n in range(3):
        lake.write("mon_drift", drift(n), window=(day(n), day(n + 1)))


def drift(n: int) -> pl.DataFrame:
    row = (day(n), "feat", "x", "all", "psi", 0.1 * n, 0.2, None, False, 10, 20, AT)
    return pl.DataFrame([row], schema=TABLES["mon_drift"].schema, orient="row")


def flip(path: Path, at: float = 0.5) -> None:
    data = bytearray(path.read_bytes())
    data[int(len(data) * at)] ^= 0x10
    path.write_bytes(data)


def commits(lake: Lake, name: str) -> list[Path]:
    return sorted((lake.root / name / "_delta_log").glob("*.json"))


DAMAGE: dict[str, Callable[[Lake, str], object]] = {
    "bit flipped in the first file": lambda lake, name: flip(Path(lake.file_uris(name)[0])),
    "bit flipped in the last file's footer": lambda lake, name: flip(Path(lake.file_uris(name)[-1]), 0.97),
    "data file cut short": lambda lake, name: Path(lake.file_uris(name)[0]).write_bytes(b"PAR1"),
    "data file deleted": lambda lake, name: Path(lake.file_uris(name)[0]).unlink(),
    "newest commit of zero length": lambda lake, name: commits(lake, name)[-1].write_bytes(b""),
    "middle commit of zero length": lambda lake, name: commits(lake, name)[1].write_bytes(b""),
    "commit torn": lambda lake, name: commits(lake, name)[-1].write_bytes(commits(lake, name)[-1].read_bytes()[:-40]),
    "bit flipped in a commit": lambda lake, name: flip(commits(lake, name)[1]),
    "newest commit deleted": lambda lake, name: commits(lake, name)[-1].unlink(),
    "log deleted": lambda lake, name: shutil.rmtree(lake.root / name / "_delta_log"),
    "table folder deleted": lambda lake, name: shutil.rmtree(lake.root / name),
    "bit flipped in the journal": lambda lake, name: flip(lake.journal.path(name), 0.3),
}  # fmt: skip


@pytest.mark.parametrize("name", [DOCUMENTS, "mon_drift"])
@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_found_with_its_place_and_healed(lake: Lake, name: str, kind: str) -> None:
    build(lake)
    before = {n: lake.content_hash(n) for n in (DOCUMENTS, "mon_drift")}
    assert check_lake(lake) == []
    DAMAGE[kind](lake, name)
    found = check_lake(Lake(lake.root))
    assert found, kind
    assert {d.table for d in found} == {name}
    assert all(d.place and d.todo for d in found)
    done = repair(Lake(lake.root), lambda _: rebuild(Lake(lake.root)))
    assert done.left == []
    assert (done.dropped == []) or name == "mon_drift"
    fresh = Lake(lake.root)
    assert {n: fresh.content_hash(n) for n in before} == before
    assert DeltaTable(lake.root / name).version() == fresh.version(name)


@pytest.mark.parametrize("kind", [k for k in DAMAGE if k != "bit flipped in a commit"])
def test_damage_is_never_read(lake: Lake, kind: str) -> None:
    build(lake)
    DAMAGE[kind](lake, "mon_drift")
    with pytest.raises(IntegrityError, match="aios"):
        Lake(lake.root).read("mon_drift")


def test_every_bit_of_a_file_is_covered(lake: Lake) -> None:
    lake.write(APPEND, rows([("A", 0, 1.0)]))
    path = Path(lake.file_uris(APPEND)[0])
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(IntegrityError):
            Lake(lake.root).read(APPEND)
    path.write_bytes(whole)
    assert Lake(lake.root).read(APPEND).height == 1


def test_a_damaged_checkpoint_is_found_and_removed(lake: Lake) -> None:
    build(lake)
    DeltaTable(lake.root / "mon_drift").create_checkpoint()
    assert check_lake(lake) == []
    (checkpoint,) = (lake.root / "mon_drift" / "_delta_log").glob("*.checkpoint.parquet")
    checkpoint.write_bytes(checkpoint.read_bytes()[:200])
    assert [d.code for d in check_lake(lake)] == ["log"]
    assert lake.read("mon_drift").height == 3
    assert repair(lake, lambda _: pytest.fail("nothing is to be rebuilt")).left == []
    assert DeltaTable(lake.root / "mon_drift").version() == 3


def test_a_lost_second_copy_is_found_and_made_again(lake: Lake) -> None:
    build(lake)
    shutil.rmtree(lake.mirror_root / DOCUMENTS)
    assert {d.code for d in check_lake(lake)} == {"mirror"}
    assert repair(lake, lambda _: None).left == []


def test_both_copies_lost_is_said_and_nothing_is_dropped(lake: Lake) -> None:
    build(lake)
    file = lake.files(DOCUMENTS)[0]
    flip(lake.root / DOCUMENTS / file.path)
    flip(lake.mirror_root / DOCUMENTS / file.path)
    done = repair(lake, lambda _: pytest.fail("nothing can be rebuilt"))
    assert {d.code for d in done.left} == {"file", "mirror"}


def test_a_document_with_other_bytes_than_its_name_is_found(lake: Lake) -> None:
    wrong = documents(["a"]).with_columns(content=pl.lit(b"x"))
    lake.write(DOCUMENTS, wrong)
    assert [d.code for d in check_lake(lake)] == ["content"]


def test_a_row_without_its_document_does_not_reconcile(lake: Lake) -> None:
    lake.write(DOCUMENTS, documents(["a"]))
    row = ("d" * 32, "0" * 64, "lost.edi", 1, 1, False, AT)
    lake.write("raw_edi__deliveries", pl.DataFrame([row], schema=TABLES["raw_edi__deliveries"].schema, orient="row"))
    assert [(d.code, d.table) for d in check_lake(lake)] == [("reconcile", "raw_edi__deliveries")]


def test_a_rebuild_that_stops_halfway_is_damage(lake: Lake) -> None:
    build(lake)
    assert drop_derived(lake) == ["mon_drift"]
    assert [d.code for d in check_lake(lake)] == ["rebuild"]
    done = repair(lake, lambda _: rebuild(lake))
    assert done.left == []
    assert pending_rebuild(lake) == []


def test_a_torn_commit_that_was_never_acknowledged_is_moved_aside(lake: Lake) -> None:
    build(lake)
    (lake.root / "mon_drift" / "_delta_log" / f"{4:020d}.json").write_bytes(b"")
    fresh = Lake(lake.root)
    assert fresh.read("mon_drift").height == 3
    assert len(list((lake.root / "_aios" / "aside" / "mon_drift").iterdir())) == 1
    assert fresh.write("mon_drift", drift(3), window=(day(3), day(4))).version == 4


def test_a_commit_made_but_not_acknowledged_is_adopted(lake: Lake) -> None:
    build(lake)
    journal = lake.journal.path("mon_drift")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])
    fresh = Lake(lake.root)
    assert fresh.read("mon_drift").height == 3
    assert journal.read_bytes() == b"".join(lines)
