"""Pictures for the metadata of a run: what a person looks at before the numbers. Values in, PNG bytes out."""

from __future__ import annotations

import io
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 12


def forecast_picture(sales: pl.DataFrame, forecast: pl.DataFrame) -> bytes:
    """Sales of the last weeks and the newest forecast: all series together, and the series that sells most with its interval.

    Args:
        sales: item_id, site_id, demand_date, sales_qty_ea (eaches); the days to show.
        forecast: rows of `pred_demand__28d`; the newest origin is drawn.

    Returns:
        A PNG.
    """
    newest = forecast.filter(pl.col("origin_date") == pl.col("origin_date").max())
    figure, (left, right) = _figure(2)
    _line(left, _by_day(sales, "demand_date", "sales_qty_ea"), "sold")
    _line(left, _by_day(newest, "target_date", "demand_qty_ea_mean"), "forecast mean")
    left.set_title(f"All {newest.select('item_id', 'site_id').n_unique():,} series")
    totals = newest.group_by("item_id", "site_id").agg(pl.col("demand_qty_ea_mean").sum())
    for item, site, _ in (
        totals.sort("demand_qty_ea_mean", "item_id", "site_id", descending=[True, False, False]).head(1).rows()
    ):
        same = (pl.col("item_id") == item) & (pl.col("site_id") == site)
        one = newest.filter(same).sort("target_date")
        _line(right, _by_day(sales.filter(same), "demand_date", "sales_qty_ea"), "sold")
        _line(right, _by_day(one, "target_date", "demand_qty_ea_mean"), "forecast mean")
        low, high = one["demand_qty_ea_p10"].to_list(), one["demand_qty_ea_p90"].to_list()
        right.fill_between(one["target_date"].to_list(), low, high, alpha=0.25, label="p10 to p90")
        right.set_title(f"{item} at {site}")
    for axes in (left, right):
        axes.set_ylabel("units a day")
        if axes.has_data():
            axes.legend(fontsize=7)
        axes.tick_params(axis="x", rotation=45, labelsize=7)
    return _png(figure)


def decisions_picture(decisions: pl.DataFrame) -> bytes:
    """Where the money of the newest night's recommendations goes: order cost and money at stake by source and decision.

    Args:
        decisions: rows of `rec_decisions`; the newest day is drawn, decisions for nothing are left out.

    Returns:
        A PNG; it says so when nothing is recommended.
    """
    newest = decisions.filter(
        (pl.col("as_of_date") == pl.col("as_of_date").max()) & (pl.col("decision_code") != "none")
    )
    by_source = (
        newest.group_by("source_id", "decision_code")
        .agg(pl.col("order_cost_usd").sum(), pl.col("money_at_stake_usd").sum())
        .sort("money_at_stake_usd", "source_id", "decision_code", descending=[True, False, False], nulls_last=True)
        .head(BARS)
    )
    figure, pair = _figure(2)
    money = ", ".join(newest["currency_code"].drop_nulls().unique().sort()) or "USD"
    names = [
        f"{source or 'no source'} · {decision}"
        for source, decision in by_source.select("source_id", "decision_code").rows()
    ]
    for axes, column, title in zip(
        pair,
        ("money_at_stake_usd", "order_cost_usd"),
        (f"Money at stake, {money}", f"Order cost, {money}"),
        strict=True,
    ):
        axes.barh(names[::-1], by_source[column].to_list()[::-1])
        axes.set_title(title if names else f"{title}: nothing is recommended")
        axes.tick_params(labelsize=7)
    return _png(figure)


def _figure(columns: int) -> tuple[Any, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * columns, 3.4), layout="constrained")
    return figure, list(figure.subplots(1, columns))


def _by_day(frame: pl.DataFrame, day: str, value: str) -> list[tuple[date, float]]:
    return frame.group_by(day).agg(pl.col(value).sum()).sort(day).rows()


def _line(axes: Axes, points: list[tuple[date, float]], label: str) -> None:
    days = np.array([p[0] for p in points], dtype="datetime64[D]")
    axes.plot(days, [p[1] for p in points], linewidth=1.2, label=label)


def _png(figure: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    # No date of making inside: the same values give the same bytes.
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})
    return buffer.getvalue()
