"""Pieces of one piece of work side by side: for compiled kernels and arrays, which let other threads go on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import polars as pl

Result = TypeVar("Result")


def side_by_side(work: Callable[..., Result], arguments: Iterable[tuple[Any, ...]]) -> list[Result]:
    """Results of the calls in their order, made on as many threads as polars has (`POLARS_MAX_THREADS`).

    The calls may not write to the same places. An error of one of them is raised once all have ended.
    """
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        waiting = [pool.submit(work, *one) for one in arguments]
    return [done.result() for done in waiting]


def in_parts(n: int) -> list[tuple[int, int]]:
    """`[0, n)` in stretches for `side_by_side`, several for each thread, so that none waits long for another."""
    parts = min(n, 4 * pl.thread_pool_size())
    return [(n * k // parts, n * (k + 1) // parts) for k in range(parts)]
