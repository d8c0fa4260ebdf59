"""What was sent and answered, from its bytes to what stands on order: once, at the quantity last agreed, whoever else sent at that minute."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.reconcile import REFUSES
from tests.unit.dbt.models import build, failing
from tests.unit.edi.make import frame
from tests.unit.edi.test_reconcile_plain import ORDERS, Line, Message, conversation

# All talk at the same minutes under the same control numbers, as senders do that began on one day.
WORLDS = range(40)
NEVER = datetime(2000, 1, 1, tzinfo=UTC)
TABLES = ("fct_order_events", "fct_purchase_order_lines")


def _own(message: Message, content: bytes, world: int) -> bytes:
    """The document of a world of its own: other orders, another buyer and another supplier."""
    for order in ORDERS:
        for end in ("*", "~"):
            content = content.replace(f"*{order}{end}".encode(), f"*{order}x{world}{end}".encode())
    us, them = f"US{world}".ljust(15).encode(), f"SUP{world}".ljust(15).encode()
    if message.code in ("850", "860"):
        return content.replace(b"US             ", us, 1).replace(b"RECEIVER       ", them, 1)
    return content.replace(b"SUP            ", them, 1).replace(b"RECEIVER       ", us, 1)


@pytest.fixture(scope="module")
def said() -> dict[str, pl.DataFrame]:
    contents, whens = [], []
    for world in WORLDS:
        for message, content in zip(*conversation(world), strict=True):
            contents.append(_own(message, content, world))
            whens.append(message.known)
    batch = read_documents(frame(*contents, when=whens))
    assert batch.rejects.is_empty(), batch.rejects["reason"].to_list()
    return batch.facts


def _line(line: Line, messages: list[Message]) -> dict[str, float | None]:
    """What is on order by the words of docs/marts.md: the newest word of each side, by when it was sent."""
    ordered: int | None = None
    cancelled, changed, placed, confirmed, answer = False, NEVER, NEVER, None, NEVER
    last: dict[str, Message] = {}
    for m in messages:
        rows = [(what, n) for o, i, what, n in m.rows if o == line[0] and i in (line[1], None)]
        if m.code == "856":
            if any(i == line[1] for _, i, _, _ in m.rows):
                last[m.name] = m
        elif m.code == "855" and rows:
            takes = [n for what, n in rows if what not in REFUSES and what != "refuse"]
            confirmed, answer = (None if rows[0][0] == "accept" else sum(takes)), m.sent
        elif m.code in ("850", "860") and rows:
            total = sum(n for what, n in rows if what in ("new", "change"))
            if m.code == "860" or ordered not in (None, total):
                changed = m.sent
            ordered, cancelled, placed = total, all(what in ("cancel", "delete") for what, _ in rows), m.sent
    shipped = sum(n for m in last.values() for o, i, _, n in m.rows if (o, i) == line)
    agreed = confirmed if answer > changed and confirmed is not None else ordered
    after = sum(n for m in last.values() if m.sent > placed for o, i, _, n in m.rows if (o, i) == line)
    open_ = after if cancelled else max(agreed or 0, shipped)
    return {"ordered_qty_ea": ordered, "is_cancelled": cancelled, "shipped_qty_ea": shipped, "open_qty_ea": open_}


def test_each_order_line_stands_on_order_once_at_the_quantity_last_agreed(said: dict[str, pl.DataFrame]) -> None:
    lines = build(said, *TABLES)["fct_purchase_order_lines"]
    got = {(r["order_number"], r["item_id"]): r for r in lines.iter_rows(named=True)}
    assert len(got) == lines.height, "one row each, for no order names a site"
    want = {}
    for world in WORLDS:
        messages, _ = conversation(world)
        named = {(o, i) for m in messages if m.code in ("850", "860") for o, i, _, _ in m.rows if i}
        want |= {(f"{o}x{world}", i): _line((o, i), messages) for o, i in named}
    assert got.keys() == want.keys()
    for line, model in want.items():
        assert {name: got[line][name] for name in model} == model, line


def test_no_check_stops_a_night_on_which_two_senders_agree_on_minute_and_number(said: dict[str, pl.DataFrame]) -> None:
    found = failing(said, *TABLES)
    assert {name: rows[:3] for name, rows in found.items() if rows} == {}
