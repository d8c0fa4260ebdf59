"""How one set type becomes facts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from aios_assets.edi.typing_rules import Typed
from aios_assets.edi.view import View


@dataclass(frozen=True, slots=True)
class Mapping:
    """How one set type becomes facts.

    Attributes:
        openers: tags that open a line.
        read: view and the senders of its sets to facts.
        headers: tags that end the lines.
        context: tags that hold for the lines that follow, until they come again (the site of an 852).
        tree: tags that later lines inherit along HL02.
    """

    openers: tuple[str, ...]
    read: Callable[[View, pl.DataFrame], list[Typed]]
    headers: tuple[str, ...]
    context: tuple[str, ...] = ()
    tree: tuple[str, ...] = ()
