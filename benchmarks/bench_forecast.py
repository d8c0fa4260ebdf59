"""Forecasting against its peers: `python -m benchmarks.bench_forecast [--series 12000] [--days 1941] [--accuracy NAMES] [--shared ../shared]`.

Speed on a synthetic M5 shape (whole M5: `--series 30490`, which takes 20 GB), every peer in the same run, ratios of CPU-seconds (the
wall clock of a shared machine means little). Accuracy on the real data beside the repository: the newest window is kept from
training, every baseline gets the same calibration of quantiles. `--accuracy ""` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
import numpy as np
import polars as pl

from benchmarks import forecast_speed as speed
from benchmarks.forecast_speed import START, cpu

VN1_WEEKS = 13  # of each phase
SHARE_DAYS = 4  # days that an item's mean per day on sale counts beside its newest 28 days
ROOT = Path(__file__).resolve().parents[1]


# --- accuracy on real data ----------------------------------------------------------------------------------------------
def _long(frame: pl.DataFrame, key: str, columns: list[str], days: list[date]) -> pl.DataFrame:
    wide = frame.select(columns).cast(pl.Float64).to_numpy()
    n, t = wide.shape
    return pl.DataFrame(
        {
            "key": frame[key].cast(pl.String)[np.repeat(np.arange(n), t)],
            "time": pl.Series(days)[np.tile(np.arange(t), n)],
            "y": wide.ravel(),
        }
    )


def _months(year: int, n: int) -> list[date]:
    return [date(year + i // 12, i % 12 + 1, 1) for i in range(n)]


def load(name: str, data: Path) -> tuple[pl.DataFrame, list[str], Any, int, dict[str, Any]]:
    """Frame, keys, frequency, horizon, further columns of one data set."""
    if name == "dominicks":
        rows = pl.read_parquet(data / "dominicks_oj/oj_sales.parquet")
        own = pl.coalesce([pl.when(pl.col("brand") == i).then(pl.col(f"price{i}")) for i in range(1, 12)])
        rows = rows.with_columns(
            y=pl.col("logmove").exp().round(),
            time=pl.lit(date(1989, 9, 14)) + pl.duration(weeks=pl.col("week") - 1),
            price=own,
        )
        return (
            rows.select("store", "brand", "time", "y", "price", "deal", "feat"),
            ["store", "brand"],
            "W",
            8,
            {"ahead": ["price", "deal", "feat"]},
        )
    if name == "vn1":
        rows = pl.read_parquet(data / "vn1/vn1_phase1_phase2.parquet").rename({"week": "time", "units": "y"})
        return rows, ["Client", "Warehouse", "Product"], "W", 8, {}
    if name == "vn2":
        rows = pl.read_parquet(data / "vn2/sales_weekly.parquet").rename({"week_start": "time", "units": "y"})
        return (
            rows,
            ["store_id", "product_id"],
            "W",
            8,
            {"in_stock": "in_stock", "static": pl.read_parquet(data / "vn2/products.parquet")},
        )
    if name == "raf":
        rows = pl.read_parquet(data / "spareparts/raf_5000x84.parquet")
        return _long(rows, rows.columns[0], rows.columns[4:], _months(1996, 84)), ["key"], "M", 6, {}
    if name == "man":
        rows = pl.read_parquet(data / "spareparts/man_3451x150.parquet")
        return (
            _long(rows, "sku", rows.columns[7:], [date(2012, 1, 2) + timedelta(weeks=i) for i in range(150)]),
            ["key"],
            "W",
            12,
            {},
        )
    if name == "auto":
        rows = pl.read_parquet(data / "spareparts/auto_3000x24.parquet")
        return _long(rows, "sku", rows.columns[1:], _months(2010, 24)), ["key"], "M", 4, {}
    if name == "carparts":
        rows = pl.read_parquet(data / "carparts/carparts_wide.parquet")
        return _long(rows, "Part", rows.columns[1:], _months(1998, 51)), ["key"], "M", 6, {}
    rows = pl.read_parquet(data / "m5/sales_levels1_9_d1_1941.parquet").with_columns(
        k=pl.format("{}|{}", "level", "key")
    )
    return (
        _long(rows, "k", [f"d_{i}" for i in range(1, 1942)], [START + timedelta(days=i) for i in range(1941)]),
        ["key"],
        "D",
        28,
        {},
    )


def accuracy(name: str, data: Path) -> dict[str, Any]:
    """One data set, its newest horizon kept back: ours against every statistical baseline."""
    from ml.backtest import backtest_panel
    from ml.forecasting import PanelSpec
    from ml.panel import build_panel

    frame, keys, freq, horizon, extra = load(name, data)
    panel = build_panel(
        frame, keys, "time", "y", freq, horizon, in_stock=extra.get("in_stock"), static=extra.get("static")
    )
    if "ahead" in extra:
        panel = replace(panel, future=_covariates(frame, keys, panel, extra["ahead"], horizon))
    spent, result = cpu(lambda: backtest_panel(panel, PanelSpec(horizon), 1))
    table = result.summary()
    total = {r["model"]: r for r in table.filter(pl.col("by") == "all").iter_rows(named=True)}
    others = {m: r for m, r in total.items() if m != "aios"}
    pin, rms = min(others.values(), key=lambda r: r["pinball"]), min(others.values(), key=lambda r: r["rmsse"])
    ours = total["aios"]
    classes = table.filter((pl.col("by") == "demand_class") & (pl.col("model") == "aios"))
    out = {
        "data": name, "pinball": round(ours["pinball"], 4), "best_baseline": f"{pin['model']} {pin['pinball']:.4f}",
        "pinball_ratio": round(ours["pinball"] / pin["pinball"], 3), "rmsse": round(ours["rmsse"], 4),
        "best_baseline_rmsse": f"{rms['model']} {rms['rmsse']:.4f}", "rmsse_ratio": round(ours["rmsse"] / rms["rmsse"], 3),
        "coverage80": round(ours["coverage80_frac"], 3),
        "by_class": {r["segment"]: round(r["coverage80_frac"], 3) for r in classes.iter_rows(named=True) if r["rows"] >= 500},
        "bias": round(ours["bias_frac"], 3), "chosen": result.chosen[0]["all"], "cpu_s": round(spent, 1),
    }  # fmt: skip
    return out


def _covariates(frame: pl.DataFrame, keys: list[str], panel: Any, names: list[str], horizon: int) -> dict[str, Any]:
    place = panel.keys.with_row_index("_s")
    rows = frame.with_columns([pl.col(k).cast(pl.String) for k in keys]).join(place, on=keys, how="left")
    t = ((rows["time"] - panel.first).dt.total_days() // 7).to_numpy()
    out = {}
    for name in names:
        out[name] = np.full((panel.n, panel.periods + horizon), np.nan)
        out[name][rows["_s"].to_numpy(), t] = rows[name].cast(pl.Float64).to_numpy()
    return out


def vn1_challenge(data: Path) -> dict[str, Any]:
    """VN1 as it was set: thirteen weeks known, thirteen ahead; the organisers' score is absolute error plus absolute bias over units sold.

    Their 12-week mean scores 0.8046 (published). The entrants knew three years, of which the newest quarter is here.
    """
    from ml.backtest import backtest_panel
    from ml.forecasting import PanelSpec
    from ml.panel import build_panel

    frame, keys, freq, _, _ = load("vn1", data)
    panel = build_panel(frame, keys, "time", "y", freq, VN1_WEEKS)
    spent, result = cpu(lambda: backtest_panel(panel, PanelSpec(VN1_WEEKS), 1))
    table = result.summary().filter(pl.col("by") == "all")
    scores = dict(table.select("model", pl.col("wape_frac") + pl.col("bias_frac").abs()).iter_rows())
    ours, best = scores.pop("aios"), min(scores, key=lambda model: scores[model])
    return {
        "data": "vn1, organisers' score, 13 weeks", "ours": round(ours, 4), "best_baseline": f"{best} {scores[best]:.4f}",
        "twelve_week_mean": 0.8046, "ratio": round(ours / scores[best], 3), "cpu_s": round(spent, 1),
    }  # fmt: skip


def wrmsse(data: Path) -> dict[str, Any]:
    """M5's WRMSSE of d_1914–1941, bottom up from the 70 store × department series with events and SNAP days as known ahead.

    Items get their share of department and store by their units of the 28 days up to d_1913 (dollars of those days, as the
    weights are made from, over the mean price), drawn a little towards their mean per day on sale.
    """
    from ml.backtest import cut
    from ml.forecasting import PanelSpec, forecast_panel
    from ml.panel import build_panel

    frame, keys, freq, horizon, _ = load("m5", data)
    panel = cut(
        build_panel(frame.filter(pl.col("key").str.starts_with("9|")), keys, "time", "y", freq, horizon), 1913, horizon
    )
    names = panel.keys["key"].to_list()
    panel = replace(panel, future=_m5_calendar(data, names), texts=("event",))
    spent, made = cpu(lambda: forecast_panel(panel, PanelSpec(horizon)))
    means = dict(zip(names, made.frame["mean"].to_numpy().reshape(panel.n, horizon), strict=True))
    bottom = pl.read_parquet(data / "m5/sales_bottom_d1914_1941.parquet")
    stats = pl.read_parquet(data / "m5/series_stats_d1_1913.parquet").select(
        "item_id",
        "store_id",
        sold=(pl.col("dollar_sales") / pl.col("mean_price") + SHARE_DAYS * pl.col("Mean")) / (28 + SHARE_DAYS),
    )
    items = bottom.join(stats, on=["item_id", "store_id"], how="left").with_columns(
        share=pl.col("sold") / pl.col("sold").sum().over("store_id", "dept_id")
    )
    forecast = (
        np.array([means[f"9|{s}|{d}"] for s, d in items.select("store_id", "dept_id").iter_rows()])
        * items["share"].to_numpy()[:, None]
    )
    truth = items.select([f"d_{i}" for i in range(1914, 1942)]).cast(pl.Float64).to_numpy()
    scores = _weighted(items, forecast, truth, pl.read_parquet(data / "m5/scale_weights.parquet"))
    upper = float(np.mean([scores[level] for level in range(1, 10)]))
    return {
        "data": "m5 WRMSSE d_1914-1941", "levels_1_to_9": round(upper, 4), "all_levels": round(float(np.mean(list(scores.values()))), 4),
        "by_level": scores, "cpu_s": round(spent, 1),
    }  # fmt: skip


def _m5_calendar(data: Path, names: list[str]) -> dict[str, Any]:
    """Codes of the day's event, a text, and SNAP days of the series' state."""
    calendar = pl.read_parquet(data / "m5/calendar.parquet").head(1941)
    event = (calendar["event_name_1"].rank("dense") - 1).cast(pl.Float64).fill_null(np.nan).to_numpy()
    snap = np.array([calendar[f"snap_{name.split('|')[1][:2]}"].cast(pl.Float64).to_numpy() for name in names])
    return {"snap": snap, "event": np.tile(event, (len(names), 1))}


def _weighted(items: pl.DataFrame, forecast: Any, truth: Any, scale: pl.DataFrame) -> dict[int, float]:
    parts = (
        (), ("state_id",), ("store_id",), ("cat_id",), ("dept_id",), ("state_id", "cat_id"), ("state_id", "dept_id"), ("store_id", "cat_id"),
        ("store_id", "dept_id"), ("item_id",), ("item_id", "state_id"), ("item_id", "store_id"),
    )  # fmt: skip
    out = {}
    for level, columns in enumerate(parts, start=1):
        label = (
            items.select(pl.concat_str(columns, separator="|")).to_series().to_numpy().astype(str)
            if columns
            else np.full(items.height, "Total")
        )
        keys, inverse = np.unique(label, return_inverse=True)
        error = np.zeros((keys.size, forecast.shape[1]))
        np.add.at(error, inverse, forecast - truth)
        known = {r["key"]: r for r in scale.filter(pl.col("level") == level).iter_rows(named=True)}
        weight = np.array([known[k]["weight_d1914_1941"] for k in keys.tolist()])
        square = np.array([known[k]["scale_d1_1913"] for k in keys.tolist()])
        out[level] = round(float((weight * np.sqrt((error**2).mean(axis=1) / square)).sum()), 4)
    return out


def speed_lines(series: int, days: int) -> list[dict[str, Any]]:
    """All speed figures, each beside its peer."""
    parts = (
        lambda: speed.features(speed.m5_shape(series, days)),
        speed.whole_history,
        lambda: speed.new_day(speed.M5_SERIES),
        speed.model,
        speed.scoring,
        speed.store,
    )
    return [line for part in parts for line in part()]


def show(lines: list[dict[str, Any]]) -> None:
    """One table: figure, ours, peer, ratio, target, verdict."""
    from rich.console import Console
    from rich.table import Table

    view = Table("figure", "ours", "peer, same run", "ratio", "target", "verdict", "note")
    for row in lines:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3f}"
        verdict = "met" if row["met"] else "MISSED"
        view.add_row(
            row["figure"], f"{row['ours']:.3f}", row["peer"], ratio, f"≤ {row['limit']:.3f}", verdict, row["note"]
        )
    Console(width=200).print(view)


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=12_000)
    parser.add_argument("--days", type=int, default=1_941)
    parser.add_argument("--accuracy", default="auto,carparts,raf,man,vn1,vn1_challenge,vn2,dominicks,m5,wrmsse")
    parser.add_argument("--shared", default=os.environ.get("AIOS_SHARED", str(ROOT.parent / "shared")))
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    lines: list[dict[str, Any]] = []
    if not args.no_speed:
        lines += speed_lines(args.series, args.days)
        show(lines)
    data = Path(args.shared) / "data"
    for name in [n for n in args.accuracy.split(",") if n]:
        if not data.is_dir():
            print(f"skipped {name}: there is no real data at {data}", flush=True)
            continue
        own = {"wrmsse": wrmsse, "vn1_challenge": vn1_challenge}.get(name)
        line = own(data) if own else accuracy(name, data)
        lines.append(line)
        print(json.dumps(line), flush=True)
    if args.json:
        print(json.dumps(lines))


if __name__ == "__main__":
    main()
