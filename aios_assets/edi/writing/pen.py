"""Segments as polars expressions: what is null is left out, what would break the structure is released or refused."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.edi.writing.profiles import Partner

Part = pl.Expr | str


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of every row: its text with terminator, and whether the row has it."""

    text: pl.Expr
    present: pl.Expr


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes segments in one partner's delimiters.

    Attributes:
        partner: the profile.
        standard: X12 or EDIFACT.
    """

    partner: Partner
    standard: str

    @property
    def end(self) -> str:
        """What closes a segment."""
        return self.partner.delimiters(self.standard)[2] + ("\n" if self.partner.line_break else "")

    def seg(self, tag: str, *parts: Part, when: pl.Expr | None = None) -> Segment:
        """One segment; trailing empty elements are left out.

        Args:
            tag: segment tag.
            parts: element expressions or constants; null is empty.
            when: which rows have the segment; all when left out.
        """
        element = self.partner.delimiters(self.standard)[0]
        texts = [pl.lit(p) if isinstance(p, str) else p.fill_null("") for p in parts]
        text = pl.concat_str([pl.lit(tag), *texts], separator=element)
        # A released separator at the very end is data, not an empty element.
        text = (
            text.str.replace(f"(^|[^{_class(self._release)}]){_escape(element)}+$", "$1")
            if self._release
            else text.str.strip_chars_end(element)
        )
        text = text + pl.lit(self.end)
        present = pl.lit(value=True) if when is None else when.fill_null(value=False)
        return Segment(text if when is None else pl.when(present).then(text).otherwise(pl.lit("")), present)

    @property
    def _release(self) -> str:
        return self.partner.release if self.standard == "EDIFACT" else ""

    def comp(self, *parts: Part) -> pl.Expr:
        """A composite; trailing empty components are left out."""
        component = self.partner.delimiters(self.standard)[1]
        texts = [pl.lit(p) if isinstance(p, str) else p.fill_null("") for p in parts]
        text = pl.concat_str(texts, separator=component)
        if self._release:
            return text.str.replace(f"(^|[^{_class(self._release)}]){_escape(component)}+$", "$1")
        return text.str.strip_chars_end(component)

    def safe(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Texts that cannot be mistaken for structure: released in EDIFACT; X12 has no release character, so refused.

        Raises:
            BadInputError: a value holds a delimiter of this partner, or a control character.
        """
        marks = list(self.partner.delimiters(self.standard))
        texts = [c for c, t in frame.schema.items() if t == pl.String]
        if self._release:
            control = "[\x00-\x1f]"
            self._refuse(frame, texts, control)
            old = self._served()
            return frame.with_columns(pl.col(texts).str.replace_many(old, [self._release + m for m in old]))
        if self.partner.x12_version >= "004020":
            marks.append(self.partner.repetition)
        self._refuse(frame, texts, "[" + "".join(_class(m) for m in marks) + "\x00-\x1f]")
        return frame

    def _served(self) -> list[str]:
        """EDIFACT's service characters; in syntax 4 the asterisk repeats where no UNA says otherwise."""
        repeats = ["*"] if self.partner.edifact_syntax.endswith("4") else []
        return [self._release, *self.partner.delimiters(self.standard), *repeats]

    def released(self, text: str) -> str:
        """A constant that cannot be mistaken for structure; in X12 as it is."""
        old = self._served() if self._release else []
        return "".join(self._release + c if c in old else c for c in text)

    def _refuse(self, frame: pl.DataFrame, texts: list[str], pattern: str) -> None:
        bad = frame.select(pl.col(texts).str.contains(pattern).sum()) if texts else frame.clear()
        for name in bad.columns if bad.height else []:
            count = int(bad[name][0] or 0)
            if count:
                raise BadInputError(
                    "a value holds a delimiter or control character and cannot be written",
                    where=f"column {name}, partner {self.partner.name}",
                    count=count,
                    todo="change the value, or the delimiters of the partner profile",
                )


def _escape(char: str) -> str:
    return "\\" + char if not char.isalnum() else char


def _class(char: str) -> str:
    return "\\" + char if char in "\\]^-[" else char


def number(name: str) -> pl.Expr:
    """A quantity or price in plain decimals, at most six of them, without trailing zeros."""
    value = pl.col(name)
    whole = value.cast(pl.Int64, strict=False).cast(pl.String)
    broken = _shortest(value.round(6).cast(pl.Decimal(30, 6)))
    return pl.when(value == value.round(0)).then(whole).otherwise(broken)


def plain(name: str) -> pl.Expr:
    """An exact decimal without trailing zeros."""
    return _shortest(pl.col(name))


def _shortest(value: pl.Expr) -> pl.Expr:
    return value.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")


def day(name: str) -> pl.Expr:
    """A date as CCYYMMDD."""
    return pl.col(name).dt.strftime("%Y%m%d")


def joined(segments: list[Segment]) -> tuple[pl.Expr, pl.Expr]:
    """Text of several segments and how many there are, row by row."""
    if not segments:
        return pl.lit(""), pl.lit(0, dtype=pl.Int32)
    text = pl.concat_str([s.text for s in segments])
    count = pl.sum_horizontal(s.present.cast(pl.Int32) for s in segments)
    return text, count
