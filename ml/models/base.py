"""The one protocol of demand models, and what they are given and give back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ml.newborn import Newborn

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Labels = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Design:
    """Rows to learn from or to score: one row is a series, an origin and a horizon.

    Attributes:
        x: (rows, features) in 32 bits, NaN where nothing is known.
        names: feature names.
        categorical: names of features that are codes.
        scale: level of the series at the origin, in units of the target; the model works on target ÷ scale.
        segment: demand class of the series at the origin.
        horizon: periods ahead, from 1.
        target_index: index of the target period on the time axis; rows are split by it, in time order.
        origin_index: index of the origin period.
        y: actuals, or None when scoring.
        weight: weight of each row when learning.
        tie: number in [0, 1) of the row's series, from its key alone; decides which rows tied at zero are put above it.
        newborn: rows of series whose history begins with a sale; None where that is not known.
    """

    x: F32
    names: tuple[str, ...]
    categorical: tuple[str, ...]
    scale: F64
    segment: Labels
    horizon: npt.NDArray[np.int32]
    target_index: npt.NDArray[np.int64]
    origin_index: npt.NDArray[np.int64]
    y: F64 | None = None
    weight: F64 | None = None
    tie: F64 | None = None
    newborn: Newborn | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.x.shape[0])

    def take(self, pick: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Design:
        """A part of the rows."""
        return Design(
            self.x[pick], self.names, self.categorical, self.scale[pick], self.segment[pick], self.horizon[pick],
            self.target_index[pick], self.origin_index[pick],
            None if self.y is None else self.y[pick], None if self.weight is None else self.weight[pick],
            None if self.tie is None else self.tie[pick], None if self.newborn is None else self.newborn.take(pick),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Forecast:
    """Mean and quantiles of each row, in units of the target."""

    mean: F64
    quantiles: F64
    levels: tuple[float, ...]


class DemandModel(Protocol):
    """Fit on a design with actuals, predict a distribution for any design with the same features."""

    name: str

    def fit(self, frame: Design, seed: int) -> DemandModel:
        """Learn; the same rows and seed give the same model."""
        ...

    def predict(self, frame: Design, levels: Sequence[float]) -> Forecast:
        """Mean and quantiles of every row; a row's answer does not depend on the other rows."""
        ...


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of the rows asked for: asked = kept + the sum of those set aside, by reason."""

    asked: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.asked != self.kept + sum(self.dropped.values()):
            raise ValueError(f"{self.asked} rows asked, {self.kept} kept, {self.dropped} set aside: they do not add up")
