"""The nightly run as a planner inside the sandbox: each evening's documents in, the next morning's orders out."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl

from aios_assets.contracts.errors import RefusedError
from aios_assets.settings import Settings


def recommended(settings: Settings) -> Callable[[Path], Callable[[date], pl.DataFrame]]:
    """A maker of providers: given a sandbox, the decisions that the nightly run makes on its documents.

    The sandbox of the home itself is decided on in that home; a copy of a sandbox gets a copy of the home beside it, so that a
    comparison never touches production tables.
    """

    def provider(root: Path) -> Callable[[date], pl.DataFrame]:
        own = root.resolve() == settings.sandbox_root.resolve()
        home = settings.home if own else root.with_name(f"{root.name}-home")
        if not own and settings.home.exists() and not home.exists():
            shutil.copytree(settings.home, home, ignore=shutil.ignore_patterns("sandbox", "night.lock"))
        conf = settings.model_copy(update={"home": home, "inbox": root / "inbox"})
        return lambda day: decisions(conf, day)

    return provider


def decisions(settings: Settings, day: date) -> pl.DataFrame:
    """Run the deciding part of the night of `day` and return its recommendations.

    Raises:
        RefusedError: the run failed; nothing is ordered on a guess.
    """
    from aios_assets.night import prepare_home, run_night
    from aios_assets.resources.lake import Lake

    prepare_home(settings)
    result = run_night(settings, day, day, job_name="decide")
    if not result.is_success:
        raise RefusedError(
            f"the night of {day} failed at {', '.join(result.failed_steps)}",
            where=str(settings.home),
            todo="run `aios run` to see why; the sandbox stands at that morning",
        )
    return Lake(settings.lake_root).read("rec_decisions", where=pl.col("as_of_date") == day)
