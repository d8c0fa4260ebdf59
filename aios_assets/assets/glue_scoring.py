"""Which demand model answers on a day, and what it is given."""

from calendar import day_name
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


def covariates(world: World, day: date) -> Any:
    """Promotions and holidays as announced by the cut-off of `day`, with what was announced before, and closed weekdays."""
    from ml.datasets import Covariates

    cutoff = world.cutoff(day)
    return Covariates(
        promotions=as_known.master_versions(
            world.lake, "raw_master__promotions", ["promotion_id", "item_id", "site_id"], cutoff
        ),
        holidays=as_known.master_versions(world.lake, "raw_master__holidays", ["holiday_date", "holiday_name"], cutoff),
        closed=closed_sites(world, day),
    )


def closed_sites(world: World, day: date) -> pl.DataFrame:
    """Sites and weekdays on which nothing is expected of them, as known at the cut-off of `day`."""
    from ml.closing import WEEKS, closed_weekdays

    selling = as_known.selling_days(world.lake, day - timedelta(weeks=WEEKS + 1), day, world.cutoff(day))
    return closed_weekdays(selling, day)


def closed_words(world: World, day: date) -> list[str]:
    """Sites with the weekdays on which nothing is expected of them, in words."""
    closed = closed_sites(world, day).group_by("site_id", maintain_order=True).agg("weekday")
    return [f"{site}: {', '.join(day_name[w - 1] for w in weekdays)}" for site, weekdays in closed.iter_rows()]


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


def demand_rows(world: World, day: date) -> pl.DataFrame:
    """Rows of `pred_demand__28d` for one origin day: every series that reported within the last weeks.

    While a canary runs, its units are answered by the challenger, and their rows name its version. A challenger that cannot be
    used leaves its units to the champion. The setting `AIOS_ENGINE` says where the rows are computed; their digits do not depend on it.
    """
    from ml.partitions import score_on

    features, known = series_to_score(world, day), covariates(world, day)
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


def series_to_score(world: World, day: date) -> pl.DataFrame:
    """Feature rows of the series that are forecast on a day."""
    answered = _answered(world, day)
    return answered.join(_too_few_days(world, day, answered), on=["item_id", "site_id"], how="anti")


def _answered(world: World, day: date) -> pl.DataFrame:
    from ml.datasets import is_answered

    return scoring_features(world, day, day).filter(is_answered())


def _too_few_days(world: World, day: date, features: pl.DataFrame) -> pl.DataFrame:
    from ml.gaps import known_of_too_few_days

    first = (pl.lit(day) - pl.duration(days=pl.col("days_on_sale"))).alias("first_date")
    begun = features.select("item_id", "site_id", first)
    return known_of_too_few_days(recent_sales(world, day), begun, closed_sites(world, day), day)


def gap_words(world: World, day: date) -> list[str]:
    """How many series are not forecast since too few of their days are known, and what to do; nothing where there are none."""
    found = _too_few_days(world, day, _answered(world, day))
    if found.is_empty():
        return []
    item, site, known, days = found.row(0)
    return [
        f"{found.height:,} item and sites are not forecast, for sales are known of fewer than half of their days (first: {item} at {site}, "
        f"{known} of {days}). To do: where days without a row are days without a sale, import sales with `gaps: zero`, or stock of every day"
    ]


def recent_sales(world: World, day: date) -> pl.DataFrame:
    """Sales of the eight weeks up to `day` as known at its cut-off."""
    columns = ["item_id", "site_id", "demand_date", "sales_qty_ea"]
    return as_known.demand_as_known(world.lake, day - SHOWN, day, world.cutoff(day), columns)
