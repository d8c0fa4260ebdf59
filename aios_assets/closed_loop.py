"""The nightly run as a planner inside the sandbox: each evening's documents in, the next morning's orders out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import polars as pl

from aios_assets.contracts.errors import RefusedError
from aios_assets.settings import Settings


@dataclass
class Nights:
    """A provider: asked for the decisions of a day, it runs that night. All nights run in this process; imports are paid once.

    Attributes:
        settings: of the home the nights run in.
        copied: whether that home is a copy made for this comparison, which `clean` removes.
        seconds: CPU-seconds of each night, children included.
    """

    settings: Settings
    copied: bool
    seconds: list[float] = field(default_factory=list)

    def __call__(self, day: date) -> pl.DataFrame:
        """Decisions after the close of `day`."""
        before = _cpu_seconds()
        frame = decisions(self.settings, day)
        self.seconds.append(_cpu_seconds() - before)
        return frame

    def report(self) -> dict[str, float]:
        """Nights run and what they took, to print; empty before the first."""
        if not self.seconds:
            return {}
        later = self.seconds[1:] or self.seconds
        return {
            "nights": len(self.seconds),
            "first_night_cpu_s": round(self.seconds[0], 1),
            "later_night_cpu_s": round(sum(later) / len(later), 1),
        }

    def clean(self) -> None:
        """Remove the home if it was copied here; one that was there before stays."""
        if self.copied and self.settings.home.exists():
            shutil.rmtree(self.settings.home)


def recommended(settings: Settings) -> Callable[[Path], Nights]:
    """A maker of providers: given a sandbox, the decisions that the nightly run makes on its documents.

    The sandbox of the home itself is decided on in that home; a sandbox elsewhere, or a copy of one, gets a copy of the home
    beside it, so that a comparison never touches production tables.
    """

    def provider(root: Path) -> Nights:
        own = root.resolve() == settings.sandbox_root.resolve()
        home = settings.home if own else root.with_name(f"{root.name}-home")
        copied = not own and not home.exists()
        if copied and settings.home.exists():
            shutil.copytree(settings.home, home, ignore=shutil.ignore_patterns("sandbox", "night.lock"))
        return Nights(settings.model_copy(update={"home": home, "inbox": root / "inbox"}), copied)

    return provider


def _cpu_seconds() -> float:
    """CPU-seconds of this process and the children it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


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
