"""Files whose every cell is known: what lands is what was meant, and every line that does not is set aside by its number."""

from __future__ import annotations

import io
import random
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from aios_assets.tabular import Mapping, mapping_json, preview_import, read_import, read_master
from tests.unit.tabular.test_tabular import AT, documents, imported, items

DAY = date(2025, 3, 30)  # clocks change in Europe
NAMES = ["007", "A-1", "K\u00e4se", "Caf\u00e9 \u20ac", "12", "x;y", "a,b", 'Pipe "12"', "two\nlines", " spaced ", "-"]
# How a shop writes: separator, decimal comma, mark between thousands, date format, encoding, end of line.
STYLES: list[tuple[str, bool, str, str, str, str]] = [
    (",", False, "", "", "utf-8", "\n"),
    (";", True, ".", "%d.%m.%Y", "cp1252", "\r\n"),
    ("\t", True, " ", "%d/%m/%y", "utf-8", "\n"),
    ("|", False, ",", "%m/%d/%Y", "utf-16", "\r\n"),
    (";", True, "", "%Y%m%d", "latin-1", "\r"),
]


class Shop:
    """A sales file written by hand, cell by cell, with the rows that it means."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.style = self.draw.choice(STYLES)
        self.meant: dict[int, tuple[Any, ...]] = {}
        self.wrong: set[int] = set()
        self.number = 1
        extra = self.draw.random() < 0.5
        self.order = self.draw.sample(
            ["site_id", "item_id", "activity_date", "quantity", *(["colour"] if extra else [])], 4 + extra
        )
        self.lines = [self.style[0].join(self.order)]
        for _ in range(30):
            self.row()

    def text(self, said: str) -> str:
        """A cell, in quotes where it needs them and now and then where not."""
        if any(c in said for c in (self.style[0], '"', "\n", "\r")) or self.draw.random() < 0.2:
            return '"' + said.replace('"', '""') + '"'
        return said

    def amount(self, value: float) -> str:
        """A number as the shop writes it."""
        _, comma, mark, *_ = self.style
        whole, _, rest = f"{value:,.2f}".partition(".")
        whole = whole.replace(",", mark) if mark and self.draw.random() < 0.7 else whole.replace(",", "")
        return whole if value == int(value) and self.draw.random() < 0.5 else whole + ("," if comma else ".") + rest

    def row(self) -> None:
        draw = self.draw
        self.number += 1
        names = [n for n in NAMES if "\u20ac" not in n or self.style[4] != "latin-1"]
        item, site, day = draw.choice(names), draw.choice(names[:4]), DAY + timedelta(days=draw.randrange(200))
        value = draw.choice([0.0, 3.0, 1.5, 1234.0, 1234567.25, 999.99])
        cells = {
            "site_id": site,
            "item_id": item,
            "activity_date": day.strftime(self.style[3] or "%Y-%m-%d"),
            "quantity": self.amount(value),
            "colour": "red",
        }
        fault = draw.choice(
            [None] * 5 + ["blank", "letters", "minus", "date", "future", "short", "long", "nothing", "swap"]
        )
        changed = {
            "blank": {"item_id": draw.choice(["", "  "])}, "letters": {"quantity": "few"}, "minus": {"quantity": "-1"},
            "date": {"activity_date": "31-31-31"}, "future": {"activity_date": date(2031, 1, 1).strftime(self.style[3] or "%Y-%m-%d")},
            "swap": {"quantity": "1.5" if self.style[1] else "1,5"},
        }.get(fault or "", {})  # fmt: skip
        written = [self.text((cells | changed)[name]) for name in self.order]
        if fault == "nothing":  # passed over, and counted as a row of the file
            written = [""] * len(written)
        elif fault is not None and fault not in ("short", "long"):
            self.wrong.add(self.number)
        elif fault is not None:
            written = written[:-1] if fault == "short" else [*written, "more"]
            self.wrong.add(self.number)
        else:
            self.meant[self.number] = (site.strip(), item.strip(), day, value)
        self.lines.append(self.style[0].join(written))

    @property
    def mapping(self) -> Mapping:
        """What the shop says of its file."""
        separator, comma, mark, form, encoding, _ = self.style
        return Mapping(kind="sales", separator=separator, decimal_comma=comma, thousands=mark, date_format=form, encoding=encoding)  # fmt: skip

    @property
    def content(self) -> bytes:
        """The file."""
        return (self.style[5].join(self.lines) + self.style[5]).encode(self.style[4])


def test_every_row_of_a_shop_s_file_lands_as_meant_or_is_set_aside_by_its_number() -> None:
    kept = wrong = 0
    for seed in range(60):
        shop = Shop(seed)
        batch = read_import(documents(("sales.csv", shop.content, mapping_json(shop.mapping))))
        landed = batch.frames["raw_edi__product_activity"]
        ours = {r["segment_no"]: (r["site_id"], r["item_id"], r["activity_date"], r["quantity"]) for r in landed.iter_rows(named=True)}  # fmt: skip
        assert ours == shop.meant, (seed, shop.style)
        assert set(batch.rejects["segment_no"]) == shop.wrong, (seed, shop.style)
        assert batch.rejects["reason"].str.starts_with("sales.csv, row ").all()
        counts = (batch.counts["rows"], batch.counts["kept"], batch.counts["rejected_rows"])
        assert counts == (len(shop.meant) + len(shop.wrong), len(shop.meant), len(shop.wrong))
        kept, wrong = kept + len(ours), wrong + len(shop.wrong)
    assert kept > 500 and wrong > 300


HEAD = "item_id,pack_ea,description\n"


@pytest.mark.parametrize(
    ("rows", "landed", "aside"),
    [
        ('A,6,"12 inch\nB,12,x\nC,1,y\n', [], [2, 3, 4]),  # quotes that never close hold the rest of the file
        ('A,6,x\nB,"12,x\nC,6,y\nD,1,z\n', ["A"], [3, 4, 5]),
        ('A,6,"12 pipe\nB,12,x\nC,6,"y"\nD,1,z\n', ["D"], [2, 3, 4]),  # the next quote closes them
        ('A,6,"Pipe 12" long"\nB,12,x\n', ["B"], [2]),
        ('A,6,12" pipe\nB,12,"a\n""b"""\nC,1,\n', ["A", "B", "C"], []),
    ],
)
def test_quotes_that_do_not_close_hide_no_row(rows: str, landed: list[str], aside: list[int]) -> None:
    batch = read_master(documents(("master/items/i.csv", (HEAD + rows).encode(), None)))
    frame = batch.frames["raw_master__items"]
    assert frame["item_id"].to_list() == landed and batch.rejects["segment_no"].to_list() == aside
    assert not any("\nC" in text for text in frame["description"].drop_nulls())
    assert batch.counts["rows"] == len(landed) + len(aside)


@pytest.mark.parametrize(
    "zone", ["America/New_York", "America/Havana", "America/Sao_Paulo", "Africa/Cairo", "UTC", None]
)
def test_days_of_parquet_are_those_of_their_zone_and_one_hour_spoils_one_row(zone: str | None) -> None:
    """In Havana midnight comes twice on a day of autumn, in Sao Paulo never on one of spring: its day begins at one."""
    first = datetime(2018, 11, 4, 1) if zone == "America/Sao_Paulo" else datetime(2018, 11, 4)
    days = pl.Series("introduced_date", [datetime(2026, 3, 10), datetime(2026, 11, 1), first, datetime(2026, 7, 1, 9), None])  # fmt: skip
    written = days if zone is None else days.dt.replace_time_zone(zone, ambiguous="latest")
    frame = pl.DataFrame({"item_id": list("ABCDE"), "pack_ea": [6] * 5, "introduced_date": written})
    sink = io.BytesIO()
    frame.write_parquet(sink)
    landed, reasons = items(sink.getvalue(), "master/items/i.parquet")
    assert landed.select("item_id", "introduced_date").rows() == [
        ("A", date(2026, 3, 10)), ("B", date(2026, 11, 1)), ("C", date(2018, 11, 4)), ("E", None),
    ]  # fmt: skip
    assert len(reasons) == 1 and "row 5, column 'introduced_date': '2026-07-01 09:00" in reasons[0]


def test_a_column_of_parquet_that_is_no_cell_is_told_and_does_not_end_the_night() -> None:
    sink = io.BytesIO()
    pl.DataFrame({"item_id": ["A"], "pack_ea": [6], "shelf_life_days": [timedelta(days=3)]}).write_parquet(sink)
    frame, reasons = items(sink.getvalue(), "master/items/i.parquet")
    assert frame.is_empty() and "column 'shelf_life_days' is Duration" in reasons[0]


@pytest.mark.parametrize(
    ("form", "cell", "words"),
    [
        ("%Y-%m-%dT%H:%M:%SZ", "2025-03-09T03:30:00Z", "with its time zone"),
        ("%Y-%m-%dT%H:%M:%S%z", "2025-03-09T03:30:00+0000", "with its time zone"),
        ("%s", "1741491000", "with its time zone"),
        ("%Y-%m", "2025-03", "reads no day"),
        ("%Y-%m-%d %H:%M", "2025-03-09 23:30", ""),
        ("%e %B %Y", "9 March 2025", ""),
    ],
)
def test_a_day_is_the_shop_s_and_neither_an_instant_elsewhere_nor_a_month(form: str, cell: str, words: str) -> None:
    frame, reasons = imported(f"site_id,item_id,activity_date,quantity\nS,A,{cell},2\n", date_format=form)
    assert frame["activity_date"].to_list() == ([] if words else [date(2025, 3, 9)])
    assert words in "".join(reasons) and bool(reasons) == bool(words)


def test_an_import_of_items_says_what_its_file_leaves_out() -> None:
    content = b"item_id,pack_ea,Unit_Cost_USD,category_code,description,item_gtin,unit_price_usd,supplier_id\nA,6,2,f,d,,3,S\n"
    (note,) = preview_import(content, Mapping(kind="items"), "i.csv", AT)["notes"]  # type: ignore[misc]
    assert "no unit_cost_usd, shelf_life_days" in note and "(passed over: Unit_Cost_USD)" in note


def test_a_promotion_that_ends_before_it_starts_is_set_aside_and_one_that_holds_no_day_withdraws_it() -> None:
    rows = "P1,A,S,2026-03-01,2026-03-08,2\nP2,A,S,2026-03-08,2026-03-01,2\nP3,A,S,2026-03-01,2026-03-01,2\n"
    content = ("promotion_id,item_id,site_id,start_date,end_date,promo_price_usd\n" + rows).encode()
    batch = read_master(documents(("master/promotions/p.csv", content, None)))
    assert batch.frames["raw_master__promotions"]["promotion_id"].to_list() == ["P1", "P3"]
    assert "row 3, column 'end_date': 2026-03-01 lies before the first" in batch.rejects["reason"].item()
