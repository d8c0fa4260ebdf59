"""Series whose history begins with a sale: that sale says when we began to look, not how often it sells.

A list of sales names a part for the first time on the day on which it sells. Counted like any other day, that sale makes a part that sells
once in two years one of a sale in two months. What counts is what came after: the chance of a sale a day is drawn from a gamma
distribution, and the days after the first sale tell where in it a series lies (Robbins 1956; Efron and Morris 1973: parametric empirical
Bayes). The distribution is that of all young series of the network as known on the day, fitted by maximum likelihood of their sales after
the first (negative binomial), with a weak prior that answers where there are few.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

F64 = npt.NDArray[np.float64]
# Days in which a history counts as young: the longest window that means are taken over.
YOUNG_DAYS = 180
WEEK = 7
# Grid of the fit, and the weak prior of its two figures: median and spread of their logarithms.
SHAPES = np.geomspace(0.02, 8.0, 40)
DAYS = np.geomspace(0.5, 3000.0, 48)
USUAL_SHAPE, SHAPE_SPREAD = 0.3, 1.0
USUAL_DAYS, DAYS_SPREAD = 30.0, 1.5


@dataclass(frozen=True, slots=True)
class Births:
    """Gamma distribution of the daily chance of a sale among young series: `shape` sales in `days` days are known beforehand."""

    shape: float = USUAL_SHAPE
    days: float = USUAL_DAYS

    def discount(self, sales: F64, known: F64) -> F64:
        """Chance of a sale on a day to come over the share of days that sold, with the first sale among them.

        Args:
            sales: days with a sale, the first among them.
            known: days known, the first sale's among them.

        >>> Births(0.5, 99.0).discount(np.array([1.0]), np.array([2.0])).round(4).tolist()
        [0.01]
        """
        out: F64 = (sales - 1 + self.shape) / (known - 1 + self.days) * known / sales
        return out


@dataclass(frozen=True, slots=True)
class Newborn:
    """What is young of some rows.

    Attributes:
        age: days since the sale the history began with; NaN where it began otherwise, or long ago.
        discount: what means that hold that sale count; 1 for others.
        days: days known beforehand (`Births.days`); 0 for others.
    """

    age: F64
    discount: F64
    days: F64

    def take(self, pick: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Newborn:
        """A part of the rows."""
        return Newborn(self.age[pick], self.discount[pick], self.days[pick])


def fit_births(features: pl.DataFrame) -> Births:
    """The distribution among the young series of one origin.

    Args:
        features: rows of `feat_item_site__demand`, one per series.
    """
    age, sales = _young(features)
    young = ~np.isnan(age)
    return _fitted(sales[young] - 1, age[young])


def newborn_of(features: pl.DataFrame, births: Births | None) -> Newborn | None:
    """Which rows are young, and the discount of means that hold their first sale; None where features do not say when reports began.

    Args:
        features: rows of `feat_item_site__demand`.
        births: distribution that holds for all of them; None: each origin's own (`features` are then of the whole network).
    """
    if "days_reported" not in features.columns:
        return None
    age, sales = _young(features)
    discount, days, young = np.ones(age.size), np.zeros(age.size), ~np.isnan(age)
    day = features["feature_date"].to_physical().to_numpy()
    for origin in np.unique(day[young]) if births is None else (None,):
        pick = young if origin is None else young & (day == origin)
        law = births or _fitted(sales[pick] - 1, age[pick])
        discount[pick], days[pick] = law.discount(sales[pick], age[pick] + 1), law.days
    return Newborn(age, discount, days)


def _young(features: pl.DataFrame) -> tuple[F64, F64]:
    """Days since the sale that a history began with (NaN where it did not), and days with a sale since then, that one among them.

    A shop that is closed on Sundays tells six days of seven, one that tells weeks one: so many of its days can hold a sale.
    """
    names = ("days_on_sale", "days_reported", "zero_frac_180d")
    age, begun, zero = (features[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names)
    age = np.where((age == begun) & (age < YOUNG_DAYS), age, np.nan)
    told = (
        features.select(pl.sum_horizontal(pl.col(f"sales_qty_ea_lag_{k}").is_not_null() for k in range(WEEK)))
        .to_series()
        .to_numpy()
    )
    days = (age + 1) * np.where(told > 0, told, WEEK) / WEEK
    sales = np.maximum(np.round((1 - zero) * days), 1.0)
    return age, sales


def _fitted(later: F64, days: F64) -> Births:
    """Largest posterior density of shape and days, on a grid: `later` sales in as many `days` of each series."""
    score = -((np.log(SHAPES / USUAL_SHAPE) / SHAPE_SPREAD) ** 2)[:, None] / 2
    score = score - ((np.log(DAYS / USUAL_DAYS) / DAYS_SPREAD) ** 2)[None, :] / 2
    if later.size:
        score = score + _log_likelihood(later, days)
    a, b = np.unravel_index(int(score.argmax()), score.shape)
    return Births(float(SHAPES[a]), float(DAYS[b]))


def _log_likelihood(later: F64, days: F64) -> F64:
    """Log-likelihood of negative binomial counts at every shape and days of the grid, without what does not depend on them."""
    from scipy.special import gammaln

    times = np.bincount(later.astype(np.int64)).astype(np.float64)
    rising = (gammaln(SHAPES[:, None] + np.arange(times.size)) - gammaln(SHAPES)[:, None]) @ times
    length, place = np.unique(days, return_inverse=True)
    series, sold = np.bincount(place).astype(np.float64), np.bincount(place, later)
    together = np.log(DAYS[:, None] + length)
    known = later.size * np.log(DAYS) - together @ series
    out: F64 = rising[:, None] + SHAPES[:, None] * known[None, :] - (together @ sold)[None, :]
    return out
