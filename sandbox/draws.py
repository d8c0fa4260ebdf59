"""Random numbers that depend on (seed, stream, day) only, so that two policies meet the same world."""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def stream(seed: int, name: str, day: int = 0) -> np.random.Generator:
    """The generator of one stream on one day.

    Equal arguments give equal draws whatever was drawn before: that is what makes common random numbers and exact
    continuation possible.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode()), day + 1_000])))


def check_digit(digits: str) -> str:
    """GS1 check digit of a number without it.

    >>> check_digit("400638133393")
    '1'
    """
    total = sum(int(c) * (3 if i % 2 == 0 else 1) for i, c in enumerate(reversed(digits)))
    return str(-total % 10)
