"""What the messages say is what happened; checked with a reader of our own few lines and three outside ones."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable
from zoneinfo import ZoneInfo

import polars as pl
import pytest

from aios_assets.contracts.raw_tables import MASTER_TABLES

Segments = Callable[[bytes], list[list[str]]]
NIGHT = ZoneInfo("America/New_York")


def edi(made, *kinds: str) -> dict[str, bytes]:
    """Clean EDI files of these kinds, first deliveries only."""
    bad = made.faulty()
    return {
        p: c for p, c in made.files.items()
        if p.startswith("edi/") and p not in bad and (not kinds or p.rsplit("/", 1)[1].split("_")[0] in kinds)
    }  # fmt: skip


def test_all_document_kinds_are_written(tiny) -> None:
    kinds = Counter(p.rsplit("/", 1)[1].split("_")[0] for p in edi(tiny))
    assert set(kinds) >= {
        "852", "846", "850", "855", "856", "861", "810", "214", "SLSRPT", "ORDERS", "ORDRSP", "DESADV", "INVOIC",
    }  # fmt: skip
    assert b"INVRPT:D:96A" in next(iter(edi(tiny, "SLSRPT").values()))


def test_envelopes_count_right_and_control_numbers_are_unique_per_sender(tiny, segments: Segments) -> None:
    seen: set[tuple[str, str]] = set()
    for path, content in edi(tiny).items():
        rows = segments(content)
        if rows[0][0] == "ISA":
            assert len(content.split(b"~")[0]) == 105, path
            sender, control = rows[0][6].strip(), rows[0][13]
            assert rows[-1] == ["IEA", "1", control] and rows[-2][2] == rows[1][6] == str(int(control))
            starts = [n for n, r in enumerate(rows) if r[0] == "ST"]
            ends = [n for n, r in enumerate(rows) if r[0] == "SE"]
            assert int(rows[-2][1]) == len(starts) == len(ends)
            for a, b in zip(starts, ends, strict=True):
                assert rows[b] == ["SE", str(b - a + 1), rows[a][2]]
        else:
            sender, control = rows[0][2], rows[0][5]
            assert rows[-1][2] == control
            starts = [n for n, r in enumerate(rows) if r[0] == "UNH"]
            ends = [n for n, r in enumerate(rows) if r[0] == "UNT"]
            assert int(rows[-1][1]) == len(starts) == len(ends)
            for a, b in zip(starts, ends, strict=True):
                assert rows[b] == ["UNT", str(b - a + 1), rows[a][1]]
        assert (sender, control) not in seen, path
        seen.add((sender, control))


def _x12_reports(tiny, segments: Segments) -> dict[tuple[str, str, str], dict[str, int]]:
    """852 and 846 quantities by (site, item, day)."""
    out: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for content in edi(tiny, "852", "846").values():
        site = item = day = ""
        for r in segments(content):
            if r[0] in ("XQ", "BIA"):
                day = r[2] if r[0] == "XQ" else r[4]
            elif r[0] == "N1":
                site = r[4]
            elif r[0] == "LIN":
                item = r[3]
            elif r[0] in ("ZA", "QTY"):
                out[site, item, day][r[1]] = int(r[2])
    return out


def _edifact_reports(tiny, segments: Segments) -> dict[tuple[str, str, str], dict[str, int]]:
    """SLSRPT and INVRPT quantities by (GLN, GTIN, day)."""
    out: dict[tuple[str, str, str], dict[str, int]] = defaultdict(dict)
    for content in edi(tiny, "SLSRPT", "INVRPT").values():
        site = item = day = ""
        for r in segments(content):
            if r[0] == "DTM" and r[1].startswith("137:"):
                day = r[1].split(":")[1]
            elif r[0] == "LOC" or (r[0] == "NAD" and r[1] == "WH"):
                site = r[2].split(":")[0]
            elif r[0] == "LIN":
                item = r[3].split(":")[0]
            elif r[0] == "QTY":
                code, quantity, _ = r[1].split(":")
                out[site, item, day][code] = int(quantity)
    return out


def _ids(tiny, kind: str, key: str, value: str) -> dict[str, str]:
    text = b"".join(c for p, c in sorted(tiny.files.items()) if p.startswith(f"master/{kind}/")).decode()
    header = text.split("\n", 1)[0]
    rows = csv.DictReader(io.StringIO(header + "\n" + text.replace(header + "\n", "")))
    return {r[key]: r[value] for r in rows}


def test_reports_say_what_happened(tiny, segments: Segments) -> None:
    stock = {
        (r["site_id"], r["item_id"], r["date"].strftime("%Y%m%d")): r for r in tiny.truth("stock").iter_rows(named=True)
    }
    x12 = _x12_reports(tiny, segments)
    assert len(x12) > 4000
    for key, said in x12.items():
        true = stock.get(key)
        if true is None:
            assert set(said.values()) <= {0}, key
        elif "17" in said:
            assert said["17"] == true["closing_qty_ea"] and said.get("A5", 0) == true["adjustments_qty_ea"]
        else:
            assert said["QS"] == true["sales_qty_ea"] and said["QA"] == true["closing_qty_ea"]
            assert said.get("QR", 0) == true["receipts_qty_ea"] and said.get("QT", 0) == true["adjustments_qty_ea"]
    sites, items = _ids(tiny, "sites", "site_gln", "site_id"), _ids(tiny, "items", "item_gtin", "item_id")
    edifact = _edifact_reports(tiny, segments)
    assert len(edifact) > 1000
    for (gln, gtin, day), said in edifact.items():
        true = stock.get((sites[gln], items[gtin], day))
        if true is not None:
            assert said["153"] == true["sales_qty_ea"] and said["145"] == true["closing_qty_ea"]


def test_stock_identity_can_be_derived_from_the_messages_alone(tiny, segments: Segments) -> None:
    reports = _x12_reports(tiny, segments)
    moved: dict[tuple[str, str, str], int] = defaultdict(int)
    broken_days = {f["date"].replace("-", "") for f in tiny.faults}
    for path, content in edi(tiny, "861", "856").items():
        if "_SUP" in path:
            continue
        site = item = day = sign = ""
        quantity = 0
        for r in segments(content):
            if r[0] == "BRA":
                day, sign = r[2], "+"
            elif r[0] == "BSN":
                day, sign = r[3], "-"
            elif r[0] == "N1" and r[1] == ("ST" if sign == "+" else "SF"):
                site = r[4]
            elif r[0] == "LIN":
                item = r[3]
                if sign == "+":
                    moved[site, item, day] += quantity
            elif r[0] == "RCD":
                quantity = int(r[2]) - int(r[4] if len(r) > 4 else 0)
            elif r[0] == "SN1":
                moved[site, item, day] -= int(r[2])
    checked = 0
    for (site, item, day), said in reports.items():
        before = (dt.datetime.strptime(day, "%Y%m%d") - dt.timedelta(days=1)).strftime("%Y%m%d")
        opening = reports.get((site, item, before))
        if opening is None or {day, before} & broken_days:
            continue
        if "17" in said:
            assert opening["17"] + moved[site, item, day] + said.get("A5", 0) == said["17"], (site, item, day)
        else:
            assert opening["QA"] + said.get("QR", 0) - said["QS"] + said.get("QT", 0) == said["QA"], (site, item, day)
        checked += 1
    assert checked > 2000


def test_every_order_is_told_once_and_received_as_shipped(tiny, segments: Segments) -> None:
    ordered: dict[tuple[str, str], int] = {}
    for content in edi(tiny, "850", "ORDERS").values():
        number = ""
        for r in segments(content):
            if r[0] == "BEG":
                number = r[3]
            elif r[0] == "BGM":
                number = r[2]
            elif r[0] == "PO1":
                assert (number, r[1]) not in ordered
                ordered[number, r[1]] = int(r[2])
            elif r[0] == "LIN":
                line = r[1]
            elif r[0] == "QTY":
                ordered[number, line] = int(r[1].split(":")[1])
    orders = tiny.truth("orders")
    assert len(ordered) >= orders.height - 10  # a few lie in faulty files
    pack = {i: int(p) for i, p in _ids(tiny, "items", "item_id", "pack_ea").items()}
    for row in orders.iter_rows(named=True):
        said = ordered.get((row["order_number"], str(row["line"])))
        factor = pack[row["item_id"]] if row["source_id"] == "SUP03" else 1  # this supplier counts in cases
        assert said is None or said * factor == row["ordered_qty_ea"]
    receipts = tiny.truth("receipts")
    assert (receipts["received_qty_ea"] + receipts["refused_qty_ea"] == receipts["shipped_qty_ea"]).all()
    assert (receipts["arrive_date"] > receipts["day_date"]).all()


def test_delivery_times_lie_in_the_night_before_the_cut_off(tiny) -> None:
    inbox = tiny.root / "inbox"
    bad = tiny.faulty()
    for path in tiny.files:
        if path in bad or path.startswith("master/"):
            continue
        day = dt.date(*map(int, path.split("/")[1:4]))
        at = dt.datetime.fromtimestamp((inbox / path).stat().st_mtime, NIGHT)
        assert at.date() == day + dt.timedelta(days=1), path
        assert dt.time(0, 4) <= at.time() <= dt.time(1, 45), path


def test_master_files_have_the_columns_of_the_contracts_and_promotions_are_known_ahead(tiny) -> None:
    contracts = {t.name.removeprefix("raw_master__"): t for t in MASTER_TABLES}
    kinds = {p.split("/")[1] for p in tiny.files if p.startswith("master/")}
    assert kinds == set(contracts)
    for path, content in tiny.files.items():
        if not path.startswith("master/"):
            continue
        kind, name = path.split("/")[1:]
        want = [c for c in contracts[kind].names if c not in ("document_id", "line_no", "available_at_utc")]
        frame = pl.read_csv(content, infer_schema_length=None)
        unknown = {c.name for c in contracts[kind].columns if c.nullable} - set(frame.columns)
        assert frame.columns == [c for c in want if c not in unknown] and frame.height
        for column in contracts[kind].columns:
            assert column.name not in want or column.nullable or frame[column.name].null_count() == 0
        handed_over = dt.date.fromisoformat(re.search(r"\d{4}-\d\d-\d\d", name).group())
        if kind == "promotions" and handed_over >= dt.date(2024, 1, 1):
            assert (frame["start_date"].str.to_date() - handed_over).dt.total_days().min() >= 28
        if kind == "items" and handed_over >= dt.date(2024, 1, 1):
            assert frame.filter(pl.col("introduced_date").str.to_date() < handed_over).is_empty() or frame.height


def test_telemetry_has_the_fields_of_the_contract_and_modest_volume(tiny) -> None:
    rows = [json.loads(line) for p, c in tiny.files.items() if p.startswith("telemetry/") for line in c.splitlines()]
    fields = {
        "sensor_id", "measure_code", "read_at_utc", "value", "asset_type", "asset_id", "site_id", "shipment_id",
    }  # fmt: skip
    assert all(set(r) == fields for r in rows)
    assert {r["measure_code"] for r in rows} == {
        "temperature_c", "latitude_deg", "longitude_deg", "vibration_mm_s", "dwell_minutes",
    }  # fmt: skip
    assert len({(r["sensor_id"], r["measure_code"], r["read_at_utc"]) for r in rows}) == len(rows)
    assert max(Counter(r["read_at_utc"][:10] for r in rows).values()) < 200
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", r["read_at_utc"]) for r in rows)


def test_x12_doctor_finds_nothing_in_clean_documents(tiny) -> None:
    doctor = pytest.importorskip("x12doctor", reason="x12-doctor is a development extra")
    files = edi(tiny, "852", "846", "850", "855", "856", "861", "810", "214")
    assert len(files) > 900
    for path, content in files.items():
        report = doctor.diagnose(content)
        assert not [f for f in report.findings if f.severity.name.lower() == "error"], path


def test_pyx12_reads_the_same_segments_without_an_envelope_error(tiny, segments: Segments) -> None:
    reader = pytest.importorskip("pyx12.x12file", reason="pyx12 is a development extra")
    files = list(edi(tiny, "852", "846", "850", "855", "856", "861", "810", "214").items())
    for path, content in files[:: max(1, len(files) // 150)]:
        source = reader.X12Reader(io.StringIO(content.decode("ascii")))
        count, errors = 0, []
        for _ in source:
            count += 1
            errors += source.pop_errors()
        source.cleanup()
        assert errors + source.pop_errors() == [], path
        assert count == len(segments(content)), path


def test_pydifact_reads_the_same_messages(tiny, segments: Segments) -> None:
    collection = pytest.importorskip("pydifact.segmentcollection", reason="pydifact is a development extra")
    files = list(edi(tiny, "SLSRPT", "INVRPT", "ORDERS", "ORDRSP", "DESADV", "INVOIC").items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path, content in files[:: max(1, len(files) // 60)]:
            interchange = collection.Interchange.from_str(content.decode("ascii"))
            messages = list(interchange.get_messages())
            inside = sum(len(m.segments) for m in messages)
            rows = segments(content)
            assert inside == len(rows) - 2 - 2 * len(messages), path


def test_every_gtin_and_gln_has_a_valid_check_digit(tiny) -> None:
    text = b"".join(c for p, c in tiny.files.items() if p.startswith(("edi/", "master/"))).decode("ascii")
    numbers = set(re.findall(r"\b0850\d{9}\b", text))
    assert len(numbers) > 14
    for number in numbers:
        weighted = sum(int(d) * (1, 3)[n % 2] for n, d in enumerate(number))
        assert weighted % 10 == 0, number
