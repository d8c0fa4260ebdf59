"""Planning against its figures: `python benchmarks/bench_planning.py [--game] [--windows 6] [--shared ../shared] [--json]`.

Prints one line per figure: what was measured, the limit, CPU-seconds. The inventory game (`--game`) learns a model per round and
takes some 30 CPU-seconds a round; the rest takes about two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU-seconds and result."""
    start = time.process_time()
    found = work()
    return time.process_time() - start, found


def nights() -> list[dict[str, Any]]:
    """A night of recommendations for 720 and 30,000 item × site."""
    from planning.inputs import load_spec
    from planning.recommend import recommend
    from tests.unit.planning.big_world import network
    from tests.unit.planning.planning_world import AS_OF

    out = []
    for items, stores, limit in ((80, 9, 3.0), (3000, 9, 90.0)):
        inputs = network(items, stores)
        seconds, frame = cpu(partial(recommend, inputs, AS_OF, load_spec()))
        out.append(
            {
                "figure": f"recommendations, {items * (stores + 1):,} item × site",
                "cpu_s": seconds,
                "limit": limit,
                "rows": frame.height,
                "ok": seconds <= limit,
            }
        )
    return out


def simulator() -> list[dict[str, Any]]:
    """Item-days per CPU-second of the closed loop."""
    from planning.simulate.engine import Rules, simulate

    g = np.random.default_rng(1)
    demand = np.tile(g.poisson(3, (2000, 365)).astype(np.float32), (10, 1))
    leads = np.broadcast_to(g.integers(2, 9, (1, 365)).astype(np.int8), demand.shape).copy()
    rules = Rules.order_up_to(np.full(20_000, 30.0), 7)
    simulate(demand[:10], leads[:10], Rules.order_up_to(np.full(10, 30.0), 7), np.full(10, 30.0))
    seconds, _ = cpu(lambda: simulate(demand, leads, rules, np.full(20_000, 30.0)))
    rate = demand.size / seconds
    return [
        {
            "figure": "simulator, item-days per CPU-second",
            "value": rate,
            "limit": 2e8,
            "cpu_s": seconds,
            "ok": rate >= 2e8,
        }
    ]


def transfers() -> list[dict[str, Any]]:
    """Transfer LP of 1,000 items × 8 sites."""
    from planning.transfers import plan_transfers

    g = np.random.default_rng(2)
    stock = g.integers(0, 30, (1000, 8)).astype(np.float64)
    demand = g.poisson(g.uniform(2, 15, (1000, 8, 1)), (1000, 8, 50)).astype(np.float64)
    freight = g.uniform(0.2, 1.0, (8, 8))
    seconds, plan = cpu(lambda: plan_transfers(stock, demand, g.uniform(1, 9, 1000), np.full(1000, 0.1), freight))
    return [
        {
            "figure": "transfer LP, 1,000 items × 8 sites",
            "cpu_s": seconds,
            "limit": 2.0,
            "saved_frac": 1 - plan.cost / plan.cost_without,
            "ok": seconds <= 2,
        }
    ]


def spare_parts(shared: Path) -> list[dict[str, Any]]:
    """MAN spare parts: holding plus ordering cost against (s, S) by the normal approximation at equal fill rate, walk-forward."""
    from planning.simulate.spare_parts import compare_at_equal_fill

    path = shared / "data" / "spareparts" / "man_3451x150.parquet"
    if not path.is_file():
        return [{"figure": "MAN spare parts", "skipped": f"{path} is not there"}]
    seconds, found = cpu(lambda: compare_at_equal_fill(pl.read_parquet(path)))
    return [
        {
            "figure": "MAN spare parts, cost against (s,S) at equal fill rate",
            "cpu_s": seconds,
            "ok": all(r["saving_frac"] > 0 for r in found),
            "table": found,
        }
    ]


def game(shared: Path, windows: int) -> list[dict[str, Any]]:
    """The inventory game in windows of 8 weeks inside the history: ours against the organisers' benchmark and TSB."""
    from aios_assets.plan_forecasts import STEP, Planner, Source
    from planning.config import parse_config
    from planning.panel import build_panel
    from planning.simulate.game import play_windows
    from planning.stateless import Terms

    path = shared / "data" / "vn2" / "sales_weekly.parquet"
    if not path.is_file():
        return [{"figure": "inventory game", "skipped": f"{path} is not there"}]
    rows = pl.read_parquet(path)
    config = parse_config({"period": "W", "lead_time_periods": 2, "holding_cost": 0.2, "shortage_cost": 1.0}, "game")
    keys = ["store_id", "product_id"]
    panel = build_panel(rows, keys, "week_start", "units", "W", in_stock="in_stock")
    n = panel.keys.height
    terms = Terms(*(np.full(n, v) for v in (0.2, 1.0, 1.0, 0.0, np.nan)))
    source = Source(rows, tuple(keys), "week_start", "units", "in_stock")
    planner = Planner(config, source, "auto", terms, keep=STEP["W"])
    seconds, found = cpu(lambda: play_windows(panel, config, planner.paths, windows, planner.ratio))
    mean = {k: float(np.mean([w[k] for w in found])) for k in ("recommended", "cover", "tsb")}
    saving = 1 - mean["recommended"] / mean["cover"]
    return [
        {
            "figure": f"inventory game, {windows} windows",
            "cpu_s": seconds,
            "saving_frac": saving,
            "limit": 0.15,
            "ok": saving >= 0.15,
            "mean": mean,
            "table": found,
        }
    ]


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--game", action="store_true")
    parser.add_argument("--windows", type=int, default=6)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("AIOS_SHARED", ROOT.parent / "shared")))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = [
        *nights(),
        *simulator(),
        *transfers(),
        *spare_parts(given.shared),
        *(game(given.shared, given.windows) if given.game else []),
    ]
    for row in rows:
        print(
            json.dumps(row)
            if given.json
            else "  ".join(f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}" for k, v in row.items())
        )
    return 0 if all(r.get("ok", True) for r in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
