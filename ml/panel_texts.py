"""Texts known ahead (names of events, kinds of promotion) as numbers: what their periods sold over what was expected of them.

A tree cannot order names, and an event comes once a year: as a factor on sales, pooled over all series, it learns from events
like it. The neighbouring periods are given too, because people buy before a day on which shops are closed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ml.models.base import F64
from ml.models.statistical import window_average
from ml.panel import PanelData
from ml.panel_features import AROUND

TRUST_ROWS = 10  # rows of an average series that say "no effect" beside those of a text


def with_effects(panel: PanelData, last: int) -> PanelData:
    """Replace the codes of texts by their effects up to period `last`; texts not seen by then have the effect 1.

    Args:
        panel: with codes of `panel.texts` in `panel.future`.
        last: newest period whose sales are read.
    """
    if not panel.texts:
        return panel
    sold = panel.y[:, : last + 1]
    expected = np.where(np.isnan(sold), 0.0, _expected(panel, last))
    sold = np.nan_to_num(sold)
    doubt = TRUST_ROWS * float(expected.mean())
    future = dict(panel.future)
    for name in panel.texts:
        given = panel.ahead(name)
        known = ~np.isnan(given)
        codes = np.where(known, given, 0).astype(np.int64)
        past, size = known[:, : last + 1], int(codes.max(initial=0)) + 1
        here = codes[:, : last + 1][past]
        found, usual = (np.bincount(here, _summed(v, given.shape[0])[past], size) + doubt for v in (sold, expected))
        effect = np.divide(found, usual, out=np.ones(size), where=usual > 0)
        out = np.where(known, effect[codes], np.nan)
        edge = np.full((given.shape[0], 1), np.nan)
        future |= {
            key: np.broadcast_to(wide, future[name].shape)
            for key, wide in (
                (name, out),
                (f"{name}_after", np.column_stack([out[:, 1:], edge])),
                (f"{name}_before", np.column_stack([edge, out[:, :-1]])),
            )
        }
    return replace(panel, future=future, texts=())


def _summed(values: F64, rows: int) -> F64:
    """Values of all series, or their sum where one row speaks for all."""
    return values if rows == values.shape[0] else values.sum(axis=0, keepdims=True)


def _expected(panel: PanelData, last: int) -> F64:
    """Recent mean of each series and period, for days times the share of their weekday."""
    level = np.nan_to_num(window_average(panel.y[:, : last + 1], AROUND[panel.freq]))
    if panel.freq != "D":
        return level
    known = ~np.isnan(panel.y[:, : last + 1])
    weekday = np.array([panel.day(i).weekday() for i in range(last + 1)])
    for k in range(7):
        of = known & (weekday == k)
        usual = np.where(of, level, 0.0).sum(axis=1)
        found = np.where(of, panel.y[:, : last + 1], 0.0).sum(axis=1)
        level[:, weekday == k] *= np.where(usual > 0, found / np.where(usual > 0, usual, 1.0), 1.0)[:, None]
    return level
