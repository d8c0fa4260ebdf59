"""Pictures say what the rows say, the same bytes each time, and stand empty tables."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl

from aios_assets.assets.pictures import decisions_picture, forecast_picture
from aios_assets.contracts.decision_tables import PRED_DEMAND_28D, REC_DECISIONS

DAY = date(2026, 3, 1)
PNG = b"\x89PNG"


def forecast(origin: date, level: float) -> pl.DataFrame:
    days = [origin + timedelta(days=h) for h in range(1, 29)]
    return pl.DataFrame(
        {"item_id": "A", "site_id": "S", "origin_date": origin, "target_date": days, "demand_qty_ea_mean": level,
         "demand_qty_ea_p10": level - 1, "demand_qty_ea_p90": level + 1}
    )  # fmt: skip


def sales(level: float) -> pl.DataFrame:
    days = [DAY - timedelta(days=n) for n in range(28)]
    return pl.DataFrame({"item_id": "A", "site_id": "S", "demand_date": days, "sales_qty_ea": level})


def test_same_rows_same_bytes_other_rows_other_bytes() -> None:
    first = forecast_picture(sales(5.0), forecast(DAY, 6.0))
    assert first.startswith(PNG) and first == forecast_picture(sales(5.0), forecast(DAY, 6.0))
    assert first != forecast_picture(sales(5.0), forecast(DAY, 9.0))


def test_only_the_newest_origin_is_drawn() -> None:
    older = forecast(DAY - timedelta(days=1), 90.0)
    both = pl.concat([older, forecast(DAY, 6.0)])
    assert forecast_picture(sales(5.0), both) == forecast_picture(sales(5.0), forecast(DAY, 6.0))


def test_no_rows_are_a_picture_too() -> None:
    assert forecast_picture(sales(5.0).clear(), PRED_DEMAND_28D.empty()).startswith(PNG)
    assert decisions_picture(REC_DECISIONS.empty()).startswith(PNG)


def test_decisions_for_nothing_change_no_picture() -> None:
    row = {
        "as_of_date": DAY,
        "source_id": "SUP",
        "order_cost_usd": 10.0,
        "money_at_stake_usd": 5.0,
        "currency_code": "USD",
    }
    bought = pl.DataFrame([row | {"decision_code": "replenish"}])
    both = pl.concat([bought, pl.DataFrame([row | {"decision_code": "none"}])])
    assert decisions_picture(both) == decisions_picture(bought)
    assert decisions_picture(bought) != decisions_picture(bought.with_columns(money_at_stake_usd=pl.lit(500.0)))
    assert decisions_picture(bought) != decisions_picture(bought.with_columns(currency_code=pl.lit("EUR")))
