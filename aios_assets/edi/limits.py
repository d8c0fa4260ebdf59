"""Largest sizes taken, checked on the bytes before any split, and the settings that raise them."""

from __future__ import annotations

from dataclasses import dataclass

from aios_assets.edi.source import Source


@dataclass(frozen=True, slots=True)
class Limits:
    """Size caps.

    Attributes:
        document_bytes: longest document read (setting AIOS_EDI_MAX_DOCUMENT_MB).
        segment_bytes: longest run without a segment terminator (setting AIOS_EDI_MAX_SEGMENT_KB).
        window_bytes: how much of a document is in memory at a time.
        document_setting: name of the setting that raises `document_bytes`.
    """

    document_bytes: int = 512 << 20
    segment_bytes: int = 1 << 20
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

    def unbroken(self, content: Source, start: int, end: int, terminator: bytes) -> bool:
        """Whether a stretch holds a longer run without its terminator.

        Runs up to twice the cap may pass, which bounds memory just as well and looks at each byte once.
        """
        step = self.segment_bytes
        return any(content.find(terminator, at, min(at + step, end)) == -1 for at in range(start, end - step, step))
