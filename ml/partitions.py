"""The same work over partitions, in this process or on Dask workers: one setting decides, the digits stay the same.

A part is whatever the function takes; its result must not depend on the other parts (scoring and panel backtests over disjoint
sets of series do not). Results come back in the order of the parts, whoever computed them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import polars as pl

from aios_assets.contracts.errors import UsageError

if TYPE_CHECKING:
    from ml.datasets import Covariates
    from ml.scoring import Scorer

SERIES_A_PART = 5_000
P = TypeVar("P")
R = TypeVar("R")


def map_partitions(
    function: Callable[[P], R], parts: Sequence[P], *, engine: str = "inprocess", workers: int = 2
) -> list[R]:
    """Apply a function to every part.

    Args:
        function: importable by workers (a module-level function or a partial of one).
        parts: parts.
        engine: `inprocess`; `dask` for local worker processes; `tcp://host:port` for a Dask scheduler that runs already.
        workers: local worker processes of one thread each.

    Raises:
        UsageError: unknown engine.
    """
    if engine == "inprocess":
        return [function(part) for part in parts]
    if engine != "dask" and not engine.startswith(("tcp://", "tls://")):
        raise UsageError(f"there is no engine {engine}", todo="use inprocess, dask, or a scheduler's tcp://host:port")
    from dask.distributed import Client, LocalCluster

    if engine != "dask":
        with Client(engine) as client:
            return list(client.gather(client.map(function, parts, pure=False)))
    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        return list(client.gather(client.map(function, parts, pure=False)))


def by_series(frame: pl.DataFrame, keys: Sequence[str], parts: int) -> list[pl.DataFrame]:
    """A long frame in `parts` parts of whole series, in the order of their keys; rows keep their order."""
    series = frame.select(keys).unique().sort(*keys).with_row_index("_s")
    size = max(1, -(-series.height // parts))
    numbered = frame.join(
        series.with_columns((pl.col("_s") // size).alias("_part")).drop("_s"),
        on=list(keys),
        how="left",
        maintain_order="left",
    )
    return [part.drop("_part") for part in numbered.partition_by("_part", maintain_order=True)]


def score_parts(
    artifact: bytes, digest: str, version: str, features: pl.DataFrame, covariates: Covariates, *, parts: int,
    engine: str = "inprocess", workers: int = 2,
) -> pl.DataFrame:  # fmt: skip
    """`ml.scoring.score_demand` over parts of the series: the same rows to the last digit, whatever the engine.

    Args:
        artifact: the model's bytes.
        digest: their SHA-256.
        version: registered version.
        features: feature rows at the origin.
        covariates: promotions, holidays and closed weekdays.
        parts: number of parts.
        engine: see `map_partitions`.
        workers: see `map_partitions`.
    """
    from functools import partial

    work = partial(_score_part, artifact, digest, version, covariates)
    done = map_partitions(work, by_series(features, ["item_id", "site_id"], parts), engine=engine, workers=workers)
    return pl.concat(done).sort("item_id", "site_id", "origin_date", "horizon_days")


def score_on(engine: str, scorer: Scorer, features: pl.DataFrame, covariates: Covariates) -> pl.DataFrame:
    """`ml.scoring.score_demand` on the engine of the settings: the same rows to the last digit, whatever the engine.

    The baseline is cheap and answers here. If the model cannot answer for one part, the baseline answers for the whole, as it
    does in one process.

    Args:
        engine: see `map_partitions`.
        scorer: model or fallback.
        features: feature rows at the origin.
        covariates: promotions, holidays and closed weekdays.
    """
    from ml.scoring import score_demand

    if engine == "inprocess" or scorer.model is None or features.height == 0:
        return score_demand(scorer, features, covariates)
    parts = max(2, -(-features.height // SERIES_A_PART))
    done = score_parts(scorer.artifact, scorer.digest, scorer.version, features, covariates, parts=parts, engine=engine)
    return score_demand(scorer, features, covariates) if done["is_fallback"].any() else done


def _score_part(artifact: bytes, digest: str, version: str, covariates: Covariates, part: pl.DataFrame) -> pl.DataFrame:
    from ml.scoring import Scorer, score_demand

    return score_demand(Scorer.of(artifact, "demand", version, digest), part, covariates)
