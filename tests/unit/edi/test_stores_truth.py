"""What SDQ gives to each store in an 852, beside a reading of the bytes that knows nothing of ours: split, walk, count."""

from __future__ import annotations

import hashlib
import random
import re

import polars as pl

from aios_assets.edi import read_documents
from tests.unit.edi.make import frame, x12

Found = dict[tuple[int, int], tuple[str, str, str, float, str]]
NET = ("QS", "QT", "QU")
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)"


def walked(content: bytes, sender: str) -> tuple[Found, set[int]]:
    """Rows by (segment from ST on, ordinal within it), and the segments of which something is set aside."""
    text = content.decode()
    element, end = text[3], text[105]
    segments = [s.split(element) for s in text.split(end)]
    first = next(n for n, s in enumerate(segments) if s[0] == "ST")
    found: Found = {}
    aside: set[int] = set()
    item, activity, site = "", ("", "", "", 0), sender
    split: set[int] = set()
    for n, cells in enumerate(segments[first:], start=1):
        said = dict(enumerate(c.strip() for c in cells))
        if cells[0] == "LIN":
            item, activity = said[3], ("", "", "", 0)
        elif cells[0] == "N1":
            site = said[4]
        elif cells[0] == "ZA":
            activity = (said[1], said.get(2, ""), said.get(3, ""), n)
            _put(found, aside, (n, 1), (item, site, said[1], said.get(2, ""), said.get(3, "") or "EA"))
        elif cells[0] == "SDQ":
            stores = [(said[k], said.get(k + 1, "")) for k in range(3, min(len(cells), 23), 2)]
            stores = [(store, amount) for store, amount in stores if store or amount]
            if stores and activity[3] and activity[3] not in split:
                split.add(activity[3])
                found.pop((activity[3], 1), None)
                aside.discard(activity[3])
            for k, (store, amount) in enumerate(stores, start=1):
                unit = said.get(1, "") or activity[2] or "EA"
                _put(found, aside, (n, k), (item, store, activity[0], amount, unit))
    return found, aside


def unlike(content: bytes) -> dict[int, float]:
    """What activities state, by each of their SDQ segments, where their stores can be added up in the unit of the activity to another sum."""
    segments = [s.split(content.decode()[3]) for s in content.decode().split(content.decode()[105])]
    first = next(n for n, s in enumerate(segments) if s[0] == "ST")
    groups: list[tuple[list[str], list[int], list[str]]] = []
    for n, cells in enumerate(segments[first:], start=1):
        cells = [c.strip() for c in cells]
        if cells[0] in ("LIN", "ZA"):
            groups.append((cells if cells[0] == "ZA" else [], [], []))
        elif cells[0] == "SDQ" and groups and groups[-1][0]:
            stores = [(cells[k], cells[k + 1] if k + 1 < len(cells) else "") for k in range(3, min(len(cells), 23), 2)]
            stores = [pair for pair in stores if any(pair)]
            other = bool(stores) and cells[1] not in ("", groups[-1][0][3])
            groups[-1][1].append(n)
            groups[-1][2].extend("no" if other else amount for _, amount in stores)
    said = {}
    for za, places, amounts in groups:
        readable = za and amounts and all(re.fullmatch(NUMBER, text) for text in (za[2], *amounts))
        if readable and abs(sum(map(float, amounts)) - float(za[2])) > 1e-6:
            said |= dict.fromkeys(places, float(za[2]))
    return said


def _put(found: Found, aside: set[int], place: tuple[int, int], row: tuple[str, str, str, str, str]) -> None:
    item, site, code, amount, unit = row
    is_number = re.fullmatch(NUMBER, amount)
    if not site or not code or not is_number or (float(amount) < 0 and code not in NET):
        aside.add(place[0])
    else:
        found[place] = (item, site, code, float(amount), unit)


def a_report(draw: random.Random) -> tuple[str, ...]:
    """An 852 of several items, with and without stores, now and then without an activity or with cells that are missing or no number."""
    body = ["XQ*H*20260101"] + (["N1*ST*X*92*S9"] if draw.random() < 0.5 else [])
    amounts = ["3", "0", "12", "1.5", "-2", "00012", "+2", ".5"] * 2 + ["x", "1.5-", "", " "]
    for n in range(draw.randrange(1, 6)):
        body.append(f"LIN**IN*I{n}")
        if draw.random() < 0.2:
            body.append("N1*ST*Y*92*S8")
        for code in draw.sample(["QS", "QA", "QR", "QU"], draw.choice([0, 1, 1, 2, 3])) or [""]:
            if code:
                body.append(f"ZA*{code}*{draw.choice(amounts)}*{draw.choice(['EA', 'CA'])}")
            for _ in range(draw.choice([0, 0, 1, 1, 2])):
                stores = "".join(
                    f"*{draw.choice(['S1', 'S2', 'S3', 'S4', ''])}*{draw.choice(amounts)}"
                    for _ in range(draw.randrange(11))
                )
                short = "*S5" if draw.random() < 0.1 and stores.count("*") < 20 else ""
                body.append(f"SDQ*{draw.choice(['EA', 'CA', ''])}*92{stores}{short}")
    return tuple(body)


def test_each_store_has_what_sdq_gives_it_and_what_cannot_be_read_is_set_aside() -> None:
    contents = []
    for seed in range(60):
        draw = random.Random(seed)
        report = a_report(draw)
        contents.append(
            x12("852", *report, control=seed + 1, sep=draw.choice("*|"), term=draw.choice("~'"), sender="HQ")
        )
    batch = read_documents(frame(*contents))
    facts, rejects, told_of = batch.facts["raw_edi__product_activity"], batch.rejects, 0
    for seed, content in enumerate(contents):
        found, aside = walked(content, "HQ")
        document = pl.col("document_id") == hashlib.sha256(content).hexdigest()
        ours = {
            (r["segment_no"], r["line_no"]): (r["item_id"], r["site_id"], r["activity_code"], r["quantity"], r["unit_code"])
            for r in facts.filter(document).iter_rows(named=True)
        }  # fmt: skip
        assert ours == found, seed
        stated = facts.filter(document).select("segment_no", "stated_quantity").rows()
        assert {place: said for place, said in stated if said is not None} == {
            place: said for place, said in unlike(content).items() if place in {place for place, _ in found}
        }, seed
        told_of += sum(said is not None for _, said in stated)
        told = set(rejects.filter(document)["segment_no"])
        assert aside <= told, (seed, aside - told)
    assert facts.height > 500 and told_of > 50
