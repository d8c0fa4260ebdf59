"""Providers, the min-max opponent, the comparison, the command line."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import sandbox
from aios_assets import cli_sandbox
from aios_assets.contracts.errors import BadInputError, UsageError
from sandbox import writer
from sandbox.compare import minmax_at_service, play_minmax, scaled
from sandbox.minmax import minmax_orders, position
from sandbox.orders import batch_from_frame, order_name
from sandbox.state import new_network

SPEC = writer.read_spec("tiny")
DECISIONS = {
    "item_id": pl.String, "site_id": pl.String, "source_id": pl.String, "quantity_ea": pl.Float64,
    "decision_code": pl.String, "order_number": pl.String,
}  # fmt: skip


def frame(*rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=DECISIONS, orient="row")


def empty(day: dt.date) -> pl.DataFrame:
    return frame()


@pytest.fixture()
def root(tmp_path: Path, tiny) -> Path:
    """A private copy of the tiny sandbox."""
    import shutil

    shutil.copytree(tiny.root, tmp_path / "box")
    return tmp_path / "box"


def test_orders_are_rounded_to_packs_merged_and_sorted() -> None:
    net = new_network(SPEC, 7).net
    supplier = net.party_ids[net.sites + int(net.supplier[0])]
    pack = int(net.pack[0])
    batch = batch_from_frame(
        net,
        frame(
            (net.item_ids[0], "DC01", supplier, 1.0, "replenish", None),
            (net.gtins[0], net.site_glns[0], supplier, float(pack), "switch_supplier", None),
            (net.item_ids[1], "ST002", "DC01", 5.0, "replenish", None),
            (net.item_ids[2], "ST002", None, 0.0, "none", None),
        ),
    )
    assert batch.qty.tolist() == [5, 2 * pack] and batch.item.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("I99999", "ST001", "DC01", 3.0, "replenish", None), "unknown item"),
        (("I00001", "ST999", "DC01", 3.0, "replenish", None), "unknown site"),
        (("I00001", "ST001", "DC77", 3.0, "replenish", None), "unknown source"),
        (("I00001", "ST001", "DC01", -3.0, "replenish", None), "missing or negative"),
        (("I00001", "ST001", "DC01", None, "transfer", None), "missing or negative"),
        (("I00001", "DC01", "DC01", 3.0, "transfer", None), "other than its source"),
        (("I00001", "DC01", "SUP01", 3.0, "expedite", None), "needs its order_number"),
    ],
)
def test_orders_that_cannot_be_are_refused_in_one_sentence(row: tuple[object, ...], said: str) -> None:
    with pytest.raises(BadInputError, match=said):
        batch_from_frame(new_network(SPEC, 7).net, frame(row))


def test_missing_columns_are_named() -> None:
    with pytest.raises(BadInputError, match="decision_code"):
        batch_from_frame(new_network(SPEC, 7).net, frame().drop("decision_code"))


def test_minmax_orders_up_to_max_once_and_not_again() -> None:
    state = new_network(SPEC, 7)
    sandbox.advance(state, 30)
    first = minmax_orders(state, SPEC.policy)
    before = position(state)
    for item, dst, qty in zip(first.item, first.dst, first.qty, strict=True):
        assert before[dst, item] <= state.low[dst, item]
        assert before[dst, item] + qty >= state.high[dst, item]
        state.on_hand[dst, item] += qty  # as if it had come: nothing is needed any more
    assert len(minmax_orders(state, SPEC.policy).item) == 0


def test_more_safety_gives_more_service_and_more_stock() -> None:
    state = new_network(SPEC, 7)
    sandbox.advance(state, 100)
    lean, rich = (play_minmax(state, 60, scaled(SPEC.policy, f), "x") for f in (0.2, 3.0))
    assert lean.fill_rate_frac < rich.fill_rate_frac and lean.stock_ea < rich.stock_ea
    assert lean.costs["holding_usd"] < rich.costs["holding_usd"]
    between = (lean.fill_rate_frac + rich.fill_rate_frac) / 2
    matched = minmax_at_service(state, 60, between)
    assert between <= matched.fill_rate_frac <= between + 0.01
    assert state.day == 100


def test_provider_is_asked_when_the_night_is_in_the_inbox_and_its_orders_are_told(root: Path) -> None:
    asked: list[dt.date] = []

    def provide(day: dt.date) -> pl.DataFrame:
        asked.append(day)
        assert sandbox.current_date(root) == day
        folder = sandbox.root_inbox(root) / "edi" / f"{day:%Y/%m/%d}"
        assert any(folder.iterdir())
        return frame(("I00001", "ST001", "DC01", 2.0, "replenish", None))

    start = sandbox.current_date(root)
    sandbox.advance_days(root, 3, provide)
    assert asked == [start + dt.timedelta(days=n) for n in range(3)]
    new = pl.read_parquet(root / "truth" / "orders" / f"{start + dt.timedelta(days=1)}_*.parquet")
    assert new.select("item_id", "site_id", "source_id", "ordered_qty_ea").rows() == [("I00001", "ST001", "DC01", 2)]
    told = list((sandbox.root_inbox(root) / "edi" / f"{start + dt.timedelta(days=1):%Y/%m/%d}").glob("850_*"))
    assert len(told) == 1 and new["order_number"][0] in told[0].read_text()


def test_transfers_between_stores_leave_one_shelf_and_reach_the_other(root: Path) -> None:
    state = writer.load_state(root)
    item = int(state.on_hand[1].argmax())
    batch = batch_from_frame(state.net, frame((state.net.item_ids[item], "ST002", "ST001", 3.0, "transfer", None)))
    from sandbox.flow import step

    result = step(state, batch)
    assert result.outbound[1, item] == 3 and result.placed["kind"].tolist() == [2]
    later = sandbox.advance(state, 4, empty)
    assert (
        sum(int(r.received.where(r.received["order"] == result.placed["order"][0])["recv"].sum()) for r in later) == 3
    )
    assert order_name(2, 5) == "TO0000005"


@pytest.mark.parametrize("policy", ["recommended", "minmax"])
def test_comparison_plays_both_from_the_same_morning(root: Path, policy: str) -> None:
    start = sandbox.current_date(root)
    twin = writer.load_state(root)
    seen: list[Path] = []

    def make(where: Path):
        seen.append(where)
        return empty

    found = sandbox.compare(root, 14, policy, make)
    assert sandbox.current_date(root) == start + dt.timedelta(days=14)
    assert (seen == [root]) == (policy == "recommended")
    rows = {r["policy"]: r for r in found["policies"]}
    plain = play_minmax(twin, 14, SPEC.policy, "minmax")
    assert rows["minmax"]["holding_usd"] == pytest.approx(plain.costs["holding_usd"], abs=0.01)
    assert rows["recommended"]["fill_rate_frac"] < rows["minmax"]["fill_rate_frac"]  # ordering nothing loses sales
    assert rows["recommended"]["ordering_usd"] == 0
    assert {"saved_against_minmax_frac", "saved_against_minmax_same_service_frac"} <= set(found)
    assert [p.name for p in root.parent.iterdir()] == ["box"]  # the copy is gone
    if policy == "minmax":
        final = writer.load_state(root)
        sandbox.advance(twin, 14)
        assert (final.on_hand == twin.on_hand).all()


def test_comparison_without_a_provider_says_so(root: Path) -> None:
    with pytest.raises(UsageError, match="nobody provides"):
        sandbox.compare(root, 5, "recommended")
    with pytest.raises(UsageError, match="no policy 'best'"):
        sandbox.compare(root, 5, "best")


def test_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_sandbox, "_hook", [])
    run = CliRunner().invoke
    box = str(tmp_path / "box")
    made = run(cli_sandbox.app, ["new", "--profile", "tiny", "--seed", "3", "--root", box, "--json"])
    assert made.exit_code == 0 and json.loads(made.output)["days_played"] == 200
    assert run(cli_sandbox.app, ["new", "--profile", "tiny", "--root", box]).exit_code == 1
    assert run(cli_sandbox.app, ["status", "--root", str(tmp_path / "none")]).exit_code == 1
    assert run(cli_sandbox.app, ["advance", "--root", box, "--days", "0"]).exit_code == 2
    assert run(cli_sandbox.app, ["advance", "--root", box, "--policy", "recommended"]).exit_code == 2
    one = run(cli_sandbox.app, ["advance", "--root", box, "--days", "2", "--json"])
    assert json.loads(one.output)["days_played"] == 202
    cli_sandbox.set_recommended(lambda where: empty)
    both = run(cli_sandbox.app, ["advance", "--root", box, "--days", "5", "--policy", "recommended"])
    assert both.exit_code == 0 and "minmax_same_service" in both.output and "fill_rate_frac" in both.output
    shown = run(cli_sandbox.app, ["status", "--root", box])
    assert "days_played" in shown.output and "207" in shown.output


def test_the_copied_home_is_removed_unless_it_was_there_before_or_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aios_assets import closed_loop
    from aios_assets.settings import Settings

    monkeypatch.setattr(cli_sandbox, "_hook", [])
    monkeypatch.setattr(closed_loop, "decisions", lambda settings, day: empty(day))
    (tmp_path / "own" / "lake").mkdir(parents=True)
    cli_sandbox.set_recommended(closed_loop.recommended(Settings(home=tmp_path / "own")))
    box, copy = tmp_path / "box", tmp_path / "box-home"
    run = CliRunner().invoke
    run(cli_sandbox.app, ["new", "--profile", "tiny", "--seed", "3", "--root", str(box)])
    ask = ["advance", "--root", str(box), "--days", "1", "--policy", "recommended", "--json"]
    found = run(cli_sandbox.app, ask)
    assert found.exit_code == 0 and json.loads(found.output)["nights"] == 1
    assert not copy.exists() and (tmp_path / "own" / "lake").is_dir()
    assert run(cli_sandbox.app, [*ask, "--keep"]).exit_code == 0
    assert (copy / "lake").is_dir()
    assert run(cli_sandbox.app, ask).exit_code == 0
    assert copy.is_dir(), "it was there before this call"
