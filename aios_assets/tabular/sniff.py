"""What the first bytes of a document that is not EDI say it is."""

from __future__ import annotations

HEAD_BYTES = 65_536
SEPARATORS = (",", ";", "\t", "|")
_BUS = b'{"aios_bus":'  # messages of a bus, as `aios_assets.telemetry.envelope` writes them
# Workbooks of today and of other offices are zip archives, those of old are compound files; each names its book inside.
_ARCHIVES = ((b"PK\x03\x04", (b"xl/workbook", b"xl/worksheets", b"opendocument.spreadsheet")),
             (b"\xd0\xcf\x11\xe0", (b"W\0o\0r\0k\0b\0o\0o\0k", b"B\0o\0o\0k\0")))  # fmt: skip
# The first four bytes of whatever may be a workbook.
ARCHIVE_HEADS = tuple(head for head, _ in _ARCHIVES)


def sniff_plain(content: bytes) -> str:
    """`telemetry`, `csv`, `parquet` or `unknown`, from the bytes alone and never from the file's name.

    A workbook counts as csv: it is a table, and whoever reads tables says how to save it as one.

    >>> sniff_plain(b'{"sensor_id": "T1", "value": 3}'), sniff_plain(b"item_id;qty"), sniff_plain(b"\\x89PNG")
    ('telemetry', 'csv', 'unknown')
    """
    if is_spreadsheet(content):
        return "csv"
    if content[:4] == b"PAR1":
        return "parquet"
    head = content[:HEAD_BYTES].removeprefix(b"\xef\xbb\xbf")
    if head.startswith(_BUS) or _has_sensor(head):
        return "telemetry"
    if not head.strip() or b"\x00" in head or head.lstrip()[:1] == b"{":
        return "unknown"
    return "csv" if _is_table(head, is_cut=len(content) > HEAD_BYTES) else "unknown"


def is_spreadsheet(content: bytes) -> bool:
    """Whether the bytes are a workbook (xlsx, xlsm, ods, xls) and not any other archive.

    >>> is_spreadsheet(b"PK\\x03\\x04...xl/workbook.xml..."), is_spreadsheet(b"PK\\x03\\x04...orders.edi...")
    (True, False)
    """
    return any(content.startswith(magic) and any(mark in content for mark in marks) for magic, marks in _ARCHIVES)


def _has_sensor(head: bytes) -> bool:
    """Whether a line near the start is a reading, sound or broken, whatever stands before it.

    A bundle of messages from a bus often begins with what a device says of itself ("online", a status, bytes of another protocol).
    """
    lines = [head] if head.lstrip()[:1] == b"{" else head.split(b"\n")
    return any(line.lstrip()[:1] == b"{" and b'"sensor_id"' in line for line in lines)


def _is_table(head: bytes, *, is_cut: bool) -> bool:
    text = head.decode("utf-8", errors="ignore" if is_cut else "replace")
    odd = sum(1 for ch in text if (ord(ch) < 32 and ch not in "\r\n\t") or ch == "\ufffd")
    first = next(iter(text.lstrip().splitlines()), "")
    return odd <= len(text) // 100 and any(mark in first for mark in SEPARATORS)
