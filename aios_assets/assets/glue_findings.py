"""What is wrong tonight, from every source: curation, demand, stock, orders, sensors. A finding keeps the night that found it."""

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from aios_assets.assets.glue_telemetry import excursions_as_known, grown_stretches, limits_of, silent_as_known
from aios_assets.contracts.decision_tables import MON_FINDINGS
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

HISTORY_DAYS = 70
FIRST_LOOK_WEEKS = 52
MATURED_DAYS = 7
CHANGE_DAYS = 42
ASK_AGAIN_DAYS = 7  # an open question is repeated as often as the summary of a week would lose sight of it
CHANGES = ["lead_time_change", "regime_change"]
QUESTIONS = ["measure_not_judged", "sensor_silent"]
_PLACE = ["kind_code", "item_id", "site_id", "subject"]
_SAYS = (*_PLACE, "value", "expected_value", "finding_date", "reason")
_READ = ("sensor_id", "measure_code", "read_at_utc", "value", "asset_type")


def finding_rows(world: World, days: list[date]) -> pl.DataFrame:
    """Rows of `mon_findings` that the nights of these days add, oldest night first; what is known already is not repeated."""
    known = world.lake.read("mon_findings", columns=[*_SAYS, "finding_id", "available_at_utc"])
    found = MON_FINDINGS.empty()
    for day in _first_looks(days[0]) if known.is_empty() else []:
        found = pl.concat([found, _changes_not_said_yet(_regimes(world, day, days[0]), [found], day)])
    for day in days:
        tonight, before = night_findings(world, day), [known, found]
        new = _not_said_yet(tonight, before, day, world.cutoff(day))
        new = pl.concat([new, grown_stretches(tonight, before, day, world.cutoff(day))])
        for said in before:  # each night compares with what people were told, not with what was found once more
            new = new.join(said, on="finding_id", how="anti", maintain_order="left")
        found = pl.concat([found, new]).unique("finding_id", keep="first", maintain_order=True)
    return found.join(known, on="finding_id", how="anti")


def _not_said_yet(tonight: pl.DataFrame, before: list[pl.DataFrame], day: date, cutoff: datetime) -> pl.DataFrame:
    """Without the changes that earlier nights have named already, and questions asked this week.

    One change is one finding; a question stays open until somebody answers it, and is asked once a week.
    """
    fresh = _changes_not_said_yet(tonight, before, day)
    this_week = pl.col("available_at_utc").is_between(cutoff - timedelta(days=ASK_AGAIN_DAYS), cutoff, closed="none")
    asked = pl.concat(f.filter(pl.col("kind_code").is_in(QUESTIONS) & this_week).select(_PLACE) for f in before)
    return fresh.join(asked.unique(), on=_PLACE, how="anti", nulls_equal=True, maintain_order="left")


def _changes_not_said_yet(tonight: pl.DataFrame, before: list[pl.DataFrame], day: date) -> pl.DataFrame:
    """Without the changes of demand and lead time that a night of the weeks before `day` has named, in the same direction."""
    is_change = pl.col("kind_code").is_in(CHANGES)
    lately = pl.col("finding_date").is_between(day - timedelta(days=CHANGE_DAYS), day, closed="left")
    change = ("kind_code", "subject", (pl.col("value") < pl.col("expected_value")).alias("is_lower"))
    said = pl.concat(f.filter(is_change & lately).select(change) for f in before).unique()
    new = tonight.filter(is_change).with_columns(change[-1])
    new = new.join(said, on=["kind_code", "subject", "is_lower"], how="anti", maintain_order="left")
    return pl.concat([tonight.filter(~is_change), new.drop("is_lower")])


def _first_looks(day: date) -> list[date]:
    """The first night looks back over the history once, week by week, for changes that happened before anybody watched."""
    return [day - timedelta(weeks=w) for w in range(FIRST_LOOK_WEEKS, 0, -1)]


def night_findings(world: World, day: date) -> pl.DataFrame:
    """Everything one night finds."""
    from ml.anomaly import lead_time_changes, sensor_drifts, telemetry_findings, unjudged_measures, value_on_board
    from ml.anomaly.telemetry import HISTORY_DAYS as QUIET_DAYS

    cutoff = world.cutoff(day)
    since = pl.col("read_at_utc") > cutoff - timedelta(days=15 + QUIET_DAYS)
    readings = world.lake.read(
        "raw_telemetry__readings", columns=list(_READ), where=(pl.col("available_at_utc") <= cutoff) & since
    )
    judged = {(limit.asset_type, limit.measure_code) for limit in limits_of(world, cutoff)}
    excursions = excursions_as_known(world, cutoff)
    curated = world.lake.read("int_findings_detected", where=as_known.known_at(cutoff))
    orders = as_known.orders_as_known(world.lake, cutoff, include_closed=True)
    parts = [
        curated.with_columns(pl.lit(cutoff).cast(pl.Datetime("us", "UTC")).alias("available_at_utc")),
        _demand(world, day),
        _from_the_future(world, day),
        _regimes(world, day, day),
        lead_time_changes(orders, as_of=day, available_at_utc=cutoff, recent_days=CHANGE_DAYS),
        telemetry_findings(
            excursions,
            available_at_utc=cutoff,
            business_zone=world.business_tz,
            shipment_value_usd=value_on_board(orders) if excursions.height else None,
        ),
        sensor_drifts(readings, as_of=day, available_at_utc=cutoff),
        silent_as_known(world, day, orders),
        unjudged_measures(readings, judged, as_of=day, available_at_utc=cutoff),
    ]
    return pl.concat([part.select(MON_FINDINGS.names).cast(dict(MON_FINDINGS.schema)) for part in parts])  # type: ignore[arg-type]


def _from_the_future(world: World, day: date) -> pl.DataFrame:
    """Reports of days that had not come when the report reached us: kept as sent, believed by nobody."""
    from ml.anomaly import finding_rows as rows_of

    found: list[dict[str, object]] = []
    for table, column in (("fct_demand_daily", "demand_date"), ("fct_inventory_daily", "inventory_date")):
        early = pl.col(column) > pl.col("available_at_utc").dt.date()
        rows = world.lake.read(table, where=early & (pl.col("available_at_utc") <= world.cutoff(day)))
        found += [_early(table, r[column], r) for r in rows.iter_rows(named=True)]
    return rows_of(found, world.cutoff(day))


def _early(table: str, reported: date, row: dict[str, Any]) -> dict[str, object]:
    came = f"{row['available_at_utc']:%Y-%m-%d}"
    return {
        "finding_date": reported,
        "kind_code": "future_date",
        "item_id": row["item_id"],
        "site_id": row["site_id"],
        "subject": f"{table} {row['item_id']}@{row['site_id']}",
        "document_id": row["document_id"],
        "reason": f"reported for {reported}, but it reached us on {came}: ask the sender which day is meant",
    }


def _demand(world: World, day: date) -> pl.DataFrame:
    """Days of the last week whose demand the forecast made before them did not allow."""
    from ml.anomaly import demand_anomalies, unit_off_by_pack

    since, cutoff = day - timedelta(days=MATURED_DAYS), world.cutoff(day)
    actuals = as_known.demand_as_known(world.lake, since, day, cutoff).filter(~pl.col("is_stockout"))
    forecasts = world.lake.read(
        "pred_demand__28d", where=pl.col("target_date").is_between(since, day) & (pl.col("origin_date") < day)
    )
    newest = forecasts.sort("horizon_days").unique(
        ["item_id", "site_id", "target_date"], keep="first", maintain_order=True
    )
    matured = newest.join(
        actuals.select(
            "item_id",
            "site_id",
            pl.col("demand_date").alias("target_date"),
            pl.col("sales_qty_ea").alias("actual_ea"),
            "document_id",
        ),
        on=["item_id", "site_id", "target_date"],
    )
    if matured.is_empty():
        return MON_FINDINGS.empty()
    items = as_known.items_as_known(world.lake, cutoff).select("item_id", "pack_ea", "unit_price_usd")
    with_packs = matured.join(items, on="item_id", how="inner")
    return pl.concat(
        [
            demand_anomalies(matured, available_at_utc=cutoff, unit_value=items),
            unit_off_by_pack(with_packs, available_at_utc=cutoff, unit_value=items),
        ]
    )


def _regimes(world: World, day: date, found_on: date) -> pl.DataFrame:
    """Items whose level of demand changed within the weeks before `day` and stayed changed; on the night's own day also what stopped selling."""
    from ml.anomaly import regime_changes, zero_runs

    cutoff = world.cutoff(found_on)
    demand = as_known.demand_as_known(world.lake, day - timedelta(days=HISTORY_DAYS), day, cutoff)
    items = as_known.items_as_known(world.lake, cutoff).select("item_id", "category_code", "unit_price_usd")
    if demand.is_empty():
        return MON_FINDINGS.empty()
    changed = regime_changes(
        demand, as_of=day, available_at_utc=cutoff, unit_value=items, group=items.select("item_id", "category_code")
    )
    if day < found_on:
        return changed
    return pl.concat([changed, zero_runs(demand, as_of=day, available_at_utc=cutoff, unit_value=items)])
