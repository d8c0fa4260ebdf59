"""The planner inside the sandbox network, a year in memory: `python benchmarks/closed_loop.py [--days 365] [--profile tiny] [--plot P.png]`.

The real planner (`planning.recommend`) decides every morning on what the min-max planner sees too: stock, open orders as
promised, trailing sales, trailing lead times, announced promotions. Its forecast is a plain one (trailing mean by weekday,
negative binomial), so that what is compared is the deciding. Both meet the same demand and the same lead times. No documents,
no nights: a day costs a planning call.

Prints cost and service of both, min-max at the planner's own fill rate, the frontier of both, and what happens when lead times
vary twice as much and when the largest supplier is lost for six weeks.
"""

from __future__ import annotations

import argparse
import dataclasses
import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aios_assets.contracts.decision_tables import PRED_DEMAND_28D, QUANTILES  # noqa: E402 (path first)
from planning.inputs import PlanInputs, PlanSpec, load_spec  # noqa: E402
from planning.recommend import recommend  # noqa: E402
from sandbox.calendar import campaigns_running  # noqa: E402
from sandbox.compare import Tally, minmax_at_service, play_minmax, scaled  # noqa: E402
from sandbox.flow import step  # noqa: E402
from sandbox.master import master_files  # noqa: E402
from sandbox.minmax import recompute  # noqa: E402
from sandbox.orders import batch_from_frame, order_name  # noqa: E402
from sandbox.play import Decide, minmax_policy, play  # noqa: E402
from sandbox.spec import Spec  # noqa: E402
from sandbox.state import FAR, NetworkState, new_network  # noqa: E402
from sandbox.writer import read_spec  # noqa: E402

HORIZON, HALF_LIFE_DAYS = 28, 28.0
SEED = 11  # the policy was set on seeds 3 and 7
FACTORS = (0.5, 0.75, 1.0, 1.3, 1.6, 2.0, 2.5, 3.0)


def master_frames(state: NetworkState) -> dict[str, pl.DataFrame]:
    """Master data as handed over until this morning, latest statement."""
    frames: dict[str, list[pl.DataFrame]] = {}
    for day in range(-1, state.day):
        for kind, text in master_files(state.net, day):
            frames.setdefault(kind, []).append(
                pl.read_csv(io.StringIO(text), infer_schema=False, null_values="").with_columns(
                    pl.lit(day).alias("_day")
                )
            )
    return {kind: pl.concat(parts) for kind, parts in frames.items()}


def latest(frame: pl.DataFrame, key: list[str], numbers: list[str], days: list[str]) -> pl.DataFrame:
    """The newest row by key with numbers and days read."""
    return (
        frame.unique(key, keep="last", maintain_order=True)
        .drop("_day")
        .with_columns(pl.col(numbers).cast(pl.Float64), pl.col(days).str.to_date("%Y-%m-%d"))
    )


def promoted(state: NetworkState, first: int, last: int) -> np.ndarray[Any, Any]:
    """Whether an item is promoted at a store, (days, sites, items), from announced campaigns."""
    net = state.net
    out = np.zeros((last - first, net.sites, net.items), dtype=bool)
    for c in campaigns_running(net, first, last):
        lo, hi = max(c.start - first, 0), min(c.end - first, last - first)
        stores = np.flatnonzero(np.asarray(net.serving) == c.centre)
        if lo < hi:
            out[lo:hi, stores[:, None], np.array(c.items)[None, :]] = True
    return out


def forecasts(state: NetworkState) -> pl.DataFrame:
    """`pred_demand__28d` of every store and item: trailing mean by weekday with the announced promotions."""
    from scipy.stats import nbinom

    net, window = state.net, len(state.seen_sales)
    days = np.arange(max(0, state.day - window), state.day)
    sales = state.seen_sales[days % window].astype(float)
    lift = state.net.spec.policy.promo_factor
    ahead = promoted(state, int(days[0]), state.day + HORIZON)
    base = sales / np.where(ahead[: days.size], lift, 1.0)
    known = (state.seen_stock[days % window] | (sales > 0)) & (days[:, None, None] >= net.introduced[None, None, :])
    weekday = (days + net.spec.start_date.weekday()) % 7
    total = np.array(
        [np.where(known, base, 0)[weekday == k].sum() / max(known[weekday == k].sum(), 1) for k in range(7)]
    )
    profile = total / max(float(total.mean()), 1e-9)
    flat = base / profile[weekday][:, None, None]
    weight = known * (0.5 ** ((state.day - 1 - days) / HALF_LIFE_DAYS))[:, None, None]
    mass = weight.sum(axis=0)
    mean = np.where(known.sum(axis=0) >= 14, (flat * weight).sum(axis=0) / np.maximum(mass, 1e-9), net.planned)
    error = np.where(
        known, (base - mean * profile[weekday][:, None, None]) ** 2 - mean * profile[weekday][:, None, None], 0
    )
    pooled = max(error.sum() / max((known * mean**2).sum(), 1e-9), 0.02)
    count = known.sum(axis=0)
    own = error.sum(axis=0) / np.maximum((known * mean**2).sum(axis=0), 1e-9)
    phi = np.clip((count * own + 28 * pooled) / (count + 28), 0.02, 3.0)  # variance = mean + phi * mean²
    future = np.arange(state.day, state.day + HORIZON)
    stores = np.flatnonzero(np.asarray(net.serving) >= 0)
    listed = np.flatnonzero(net.is_listed(state.day))
    s, i, h = (a.ravel() for a in np.meshgrid(stores, listed, np.arange(HORIZON), indexing="ij"))
    day_profile = profile[(future + net.spec.start_date.weekday()) % 7]
    mu = np.maximum(mean[s, i] * day_profile[h] * np.where(ahead[days.size + h, s, i], lift, 1.0), 1e-3)
    mu = np.where((future[h] >= net.introduced[i]) & (future[h] <= net.discontinued[i]), mu, 1e-6)
    size = 1 / phi[s, i]
    quantile = nbinom.ppf(np.array(QUANTILES)[None, :], size[:, None], (size / (size + mu))[:, None])
    origin = net.spec.date(state.day - 1)
    frame = pl.DataFrame(
        {
            "item_id": np.array(net.item_ids)[i], "site_id": np.array(net.site_ids)[s], "horizon_days": h + 1,
            "demand_qty_ea_mean": mu,
            **{f"demand_qty_ea_p{round(q * 100):02d}": quantile[:, k] for k, q in enumerate(QUANTILES)},
        }
    ).with_columns(
        pl.lit(origin).alias("origin_date"), pl.lit("trailing").alias("model_name"),
        pl.lit(state.net.spec.date(state.day)).cast(pl.Datetime("us", "UTC")).alias("available_at_utc"),
    )  # fmt: skip
    return frame.select(
        pl.col(c).cast(t) if c in frame.columns else pl.lit(None, dtype=t).alias(c)
        for c, t in PRED_DEMAND_28D.schema.items()
    )


def lead_times(state: NetworkState) -> pl.DataFrame:
    """Gamma quantiles with the trailing mean and variance of each lane, as the min-max planner sees them."""
    from scipy.stats import gamma

    net, rows = state.net, []
    for party in range(len(net.party_ids)):
        for site in range(net.sites):
            served = party < net.centres and int(net.serving[site]) == party
            bought = party >= net.sites and site < net.centres
            if served or bought:
                mean, var = max(state.lead_mean[party, site], 0.5), max(state.lead_var[party, site], 0.05)
                q = gamma.ppf(np.array(QUANTILES), mean**2 / var, scale=var / mean)
                rows.append(
                    {"source_id": net.party_ids[party], "site_id": net.site_ids[site], "lead_time_days_mean": mean}
                    | {f"lead_time_days_p{round(p * 100):02d}": float(v) for p, v in zip(QUANTILES, q, strict=True)}
                )
    return pl.DataFrame(rows).with_columns(pl.lit(net.spec.date(state.day - 1)).alias("origin_date"))


def open_orders(state: NetworkState) -> pl.DataFrame:
    """Open lines with what was announced of them; the true day of arrival is not among it."""
    net, lines = state.net, state.lines
    live = np.flatnonzero((lines["arrive"] >= state.day) & (lines["conf"] > 0))

    def day(k: int, name: str) -> Any:
        value = int(lines[name][k])
        return None if value >= FAR or value < 0 else net.spec.date(value)

    rows = [
        {
            "order_number": order_name(int(lines["kind"][k]), int(lines["order"][k])), "item_id": net.item_ids[int(lines["item"][k])],
            "site_id": net.site_ids[int(lines["dst"][k])], "source_id": net.party_ids[int(lines["src"][k])],
            "open_qty_ea": float(lines["conf"][k]), "order_date": day(k, "day"),
            "expected_date": day(k, "eta") if int(lines["ship"][k]) < state.day else None,
            "promised_date": day(k, "promise"), "requested_date": day(k, "need"),
            "shipped_qty_ea": float(lines["shipq"][k]), "received_qty_ea": 0.0,
        }
        for k in live.tolist()
    ]  # fmt: skip
    dates = dict.fromkeys(("order_date", "expected_date", "promised_date", "requested_date"), pl.Date)
    texts = dict.fromkeys(("order_number", "item_id", "site_id", "source_id"), pl.String)
    numbers = dict.fromkeys(("open_qty_ea", "shipped_qty_ea", "received_qty_ea"), pl.Float64)
    return pl.DataFrame(rows, schema={**texts, **numbers, **dates})


def inputs_of(state: NetworkState, master: dict[str, pl.DataFrame]) -> PlanInputs:
    """Everything known on the morning of `state.day`."""
    net = state.net
    known = {k: f.filter(pl.col("_day") < state.day) for k, f in master.items()}
    s, i = (
        a.ravel() for a in np.meshgrid(np.arange(net.sites), np.flatnonzero(net.is_listed(state.day)), indexing="ij")
    )
    return PlanInputs(
        forecasts=forecasts(state), lead_times=lead_times(state), open_orders=open_orders(state),
        stock=pl.DataFrame(
            {
                "item_id": np.array(net.item_ids)[i], "site_id": np.array(net.site_ids)[s],
                "on_hand_qty_ea": state.on_hand[s, i].astype(float), "stock_date": [net.spec.date(state.day - 1)] * s.size,
            }
        ),
        items=latest(known["items"], ["item_id"], ["pack_ea", "unit_cost_usd", "unit_price_usd", "shelf_life_days"],
                     ["introduced_date", "discontinued_date"]),
        sites=latest(known["sites"], ["site_id"], ["storage_capacity_ea"], []),
        suppliers=latest(known["suppliers"], ["supplier_id"], ["minimum_order_usd"], []),
        lanes=latest(known["lanes"], ["origin_id", "destination_id", "mode_code"],
                     ["quoted_lead_time_days", "cost_per_order_usd", "cost_per_ea_usd"], []),
        supplier_items=latest(known["supplier_items"], ["supplier_id", "item_id"],
                              ["unit_cost_usd", "minimum_order_ea", "preference_no"], []),
    )  # fmt: skip


def planner(
    spec: PlanSpec, master: dict[str, pl.DataFrame], said: dict[str, int] | None = None, lost: str | None = None
) -> Decide:
    """The real planner as a decision; `said` counts its decisions by kind, `lost` names a supplier that is struck out."""

    def decide(state: NetworkState) -> Any:
        day = state.net.spec.date(state.day - 1)
        known = inputs_of(state, master)
        frame = recommend(lose(known, lost) if lost else known, day, spec)
        if said is not None:
            why = pl.when(pl.col("reason").str.contains("Nothing can be decided")).then(pl.lit("undecidable"))
            kinds = frame.select(why.otherwise("decision_code").alias("kind"))["kind"]
            for kind, count in kinds.value_counts(sort=True, name="n").iter_rows():
                said[kind] = said.get(kind, 0) + count
        return batch_from_frame(state.net, frame, f"orders after {day}")

    return decide


def play_ours(
    start: NetworkState, days: int, spec: PlanSpec, said: dict[str, int] | None = None, name: str = "recommended"
) -> Tally:
    """Play the planner on a branch of `start`."""
    state, out = start.branch(), Tally(name)
    decide = planner(dataclasses.replace(spec, flip_steps=0), master_until(state, days), said)
    for result in play(state, days, decide):
        out.add(result)
    return out


def master_until(state: NetworkState, days: int) -> dict[str, pl.DataFrame]:
    """Master data of the whole play; each morning reads what was handed over before it."""
    return master_frames(dataclasses.replace(state, day=state.day + days))


def row(tally: Tally) -> dict[str, Any]:
    """One row with the headline: holding plus shortage plus expedite."""
    found = tally.row()
    found["headline_usd"] = round(found["holding_plus_shortage_usd"] + found["expedite_usd"], 2)
    return found


def start_of(spec: Spec, seed: int, warm: int) -> NetworkState:
    """A network after `warm` days under min-max."""
    state = new_network(spec, seed)
    for _ in range(warm):
        step(state, minmax_policy(spec.policy)(state))
    return state


def minmax_frontier(start: NetworkState, days: int, factors: tuple[float, ...]) -> list[dict[str, Any]]:
    """Min-max at several safety factors."""
    return [row(play_minmax(start, days, scaled(start.net.spec.policy, f), f"minmax×{f:g}")) for f in factors]


def at_fill(frontier: list[dict[str, Any]], fill: float) -> float | None:
    """Headline of the frontier at a fill rate, read between its points; None outside."""
    points = sorted((r["fill_rate_frac"], r["headline_usd"]) for r in frontier)
    rates = [p[0] for p in points]
    return None if not rates[0] <= fill <= rates[-1] else float(np.interp(fill, rates, [p[1] for p in points]))


def wider(spec: Spec, factor: float) -> Spec:
    """The same network with the variance of lead times times `factor`."""
    return dataclasses.replace(
        spec, suppliers=tuple(dataclasses.replace(s, cv_frac=s.cv_frac * factor**0.5) for s in spec.suppliers)
    )


def refused(decide: Decide, supplier: int, days: range) -> Decide:
    """A decision whose orders to one supplier are refused on some days, as a supplier that is down refuses them."""

    def blocked(state: NetworkState) -> Any:
        batch = decide(state)
        keep = ~((batch.src == state.net.sites + supplier) & (state.day in days))
        return dataclasses.replace(
            batch, item=batch.item[keep], src=batch.src[keep], dst=batch.dst[keep], qty=batch.qty[keep]
        )

    return blocked


def lose(inputs: PlanInputs, supplier: str) -> PlanInputs:
    """Inputs after the buyer struck out a supplier: no lane, no lead time, no item of it; second sources step in where there are."""
    items = inputs.frame("items").with_columns(
        pl.when(pl.col("supplier_id") == supplier).then(None).otherwise("supplier_id").alias("supplier_id")
    )
    return dataclasses.replace(
        inputs, items=items, lanes=inputs.frame("lanes").filter(pl.col("origin_id") != supplier),
        lead_times=inputs.frame("lead_times").filter(pl.col("source_id") != supplier),
        supplier_items=inputs.frame("supplier_items").filter(pl.col("supplier_id") != supplier),
    )  # fmt: skip


def lost_supplier(start: NetworkState, days: int, spec: PlanSpec, out_days: int = 42) -> list[dict[str, Any]]:
    """Both planners when the supplier of most items refuses orders for six weeks; ours is told which one it is."""
    net = start.net
    supplier = int(np.bincount(net.supplier).argmax())
    name = net.spec.suppliers[supplier].id
    down, said = range(start.day, start.day + out_days), {}  # type: ignore[var-annotated]
    master = master_until(start, days)
    plain = dataclasses.replace(spec, flip_steps=0)
    told = planner(plain, master, said, name)
    calm = planner(plain, master)
    ours = Tally(f"recommended, {name} lost")
    for result in play(start.branch(), days, refused(lambda s: (told if s.day in down else calm)(s), supplier, down)):
        ours.add(result)
    other, theirs = start.branch(), Tally(f"minmax, {name} lost")
    recompute(other, net.spec.policy)
    for result in play(other, days, refused(minmax_policy(net.spec.policy), supplier, down)):
        theirs.add(result)
    served = {i for i in range(net.items) if net.supplier[i] == supplier and net.alternative[i] < 0}
    did = f"{name} lost {out_days} days: {len(served)} of its items have no second source; lines " + ", ".join(
        f"{kind} {count}" for kind, count in sorted(said.items())
    )
    return [{**row(ours), "did": did}, row(theirs)]


def figures(profile: str, seed: int, warm: int, days: int, spec: PlanSpec, stress_days: int = 120) -> dict[str, Any]:
    """Headline, frontier and both stresses."""
    start = start_of(read_spec(profile), seed, warm)
    said: dict[str, int] = {}
    ours = row(play_ours(start, days, spec, said))
    frontier = minmax_frontier(start, days, FACTORS)
    plain = next(r for r in frontier if r["policy"] == "minmax×1")
    ways = [
        row(
            play_ours(
                start, stress_days, dataclasses.replace(spec, shortage_factor=f), name=f"recommended, shortage×{f:g}"
            )
        )
        for f in (0.3, 3.0)
    ]
    loose = wider(start.net.spec, 2.0)
    shaken = start_of(loose, seed, warm)
    stress = [
        {**row(play_ours(start, stress_days, spec)), "policy": "recommended, as it was"},
        {**row(play_ours(shaken, stress_days, spec)), "policy": "recommended, lead-time variance ×2"},
        {**row(play_minmax(start, stress_days, start.net.spec.policy, "minmax, as it was"))},
        {**row(play_minmax(shaken, stress_days, loose.policy, "minmax, lead-time variance ×2"))},
        *lost_supplier(start, stress_days, spec),
    ]
    same = at_fill(frontier, ours["fill_rate_frac"])
    return {
        "days": days, "recommended": ours, "minmax": plain, "decisions": said, "frontier": frontier,
        "saved_frac": 1 - ours["headline_usd"] / plain["headline_usd"],
        "saved_total_frac": 1 - ours["total_usd"] / plain["total_usd"],
        "saved_at_equal_fill_frac": None if same is None else 1 - ours["headline_usd"] / same,
        "ok": ours["headline_usd"] <= 0.85 * plain["headline_usd"] and ours["fill_rate_frac"] >= plain["fill_rate_frac"],
        "stress": stress, "ways": ways,
    }  # fmt: skip


def sixty_days(
    profile: str, seeds: tuple[int, ...], spec: PlanSpec, warm: int = 200, days: int = 60
) -> list[dict[str, Any]]:
    """What `aios sandbox advance --days 60 --policy recommended` compares, in memory: both planners, and min-max at equal service."""
    out = []
    for seed in seeds:
        start = start_of(read_spec(profile), seed, warm)
        ours = play_ours(start, days, spec)
        plain = play_minmax(start, days, start.net.spec.policy, "minmax")
        same = minmax_at_service(start, days, ours.fill_rate_frac)
        mine = ours.holding_and_shortage_usd
        out += [
            {"seed": seed, **row(t), "saved_frac": 1 - mine / t.holding_and_shortage_usd} for t in (ours, plain, same)
        ]
    return out


def over_seeds(profile: str, seeds: tuple[int, ...], warm: int, days: int, spec: PlanSpec) -> list[dict[str, Any]]:
    """Both planners in the networks of several seeds: what one seed shows may be its luck."""
    out = []
    for seed in seeds:
        start = start_of(read_spec(profile), seed, warm)
        ours = row(play_ours(start, days, spec))
        plain = row(play_minmax(start, days, start.net.spec.policy, "minmax"))
        for found in (ours, plain):
            found["policy"] = f"seed {seed}, {found['policy']}"
            found["saved_frac"] = 1 - ours["headline_usd"] / plain["headline_usd"]
            out.append(found)
    return out


def draw(found: dict[str, Any], path: Path) -> None:
    """Cost against service: min-max at its safety factors, and the planner."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4.5))
    points = sorted((r["fill_rate_frac"], r["headline_usd"], r["policy"]) for r in found["frontier"])
    axis.plot([p[0] for p in points], [p[1] for p in points], marker="o", label="min-max by safety factor")
    for rate, cost, name in points:
        axis.annotate(name.removeprefix("minmax"), (rate, cost))
    ours = found["recommended"]
    axis.scatter([ours["fill_rate_frac"]], [ours["headline_usd"]], color="tab:red", zorder=3, label="recommended")
    axis.set(
        xlabel="fill rate", ylabel="holding + shortage + expedite, USD", title=f"{found['days']} days, same demand"
    )
    axis.legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def show(rows: list[dict[str, Any]]) -> None:
    """A table on standard output."""
    columns = ("holding_usd", "shortage_usd", "expedite_usd", "headline_usd", "ordering_usd", "total_usd")
    print(f"{'policy':38s}" + "".join(f"{c:>15s}" for c in (*columns, "fill_rate")))
    for r in rows:
        print(f"{r['policy']:38s}" + "".join(f"{r[c]:15,.0f}" for c in columns) + f"{r['fill_rate_frac']:15.4f}")


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", default="tiny")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--warm", type=int, default=120)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--plot", type=Path)
    parser.add_argument(
        "--seeds", default="", help="several seeds, separated by commas: headline only, no frontier, no stresses"
    )
    given = parser.parse_args()
    started = time.process_time()
    if given.seeds:
        seeds = tuple(int(s) for s in given.seeds.split(","))
        rows = over_seeds(given.profile, seeds, given.warm, given.days, load_spec())
        show(rows)
        print(json.dumps({r["policy"]: round(r["saved_frac"], 4) for r in rows[::2]}))
        print(f"{time.process_time() - started:.1f} CPU-seconds")
        return 0 if all(r["saved_frac"] >= 0.15 for r in rows) else 1
    found = figures(given.profile, given.seed, given.warm, given.days, load_spec())
    show([found["recommended"], *found["frontier"]])
    print()
    show([*found["stress"], *found["ways"]])
    print("\n".join(r["did"] for r in found["stress"] if "did" in r))
    if given.plot:
        draw(found, given.plot)
    print(
        json.dumps(
            {
                k: found[k]
                for k in ("days", "saved_frac", "saved_total_frac", "saved_at_equal_fill_frac", "decisions", "ok")
            }
        )
    )
    print(f"{time.process_time() - started:.1f} CPU-seconds")
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
