"""Every fault in the record is in the bytes, and nothing else is wrong."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter

import polars as pl
import pytest

import sandbox
from sandbox import writer
from sandbox.spec import FAULT_KINDS
from sandbox.state import new_network


def of(tiny, kind: str) -> list[dict]:
    found = [f for f in tiny.faults if f["kind"] == kind]
    assert found, f"the tiny profile plants no {kind}"
    return found


def delivered(tiny, fault: dict) -> bytes | None:
    """The bytes; None when the file is still on its way."""
    if fault["file"] not in tiny.files:
        held = {p.path: p.content for p in writer.load_state(tiny.root).pending}
        assert fault["file"] in held, fault
        return None
    return tiny.files[fault["file"]]


def test_every_kind_of_the_issue_is_planted_and_says_what_is_expected(tiny) -> None:
    assert {f["kind"] for f in tiny.faults} == set(FAULT_KINDS)
    assert all(f["expect_level"] and f["expect"] and f["date"] for f in tiny.faults)


def test_duplicate_is_the_same_bytes_under_another_name(tiny) -> None:
    for fault in of(tiny, "duplicate"):
        assert tiny.files[fault["file"]] == tiny.files[fault["other_file"]]
    same = Counter(c for p, c in tiny.files.items() if p.startswith("edi/"))
    assert sum(n - 1 for n in same.values()) == len(of(tiny, "duplicate"))


@pytest.mark.parametrize("kind", ["late", "out_of_order"])
def test_late_files_come_one_to_four_nights_after_their_day(tiny, kind: str) -> None:
    for fault in of(tiny, kind):
        year, month, day = (int(x) for x in fault["file"].split("/")[1:4])
        nights = (pl.date(year, month, day) - pl.lit(fault["date"]).str.to_date()).dt.total_days()
        assert pl.select(nights).item() == fault["nights_late"] in (1, 2, 3, 4)
        content = delivered(tiny, fault)
        if content is not None and kind == "out_of_order" and fault["document_kind"] in ("852", "SLSRPT", "846"):
            folder = fault["file"].rsplit("/", 1)[0]
            inbox = tiny.root / "inbox"
            same_night = [
                p for p in tiny.files if p.startswith(f"{folder}/{fault['document_kind']}_{fault['subject']}_")
            ]
            newer = [p for p in same_night if p != fault["file"] and p not in tiny.faulty()]
            at = (inbox / fault["file"]).stat().st_mtime
            assert all((inbox / p).stat().st_mtime < at for p in newer)


def test_broken_envelopes_are_broken_as_said_and_come_again_good(tiny) -> None:
    for kind in ("truncated", "wrong_se_count", "wrong_control_number"):
        for fault in of(tiny, kind):
            content = delivered(tiny, fault)
            assert content is not None
            text = content.decode()
            if kind == "truncated":
                assert "IEA*" not in text and "UNZ+" not in text
            elif kind == "wrong_se_count":
                first = re.search(r"ST\*.*?SE\*(\d+)\*|UNH\+.*?UNT\+(\d+)\+", text)
                said = int(first.group(1) or first.group(2))
                assert said == first.group(0).count("~" if first.group(1) else "'") + 1 + 2
            else:
                control = fault["control"]
                assert str(control) in text and str(control + 7) in text
            again = [
                p for p in tiny.files
                if f"/{fault['document_kind']}_{fault['subject']}_{fault['date'].replace('-', '')}_" in p
                and p != fault["file"]
            ]  # fmt: skip
            waiting = [
                json.loads(p.content)["subject"] for p in writer.load_state(tiny.root).pending if p.path == "re-send"
            ]
            assert again or fault["subject"] in waiting, fault
            for path in again:
                assert tiny.files[path].decode()[:200] != text[:200]


def test_quantity_faults_change_one_line_and_an_unknown_item_adds_one(tiny) -> None:
    stock = {(r["site_id"], r["item_id"], str(r["date"])): r for r in tiny.truth("stock").iter_rows(named=True)}
    for kind in ("corrected_resend", "unit_off_by_pack"):
        for fault in of(tiny, kind):
            row = stock[fault["subject"], fault["item_id"], fault["date"]]
            column = "closing_qty_ea" if fault["document_kind"] == "846" else "sales_qty_ea"
            assert row[column] == fault["true"]
            content = delivered(tiny, fault)
            assert content is not None
            mark = ":" if fault["document_kind"] == "SLSRPT" else "*"
            assert f"{mark}{fault['said']}{mark}" in content.decode()
            assert fault["said"] != fault["true"] or f"{mark}CA" in content.decode()
    for fault in of(tiny, "unknown_item"):
        content = delivered(tiny, fault)
        assert content is not None and content.decode().count(fault["item_id"]) == 1
    clean = [c for p, c in tiny.files.items() if p not in tiny.faulty() and p.startswith("edi/")]
    assert not any(b"X99999" in c or b"0850009999993" in c for c in clean)


def test_sensor_faults_are_in_the_readings(tiny) -> None:
    rows = [json.loads(line) for p, c in tiny.files.items() if p.startswith("telemetry/") for line in c.splitlines()]
    by_day: dict[tuple[str, str], list[float]] = {}
    for r in rows:
        if r["measure_code"] in ("temperature_c", "vibration_mm_s"):
            by_day.setdefault((r["sensor_id"], r["read_at_utc"][:10]), []).append(r["value"])
    usual = Counter(len(v) for v in by_day.values())
    for fault in of(tiny, "sensor_spike"):
        assert max(by_day[fault["sensor_id"], fault["date"]]) >= 14
    for fault in of(tiny, "sensor_stuck"):
        values = by_day[fault["sensor_id"], fault["date"]]
        assert max(Counter(values).values()) >= fault["readings"] >= 6
    for fault in of(tiny, "sensor_gap"):
        assert len(by_day[fault["sensor_id"], fault["date"]]) not in usual or usual[
            len(by_day[fault["sensor_id"], fault["date"]])
        ] < len(tiny.faults)
    spikes = {(f["sensor_id"], f["date"]) for f in of(tiny, "sensor_spike")}
    assert all(max(v) < 14 for k, v in by_day.items() if k not in spikes)


def test_a_regime_change_shifts_expected_demand_by_its_factor_from_its_day(tiny) -> None:
    spec = writer.read_spec("tiny")
    steady = dataclasses.replace(spec, faults=())
    shifted, plain = new_network(spec, 7), new_network(steady, 7)
    net = shifted.net
    faults = {(f["item_id"], f["date"]): f["factor"] for f in of(tiny, "regime_change")}
    for a, b in zip(sandbox.advance(shifted, 199), sandbox.advance(plain, 199), strict=True):
        for i, item in enumerate(net.item_ids):
            factor = 1.0
            for (name, date), size in faults.items():
                factor *= size if name == item and date <= str(spec.date(a.day)) else 1.0
            assert a.expected[:, i] == pytest.approx(b.expected[:, i] * factor)


def test_faults_change_bytes_and_never_what_happens() -> None:
    spec = writer.read_spec("tiny")
    quiet = dataclasses.replace(spec, faults=tuple(f for f in spec.faults if f.kind == "regime_change"))
    one, two = new_network(spec, 7), new_network(quiet, 7)
    for a, b in zip(sandbox.advance(one, 50), sandbox.advance(two, 50), strict=True):
        assert (a.closing == b.closing).all() and (a.demand == b.demand).all()
