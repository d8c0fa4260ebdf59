"""Readings: in = kept + duplicates + rejected, each bad line with its number and what to do."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.edi_tables import RAW_EDI_REJECTS
from aios_assets.contracts.raw_tables import RAW_TELEMETRY_READINGS
from aios_assets.tabular.sniff import sniff_plain
from aios_assets.telemetry import Message, pack, read_telemetry

AT = datetime(2026, 1, 6, 5, tzinfo=UTC)
GOOD: dict[str, Any] = {
    "sensor_id": "T1", "measure_code": "temperature_c", "read_at_utc": "2026-01-05T07:30:00Z", "value": 3.5,
    "asset_type": "trailer", "asset_id": "TR1", "site_id": None, "shipment_id": "SH1",
}  # fmt: skip


def documents(*contents: bytes, at: datetime = AT) -> pl.DataFrame:
    return pl.DataFrame(
        [(f"doc{n}", c, at + timedelta(minutes=n)) for n, c in enumerate(contents)],
        schema={"document_id": pl.String, "content": pl.Binary, "available_at_utc": pl.Datetime("us", "UTC")},
        orient="row",
    )


def lines(*rows: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(r) for r in rows).encode()


def test_reads_a_line() -> None:
    batch = read_telemetry(documents(lines(GOOD)))
    assert batch.readings.schema == RAW_TELEMETRY_READINGS.schema
    assert batch.rejects.schema == RAW_EDI_REJECTS.schema
    row = batch.readings.row(0, named=True)
    assert row["read_at_utc"] == datetime(2026, 1, 5, 7, 30, tzinfo=UTC)
    assert (row["value"], row["line_no"], row["available_month"], row["site_id"]) == (3.5, 1, "2026-01", None)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"sensor_id": None}, "bad_text", "sensor_id is missing"),
        ({"sensor_id": " "}, "bad_text", "no text"),
        ({"asset_id": 7}, "bad_text", "is 7"),
        ({"site_id": 7}, "bad_text", "site_id"),
        ({"value": None}, "bad_value", "value is missing"),
        ({"value": "3.5"}, "bad_value", "'3.5', which is no number"),
        ({"value": True}, "bad_value", "no number"),
        ({"value": float("nan")}, "bad_value", "not finite"),
        ({"value": 10**400}, "bad_value", "too large"),
        ({"read_at_utc": "yesterday"}, "bad_instant", "ISO 8601"),
        ({"read_at_utc": 17}, "bad_instant", "no instant"),
        ({"read_at_utc": None}, "bad_instant", "missing"),
        ({"read_at_utc": "2026-01-07T00:00:00Z"}, "future", "after the document reached us"),
        ({"read_at_utc": "0001-01-01T00:00:00+14:00"}, "bad_instant", "no instant"),
        ({"read_at_utc": "2026-01-05"}, "bad_instant", "no instant"),
        ({"read_at_utc": "2026-W02-1"}, "bad_instant", "no instant"),
        ({"read_at_utc": "0001-01-01T00:00:00Z"}, "past", "0001-01-01T00:00:00.* set the sensor's clock"),
        ({"read_at_utc": "1970-01-01T00:00:07Z"}, "past", "twenty years before the document reached us"),
        ({"value": 3.4e38}, "bad_value", "too large to be a reading"),
        ({"value": [[1] * 9] * 9}, "bad_value", "value is a list, which is no number"),
        ({"sensor_id": "T\ud800"}, "bad_text", "no valid text"),
        ({"site_id": "\udfff"}, "bad_text", "site_id is .* no valid text"),
    ],
)
def test_a_bad_line_is_set_aside_and_the_others_land(change: dict[str, Any], code: str, words: str) -> None:
    batch = read_telemetry(documents(lines(GOOD, GOOD | change, GOOD | {"sensor_id": "T2"})))
    assert batch.counts == {"lines": 3, "kept": 2, "duplicates": 0, "conflicts": 0, "rejected": 1}
    reject = batch.rejects.row(0, named=True)
    assert (reject["error_code"], reject["segment_no"], reject["document_id"]) == (f"telemetry:{code}", 2, "doc0")
    assert re.search(words, reject["reason"])
    assert reject["reason"].startswith("line 2: ")


@pytest.mark.parametrize(
    "line", [b"{", b"[1]", b'"x"', b"\xff\xfe{}", b"null", b'{"a":1}{"a":2}', b'{"a":' + b"[" * 60_000]
)
def test_lines_that_are_no_object(line: bytes) -> None:
    batch = read_telemetry(documents(line + b"\n\n" + lines(GOOD)))
    assert (batch.counts["kept"], batch.counts["rejected"]) == (1, 1)
    assert batch.readings["line_no"].to_list() == [3]


def test_a_first_line_of_brackets_does_not_hide_what_the_document_is() -> None:
    assert sniff_plain(b'{"a":' + b"[" * 60_000 + b"\n" + lines(GOOD)) == "telemetry"


@pytest.mark.parametrize("first", [b"online", b'{"status": "online"}', b"on,line", b"\x00\x01\x08bytes", b"{", b""])
def test_what_a_device_says_of_itself_first_does_not_hide_the_readings_behind_it(first: bytes) -> None:
    """A broker hands over retained messages before all others, and all of a bundle is one document."""
    content = pack(
        [Message("t", p, AT) for p in (first, lines(GOOD), lines(GOOD | {"sensor_id": "T2"}))], {"aios_bus": "mqtt"}
    )
    assert sniff_plain(content) == "telemetry"
    counts = read_telemetry(documents(content)).counts
    assert (counts["kept"], counts["rejected"]) == (2, 1)
    assert sniff_plain(b'{"order": 7}\n') != "telemetry"


def test_offsets_and_marks_at_the_start_are_read() -> None:
    content = b"\xef\xbb\xbf" + lines(GOOD | {"read_at_utc": "2026-01-05T09:30:00+02:00"}).replace(b"\n", b"\r\n")
    assert read_telemetry(documents(content)).readings["read_at_utc"][0] == datetime(2026, 1, 5, 7, 30, tzinfo=UTC)


def test_the_earliest_received_of_equal_instants_stays() -> None:
    batch = read_telemetry(
        documents(lines(GOOD | {"value": 1}, GOOD | {"value": 1}), lines(GOOD | {"value": 2})).reverse()
    )
    assert batch.readings["value"].to_list() == [1.0]
    assert batch.counts == {"lines": 3, "kept": 1, "duplicates": 2, "conflicts": 1, "rejected": 0}


def test_nothing_in_nothing_out() -> None:
    assert read_telemetry(documents()).counts["lines"] == 0


@settings(deadline=None)
@given(
    st.lists(
        st.one_of(st.binary(max_size=30), st.integers(0, 3).map(lambda v: json.dumps(GOOD | {"value": v}).encode())),
        max_size=12,
    )
)
def test_every_line_is_kept_repeated_or_rejected(parts: list[bytes]) -> None:
    content = b"\n".join(parts)
    batch = read_telemetry(documents(content))
    counts = batch.counts
    assert counts["lines"] == sum(1 for x in content.removeprefix(b"\xef\xbb\xbf").split(b"\n") if x.strip())
    assert counts["lines"] == counts["kept"] + counts["duplicates"] + counts["rejected"]
    assert batch.rejects["reject_id"].n_unique() == batch.rejects.height == counts["rejected"]
