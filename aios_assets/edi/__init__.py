"""X12 and EDIFACT: read thousands of documents at once, judge them, type them, answer them. Pure: bytes in, frames out."""

from aios_assets.edi.batch import EdiBatch, read_documents
from aios_assets.edi.delims import sniff
from aios_assets.edi.locate import element_span, locate, segment_text, segments

__all__ = ["EdiBatch", "element_span", "locate", "read_documents", "segment_text", "segments", "sniff"]
