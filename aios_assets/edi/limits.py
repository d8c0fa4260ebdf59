"""Largest sizes taken, and the settings that raise them; bytes are checked before any split."""

from __future__ import annotations

from dataclasses import dataclass

from aios_assets.edi.source import Source

# Memory of the row of an interchange or a group, in rows of sets.
HEADER_WEIGHT = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Size caps.

    Attributes:
        document_bytes: longest document read (setting AIOS_EDI_MAX_DOCUMENT_MB).
        segment_bytes: longest run without a segment terminator (setting AIOS_EDI_MAX_SEGMENT_KB).
        sets: most sets of a document, each a row of memory (setting AIOS_EDI_MAX_SETS); an interchange, a group or a TA1 counts as `HEADER_WEIGHT`.
        window_bytes: how much of a document is in memory at a time.
        document_setting: name of the setting that raises `document_bytes`.
    """

    document_bytes: int = 512 << 20
    segment_bytes: int = 1 << 20
    sets: int = 2_000_000
    window_bytes: int = 16 << 20
    document_setting: str = "AIOS_EDI_MAX_DOCUMENT_MB"

    def too_large(self, size: int) -> str:
        """Words for a document beyond the cap."""
        return (
            f"the document has {size:,} bytes, at most {self.document_bytes:,} are read; "
            f"raise {self.document_setting} if it is genuine"
        )

    def too_long(self) -> str:
        """Words for a run without a terminator."""
        return (
            f"more than {self.segment_bytes:,} bytes stand without a segment terminator; "
            "raise AIOS_EDI_MAX_SEGMENT_KB if it is genuine"
        )

    def too_many(self) -> str:
        """Words for a document of more sets than the cap."""
        return (
            f"the document holds more than {self.sets:,} sets (an interchange, a group or a TA1 counts as {HEADER_WEIGHT}); "
            "raise AIOS_EDI_MAX_SETS if it is genuine, or split it"
        )

    def unbroken(self, content: Source, start: int, end: int, terminator: bytes) -> bool:
        """Whether a stretch holds a longer run without its terminator.

        Runs up to twice the cap may pass, which bounds memory just as well and looks at each byte once.
        """
        step = self.segment_bytes
        return any(content.find(terminator, at, min(at + step, end)) == -1 for at in range(start, end - step, step))
