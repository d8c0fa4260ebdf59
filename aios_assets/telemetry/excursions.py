"""Stretches in which a sensor left its limits, jumped, fell silent or stood still.

What is usual for a reading comes from readings before it alone (median and median absolute deviation of the last eleven;
Hampel's identifier). Later readings change two things: a stretch that is still going on grows, and a jump that had not come
back is called a spike once it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import polars as pl

from aios_assets.contracts.raw_tables import RAW_TELEMETRY_EXCURSIONS
from aios_assets.telemetry.limits import Limit, default_limits

SERIES = ["sensor_id", "measure_code"]
BOARD = ("asset_id", "shipment_id")
MEMORY = 11
RUNS = (
    1000  # earlier runs of equal readings that say what is usual: quiet nights are among them, not only the day before
)
FEW = 5  # intervals below which nothing is usual yet
INTERVALS = 200  # earlier intervals that say what is usual where a sensor keeps no beat: days of half-hours
MAD_TO_SIGMA = 1.4826  # makes the median absolute deviation estimate the standard deviation of a normal
_LIMIT_TYPES = {
    "asset_type": pl.String(), "measure_code": pl.String(), "high": pl.Float64(), "low": pl.Float64(),
    "spike_mads": pl.Float64(), "spike_floor": pl.Float64(), "spike_readings": pl.Int64(), "gap_intervals": pl.Float64(),
    "gap_minutes": pl.Float64(), "pause_minutes": pl.Float64(), "stuck_readings": pl.Int64(), "stuck_minutes": pl.Float64(),
}  # fmt: skip


def excursions(readings: pl.DataFrame, limits: Sequence[Limit] | None = None) -> pl.DataFrame:
    """Find all excursions.

    Args:
        readings: rows of `raw_telemetry__readings`.
        limits: what is judged; the shipped limits when None.

    Returns:
        Rows of `raw_telemetry__excursions`, sorted by key: high and low (beyond a limit, spikes apart; what came on board while it
        was too warm has a stretch of its own), spike (a jump of at most `spike_readings` readings), stuck (equal values in a row; runs that
        follow each other are one), gap (silence; started_at_utc is the last reading before it, which also says where, ended_at_utc
        the first after it, and no reading in it). Measures without a limit are not judged.
    """
    table = pl.DataFrame([asdict(x) for x in (default_limits() if limits is None else limits)], schema=_LIMIT_TYPES)
    table = table.filter(
        pl.any_horizontal(pl.col("high", "low", "spike_mads", "gap_intervals", "stuck_readings").is_not_null())
    )
    judged = readings.join(table, on=["asset_type", "measure_code"], how="inner")
    if judged.is_empty():
        return RAW_TELEMETRY_EXCURSIONS.empty()
    judged = _with_spikes(judged.sort(*SERIES, "read_at_utc"))
    found = [
        _stretches(judged, pl.col("is_spike"), "spike", _furthest(pl.col("usual")), pl.col("spike_limit").first()),
        _stretches(judged, _beyond("high"), "high", pl.col("value").max(), pl.col("high").first(), BOARD),
        _stretches(judged, _beyond("low"), "low", pl.col("value").min(), pl.col("low").first(), BOARD),
        _stuck(judged),
        _gaps(judged),
    ]  # fmt: skip
    names = list(RAW_TELEMETRY_EXCURSIONS.names)
    return pl.concat(f.select(names) for f in found).sort(list(RAW_TELEMETRY_EXCURSIONS.key))


def not_judged(readings: pl.DataFrame, limits: Sequence[Limit] | None = None) -> dict[str, int]:
    """Readings of measures that are not listed, by asset type and measure: they are stored, and nothing looks at them."""
    stated = [(x.asset_type, x.measure_code) for x in (default_limits() if limits is None else limits)]
    known = pl.DataFrame(stated, schema={"asset_type": pl.String, "measure_code": pl.String}, orient="row")
    left = readings.join(known, on=["asset_type", "measure_code"], how="anti")
    counted = left.group_by("asset_type", "measure_code").len().sort("asset_type", "measure_code")
    return {f"{asset}/{measure}": int(count) for asset, measure, count in counted.iter_rows()}


def _beyond(limit: str) -> pl.Expr:
    """Whether a reading is beyond a limit, and no spike."""
    outside = pl.col("value") > pl.col("high") if limit == "high" else pl.col("value") < pl.col("low")
    return outside & ~pl.col("is_spike")


def _run(flag: pl.Expr, same: Sequence[str] = ()) -> pl.Expr:
    """Number of the stretch of equal `flag`, and equal columns `same`, that a reading belongs to, within its series."""
    ends = (flag != flag.shift(1)).fill_null(True)
    for name in same:
        ends = ends | pl.col(name).ne_missing(pl.col(name).shift(1))
    return ends.cum_sum().over(SERIES)


def _with_spikes(judged: pl.DataFrame) -> pl.DataFrame:
    """Adds usual (median before), spike_limit (the bound crossed) and is_spike."""
    before = pl.col("value").shift(1).rolling_median(MEMORY, min_samples=2).over(SERIES)
    judged = judged.with_columns(usual=before)
    distance = (pl.col("value") - pl.col("usual")).abs()
    spread = distance.shift(1).rolling_median(MEMORY, min_samples=1).over(SERIES).fill_null(0.0) * MAD_TO_SIGMA
    reach = pl.max_horizontal(pl.col("spike_mads") * spread, pl.col("spike_floor"))
    jumped = ((distance > reach) & pl.col("spike_mads").is_not_null()).fill_null(False)
    sign = (pl.col("value") - pl.col("usual")).sign()
    # A spike comes out of nowhere; a value that others led up to is a real excursion, however far it is.
    sudden = ((pl.col("value") - pl.col("value").shift(1).over(SERIES)).abs() > reach / 2).fill_null(False)
    judged = judged.with_columns(is_jump=jumped, is_sudden=sudden, spike_limit=pl.col("usual") + sign * reach)
    judged = judged.with_columns(jump_run=_run(pl.col("is_jump")))
    run = [*SERIES, "jump_run"]
    is_short = pl.len().over(run) <= pl.col("spike_readings")
    # A jump that has not come back may be the goods: until a later reading says so it is judged by the limits.
    is_over = pl.col("jump_run") < pl.col("jump_run").max().over(SERIES)
    is_spike = pl.col("is_jump") & is_short & is_over & pl.col("is_sudden").first().over(run)
    return judged.with_columns(is_spike=is_spike)


def _furthest(centre: pl.Expr) -> pl.Expr:
    return pl.col("value").get((pl.col("value") - centre).abs().arg_max())


def _stretches(
    judged: pl.DataFrame, flag: pl.Expr, kind: str, peak: pl.Expr, limit: pl.Expr, same: Sequence[str] = ()
) -> pl.DataFrame:
    """One row per uninterrupted stretch of readings with `flag`, and with equal columns `same`."""
    marked = judged.with_columns(flag=flag.fill_null(False)).with_columns(run=_run(pl.col("flag"), same)).filter("flag")
    return marked.group_by(*SERIES, "run", maintain_order=True).agg(
        kind_code=pl.lit(kind),
        started_at_utc=pl.col("read_at_utc").first(),
        ended_at_utc=pl.col("read_at_utc").last(),
        readings=pl.len().cast(pl.Int32),
        peak_value=peak,
        limit_value=limit,
        asset_id=pl.col("asset_id").first(),
        shipment_id=pl.col("shipment_id").first(),
        document_id=pl.col("document_id").first(),
        available_at_utc=pl.col("available_at_utc").max(),
    )


def _stuck(judged: pl.DataFrame) -> pl.DataFrame:
    """Runs of equal readings as many and as long as the limit asks for, and twice as many as the most in earlier runs of the sensor.

    A sensor that tells whole degrees repeats itself all day; how often it does so is learned from its own runs before. Of those the
    longest is left out, of a thousand the two longest, so that a sensor that was stuck once is found the next time.
    """
    marked = judged.with_columns(same=_run(pl.col("value")))
    minutes = (pl.col("read_at_utc").last() - pl.col("read_at_utc").first()).dt.total_seconds() / 60
    runs = marked.group_by(*SERIES, "same", maintain_order=True).agg(length=pl.len(), run_minutes=minutes)
    before = pl.col("length").shift(1).rolling_quantile(0.998, "lower", window_size=RUNS, min_samples=2).over(SERIES)
    runs = runs.with_columns(usual_run=before.fill_null(0.0))
    marked = marked.join(runs, on=[*SERIES, "same"], how="left", maintain_order="left")
    is_long = (pl.col("length") >= pl.col("stuck_readings")) & (pl.col("length") > 2 * pl.col("usual_run"))
    lasts = (pl.col("run_minutes") >= pl.col("stuck_minutes")).fill_null(True)
    marked = marked.with_columns(is_stuck=is_long.fill_null(False) & lasts)
    return _stretches(marked, pl.col("is_stuck"), "stuck", pl.col("value").first(), pl.lit(None, pl.Float64))


def _gaps(judged: pl.DataFrame) -> pl.DataFrame:
    """Silences of more than `gap_intervals` usual intervals that are no pause.

    What is usual is the larger of the median of the last eleven before, which follows a sensor that is set to another beat, and of
    what nine in ten of the last `INTERVALS` were, pauses left out: a sensor that sends when it has something to say keeps no beat.
    """
    minutes = pl.col("read_at_utc").diff().over(SERIES).dt.total_seconds() / 60
    marked = judged.with_columns(
        minutes=minutes,
        since=pl.col("read_at_utc").shift(1).over(SERIES),
        **{f"{name}_before": pl.col(name).shift(1).over(SERIES) for name in ("document_id", *BOARD)},
    )
    is_pause = (pl.col("minutes") >= pl.col("pause_minutes")).fill_null(False)
    marked = marked.with_columns(is_pause=is_pause, awake=pl.when(~is_pause).then("minutes"))
    beat = pl.col("minutes").shift(1).rolling_median(MEMORY, min_samples=1).over(SERIES)
    most = pl.col("awake").shift(1).rolling_quantile(0.9, "lower", window_size=INTERVALS, min_samples=FEW).over(SERIES)
    silent = (pl.col("minutes") > pl.col("gap_intervals") * pl.max_horizontal(beat, most)) & most.is_not_null()
    is_long = (pl.col("minutes") >= pl.col("gap_minutes")).fill_null(True)
    return marked.filter(silent & is_long & ~pl.col("is_pause")).with_columns(
        kind_code=pl.lit("gap"),
        started_at_utc=pl.col("since"),
        ended_at_utc=pl.col("read_at_utc"),
        readings=pl.lit(0, pl.Int32),
        peak_value=pl.lit(None, pl.Float64),
        limit_value=pl.lit(None, pl.Float64),
        **{name: pl.col(f"{name}_before") for name in ("document_id", *BOARD)},
    )
