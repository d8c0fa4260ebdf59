"""Series without history are forecast from series with like keys and attributes."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from ml.forecasting import PanelSpec, forecast_panel
from ml.panel import PanelData, build_panel

LEVELS = {"fast": 24.0, "slow": 2.0}


def panel(series: int = 40, periods: int = 60, seed: int = 3, attributes: bool = True) -> PanelData:
    """Half of the series sell fast, half slowly; N0 and N1 have not sold yet."""
    rng = np.random.default_rng(seed)
    start = date(2024, 1, 1)
    kinds = [("fast", "slow")[i % 2] for i in range(series)]
    rows = [
        (f"S{i:02}", start + timedelta(weeks=t), float(rng.poisson(LEVELS[kind])))
        for i, kind in enumerate(kinds) for t in range(periods)
    ]  # fmt: skip
    rows += [(name, start + timedelta(weeks=periods - 1), float("nan")) for name in ("N0", "N1")]
    names = [*(f"S{i:02}" for i in range(series)), "N0", "N1"]
    static = pl.DataFrame({"item": names, "kind": [*kinds, "fast", "slow"]}) if attributes else None
    frame = pl.DataFrame(rows, schema=["item", "week", "units"], orient="row")
    return build_panel(frame, ["item"], "week", "units", "W", 4, static=static)


def of(frame: pl.DataFrame, item: str) -> pl.DataFrame:
    return frame.filter(pl.col("item") == item)


def test_a_newcomer_sells_what_its_kind_sells() -> None:
    found = forecast_panel(panel(), PanelSpec(4, model="ses"))
    for item, kind in (("N0", "fast"), ("N1", "slow")):
        rows = of(found.frame, item)
        assert rows["mean"].mean() == pytest.approx(LEVELS[kind], rel=0.3)
        assert (rows["q0.05"] < LEVELS[kind]).all() and (rows["q0.95"] > LEVELS[kind]).all()
    assert any("2 series without history: forecast from" in n for n in found.notes)


def test_without_attributes_a_newcomer_is_as_uncertain_as_all_series_differ() -> None:
    rows = of(forecast_panel(panel(attributes=False), PanelSpec(4, model="ses")).frame, "N0")
    assert rows["mean"].mean() == pytest.approx(np.mean(list(LEVELS.values())), rel=0.3)
    assert (rows["q0.1"] < 4).all() and (rows["q0.9"] > 20).all()


def test_known_series_are_forecast_as_if_there_were_no_newcomer() -> None:
    both = panel()
    old = np.arange(2, both.n)
    alone = replace(
        both, keys=both.keys[old.tolist()], y=both.y[old], sales=both.sales[old],
        static={k: v[old] for k, v in both.static.items()},
    )  # fmt: skip
    spec = PanelSpec(4, model="ses")
    known = forecast_panel(both, spec).frame.filter(~pl.col("item").is_in(["N0", "N1"]))
    assert known["mean"].equals(forecast_panel(alone, spec).frame["mean"])


def test_nothing_is_made_up_where_too_few_series_sell() -> None:
    found = forecast_panel(panel(series=4), PanelSpec(4, model="ses"))
    assert (of(found.frame, "N0")["mean"] == 0).all()
    assert any("fewer than 5 others that sell" in n for n in found.notes)
