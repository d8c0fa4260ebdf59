"""Same seed, same bytes; one by one equals all at once; demand does not depend on what was ordered."""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

import sandbox
from aios_assets.contracts.errors import BadInputError, ConflictError, IntegrityError, UsageError
from sandbox import writer
from sandbox.orders import OrderBatch
from sandbox.play import play
from sandbox.state import new_network

SHORT = 40


@pytest.fixture()
def short_spec(tmp_path: Path) -> str:
    """A tiny network with 40 days of history and many faults."""
    text = (Path(sandbox.__file__).parent / "specs" / "tiny.yaml").read_text()
    text = text.replace("history_days: 200", f"history_days: {SHORT}").replace("start_day: 150", "start_day: 10")
    text = text.replace("from_day: 20", "from_day: 2").replace("rate_frac: 0.003", "rate_frac: 0.05")
    path = tmp_path / "short.yaml"
    path.write_text(text)
    return str(path)


def digest(root: Path) -> dict[str, tuple[str, int]]:
    """SHA-256 and modification time of every file in the inbox."""
    inbox = sandbox.root_inbox(root)
    return {
        str(p.relative_to(inbox)): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
        for p in sorted(inbox.rglob("*"))
        if p.is_file()
    }


def test_same_seed_same_bytes_other_seed_other_bytes(short_spec: str, tmp_path: Path) -> None:
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        sandbox.create(tmp_path / name, short_spec, seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")
    faults = [(tmp_path / n / "truth" / "faults.jsonl").read_bytes() for n in ("a", "b")]
    assert faults[0] == faults[1] and len(faults[0].splitlines()) > 20


def test_day_by_day_equals_one_long_advance(short_spec: str, tmp_path: Path) -> None:
    for name in ("long", "short"):
        sandbox.create(tmp_path / name, short_spec, 7)
    sandbox.advance_days(tmp_path / "long", 12)
    for _ in range(12):
        sandbox.advance_days(tmp_path / "short", 1)
    assert digest(tmp_path / "long") == digest(tmp_path / "short")
    one, two = (writer.load_state(tmp_path / n) for n in ("long", "short"))
    for name in writer.STATE_ARRAYS:
        assert np.array_equal(getattr(one, name), getattr(two, name)), name
    assert one.counters == two.counters and one.pending == two.pending
    assert sandbox.current_date(tmp_path / "long") == sandbox.current_date(tmp_path / "short")


def test_an_advance_that_was_cut_off_is_repeated_without_a_trace(short_spec: str, tmp_path: Path) -> None:
    for name in ("whole", "cut"):
        sandbox.create(tmp_path / name, short_spec, 7)
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "cut" / "state", kept)
    sandbox.advance_days(tmp_path / "cut", 5)
    shutil.rmtree(tmp_path / "cut" / "state")
    shutil.copytree(kept, tmp_path / "cut" / "state")  # killed before the state was saved
    for name in ("whole", "cut"):
        sandbox.advance_days(tmp_path / name, 9)
    assert digest(tmp_path / "whole") == digest(tmp_path / "cut")
    faults = [(tmp_path / n / "truth" / "faults.jsonl").read_bytes() for n in ("whole", "cut")]
    assert faults[0] == faults[1]


def test_demand_does_not_depend_on_orders() -> None:
    state = new_network(writer.read_spec("tiny"), 7)
    idle = state.branch()
    fed = sandbox.advance(state, 60)
    starved = play(idle, 60, lambda _: OrderBatch())
    assert all((a.demand == b.demand).all() for a, b in zip(fed, starved, strict=True))
    assert sum(r.sales.sum() for r in starved) < sum(r.sales.sum() for r in fed)


def test_a_branch_leaves_the_original_untouched() -> None:
    state = new_network(writer.read_spec("tiny"), 7)
    before = dataclasses.replace(state.branch())
    sandbox.advance(state.branch(), 20)
    assert state.day == before.day and (state.on_hand == before.on_hand).all() and state.counters == before.counters


def test_bad_calls_say_what_and_what_to_do(tmp_path: Path, short_spec: str) -> None:
    with pytest.raises(BadInputError, match="no sandbox here"):
        sandbox.advance_days(tmp_path / "nowhere", 1)
    with pytest.raises(BadInputError, match="no profile 'huge'"):
        sandbox.create(tmp_path / "x", "huge")
    sandbox.create(tmp_path / "y", short_spec, 1)
    with pytest.raises(ConflictError, match="already"):
        sandbox.create(tmp_path / "y", short_spec, 1)
    with pytest.raises(UsageError, match="at least 1"):
        sandbox.advance_days(tmp_path / "y", 0)
    next((tmp_path / "y" / "state").glob("arrays_*.npz")).write_bytes(b"not an archive")
    with pytest.raises(IntegrityError, match="damaged"):
        sandbox.advance_days(tmp_path / "y", 1)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("stores: 3\n", "", "missing keys"),
        ("stores: 3\n", "stores: 3\nshops: 4\n", "unknown keys"),
        ("share_frac: 0.25, rate_ea: [8, 22]", "share_frac: 0.5, rate_ea: [8, 22]", "add up to 1"),
        ("family: lognormal", "family: uniform", "gamma or lognormal"),
        ("kind: duplicate", "kind: flood", "faults must be among"),
        ("profile: tiny", "profile: [tiny", "not valid YAML"),
    ],
)
def test_a_wrong_specification_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = (Path(sandbox.__file__).parent / "specs" / "tiny.yaml").read_text()
    assert old in text
    (tmp_path / "s.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(BadInputError, match=said):
        sandbox.create(tmp_path / "z", str(tmp_path / "s.yaml"))
