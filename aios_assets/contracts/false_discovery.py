"""Which of many tests of one night count: the rule that anomalies and drift share, so that a finding means the same in both."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def discoveries(p: npt.NDArray[np.float64], rate: float) -> npt.NDArray[np.bool_]:
    """Which p-values are discoveries when at most a share `rate` of them may be false; NaN never is one.

    Source: Benjamini and Hochberg (1995), step-up.

    Args:
        p: p-values, NaN where a test could not be made (it counts among the tests).
        rate: share of false discoveries allowed.

    >>> discoveries(np.array([0.01, 0.04, 0.03, 0.9]), 0.05).tolist()
    [True, False, False, False]
    """
    p = np.where(np.isnan(p), 1.0, p)
    order = np.argsort(p, kind="stable")
    below = p[order] <= rate * np.arange(1, p.size + 1) / max(p.size, 1)
    cut = int(np.nonzero(below)[0].max()) + 1 if below.any() else 0
    out = np.zeros(p.size, dtype=bool)
    out[order[:cut]] = True
    return out
