"""Work side by side gives what the same work gives one after the other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml.threads import in_parts, side_by_side


@given(st.integers(0, 10_000))
def test_parts_cover_everything_once_and_none_is_empty(n: int) -> None:
    parts = in_parts(n)
    assert [k for low, high in parts for k in range(low, high)] == list(range(n))
    assert all(low < high for low, high in parts)


def test_results_keep_the_order_of_the_calls_and_parts_write_their_own_places() -> None:
    out = np.zeros(1_000)

    def fill(low: int, high: int) -> int:
        out[low:high] = np.arange(low, high)
        return low

    assert side_by_side(fill, in_parts(out.size)) == [low for low, _ in in_parts(out.size)]
    assert np.array_equal(out, np.arange(1_000))


def test_an_error_in_one_part_is_raised_after_all_have_ended() -> None:
    done = []

    def work(k: int) -> None:
        if k == 1:
            raise ValueError("part 1")
        done.append(k)

    with pytest.raises(ValueError, match="part 1"):
        side_by_side(work, [(k,) for k in range(5)])
    assert sorted(done) == [0, 2, 3, 4]
