"""The Feast repository: what is published, and how the polars offline and the SQLite online store do it.

Feast marks its classes with `typeguard.typechecked`, which takes the source of some 240 methods apart and compiles it anew at
every import: 3.6 of 4.2 CPU-seconds (measured), in every night and every process of the UI. Our own calls are checked by mypy
and the seam tests, so Feast is imported here without it. A process that imported Feast before this package keeps the checks.
"""

from __future__ import annotations

import sys
from typing import TypeVar

import typeguard

T = TypeVar("T")


def _as_it_is(target: T) -> T:
    return target


def _import_feast_unchecked() -> None:
    checked = typeguard.typechecked
    setattr(typeguard, "typechecked", _as_it_is)  # noqa: B010 - mypy knows it as overloaded
    try:
        import feast  # noqa: F401
    finally:
        setattr(typeguard, "typechecked", checked)  # noqa: B010


if "feast" not in sys.modules:
    _import_feast_unchecked()

from feast import FeatureStore, RepoConfig  # noqa: E402 - only now

__all__ = ["FeatureStore", "RepoConfig"]
