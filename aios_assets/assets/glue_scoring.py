"""Which demand model answers on a day, and what it is given."""

from calendar import day_name
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import polars as pl

from aios_assets.assets.glue_rollout import split_by_canary
from aios_assets.contracts.decision_tables import PRED_DEMAND_28D
from aios_assets.contracts.errors import AiosError
from aios_assets.resources import as_known
from aios_assets.resources.handles import World

MODEL = "demand"
SHOWN = timedelta(weeks=8)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is forecast on a day.

    Attributes:
        features: feature rows of the series that are forecast.
        too_few: rows of `ml.gaps.known_of_too_few_days`, series that are not.
        stretches: rows of `ml.gaps.told_in_stretches`, sites of which nothing is.
        known: `covariates` of the day.
        summed: sites that report weeks by now, whose days before were summed to weeks.
    """

    features: pl.DataFrame
    too_few: pl.DataFrame
    stretches: pl.DataFrame
    known: Any
    summed: list[str] = field(default_factory=list)


def covariates(world: World, day: date, reports: pl.DataFrame | None = None) -> Any:
    """Promotions and holidays as announced by the cut-off of `day`, with what was announced before, and closed weekdays.

    Args:
        world: the world.
        day: day of the cut-off.
        reports: `sales_reports` of the day, where the caller has them.
    """
    from ml.datasets import Covariates

    cutoff = world.cutoff(day)
    return Covariates(
        promotions=as_known.master_versions(
            world.lake, "raw_master__promotions", ["promotion_id", "item_id", "site_id"], cutoff
        ),
        holidays=as_known.master_versions(world.lake, "raw_master__holidays", ["holiday_date", "holiday_name"], cutoff),
        closed=closed_sites(world, day, sales_reports(world, day) if reports is None else reports),
    )


def known_and_stretches(world: World, day: date, reports: pl.DataFrame) -> tuple[Any, pl.DataFrame]:
    """`covariates` of a day, and the sites that told stretches of several days then (`ml.gaps.told_in_stretches`)."""
    from ml.gaps import told_in_stretches

    known = covariates(world, day, reports)
    return known, told_in_stretches(reports, known.closed, day)


def newest_weeks(day: date, reports: pl.DataFrame) -> dict[str, date]:
    """Sites that report whole weeks, with the last day of the newest one."""
    from planning.unreported import WEEK, week_ends

    return {site: day + timedelta(days=left - WEEK) for site, left in week_ends(reports, day).items()}


def changed_to_weeks(day: date, reports: pl.DataFrame) -> list[str]:
    """Sites that report whole weeks, and told days within the last eight weeks: nothing is learned from both side by side."""
    from ml.weeks import told_days_before

    return told_days_before(reports, newest_weeks(day, reports))


def features_in_weeks(
    world: World, day: date, features: pl.DataFrame, reports: pl.DataFrame
) -> tuple[pl.DataFrame, list[str]]:
    """Feature rows in which those of sites that changed from days to weeks are made of weeks alone, and these sites.

    A series of which no whole week is known has no sales known then, and is not forecast.
    """
    from ml.features import demand_features
    from ml.own_features import YEAR, own_feature_names
    from ml.weeks import WEEK, as_weeks, told_days_before

    ends, first = newest_weeks(day, reports), day - timedelta(days=YEAR + WEEK)
    if not ends:
        return features, []
    sales = as_known.site_sales_as_known(world.lake, sorted(ends), first, day, world.cutoff(day))
    sites = told_days_before(sales.drop_nulls("sales_qty_ea"), ends)
    if not sites:
        return features, []
    weeks = as_weeks(sales, {site: ends[site] for site in sites})
    stated = weeks.with_columns(available_at_utc=pl.lit(world.cutoff(first)), superseded_at_utc=pl.lit(None)).cast(
        {"available_at_utc": pl.Datetime("us", "UTC"), "superseded_at_utc": pl.Datetime("us", "UTC")}
    )
    made = demand_features(stated, (day, day), world.cutoff)
    own = [*own_feature_names(), "site_sales_qty_ea_mean_28d"]
    theirs = pl.col("site_id").is_in(sites)
    anew = features.filter(theirs).drop(own).join(made.select("item_id", "site_id", *own), on=["item_id", "site_id"], how="left")  # fmt: skip
    return pl.concat([features.filter(~theirs), anew.select(features.columns)]).sort("item_id", "site_id"), sites


def closed_sites(world: World, day: date, reports: pl.DataFrame) -> pl.DataFrame:
    """Sites and weekdays on which nothing is expected of them, as known at the cut-off of `day`.

    What a site sold in a week that it reports as one figure is expected on the last day of the week, as soon as it is known to do so.
    """
    from ml.closing import WEEKS, closed_weekdays, closed_within_weeks
    from planning.unreported import week_ends

    selling = as_known.selling_days(world.lake, day - timedelta(weeks=WEEKS + 1), day, world.cutoff(day))
    return closed_within_weeks(closed_weekdays(selling, day), week_ends(reports, day), day)


def closed_words(closed: pl.DataFrame) -> list[str]:
    """Sites with the weekdays on which nothing is expected of them (`closed_sites`), in words."""
    sites = closed.group_by("site_id", maintain_order=True).agg("weekday")
    return [f"{site}: {', '.join(day_name[w - 1] for w in weekdays)}" for site, weekdays in sites.iter_rows()]


def champion(world: World, day: date) -> Any:
    """The scorer of the champion live at the cut-off of `day`, verified by its hash; the baseline where there is none."""
    from ml.scoring import Scorer

    try:
        return deployed(world, world.deployment(MODEL, day))
    except AiosError as error:
        return Scorer.fallback(str(error))


def deployed(world: World, live: dict[str, Any]) -> Any:
    """The scorer of a deployed version, or the baseline with the reason why that version is not used."""
    from ml.scoring import Scorer

    try:
        artifact = world.artifact(live)
    except AiosError as error:
        return Scorer.fallback(str(error))
    return Scorer.of(artifact, MODEL, live["model_version"], live["model_digest"])


def scoring_features(world: World, first: date, last: date) -> pl.DataFrame:
    """Feature rows with the item attributes known at each row's cut-off, in the order a model was trained on."""
    rows = world.feature_rows(first, last)
    items = world.lake.read("feat_item__attributes", columns=["item_id", "category_code", "available_at_utc"])
    joined = rows.sort("available_at_utc", "item_id", "site_id").join_asof(
        items.sort("available_at_utc", "item_id"), on="available_at_utc", by="item_id", strategy="backward"
    )
    return joined.sort("item_id", "site_id", "feature_date")


def demand_rows(world: World, day: date, asked: Asked | None = None) -> pl.DataFrame:
    """Rows of `pred_demand__28d` for one origin day: every series that reported within the last weeks.

    While a canary runs, its units are answered by the challenger, and their rows name its version. A challenger that cannot be
    used leaves its units to the champion. The setting `AIOS_ENGINE` says where the rows are computed; their digits do not depend on it.

    Args:
        world: the world.
        day: origin day.
        asked: `series_to_score` of the day, where the caller has it.
    """
    from ml.partitions import score_on

    asked = asked or series_to_score(world, day)
    features, known = asked.features, asked.known
    canary, served = split_by_canary(world, MODEL, day, features)
    if canary is None:
        return score_on(world.engine, champion(world, day), features, known)
    challenger = deployed(world, canary)
    if challenger.model is None:
        return score_on(world.engine, champion(world, day), features, known)
    rows = [
        score_on(world.engine, champion(world, day), features.filter(~served), known),
        score_on(world.engine, challenger, features.filter(served), known),
    ]
    return pl.concat(rows).sort(PRED_DEMAND_28D.key)


def series_to_score(world: World, day: date) -> Asked:
    """What is forecast on a day, and from what."""
    from ml.datasets import is_answered
    from ml.gaps import known_of_too_few_days
    from ml.newborn import fit_births

    reports = sales_reports(world, day)
    known, stretches = known_and_stretches(world, day, reports)
    rows, summed = features_in_weeks(world, day, scoring_features(world, day, day), reports)
    answered = rows.filter(is_answered()).join(stretches, on="site_id", how="anti")
    first = (pl.lit(day) - pl.duration(days=pl.col("days_on_sale"))).alias("first_date")
    begun = answered.select("item_id", "site_id", first)
    sales = recent_sales(world, day).join(stretches, on="site_id", how="anti")
    too_few = known_of_too_few_days(sales, begun, known.closed, day)
    features = answered.join(too_few, on=["item_id", "site_id"], how="anti")
    return Asked(features, too_few, stretches, replace(known, births=fit_births(features)), summed)


def gap_words(asked: Asked) -> list[str]:
    """What is not forecast since too few of its days are known, and what to do; nothing where there is no such thing."""
    return _few_words(asked.too_few) + _stretch_words(asked.stretches)


def _stretch_words(stretches: pl.DataFrame) -> list[str]:
    if stretches.is_empty():
        return []
    site, known, days = stretches.row(0)
    return [
        f"nothing is forecast for {stretches.height:,} sites, for they report sales of several days in one figure, and not (yet three times) of "
        f"whole weeks (first: {site}, {known} of its last {days} days). To do: have them report days, or weeks that end on one weekday"
    ]


def _few_words(too_few: pl.DataFrame) -> list[str]:
    if too_few.is_empty():
        return []
    item, site, known, days = too_few.row(0)
    return [
        f"{too_few.height:,} item and sites are not forecast, for sales are known of fewer than half of their days (first: {item} at {site}, "
        f"{known} of {days}). To do: where days without a row are days without a sale, import sales with `gaps: zero`, or stock of every day"
    ]


def sales_reports(world: World, day: date) -> pl.DataFrame:
    """Days of the last eight weeks of which sites reported sales, as known at the cut-off of `day`."""
    return as_known.sales_reports(world.lake, day - SHOWN, day, world.cutoff(day))


def recent_sales(world: World, day: date) -> pl.DataFrame:
    """Sales of the eight weeks up to `day` as known at its cut-off."""
    columns = ["item_id", "site_id", "demand_date", "sales_qty_ea"]
    return as_known.demand_as_known(world.lake, day - SHOWN, day, world.cutoff(day), columns)
