"""Sentences from columns."""

from __future__ import annotations

import polars as pl


def say(template: str, *values: pl.Expr | str) -> pl.Expr:
    """The template with each `{}` replaced by a value; null where a value is null.

    `pl.format` of polars 2.1 panics on a column of several chunks, as filters and concatenations leave them; concatenation
    does not.

    Args:
        template: text with `{}` for each value.
        values: expressions, or names of columns.
    """
    texts = template.split("{}")
    parts: list[pl.Expr] = []
    for n, text in enumerate(texts):
        if text:
            parts.append(pl.lit(text))
        if n < len(values):
            value = values[n]
            parts.append((pl.col(value) if isinstance(value, str) else value).cast(pl.String))
    return pl.concat_str(parts)
