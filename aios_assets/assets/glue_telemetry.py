"""Sensor readings as a night knows them: what of them is new, and the excursions found in what was known at a cut-off."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import RAW_TELEMETRY_LIMITS, RAW_TELEMETRY_READINGS
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


def limits_found(world: World, days: Sequence[date]) -> pl.DataFrame:
    """Rows of `raw_telemetry__limits`: the person's own limits as the nights of these days find them.

    An older night that is run again finds nothing new: what it found then is kept, and today's file is for nights to come. A file
    that cannot be used is passed over for what the newest night found (`limits_refused` says so): one slip of the pen must
    neither stop a night nor leave its sensors to limits that nobody chose.

    Raises:
        BadInputError: the file is no list of limits, and no night found any before it.
    """
    known = world.lake.read(RAW_TELEMETRY_LIMITS).sort("available_at_utc")
    newest: datetime | None = known["available_at_utc"][-1] if known.height else None
    to_come = [c for c in map(world.cutoff, days) if newest is None or c > newest]
    if not to_come:
        return RAW_TELEMETRY_LIMITS.empty()
    content, _ = _for_nights_to_come(world, known)
    digest = hashlib.sha256(content).hexdigest()
    rows = [{"content_digest": digest, "content": content, "available_at_utc": cutoff} for cutoff in to_come]
    return pl.DataFrame(rows, schema=RAW_TELEMETRY_LIMITS.schema)


def limits_refused(world: World) -> str:
    """Why the person's own limits cannot be used, and which are used instead; empty where they can.

    Raises:
        BadInputError: they cannot, and no night found any before.
    """
    known = world.lake.read(RAW_TELEMETRY_LIMITS).sort("available_at_utc")
    _, error = _for_nights_to_come(world, known)
    if error is None:
        return ""
    newest = known["available_at_utc"][-1]
    return f"{OWN_LIMITS} was passed over, sensors are judged by the limits of the night of {newest:%Y-%m-%d %H:%M} UTC: {error}"


def limits_of(world: World, cutoff: datetime | None = None) -> tuple["Limit", ...]:
    """The shipped limits, and a person's own in their place or beside them, as the night of `cutoff` found them; the newest for None.

    Before the first night that kept them those of that one hold, and the file where no night did.

    Raises:
        BadInputError: the file is no list of limits.
    """
    known = world.lake.read(RAW_TELEMETRY_LIMITS).sort("available_at_utc")
    if known.is_empty():
        return _parsed(world, _own_file(world))
    then = known if cutoff is None else known.filter(pl.col("available_at_utc") <= cutoff)
    return _parsed(world, then["content"][-1] if then.height else known["content"][0])


def _for_nights_to_come(world: World, known: pl.DataFrame) -> tuple[bytes, BadInputError | None]:
    """The person's own limits, and what is wrong with the file where they are those that the newest night found.

    Raises:
        BadInputError: the file cannot be used, and no night found any.
    """
    try:
        content = _own_file(world)
        _parsed(world, content)
    except BadInputError as error:
        if known.is_empty():
            raise
        return known["content"][-1], error
    return content, None


def _own_file(world: World) -> bytes:
    """The bytes of the person's own limits; none where there is no file.

    Raises:
        BadInputError: it cannot be read.
    """
    path = Path(world.home) / OWN_LIMITS
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise BadInputError(
            f"the limits cannot be read ({error.strerror})", where=str(path), todo="let it be a file that you may read"
        ) from error


def _parsed(world: World, content: bytes) -> tuple["Limit", ...]:
    from aios_assets.telemetry import default_limits, parse_limits, with_own

    if not content:
        return default_limits()
    where = str(Path(world.home) / OWN_LIMITS)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError("the limits are no text in UTF-8", where=where, todo="save the file as UTF-8") from error
    return with_own(parse_limits(text, where))


def excursions_as_known(world: World, cutoff: datetime) -> pl.DataFrame:
    """Rows of `raw_telemetry__excursions` as the night of `cutoff` had them.

    The table holds what is found in all readings with the newest limits. Later readings make stretches longer and turn jumps into
    spikes, and limits change, so a run of several days, and an older night again, find anew what was to be seen then.
    """
    from aios_assets.telemetry import excursions

    newest = world.lake.scan(READINGS).select(pl.col("available_at_utc").max()).collect().item()
    limits = limits_of(world, cutoff)
    if (newest is None or newest <= cutoff) and limits == limits_of(world):
        return world.lake.read("raw_telemetry__excursions")
    return excursions(world.lake.read(READINGS, where=pl.col("available_at_utc") <= cutoff), limits)


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
    intervals = {(limit.asset_type, limit.measure_code): limit.gap_intervals for limit in limits_of(world, cutoff)}
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
