"""Sensor readings as a night knows them: what of them is new, and the excursions found in what was known at a cut-off."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.contracts.raw_tables import RAW_TELEMETRY_READINGS
from aios_assets.resources.handles import World

if TYPE_CHECKING:
    from aios_assets.telemetry import Limit

OWN_LIMITS = "telemetry_limits.yaml"  # below the home
READINGS = "raw_telemetry__readings"
LASTING = ("telemetry_excursion", "sensor_stuck")
HABIT_DAYS = 15  # days before the longest silence told that say how often a sensor is heard
_HEARD = (
    "sensor_id", "measure_code", "read_at_utc", "available_at_utc", "asset_type", "asset_id", "site_id", "shipment_id", "document_id",
)  # fmt: skip
LATE = " (late)"  # behind the subject of a stretch that is told again: it may have been told of this very day


def limits_of(world: World) -> tuple["Limit", ...]:
    """The shipped limits, and those of `telemetry_limits.yaml` in the home in their place or beside them.

    Raises:
        BadInputError: the file is no list of limits.
    """
    from aios_assets.telemetry import default_limits, parse_limits, with_own

    path = Path(world.home) / OWN_LIMITS
    if not path.exists():
        return default_limits()
    return with_own(parse_limits(path.read_text(encoding="utf-8"), str(path)))


def excursions_as_known(world: World, cutoff: datetime) -> pl.DataFrame:
    """Rows of `raw_telemetry__excursions` as the night of `cutoff` had them.

    The table holds what is found in all readings. Later ones make stretches longer and turn jumps into spikes, so a run of several
    days, and an older night again, find anew what was to be seen then.
    """
    from aios_assets.telemetry import excursions

    newest = world.lake.scan(READINGS).select(pl.col("available_at_utc").max()).collect().item()
    if newest is None or newest <= cutoff:
        return world.lake.read("raw_telemetry__excursions")
    return excursions(world.lake.read(READINGS, where=pl.col("available_at_utc") <= cutoff), limits_of(world))


def silent_as_known(world: World, day: date, orders: pl.DataFrame) -> pl.DataFrame:
    """Rows of `mon_findings`: sensors that the night of `day` missed. Only of those that said nothing that day are readings read.

    Args:
        world: the handles.
        day: day of the night.
        orders: order lines as known then, for the goods on board.
    """
    from ml.anomaly import silent_sensors, value_on_board
    from ml.anomaly.silence import LEAST, RETIRED

    cutoff = world.cutoff(day)
    since = pl.col("read_at_utc") > cutoff - RETIRED - timedelta(days=HABIT_DAYS)
    known = world.lake.scan(READINGS).filter((pl.col("available_at_utc") <= cutoff) & since)
    series = known.group_by("sensor_id", "measure_code").agg(pl.col("read_at_utc").max())
    quiet = series.filter(pl.col("read_at_utc") < cutoff - LEAST).select("sensor_id").unique()
    readings = known.select(*_HEARD).join(quiet, on="sensor_id", how="semi").collect()
    values = value_on_board(orders.filter(pl.col("received_date").is_null())) if readings.height else {}
    intervals = {(limit.asset_type, limit.measure_code): limit.gap_intervals for limit in limits_of(world)}
    return silent_sensors(readings, intervals, as_of=day, available_at_utc=cutoff, shipment_value_usd=values)


def stored_then(world: World, readings: pl.DataFrame) -> pl.DataFrame:
    """Key and value of what is stored of the stretch of time that these readings are of; the table holds years of others."""
    stretch = pl.col("read_at_utc").is_between(readings["read_at_utc"].min(), readings["read_at_utc"].max())
    return world.lake.read(READINGS, columns=[*RAW_TELEMETRY_READINGS.key, "value"], where=stretch)


def against_known(readings: pl.DataFrame, known: pl.DataFrame, counts: dict[str, int]) -> dict[str, int]:
    """`counts` of a batch once it meets what is stored: a reading that is there already is a duplicate, with another value a conflict.

    Args:
        readings: readings of the batch, unique by key.
        known: readings stored before it.
        counts: see `TelemetryBatch`.
    """
    key = list(RAW_TELEMETRY_READINGS.key)
    again = readings.join(known.select(*key, stored="value"), on=key, how="inner")
    return counts | {
        "kept": counts["kept"] - again.height,
        "duplicates": counts["duplicates"] + again.height,
        "conflicts": counts["conflicts"] + again.filter(pl.col("value") != pl.col("stored")).height,
    }


def grown_stretches(tonight: pl.DataFrame, before: Sequence[pl.DataFrame], day: date, cutoff: datetime) -> pl.DataFrame:
    """Stretches told before of which readings that came late say more now: told once more, on the day of this night.

    A trailer that was out of reach sends what it read when it is back. The first report may have said one reading a little too warm.

    Args:
        tonight: everything this night finds (`mon_findings`).
        before: what was told before; finding_id, finding_date, kind_code, subject and reason are used.
        day: day of this night.
        cutoff: its cut-off.

    Returns:
        Rows of `mon_findings`; none where the same words were told since, or are told tonight anyway.
    """
    from ml.anomaly import finding_rows

    lasting, same = pl.col("kind_code").is_in(LASTING), ["kind_code", "subject", "reason"]
    stretches = tonight.filter(lasting)
    told = pl.concat(f.filter(lasting).select("finding_id", "finding_date", *same) for f in before)
    told = told.with_columns(pl.col("subject").str.strip_suffix(LATE))
    known = stretches.join(told, on="finding_id", how="semi")
    fresh = stretches.join(told, on="finding_id", how="anti")
    said = pl.concat([told, fresh.select(told.columns)]).group_by(same).agg(pl.col("finding_date").max().alias("last"))
    grown = known.join(said, on=same, how="left").filter(
        pl.col("last").is_null() | (pl.col("last") < pl.col("finding_date"))
    )
    again = grown.with_columns(pl.col("subject") + LATE, finding_date=pl.lit(day))
    return finding_rows(again.iter_rows(named=True), cutoff)
