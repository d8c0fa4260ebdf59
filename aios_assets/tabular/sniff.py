"""What the first bytes of a document that is not EDI say it is."""

from __future__ import annotations

import json

HEAD_BYTES = 65_536
SEPARATORS = (",", ";", "\t", "|")


def sniff_plain(content: bytes) -> str:
    """`telemetry`, `csv`, `parquet` or `unknown`, from the bytes alone and never from the file's name.

    >>> sniff_plain(b'{"sensor_id": "T1", "value": 3}'), sniff_plain(b"item_id;qty"), sniff_plain(b"\\x89PNG")
    ('telemetry', 'csv', 'unknown')
    """
    if content[:4] == b"PAR1":
        return "parquet"
    head = content[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    if not head.strip() or b"\x00" in head:
        return "unknown"
    if head.lstrip()[:1] == b"{":
        return "telemetry" if _has_sensor(head) else "unknown"
    return "csv" if _is_table(head, is_cut=len(content) > HEAD_BYTES) else "unknown"


def _has_sensor(head: bytes) -> bool:
    """A first line may be broken and the rest sound, so the name of the field anywhere near the start is enough."""
    first = head.split(b"\n", 1)[0]
    try:
        return isinstance(said := json.loads(first), dict) and "sensor_id" in said
    except ValueError:
        return b'"sensor_id"' in head


def _is_table(head: bytes, *, is_cut: bool) -> bool:
    text = head.decode("utf-8", errors="ignore" if is_cut else "replace")
    odd = sum(1 for ch in text if (ord(ch) < 32 and ch not in "\r\n\t") or ch == "\ufffd")
    first = next(iter(text.lstrip().splitlines()), "")
    return odd <= len(text) // 100 and any(mark in first for mark in SEPARATORS)
