"""Why a forecast is what it is: exact tree attributions, turned into factors that multiply up to the mean.

The mean model works on the logarithm of demand ÷ level, and LightGBM's attributions (TreeSHAP, Lundberg et al. 2020) add up to
it exactly; so their exponentials multiply up: mean = level × base × factor₁ × factor₂ × … × censoring factor. Features are
gathered into a few groups that a planner has words for.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from aios_assets.contracts.errors import BadInputError
from ml.distribution import coded
from ml.models.base import Design
from ml.models.boosted import BoostedModel, by_class

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the weekday", ("weekday", "same_weekday_lag")),
    ("the season of the year", ("year_", "day_of_month")),
    ("promotion and price", ("is_promo", "promo_", "price_", "log_price")),
    ("holidays", ("days_to_holiday", "days_after_holiday", "is_closed")),
    ("stock on the shelf", ("in_stock",)),
    ("how rarely it sells", ("zero_frac", "log_days")),
    ("the item, its category and site", ("site_code", "item_code", "category_code", "log_site_mean", "item_mean")),
    ("how far ahead", ("horizon",)),
    ("recent sales", ("lag_", "mean_", "std_", "log_scale")),
)


@dataclass(frozen=True, slots=True)
class Explanation:
    """Factors of one forecast.

    Attributes:
        level: level of the series, in eaches a day.
        base: average of the model before anything is known, times what makes its class add up to what it learned from.
        factors: group to factor, largest effect first.
        censoring: factor that gives back demand lost at stock-outs.
        mean: product of all, the forecast's mean.
    """

    level: float
    base: float
    factors: dict[str, float]
    censoring: float
    mean: float

    def words(self) -> str:
        """One sentence per forecast, in plain words; its numbers are the fields."""
        parts = [f"{name} ×{value:.2f}" for name, value in self.factors.items() if abs(np.log(value)) >= 0.005]
        tail = f", lost sales ×{self.censoring:.2f}" if self.censoring != 1 else ""
        return (
            f"{self.mean:.2f} a day = usual level {self.level:.2f} × base {self.base:.2f} × " + ", ".join(parts) + tail
        )


def explain(model: BoostedModel, design: Design) -> list[Explanation]:
    """Factors of every row of a design.

    Raises:
        BadInputError: the product is not the forecast (a defect, never expected).
    """
    parts = model.contributions(design)
    mean = model.predict(design).mean
    kinds = coded(design.segment)
    factor, balance = by_class(model.bias, kinds), by_class(model.balance, kinds)
    groups = [_group(name) for name in design.names]
    out = []
    for row in range(design.rows):
        sums: dict[str, float] = {}
        for name, value in zip(groups, parts[row, :-1], strict=True):
            sums[name] = sums.get(name, 0.0) + float(value)
        ranked = dict(sorted(((k, float(np.exp(v))) for k, v in sums.items()), key=lambda kv: -abs(np.log(kv[1]))))
        level, base = float(design.scale[row]), float(np.exp(parts[row, -1]) * balance[row])
        product = level * base * float(np.prod(list(ranked.values()))) * float(factor[row])
        if not np.isclose(product, mean[row], rtol=1e-6, atol=1e-9):
            raise BadInputError("the factors do not multiply up to the forecast", where=model.name, count=row)
        out.append(Explanation(level, base, ranked, float(factor[row]), float(mean[row])))
    return out


def _group(name: str) -> str:
    for words, starts in GROUPS:
        if name.startswith(starts):
            return words
    return "other"


def plot(explanation: Explanation, title: str = "") -> bytes:
    """Bars of the factors on a logarithmic axis (PNG)."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    names, values = list(explanation.factors)[::-1], list(explanation.factors.values())[::-1]
    axes.barh(names, [v - 1 for v in values], left=1, color=["#2a7" if v >= 1 else "#c52" for v in values])
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xlabel("factor")
    axes.set_title(title or f"{explanation.mean:.2f} a day, usual level {explanation.level:.2f}", fontsize=9)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()
