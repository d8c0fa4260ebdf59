"""The yardstick of the nightly run: seasonal naive by weekday, from the features alone.

Mean: sales of the newest same weekday, else the 28-day mean, else zero. Distribution: normal around it with the deviation of
the last 56 days times √2 (the value itself is one draw) and √ of the weeks ahead, cut at zero (Hyndman and Athanasopoulos,
Forecasting: Principles and Practice, 5.5). It needs no training; what answers
without a healthy model is `ml.models.average`.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from ml.models.base import F64, Design, Forecast

NAME = "seasonal_naive"


def column(frame: Design, name: str) -> F64:
    """One feature of a design, in 64 bits."""
    out: F64 = frame.x[:, frame.names.index(name)].astype(np.float64)
    return out


class SeasonalNaive:
    """Seasonal naive by weekday."""

    name = NAME

    def fit(self, frame: Design, seed: int) -> SeasonalNaive:
        """Nothing to learn."""
        return self

    def predict(self, frame: Design, levels: Sequence[float]) -> Forecast:
        """Mean and quantiles of every row, in units of the target."""
        last, average = column(frame, "same_weekday_lag") * frame.scale, column(frame, "mean_28") * frame.scale
        mean = np.nan_to_num(np.where(np.isnan(last), average, last))
        weeks = np.ceil(frame.horizon / 7)
        spread = np.nan_to_num(column(frame, "std_56") * frame.scale) * np.sqrt(2.0 * weeks)
        z = np.array([NormalDist().inv_cdf(q) for q in levels])
        return Forecast(mean, np.maximum(mean[:, None] + spread[:, None] * z[None, :], 0.0), tuple(levels))
