"""What we write, taken apart by hand: segments split by the delimiters, totals added up with decimals, never by our own reader."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import polars as pl
import pytest

from aios_assets.contracts.errors import BadInputError
from aios_assets.edi.writing import Partner, write
from tests.unit.edi.test_writing import numbers

NOW = datetime(2026, 1, 3, 23, 59, tzinfo=UTC)
ORDERS, INVOICES = ("850", "860", "ORDERS", "ORDCHG"), ("810", "INVOIC")
X12_PROFILES: list[dict[str, Any]] = [
    {},
    {"element": "|", "component": ":", "segment": "^", "repetition": "!", "x12_version": "005010", "line_break": False},
    {"usage": "T", "our_qualifier": "01", "our_id": "007", "units": {"CA": "CS"}, "item_qualifier": "VP"},
]
EDIFACT_PROFILES: list[dict[str, Any]] = [
    {},
    {"element": "|", "component": "^", "segment": "~", "release": "!", "line_break": False},
    {"usage": "T", "our_qualifier": "", "edifact_syntax": "UNOC:4", "edifact_version": "D:01B:UN"},
    {"edifact_syntax": "UNOW:4", "our_id": "4000000000001", "our_qualifier": "14"},
]
CHARSETS = {"UNOC": "latin-1", "UNOW": "utf-8"}
LETTERS = {"X12": "AZaz09 .,-/()&", "EDIFACT": "AZaz09 .,-/()&+:'?*üÉ~^|!"}


def _text(dice: random.Random, standard: str, size: int, free: str) -> str:
    letters = [c for c in LETTERS[standard] if c not in free]
    return "N" + "".join(dice.choice(letters) for _ in range(dice.randint(0, size))).rstrip()


def _rows(dice: random.Random, kind: str, standard: str, free: str) -> list[dict[str, Any]]:
    """Rows of a few documents, in the order of their lines; what a document says once is one value."""
    out = []
    for document in range(dice.randint(1, 4)):
        day, currency = date(2026, 1, 1) + timedelta(dice.randint(0, 800)), dice.choice([None, "USD", "EUR"])
        action = {"850": "new", "ORDERS": "new"}.get(kind)
        purpose = dice.choice(["cancel", "lines"])
        parties = {
            c: dice.choice([None, _text(dice, standard, 10, free)])
            for c in ("buyer_id", "seller_id", "ship_to_site_id")
        }
        for line in range(dice.randint(1, 5)):
            row: dict[str, Any] = {
                "order_number": f"{_text(dice, standard, 8, free)[:9]}{document}",
                "order_line": str(line * 3 + 1),
                "item_id": _text(dice, standard, 12, free),
                "item_gtin": dice.choice([None, f"40000000000{line:02d}"]),
                "quantity": dice.choice(
                    [1.0, 12.0, 0.5, 0.1, 2.000001, 0.000001, 1234567.25, dice.randint(1, 10**6) / 1000]
                ),
                "unit_code": dice.choice(["EA", "CA"]),
                "unit_price": dice.choice([0.0, 1.005, 0.285, 9.25, 1234.565, dice.randint(1, 10**6) / 10000]),
                "currency_code": currency,
            }
            if kind in INVOICES:
                row |= {"invoice_number": f"IV{document}", "invoice_date": day, "seller_id": parties["seller_id"]}
            else:
                row["order_number"] = f"PO{document}"
                row |= {"order_date": day, "requested_date": dice.choice([None, day + timedelta(9)]), **parties}
                row["unit_price"] = dice.choice([None, row["unit_price"]])
                row["action_code"] = action or (
                    "cancel" if purpose == "cancel" else dice.choice(["new", "change", "delete"])
                )
            out.append(row)
    return out


def _segments(content: bytes, standard: str, p: Partner) -> list[list[list[str]]]:
    """Segments of elements of components, by the delimiters that the document itself names."""
    if standard == "X12":
        text = content.decode()
        assert text[:3] == "ISA" and len(text[:106].split(text[3])) == 17, "ISA has a fixed width"
        element, component, end = text[3], text[104], text[105]
        cut = [s.strip("\n") for s in text.split(end)]
        return [[[e] if s[:3] == "ISA" else e.split(component) for e in s.split(element)] for s in cut if s]
    text = content.decode(CHARSETS[p.edifact_syntax[:4]])
    marks = text[3:9] if text[:3] == "UNA" else ":+.? '"
    body = (text[9:] if text[:3] == "UNA" else text).lstrip("\n")
    component, element, release, end = marks[0], marks[1], marks[3], marks[5]
    out: list[list[list[str]]] = [[[""]]]
    letters = iter(body)
    for c in letters:
        if c == release:
            out[-1][-1][-1] += next(letters)
        elif c == end:
            out.append([[""]])
        elif c == element:
            out[-1].append([""])
        elif c == component:
            out[-1][-1].append("")
        elif c != "\n":
            out[-1][-1][-1] += c
    assert out.pop() == [[""]], "nothing stands behind the last terminator"
    return out


def _at(segment: list[list[str]], element: int, component: int = 0) -> str | None:
    """The value at a place; None where there is none."""
    parts = segment[element] if element < len(segment) else []
    return (parts[component] if component < len(parts) else "") or None


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value))


def _day(value: date | None) -> str | None:
    return None if value is None else f"{value:%Y%m%d}"


def _check_envelope(
    cut: list[list[list[str]]], standard: str, p: Partner, control: int, kind: str
) -> list[list[list[str]]]:
    """The body between the headers and trailers, after those were held to the standard."""
    if standard == "X12":
        isa, gs, st, *body, se, ge, iea = cut
        flat = [e[0] for e in isa]
        assert [flat[5], flat[6].rstrip(), flat[7], flat[8].rstrip()] == [
            p.our_qualifier, p.our_id, p.partner_qualifier, p.partner_id,
        ]  # fmt: skip
        assert [len(e) for e in flat[1:13]] == [2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5]
        assert flat[9:11] == ["260103", "2359"] and flat[13] == f"{control:09d}" and flat[15] == p.usage
        assert [_at(gs, n) for n in (4, 5, 6, 7, 8)] == ["20260103", "2359", str(control), "X", p.x12_version]
        assert [_at(st, 1), _at(se, 1), _at(se, 2), _at(st, 2)] == [kind, str(len(body) + 2), "0001", "0001"]
        assert [_at(ge, 1), _at(ge, 2), _at(iea, 1), _at(iea, 2)] == ["1", str(control), "1", f"{control:09d}"]
        return body
    unb, unh, *body, unt, unz = cut
    assert ":".join(unb[1]) == p.edifact_syntax
    assert [_at(unb, 2), _at(unb, 2, 1), _at(unb, 3), _at(unb, 3, 1)] == [
        p.our_id, p.our_qualifier or None, p.partner_id, p.partner_qualifier,
    ]  # fmt: skip
    assert unb[4] == ["20260103" if p.edifact_syntax.endswith("4") else "260103", "2359"]
    assert _at(unb, 5) == str(control) and _at(unb, 11) == ("1" if p.usage == "T" else None), "0035 says a test"
    assert unh[2] == [kind, *p.edifact_version.split(":")]
    assert [_at(unt, 1), _at(unt, 2), _at(unz, 1), _at(unz, 2)] == [str(len(body) + 2), "1", "1", str(control)]
    return body


def _x12_lines(body: list[list[list[str]]], tag: str) -> list[dict[str, Any]]:
    """Lines of an 850, 860 or 810 as their columns; of every element only what the standard puts there."""
    shift, out = 1 if tag == "POC" else 0, []
    for s in body:
        if s[0][0] == tag:
            skip = 2 * shift

            names = [_at(s, n) for n in range(6 + skip, len(s))]
            pairs = dict(zip(names[::2], names[1::2], strict=True))
            price = _at(s, 4 + skip)
            out.append({"order_line": _at(s, 1), "action": _at(s, 2) if shift else None,
                        "quantity": Decimal(str(_at(s, 2 + shift))), "unit": _at(s, 3 + skip),
                        "price": None if price is None else Decimal(price), "items": pairs, "requested": None})  # fmt: skip
        elif s[0][0] == "DTM" and _at(s, 1) == "002":
            out[-1]["requested"] = _at(s, 2)
    return out


def _edifact_lines(body: list[list[list[str]]]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for s in body:
        tag = s[0][0]
        if tag == "LIN":
            out.append({"order_line": _at(s, 1), "action": _at(s, 2), "items": {_at(s, 3, 1): _at(s, 3)}, "price": None, "requested": None})  # fmt: skip
        elif tag == "PIA":
            out[-1]["items"][_at(s, 2, 1)] = _at(s, 2)
        elif tag == "QTY":
            out[-1] |= {"quantity": Decimal(str(_at(s, 1, 1))), "unit": _at(s, 1, 2)}
        elif tag == "PRI":
            out[-1]["price"] = Decimal(str(_at(s, 1, 1)))
        elif tag == "DTM" and _at(s, 1) == "2":
            out[-1]["requested"] = _at(s, 1, 1)
        elif tag == "RFF" and out:
            out[-1]["order"] = (_at(s, 1, 1), _at(s, 1, 2))
        elif tag == "UNS":
            break
    return out


def _check_lines(got: list[dict[str, Any]], rows: list[dict[str, Any]], kind: str, standard: str, p: Partner) -> None:
    words = {**({"EA": "PCE", "CA": "CT"} if standard == "EDIFACT" else {}), **p.units}
    actions = {"850": {}, "ORDERS": {}, "860": {"new": "AI", "change": "CA", "delete": "DI", "cancel": "CA"},
               "ORDCHG": {"new": "1", "delete": "2", "cancel": "2", "change": "3"}}.get(kind, {})  # fmt: skip
    gtin_name = "EN" if standard == "EDIFACT" else p.gtin_qualifier
    assert len(got) == len(rows)
    for nth, (line, row) in enumerate(zip(got, rows, strict=True), 1):
        items = {p.item_qualifier: row["item_id"]} | ({gtin_name: row["item_gtin"]} if row["item_gtin"] else {})
        assert line["items"] == items
        assert line["order_line"] == (str(nth) if kind == "INVOIC" else row["order_line"])
        assert line["quantity"] == _decimal(row["quantity"]) and line["unit"] == words.get(
            row["unit_code"], row["unit_code"]
        )
        assert line["price"] == (None if row["unit_price"] is None else _decimal(row["unit_price"]))
        assert line["requested"] == _day(row.get("requested_date"))
        assert line["action"] == (actions.get(row["action_code"]) if actions else None)
        if kind == "INVOIC":
            assert line["order"] == (row["order_number"], row["order_line"])


def _check_rest(body: list[list[list[str]]], rows: list[dict[str, Any]], kind: str) -> None:
    """Header and totals."""
    first, cancels = rows[0], rows[0].get("action_code") == "cancel"
    begin = [e[0] for e in body[0]]
    expected = {
        "850": lambda: ["BEG", "00", "SA", first["order_number"], "", _day(first["order_date"])],
        "860": lambda: [
            "BCH",
            "01" if cancels else "04",
            "SA",
            first["order_number"],
            "",
            "",
            _day(first["order_date"]),
        ],
        "ORDERS": lambda: ["BGM", "220", first["order_number"], "9"],
        "ORDCHG": lambda: ["BGM", "230", first["order_number"], "1" if cancels else "4"],
        "INVOIC": lambda: ["BGM", "380", first["invoice_number"], "9"],
        "810": lambda: ["BIG", _day(first["invoice_date"]), first["invoice_number"]],
    }[kind]()
    assert begin[: len(expected)] == expected
    party, at = ("NAD", 2) if kind.isalpha() else ("N1", 4)
    named = {_at(s, 1): _at(s, at) for s in body if s[0][0] == party}
    codes = {
        "BY": "buyer_id",
        "SU" if kind.isalpha() else "SE": "seller_id",
        "DP" if kind.isalpha() else "ST": "ship_to_site_id",
    }
    assert named == {code: first[c] for code, c in codes.items() if first.get(c)}
    count = [_at(s, 1, 1) if kind.isalpha() else _at(s, 1) for s in body if s[0][0] in ("CTT", "CNT")]
    assert count == [str(len(rows))]
    if kind in INVOICES:
        cents = sum(_decimal(r["quantity"]) * _decimal(r["unit_price"]) for r in rows)
        cents = Decimal(cents).quantize(Decimal("0.01"), ROUND_HALF_UP)
        said = next(
            Decimal(str(_at(s, 1, 1))) if kind.isalpha() else Decimal(str(_at(s, 1))) / 100
            for s in body
            if s[0][0] in ("TDS", "MOA")
        )
        assert said == cents, "the total is the sum of what the lines say, rounded once"


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [*ORDERS, *INVOICES])
def test_what_is_written_says_exactly_its_rows(kind: str, seed: int) -> None:
    dice, standard = random.Random(f"{kind} {seed}"), "EDIFACT" if kind.isalpha() else "X12"
    profiles = EDIFACT_PROFILES if kind.isalpha() else X12_PROFILES
    p = Partner(**{"name": "test", "our_id": "AIOS", "partner_id": "PARTNER", **profiles[seed % len(profiles)]})
    rows = _rows(dice, kind, standard, p.element + p.component + p.segment + p.repetition if standard == "X12" else "")
    key = "invoice_number" if kind in INVOICES else "order_number"
    documents = write(kind, pl.DataFrame(rows), p, numbers=numbers(), now=NOW).documents
    assert documents["key"].to_list() == sorted({r[key] for r in rows})
    for name, control, content in documents.iter_rows():
        own = [r for r in rows if r[key] == name]
        body = _check_envelope(_segments(content, standard, p), standard, p, control, kind)
        got = (
            _edifact_lines(body)
            if kind.isalpha()
            else _x12_lines(body, {"850": "PO1", "860": "POC", "810": "IT1"}[kind])
        )
        _check_lines(got, own, kind, standard, p)
        _check_rest(body, own, kind)


def _row(**more: Any) -> pl.DataFrame:
    row = {"order_number": "PO1", "order_line": "1", "order_date": date(2026, 1, 3), "item_id": "I1", "quantity": 1.0}
    return pl.DataFrame([row | more])


@pytest.mark.parametrize(
    ("kind", "rows", "settings", "words"),
    [
        ("850", _row(), {"our_qualifier": "ZZZ"}, "our_qualifier is 'ZZZ'"),
        ("850", _row(), {"x12_version": "5010"}, "x12_version is '5010'"),
        ("850", _row(), {"x12_version": "003040"}, "x12_version is '003040'"),
        ("850", _row(), {"usage": "TEST"}, "usage is 'TEST'"),
        ("ORDERS", _row(), {"usage": "I"}, "usage is 'I'"),
        ("ORDERS", _row(), {"edifact_version": "D96A"}, "edifact_version is 'D96A'"),
        ("ORDERS", _row(), {"edifact_syntax": "UNOC"}, "edifact_syntax is 'UNOC'"),
        ("ORDERS", _row(seller_id="5 €"), {}, "UNOC has no character '€'"),
        ("ORDERS", _row(seller_id="Ü"), {"edifact_syntax": "UNOA:3"}, "UNOA has no character 'Ü'"),
        ("850", pl.concat([_row(), _row(item_id="I2")]), {}, "order_line 1 stands in more than one row"),
        ("ORDCHG", pl.concat([_row(order_line="2", action_code="change"), _row(order_line=None, action_code="change"), _row(order_line=None, action_code="change")]), {}, "order_line 2 stands in more"),
    ],
)  # fmt: skip
def test_what_no_partner_could_read_takes_no_number(
    kind: str, rows: pl.DataFrame, settings: dict[str, Any], words: str
) -> None:
    def never(series: str, purposes: list[str]) -> list[int]:
        raise AssertionError("a control number was taken for what cannot be sent")

    p = Partner(**{"name": "test", "our_id": "AIOS", "partner_id": "PARTNER", **settings})
    with pytest.raises(BadInputError, match=words):
        write(kind, rows, p, numbers=never, now=NOW)
