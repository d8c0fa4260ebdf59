"""The curves of all lanes at once: one per lane leaning on its source, one per source leaning on all, one for all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from ml.lead_time.survival import Curves, Ints, survival_curves


@dataclass(frozen=True, slots=True)
class LaneGrid:
    """Which curves there are, on days up to the longest seen.

    Attributes:
        lanes: (source_id, site_id) of each lane, sorted.
        sources: source_id of each source, sorted.
        strength: pseudo-orders of the parent curve.
        horizon: last day.
    """

    lanes: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    strength: float
    horizon: int

    @staticmethod
    def of(obs: pl.DataFrame, strength: float) -> LaneGrid:
        """Lanes and sources of some rows (`ml.lead_time.lanes.lead_time_observations`)."""
        pairs = obs.select("source_id", "site_id").unique().sort("source_id", "site_id")
        lanes = tuple((str(s), str(t)) for s, t in pairs.iter_rows())
        return LaneGrid(lanes, tuple(sorted({s for s, _ in lanes})), strength, int(obs["days"].max()) + 1)  # type: ignore[arg-type]

    def numbered(self, obs: pl.DataFrame) -> pl.DataFrame:
        """Rows with the number of their `lane`."""
        names = {"source_id": pl.String, "site_id": pl.String}
        numbers = pl.DataFrame(self.lanes, schema=names, orient="row").with_row_index("lane")
        numbers = numbers.with_columns(pl.col("lane").cast(pl.Int64))
        return obs.join(numbers, on=list(names), how="left", maintain_order="left")

    def curves(self, obs: pl.DataFrame) -> Curves:
        """Kaplan-Meier of some numbered rows, each lane leaning on its source and each source on all; one is to be received."""
        lane = obs["lane"].to_numpy()
        source_of = np.array([self.sources.index(s) for s, _ in self.lanes], dtype=np.int64)
        days, weights = obs["days"].to_numpy().astype(np.int64), obs["weight"].to_numpy()
        received = obs["is_received"].to_numpy()

        def fit(groups: Ints, count: int, parent: Curves | None) -> Curves:
            return survival_curves(
                groups,
                days,
                received,
                weights,
                count=count,
                parent=parent,
                strength=self.strength,
                horizon=self.horizon,
            )

        whole = fit(np.zeros_like(lane), 1, None)
        by_source = fit(source_of[lane], len(self.sources), whole.take(np.zeros(len(self.sources), dtype=np.int64)))
        by_lane = fit(lane, len(self.lanes), by_source.take(source_of))
        return Curves(
            np.concatenate([c.survival for c in (by_lane, by_source, whole)]),
            np.concatenate([c.tail_hazard for c in (by_lane, by_source, whole)]),
        )


def decayed(obs: pl.DataFrame, day: date, half_life_days: float) -> pl.DataFrame:
    """Rows weighing half as much for every half-life that they are older than a day."""
    age = (pl.lit(day) - pl.col("order_date")).dt.total_days().cast(pl.Float64)
    return obs.with_columns(pl.col("weight") * (-np.log(2.0) / half_life_days * age).exp())
