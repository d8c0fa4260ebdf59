"""Seeded trials of the gates: false alarms, planted drift, bad and good challengers, canary, rollback, history, speed.

The limits were chosen on other seeds (`TUNING`); what is printed was never looked at while choosing them (`JUDGING`). Give
`--seeds N` for a judgement on seeds of your own.

Run: python -m benchmarks.bench_gates [--json] [--rows 1000000] [--no-evidently] [--only drift,speed] [--seeds 20261123]
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import polars as pl

from aios_assets.contracts.decision_tables import MON_DEPLOYMENTS
from aios_assets.contracts.gates import Evidence
from benchmarks.gates_drift import Row, drift_trials
from ml.promotion.canary import STEPS, assign_canary, shares
from ml.promotion.cost import cost_difference, cost_evidence
from ml.promotion.deployments import Verdict, champion_at, deployment_row, live_at, promotion_rows
from ml.promotion.judge import QUANTILE_COLUMNS, judge_challenger, score_rows
from ml.promotion.rollback import judge_kpis, tick
from monitoring.drift import measure_drift
from monitoring.gates import load_thresholds

Floats = npt.NDArray[np.float64]
START = date(2024, 1, 1)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
DAY = date(2025, 1, 1)
T = load_thresholds()
TUNING, JUDGING = 0, 20_261_123
SEED = {"base": JUDGING}


CLASSES = {"smooth": 20.0, "erratic": 10.0, "intermittent": 0.6, "lumpy": 2.0}


GRID = np.geomspace(0.005, 2000.0, 1200)
PRIOR = 0.5


@lru_cache(maxsize=64)
def quantile_table(noise: float) -> Floats:
    """Quantiles of a negative binomial whose mean is known up to a relative error `noise`, over a grid of means."""
    from scipy.stats import nbinom

    size = 1.0 / noise**2
    return np.stack([nbinom.ppf(q, size, size / (size + GRID)) for q in QUANTILE_COLUMNS])


def backtest(
    seed: int,
    noise: float,
    *,
    bias: float = 0.0,
    width: float = 1.0,
    spoil: str = "",
    leak: float = 0.0,
    series: int = 40,
) -> pl.DataFrame:
    """Rolling-origin rows of one model: its mean is off by a relative deviation `noise`, and its quantiles know it.

    Spoils: a bias, intervals `width` times too wide, one class with six times the error, a share `leak` of the answer.
    """
    truth = np.random.default_rng([SEED["base"], 1, seed])
    mine = np.random.default_rng([SEED["base"], 2, seed, round(noise * 1000), round(1000 * (1 + bias))])
    frames = []
    for name, level in CLASSES.items():
        off = noise * (6.0 if name == spoil else 1.0)
        for origin in range(4):
            n = series * 28
            log_mean = truth.normal(np.log(level), PRIOR, n)
            y = truth.poisson(np.exp(log_mean)).astype(np.float64)
            # what a forecaster who sees the log mean with error `off` must believe, by Bayes' rule
            variance = 1.0 / (1.0 / PRIOR**2 + 1.0 / off**2)
            centre = variance * (np.log(level) / PRIOR**2 + (log_mean + mine.normal(0, off, n)) / off**2)
            guess = np.exp(centre + variance / 2) * (1 + bias)
            guess = (1 - leak) * guess + leak * np.maximum(y, 0.02)
            table = quantile_table(round(math.sqrt(math.expm1(variance)) * (1 - leak) + 1e-3, 6))
            place = np.clip(np.searchsorted(GRID, guess), 0, GRID.size - 1)
            mid = table[3, place]
            q = {
                c: np.maximum(mid + width * (table[j, place] - mid), 0.0)
                for j, c in enumerate(QUANTILE_COLUMNS.values())
            }
            start = DAY - timedelta(days=28 * (origin + 1))
            frames.append(pl.DataFrame({"demand_class": [name] * n, "origin_date": [start] * n, "target_date": [start + timedelta(days=27)] * n,
                                        "actual_ea": y, "demand_qty_ea_mean": guess, **q}))  # fmt: skip
    return pl.concat(frames)


def costs(seed: int, gain: float) -> Evidence:
    """Simulated costs of 800 item × site over 26 weeks under common random numbers, and their upper bound."""
    rng = np.random.default_rng([SEED["base"], 3, seed])
    units, weeks = 800, 26
    old = rng.gamma(0.7, 40.0, units)[:, None] * rng.gamma(6, 1 / 6, (units, weeks))
    new = old * (1 - gain) * np.exp(rng.normal(0, 0.25, (units, weeks)) + rng.normal(0, 0.05, (units, 1)) - 0.0325)
    keys = pl.DataFrame(
        {
            "item_id": np.repeat(np.arange(units).astype(str), weeks),
            "site_id": "S",
            "week_date": [DAY - timedelta(days=7 * w) for w in range(weeks)] * units,
        }
    )
    found = cost_difference(
        keys.with_columns(pl.Series("cost_usd", old.ravel())),
        keys.with_columns(pl.Series("cost_usd", new.ravel())),
        seed=seed,
        draws=1000,
    )
    return cost_evidence(found, newest=DAY)


def decide(seed: int, challenger: pl.DataFrame, cost: Evidence) -> bool:
    """Whether a challenger is promoted against champion and naive on the same days."""
    scores = pl.concat(
        [
            score_rows(challenger, "challenger"),
            score_rows(backtest(seed, 0.25), "champion"),
            score_rows(backtest(seed, 0.7, width=1.3), "naive"),
        ]
    )
    return (
        judge_challenger(scores, subject="demand:c", as_of=DAY, limits=T.gates, cost=cost, require_cost=True).decision
        == "promote"
    )


def challenger_trials() -> list[Row]:
    """Fifty bad challengers, whose cost looks 5 % better so that the quality gates alone must stop them; fifty good ones."""
    kinds: dict[str, Callable[[int], pl.DataFrame]] = {
        "leaky": lambda s: backtest(s, 0.2, leak=0.85),
        "biased": lambda s: backtest(s, 0.2, bias=0.15 if s % 2 else -0.15),
        "miscalibrated": lambda s: backtest(s, 0.2, width=0.55 if s % 2 else 1.8),
        "bad in one class": lambda s: backtest(s, 0.2, spoil=("intermittent", "lumpy")[s % 2]),
        "no cheaper": lambda s: backtest(s, 0.2),
    }
    rows, wrong = [], 0
    for k, (kind, make) in enumerate(kinds.items()):
        passed = sum(
            decide(s, make(s), costs(s, 0.0 if kind == "no cheaper" else 0.05)) for s in range(100 * k, 100 * k + 10)
        )
        wrong += passed
        rows.append((f"  of them {kind}", f"{passed} of 10", "", passed == 0))
    good = sum(decide(900 + s, backtest(900 + s, 0.2), costs(900 + s, 0.03)) for s in range(50))
    return [("bad challengers promoted", f"{wrong} of 50", "0", wrong == 0), *rows,
            ("challengers truly 3 % cheaper promoted", f"{good} of 50", "at least 45", good >= 45)]  # fmt: skip


def refusal_trials() -> list[Row]:
    """Evidence that cannot be judged, at every gate."""
    unfit = {
        "missing": None, "no value": Evidence(None, 10**6, DAY), "NaN": Evidence(math.nan, 10**6, DAY), "infinite": Evidence(math.inf, 10**6, DAY),
        "too few rows": Evidence(0.0, 0, DAY), "rows unknown": Evidence(0.0, None, DAY), "stale": Evidence(0.0, 10**6, DAY - timedelta(days=999)),
        "from the future": Evidence(0.0, 10**6, DAY + timedelta(days=1)), "mismatched schema": Evidence(0.0, 10**6, DAY, problem="columns missing: y"),
    }  # fmt: skip
    tried = refused = 0
    for gate in T.gates:
        for evidence in unfit.values():
            decision = T.judge(gate, evidence, subject="s", as_of=DAY)
            tried += 1
            refused += not decision.is_passed and decision.reason.startswith("refused: ")
    return [("unfit evidence refused with its reason", f"{refused} of {tried}", "all", refused == tried)]


def canary_trials() -> list[Row]:
    """Shares per stratum, the same side always, growth without anybody leaving."""
    rng = np.random.default_rng([SEED["base"], 5])
    n = 30_000
    units = pl.DataFrame({"item_id": [f"I{i % 3000}" for i in range(n)], "site_id": [f"S{i // 3000}" for i in range(n)],
                          "stratum": rng.choice([a + x for a in "ABC" for x in "XYZ"], n)})  # fmt: skip
    worst, left, moved, previous = 0.0, 0, 0, None
    for share in STEPS:
        now = assign_canary(units, share, rollout="demand:7", previous=previous)
        again = assign_canary(units.sample(fraction=1.0, shuffle=True, seed=2), share, rollout="demand:7", previous=now)
        moved += int((now["is_canary"] != again["is_canary"]).sum())
        gap = (shares(now)["share_frac"] - share).abs().max()
        worst = max(worst, float(gap) if isinstance(gap, float) else math.inf)
        if previous is not None:
            left += int((previous["is_canary"] & ~now["is_canary"]).sum())
        previous = now
    return [("canary share off per stratum, worst", f"{100 * worst:.2f} points", "within 1", worst <= 0.01),
            ("units that changed side", f"{left + moved} of {n * len(STEPS)}", "0", left + moved == 0)]  # fmt: skip


def kpi_units(seed: int, drop: float) -> pl.DataFrame:
    """A week of 3,000 item × site, one in twenty in the canary."""
    rng = np.random.default_rng([SEED["base"], 4, seed])
    n = 3000
    wanted, canary = rng.gamma(1.0, 30.0, n) + 1, rng.random(n) < 0.05
    fill = np.clip(rng.beta(40, 2, n) - drop * canary, 0, 1)
    return pl.DataFrame({"is_canary": canary, "wanted_qty_ea": wanted, "sales_qty_ea": wanted * fill, "days": 7.0,
                         "stockout_days": rng.binomial(7, np.clip(0.03 + drop * canary, 0, 1)).astype(float), "expedite_cost_usd": rng.gamma(0.3, 2.0, n)})  # fmt: skip


def rollback_trials() -> list[Row]:
    """Planted KPI drops and quiet runs, one tick each; counted is the alias after the tick."""
    table = promotion_rows(
        MON_DEPLOYMENTS.empty(),
        decision="promote",
        model_name="m",
        model_version="1",
        model_digest="a",
        reason="r",
        instant=NOW,
    )
    table = pl.concat(
        [
            table,
            promotion_rows(
                table,
                decision="promote",
                model_name="m",
                model_version="2",
                model_digest="b",
                reason="r",
                instant=NOW + timedelta(days=1),
            ),
        ]
    )
    moved = {}
    for name, drop in (("planted", 0.06), ("quiet", 0.0)):
        back = 0
        for s in range(20):
            found = judge_kpis(
                kpi_units(s, drop), kpi_units(s + 500, 0.0), subject="m:2", as_of=DAY, newest=DAY, limits=T.gates
            )
            instant = NOW + timedelta(days=2)
            after = pl.concat([table, tick(table, found, model_name="m", instant=instant).deployments])
            back += champion_at(after, instant, "m") == "1"
        moved[name] = back
    return [("rollback within one tick after a KPI drop", f"{moved['planted']} of 20", "20", moved["planted"] == 20),
            ("rollback in quiet runs", f"{moved['quiet']} of 20", "0", moved["quiet"] == 0)]  # fmt: skip


def history_trials() -> list[Row]:
    """1,000 random instants over a year of changes, against a plain replay."""
    rng = np.random.default_rng([SEED["base"], 6])
    rows: list[pl.DataFrame] = []
    events = []
    for k, hour in enumerate(sorted(rng.choice(24 * 365, 120, replace=False).tolist())):
        alias = ("champion", "canary", "shadow", "challenger")[int(rng.choice(4, p=[0.3, 0.4, 0.15, 0.15]))]
        share = 1.0 if alias in ("champion", "shadow") else float(rng.choice([0.0, 0.01, 0.05, 0.25]))
        verdict: Verdict = (
            "reject"
            if alias == "challenger"
            else ("rollback" if alias == "champion" and rng.random() < 0.3 else "promote")
        )
        at = NOW + timedelta(hours=hour)
        rows.append(
            deployment_row(
                model_name="m",
                model_version=str(k),
                model_digest=f"d{k}",
                alias=alias,
                share_frac=share,
                valid_from_utc=at,
                verdict=verdict,
                reason="x",
            )
        )  # type: ignore[arg-type]
        events.append((at, alias, str(k), share, verdict))
    table, right = pl.concat(rows), 0
    for minute in rng.integers(-1000, 60 * 24 * 366, 1000):
        at = NOW + timedelta(minutes=int(minute))
        state = {alias: (v, s) for when, alias, v, s, verdict in events if when <= at and verdict != "reject"}
        state = {a: x for a, x in state.items() if x[1] > 0}
        if "champion" in state and "canary" in state:
            state["champion"] = (state["champion"][0], 1.0 - state["canary"][1])
        right += {
            r["alias"]: (r["model_version"], r["share_frac"]) for r in live_at(table, at, "m").iter_rows(named=True)
        } == state
    return [("what was live, random instants answered rightly", f"{right} of 1000", "1000", right == 1000)]


def speed_trials(rows: int, evidently: bool) -> list[Row]:
    """Both engines on the same rows × 30 columns, three of them drifted; CPU seconds."""
    from monitoring.drift import build_reference as build

    rng = np.random.default_rng([SEED["base"], 7])
    names = [f"c{i:02d}" for i in range(30)]
    reference = pl.DataFrame(
        {c: rng.gamma(2, 2, rows) if i % 3 else rng.normal(size=rows) for i, c in enumerate(names)}
    )
    shift = {"c03": 0.8, "c07": 2.0, "c12": -0.7}
    current = pl.DataFrame(
        {
            c: (rng.gamma(2, 2, rows) if i % 3 else rng.normal(size=rows)) + shift.get(c, 0.0)
            for i, c in enumerate(names)
        }
    )
    day = pl.lit(START).alias("d")
    start = time.process_time()
    pinned = build(reference.with_columns(day), subject="x", columns=names, date_column="d", window_days=1)
    pin_s = time.process_time() - start
    start = time.process_time()
    ours = measure_drift([pinned], current, drift_date=DAY, available_at_utc=NOW, thresholds=T)
    ours_s = time.process_time() - start
    mine = set(ours.filter("is_drifted")["column_name"])
    out = [
        (
            f"drift of {rows:,} × 30: ours finds exactly the planted columns",
            f"{pin_s:.2f} + {ours_s:.2f} CPU-s",
            "exactly these",
            mine == set(shift),
        )
    ]
    if evidently:
        from monitoring.reports import drift_report

        drift_report(
            reference.head(500), current.head(500), columns=names[:2], thresholds=T, seed=1
        )  # imports are not counted
        start = time.process_time()
        theirs = drift_report(reference, current, columns=names, thresholds=T, seed=1, sample_rows=rows)
        peer_s = time.process_time() - start
        same = mine == set(theirs.verdicts.filter("is_drifted")["column_name"])
        ratio = peer_s / (pin_s + ours_s)
        out.append(
            (
                "  the same by Evidently's preset (PSI), same run",
                f"{peer_s:.1f} CPU-s, {ratio:.0f} × ours",
                "at least 20 ×",
                ratio >= 20,
            )
        )
        out.append(("  same verdicts by column", "yes" if same else f"no: {sorted(mine)}", "yes", same))
    return out


def quiet_levels() -> list[Row]:
    """How far values stray when nothing is wrong: what the limits of class, coverage, bias and KPIs leave as room."""
    worst: dict[str, float] = {}
    for s in range(300, 400):
        same = pl.concat(
            [
                score_rows(backtest(s, 0.25, bias=0.001), "challenger"),
                score_rows(backtest(s, 0.25), "champion"),
                score_rows(backtest(s, 0.7, width=1.3), "naive"),
            ]
        )
        verdict = judge_challenger(same, subject="demand:c", as_of=DAY, limits=T.gates)
        found = judge_kpis(kpi_units(s, 0.0), kpi_units(s + 500, 0.0), subject="m:2", as_of=DAY, newest=DAY, limits=T.gates)  # fmt: skip
        for d in (*verdict.decisions, *found):
            if d.value is not None and d.gate_code in ("promote_class_worst", "promote_coverage", "promote_bias", "kpi_fill_rate", "kpi_stockout", "kpi_expedite_cost"):  # fmt: skip
                worst[d.gate_code] = max(worst.get(d.gate_code, -math.inf), d.value)
    return [
        (f"worst of 100 quiet runs: {gate}", f"{value:.4f}", f"at most {T.gates[gate].value:g}", value <= T.gates[gate].value)
        for gate, value in sorted(worst.items())
    ]  # fmt: skip


def show(rows: list[Row], seconds: dict[str, float]) -> str:
    """The one table: what, found, target, verdict; parts of a total are indented and have no target of their own."""
    lines = [f"{'what':<66} {'found':>28}   {'target':<14} verdict", "-" * 122]
    for what, found, wanted, ok in rows:
        lines.append(f"{what:<66} {found:>28}   {wanted:<14} {('ok' if ok else 'MISSED') if wanted else ''}".rstrip())
    spent = ", ".join(f"{name} {s:.1f}" for name, s in seconds.items())
    return "\n".join([*lines, "-" * 122, f"seeds {SEED['base']}; CPU-seconds: {spent}"])


def main() -> None:
    """Print the table; exit 1 when a target is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--no-evidently", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--seeds", type=int, default=JUDGING)
    args = parser.parse_args()
    SEED["base"] = args.seeds
    trials: dict[str, Callable[[], list[Row]]] = {
        "drift": lambda: drift_trials(SEED["base"]), "challengers": challenger_trials, "refusals": refusal_trials, "canary": canary_trials,
        "rollback": rollback_trials, "history": history_trials, "quiet": quiet_levels,
        "speed": lambda: speed_trials(args.rows, not args.no_evidently),
    }  # fmt: skip
    table: list[Row] = []
    seconds: dict[str, float] = {}
    for name, trial in trials.items():
        if args.only and name not in args.only.split(","):
            continue
        start = time.process_time()
        table += trial()
        seconds[name] = time.process_time() - start
    if args.json:
        print(json.dumps([{"what": w.strip(), "found": f, "wanted": t, "ok": o} for w, f, t, o in table]))
    else:
        print(show(table, seconds))
    if any(wanted and not ok for _, _, wanted, ok in table):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
