"""The stateless plan and its replay: every sentence of bad input, the game's timing, constraints."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import typer
import yaml
from typer.testing import CliRunner

from aios_assets import cli_plan
from aios_assets.contracts.errors import BadInputError, InfeasibleError
from planning.config import PlanConfig, parse_config
from planning.empirical import counted_paths, dispersion
from planning.panel import build_panel, build_state, counting_unit
from planning.simulate.replay import replay
from planning.stateless import Terms, decide, exposed_need

START = date(2025, 1, 6)
GOOD: dict[str, Any] = {"period": "W", "lead_time_periods": 2, "holding_cost": 0.2, "shortage_cost": 1.0}
app = typer.Typer()
cli_plan.mount(app)


def history(weeks: int = 12) -> pl.DataFrame:
    g = np.random.default_rng(1)
    rows = [("a", "x", START + timedelta(weeks=w), int(g.poisson(5)), True) for w in range(weeks)]
    rows += [("b", "x", START + timedelta(weeks=w), int(g.poisson(1)), w != 3) for w in range(weeks)]
    return pl.DataFrame(rows, schema=["store", "product", "week", "units", "in_stock"], orient="row")


def state(on_hand: float = 2, **more: Any) -> pl.DataFrame:
    base = pl.DataFrame(
        {
            "store": ["a", "b"],
            "product": ["x", "x"],
            "on_hand_units": [float(on_hand), 1.0],
            "in_transit_1_units": [3, 0],
            "in_transit_2_units": [0, 1],
        }
    )
    return base.with_columns(**more)


def run(
    tmp: Path,
    *,
    hist: pl.DataFrame | None = None,
    st: pl.DataFrame | None = None,
    config: Any = None,
    as_of: str = "",
    extra: tuple[str, ...] = (),
) -> Any:
    hist = history() if hist is None else hist
    hist.write_parquet(tmp / "h.parquet")
    (state() if st is None else st).write_csv(tmp / "s.csv")
    (tmp / "c.yaml").write_text(yaml.safe_dump(GOOD if config is None else config))
    last = as_of or (START + timedelta(weeks=11)).isoformat()
    return CliRunner().invoke(
        app,
        ["plan", str(tmp / "h.parquet"), "--keys", "store,product", "--time", "week", "--target", "units", "--in-stock", "in_stock",
         "--state", str(tmp / "s.csv"), "--config", str(tmp / "c.yaml"), "--as-of", last, "--out", str(tmp / "o.csv"), "--json", *extra],
    )  # fmt: skip


def test_plan_writes_orders(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    orders = pl.read_csv(tmp_path / "o.csv")
    assert orders.columns[:5] == ["store", "product", "quantity_units", "expected_cost", "reason"]
    assert orders["quantity_units"][0] > 0
    again = run(tmp_path)
    assert pl.read_csv(tmp_path / "o.csv").equals(orders) and again.exit_code == 0


def test_keys_with_leading_zeros_stay_as_written(tmp_path: Path) -> None:
    """History and state as CSV: store 07 is not store 7."""
    names = pl.col("store").replace({"a": "07", "b": "7"})
    history().with_columns(names).write_csv(tmp_path / "h.csv")
    state().with_columns(names).write_csv(tmp_path / "s.csv")
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(GOOD))
    last = (START + timedelta(weeks=11)).isoformat()
    done = CliRunner().invoke(
        app,
        ["plan", str(tmp_path / "h.csv"), "--keys", "store,product", "--time", "week", "--target", "units", "--in-stock", "in_stock",
         "--state", str(tmp_path / "s.csv"), "--config", str(tmp_path / "c.yaml"), "--as-of", last, "--out", str(tmp_path / "o.csv")],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    orders = pl.read_csv(tmp_path / "o.csv", schema_overrides={"store": pl.String})
    assert orders["store"].to_list() == ["07", "7"] and orders["quantity_units"][0] > 0


def test_demand_in_fractions_is_ordered_like_demand_in_pieces(tmp_path: Path) -> None:
    """Tonnes with two decimals instead of sacks: the same orders, a hundredth as large. Whole tonnes would order nothing."""
    g = np.random.default_rng(3)
    rows = [
        (f"s{i % 5}", f"p{i}", START - timedelta(weeks=w), int(n), True)
        for i in range(30) for w, n in enumerate(g.poisson(g.uniform(1, 12), 60))
    ]  # fmt: skip
    sacks = pl.DataFrame(rows, schema=["store", "product", "week", "units", "in_stock"], orient="row")
    stock = sacks.select("store", "product").unique(maintain_order=True).with_columns(
        on_hand_units=pl.lit(6.0), in_transit_1_units=pl.lit(2.0)
    )  # fmt: skip
    ordered = {}
    for name, factor in (("sacks", 1.0), ("tonnes", 0.01)):
        part = tmp_path / name
        part.mkdir()
        result = run(
            part, hist=sacks.with_columns(pl.col("units") * factor), st=stock.with_columns(pl.col("^.*_units$") * factor),
            as_of=START.isoformat(), extra=("--model", "ses"),
        )  # fmt: skip
        assert result.exit_code == 0, result.output
        assert ("in steps of 0.01" in (result.stderr or result.output)) == (name == "tonnes")
        ordered[name] = pl.read_csv(part / "o.csv")["quantity_units"]
    assert (ordered["sacks"] > 0).sum() > 10
    assert ordered["tonnes"].to_list() == (ordered["sacks"] / 100).to_list()


@pytest.mark.parametrize(
    ("values", "unit"),
    [([3, 0, 12], 1.0), ([0.5, 1.0, 7.5], 0.1), ([0.25, 0.4], 0.01), ([2000.5, 3000.0], 1.0), ([1 / 3, 2 / 3], 0.001), ([0, 0], 1.0)],
)  # fmt: skip
def test_demand_is_counted_in_its_last_decimal(values: list[float], unit: float) -> None:
    assert counting_unit(np.array([values])) == pytest.approx(unit)


def test_spread_of_large_demand_is_not_cut_to_that_of_small() -> None:
    """Boxes of a thousand counted one by one vary by the same share."""
    g = np.random.default_rng(5)
    demand = np.rint(5_000 * g.lognormal(-0.08, 0.4, (60, 100)))
    phi = dispersion(demand, np.ones(demand.shape, dtype=bool))
    paths = counted_paths(np.full((1, 1), 5_000.0), phi, 4_000, 7, ["a"])
    assert paths.std() / paths.mean() == pytest.approx(0.42, rel=0.1)


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ({"st": state(-4)}, "stock or transit is negative: 1 rows, nothing ordered"),
        ({"st": pl.concat([state(), state().with_columns(store=pl.lit("ghost")).head(1)])}, "unknown to the history: 1 rows, nothing ordered"),
        ({"st": state().head(1)}, "the state has no row: 1 rows, nothing ordered"),
        ({"config": {**GOOD, "capacity_units": 5, "pack_units": 12}}, "capacity is below a single pack"),
        ({"config": {k: v for k, v in GOOD.items() if k != "lead_time_periods"}}, "lead_time_periods is missing"),
        ({"config": {**GOOD, "holding_cost": 0}}, "holding_cost is 0"),
        ({"config": {**GOOD, "shortage_cost": 0}}, "shortage_cost is 0"),
        ({"config": {**GOOD, "lead_time_periods": -1}}, "lead_time_periods is -1"),
        ({"config": {**GOOD, "lead_time_periods": {1: 0.5, 2: 0.4}}}, "sum to 0.9"),
        ({"config": {**GOOD, "budget": 3, "pack_units": 12}}, "9 below a single pack"),
        ({"config": {**GOOD, "period": "Q"}}, "period is 'Q'"),
        ({"config": {**GOOD, "colour": 1}}, "unknown keys colour"),
        ({"config": [1]}, "not a mapping"),
        ({"as_of": "2025-02-03"}, "older than the history"),
        ({"as_of": "2025-09-01"}, "periods before --as-of"),
        ({"as_of": "soon"}, "not a day"),
        ({"st": state(state_date=pl.lit("2025-01-06"))}, "older than the history"),
        ({"st": state().drop("on_hand_units")}, "on_hand_units is missing"),
        ({"st": pl.concat([state(), state()])}, "a key comes twice"),
        ({"hist": history().drop("units")}, "column units is missing"),
        ({"hist": history().with_columns(units=pl.lit(-1))}, "'units' is negative"),
        ({"hist": pl.concat([history(), history().head(1)])}, "come twice"),
        ({"hist": history().with_columns(week=pl.lit("yesterday"))}, "is no day"),
        ({"hist": history().head(0)}, "no rows"),
        ({"config": {**GOOD, "holding_cost": "nowhere.csv"}}, "no such file"),
    ],
)  # fmt: skip
def test_bad_input_has_its_sentence(tmp_path: Path, what: dict[str, Any], sentence: str) -> None:
    result = run(tmp_path, **what)
    text = (result.output + (result.stderr or "")).replace("\n", " ")
    assert sentence in text, text
    assert "Traceback" not in text
    if result.exit_code == 0:
        orders = pl.read_csv(tmp_path / "o.csv")
        assert orders.filter(pl.col("reason").str.starts_with("Nothing ordered"))["quantity_units"].sum() == 0
    else:
        assert not (tmp_path / "o.csv").exists()


def test_costs_and_packs_by_key(tmp_path: Path) -> None:
    pl.DataFrame({"store": ["a", "b"], "product": ["x", "x"], "pack_units": [4, 1]}).write_csv(tmp_path / "packs.csv")
    result = run(tmp_path, config={**GOOD, "pack_units": "packs.csv"})
    assert result.exit_code == 0, result.output
    assert pl.read_csv(tmp_path / "o.csv")["quantity_units"][0] % 4 == 0


def test_solve_command(tmp_path: Path) -> None:
    (tmp_path / "i.json").write_text(json.dumps({"inputs": {"K": 8, "h": 0.225, "lam": 1300}}))
    result = CliRunner().invoke(app, ["solve", "eoq", "--from", str(tmp_path / "i.json"), "--json"])
    assert json.loads(result.output)["Q"] == pytest.approx(304.0467800264368)
    assert CliRunner().invoke(app, ["solve", "eoq"]).exit_code == 2


def test_simulate_command(tmp_path: Path) -> None:
    run(tmp_path)
    result = CliRunner().invoke(
        app,
        ["simulate", str(tmp_path / "h.parquet"), "--keys", "store,product", "--time", "week", "--target", "units", "--state", str(tmp_path / "s.csv"),
         "--config", str(tmp_path / "c.yaml"), "--from", "2025-02-03", "--to", "2025-03-24", "--plot", str(tmp_path / "p.png"), "--json"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)["policies"]
    assert [p["policy"] for p in found] == ["recommended", "cover", "tsb"]
    assert (tmp_path / "p.png").stat().st_size > 1000


def simulate_from(
    tmp: Path,
    hist: pl.DataFrame,
    st: pl.DataFrame,
    policy: str = "recommended,cover,tsb",
    to: str = "2025-03-17",
    extra: tuple[str, ...] = (),
) -> Any:
    hist.write_parquet(tmp / "h.parquet")
    st.write_csv(tmp / "s.csv")
    (tmp / "c.yaml").write_text(yaml.safe_dump(GOOD))
    return CliRunner().invoke(
        app,
        ["simulate", str(tmp / "h.parquet"), "--keys", "store,product", "--time", "week", "--target", "units", "--state", str(tmp / "s.csv"),
         "--config", str(tmp / "c.yaml"), "--from", "2025-02-03", "--to", to, "--policy", policy, "--json", *extra],
    )  # fmt: skip


def test_a_series_that_starts_later_joins_when_it_starts(tmp_path: Path) -> None:
    late = [("c", "x", START + timedelta(weeks=w), 4, True) for w in range(6, 12)]  # sold from 2025-02-17 on
    after = [("d", "x", START + timedelta(weeks=11), 4, True)]  # sold after --to only
    hist = pl.concat([history(), pl.DataFrame([*late, *after], schema=history().schema, orient="row")])
    result = simulate_from(tmp_path, hist, state())
    assert result.exit_code == 0, result.output
    text = result.stderr or result.output
    assert "1 series are first sold after --from" in text and "1 series are first sold after --to" in text
    found = json.loads(result.stdout.splitlines()[-1])
    assert (found["series"], found["joined_series"], found["absent_series"]) == (3, 1, 1)
    alone = json.loads(simulate_from(tmp_path, history(), state()).stdout.splitlines()[-1])
    for both, one in zip(found["policies"], alone["policies"], strict=True):
        assert both["units_demanded"] == one["units_demanded"] + 5 * 4, "played from its first week to --to"


def test_days_behind_the_history_are_said_not_to_be_played(tmp_path: Path) -> None:
    result = simulate_from(tmp_path, history(), state(), "cover", to="2025-04-14")
    assert result.exit_code == 0, result.output
    assert "ends with the period of 2025-03-24: 3 periods up to --to are not played" in (result.stderr or result.output)
    found = json.loads(result.stdout.splitlines()[-1])
    assert (found["periods"], found["first_period"], found["last_period"]) == (7, "2025-02-10", "2025-03-24")


def test_nothing_is_ordered_before_a_series_starts() -> None:
    from planning.simulate.compare import compare

    late = pl.DataFrame(
        [("c", "x", START + timedelta(weeks=w), 4, True) for w in range(6, 12)], schema=history().schema, orient="row"
    )
    panel = build_panel(pl.concat([history(), late]), ["store", "product"], "week", "units", "W", in_stock="in_stock")
    stock = build_state(state(), panel)
    found = compare(
        panel, stock, CONFIG, terms(3), date(2025, 2, 3), date(2025, 3, 17), ["recommended", "cover", "tsb"],
        lambda p, h: np.nan_to_num(np.repeat(p.demand[:, None, -1:], 16, axis=1).repeat(h, axis=2)).astype(np.float32),
    )  # fmt: skip
    for name, played in found.items():
        # rounds are the evenings of 3, 10, 17 February …; the first week sold is that of the 17th
        assert played.ordered[2, :2].sum() == 0, name
        assert played.demand[2].tolist() == [0, 4, 4, 4, 4, 4], name
        assert played.served[2, 1:4].sum() == 0, name


def terms(n: int, **change: float) -> Terms:
    base = {"holding": 0.2, "shortage": 1.0, "pack": 1.0, "minimum": 0.0, "capacity": np.nan} | change
    return Terms(**{k: np.full(n, v) for k, v in base.items()})


CONFIG = parse_config(GOOD, "test")


def test_the_games_timing() -> None:
    """Lead time 2: ordered at the end of week 0, on the shelf at the start of week 3."""
    panel = build_panel(history(), ["store", "product"], "week", "units", "W")
    out = replay(
        panel,
        3,
        5,
        np.zeros(2),
        np.zeros((2, 2)),
        CONFIG,
        terms(2),
        lambda p, x, t, r: np.full(2, 1000.0 if r == 0 else 0.0),
    )
    assert out.left[:, :2].sum() == 0 and (out.left[:, 2] > 900).all()


def test_the_planner_sees_no_future() -> None:
    panel = build_panel(history(), ["store", "product"], "week", "units", "W")
    seen: list[int] = []
    replay(
        panel,
        3,
        5,
        np.zeros(2),
        np.zeros((2, 2)),
        CONFIG,
        terms(2),
        lambda p, x, t, r: (seen.append(len(p.periods)), np.zeros(2))[1],
    )
    assert seen == [4, 5, 6, 7, 8]


def test_state_is_matched_by_key_in_any_order() -> None:
    panel = build_panel(history(), ["store", "product"], "week", "units", "W")
    found = build_state(state().reverse(), panel)
    assert found.on_hand.tolist() == [2.0, 1.0] and found.in_transit.tolist() == [[3.0, 0.0], [0.0, 1.0]]


def paths(seed: int = 0, n: int = 8) -> np.ndarray:
    return np.random.default_rng(seed).poisson(4, (n, 200, 3)).astype(np.float32)


def test_budget_goes_to_the_units_worth_most() -> None:
    import dataclasses

    n = 8
    free = decide(paths(), np.zeros(n), np.zeros((n, 2)), CONFIG, terms(n))
    tight = decide(paths(), np.zeros(n), np.zeros((n, 2)), dataclasses.replace(CONFIG, budget=10.0), terms(n))
    assert tight.quantity.sum() == 10 and free.quantity.sum() > 10
    rich = terms(n)
    rich.shortage[3] = 50.0
    favoured = decide(paths(), np.zeros(n), np.zeros((n, 2)), dataclasses.replace(CONFIG, budget=6.0), rich)
    assert favoured.quantity[3] == favoured.quantity.max() > 0


def test_capacity_and_minimum_bind() -> None:
    n = 8
    held = decide(paths(), np.full(n, 10.0), np.zeros((n, 2)), CONFIG, terms(n, capacity=11.0))
    assert (held.quantity <= 1).all()
    least = decide(paths(), np.zeros(n), np.zeros((n, 2)), CONFIG, terms(n, minimum=6.0, pack=4.0))
    assert set(least.quantity) <= {0.0, 8.0, 12.0, 16.0}


def test_an_order_on_the_way_is_never_ordered_again() -> None:
    n = 8
    first = decide(paths(), np.zeros(n), np.zeros((n, 2)), CONFIG, terms(n))
    transit = np.zeros((n, 3))
    transit[:, 2] = first.quantity
    second = decide(paths(), np.zeros(n), transit, CONFIG, terms(n))
    assert second.quantity.sum() == 0


def test_lost_sales_need_by_hand() -> None:
    need, stock, exposed = exposed_need(
        np.array([3.0]), np.array([[1.0, 0.0]]), np.array([[[2, 5, 4]]], dtype=np.float32), np.array([2]), 1, True
    )
    assert (need.item(), stock.item(), exposed.item()) == (4.0, 0.0, 4.0)
    waiting, _, _ = exposed_need(
        np.array([3.0]), np.array([[1.0, 0.0]]), np.array([[[2, 5, 4]]], dtype=np.float32), np.array([2]), 1, False
    )
    assert waiting.item() == 7.0


def test_permuting_series_permutes_orders() -> None:
    n = 8
    order = np.random.default_rng(3).permutation(n)
    on_hand = np.arange(n, dtype=float)
    straight = decide(paths(), on_hand, np.zeros((n, 2)), CONFIG, terms(n)).quantity
    mixed = decide(paths()[order], on_hand[order], np.zeros((n, 2)), CONFIG, terms(n)).quantity
    np.testing.assert_array_equal(mixed, straight[order])


def test_random_lead_time_uses_its_shares() -> None:
    config = parse_config({**GOOD, "lead_time_periods": {1: 0.25, 3: 0.75}}, "test")
    assert isinstance(config, PlanConfig) and config.longest == 3 and config.horizon == 4
    with pytest.raises(BadInputError, match="between 0 and 1"):
        parse_config({**GOOD, "critical_ratio": 1.2}, "test")
    with pytest.raises(InfeasibleError):
        parse_config({**GOOD, "budget": 1, "pack_units": 2}, "test")
