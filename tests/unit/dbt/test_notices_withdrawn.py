"""Notices and receiving advices that are cancelled or replaced, from their bytes to the order line and the stock: what is withdrawn counts nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from tests.seams.dbt_world import World, at
from tests.unit.dbt.models import build
from tests.unit.dbt.test_marts_truth import raw_of
from tests.unit.edi.make import edifact, x12

DAY, NEXT = date(2026, 3, 2), date(2026, 3, 3)
LINE = ("shipped_date", "shipped_qty_ea", "received_date", "received_qty_ea", "open_qty_ea")


def x12_notice(purpose: str, *items: str, control: int) -> bytes:
    lines = [s for n, i in enumerate(items) for s in (f"HL*{n + 3}*2*I", f"LIN**IN*{i}", "SN1**10*EA")]
    top = ("HL*1**S", "N1*SF*X*92*SUP", "N1*ST*X*92*S1", "HL*2*1*O", "PRF*P1") if items else ()
    return x12("856", f"BSN*{purpose}*H1*20260303*0900", *top, *lines, control=control)


def edifact_notice(purpose: str, *items: str, control: int) -> bytes:
    lines = [s for n, i in enumerate(items) for s in (f"LIN+{n + 1}++{i}:IN", "QTY+12:10")]
    head = (f"BGM+351+H1+{purpose}", "DTM+11:20260303:102", "RFF+ON:P1", "NAD+SF+SUP::9", "NAD+ST+S1::9")
    return edifact("DESADV", *head, *lines, control=f"{control}")


def x12_advice(purpose: str, *items: str, control: int) -> bytes:
    lines = [s for i in items for s in ("RCD**10*EA", f"LIN**IN*{i}")]
    head = (f"BRA*R1*20260303*{purpose}*1", "N1*ST*X*92*S1", "PRF*P1", "DTM*050*20260303")
    return x12("861", *head, *lines, control=control)


def edifact_advice(purpose: str, *items: str, control: int) -> bytes:
    lines = [s for n, i in enumerate(items) for s in (f"LIN+{n + 1}++{i}:IN", "QTY+194:10")]
    head = (f"BGM+632+R1+{purpose}", "DTM+137:20260303:102", "RFF+ON:P1", "NAD+DP+S1::9")
    return edifact("RECADV", *head, *lines, control=f"{control}")


def stands(*contents: bytes) -> tuple[dict[str, tuple[object, ...]], float]:
    """The order lines of A and B, ten of each, after these documents came a day apart; and what S1 received."""
    world = World(Path("withdrawn"))
    world.masters(at(DAY, 0), items={"A": 1, "B": 1}, sites={"S1": "store"}, suppliers=["SUP"])
    for item in "AB":
        world.order("P1", DAY, item, 10, source="SUP", site="S1")
    for n, content in enumerate(contents):
        world.documents(content, known=at(DAY, 29 + 24 * n))
    made = build(raw_of(world), "fct_purchase_order_lines", "fct_inventory_daily", "int_findings_detected")
    rows = {row[0]: row[1:] for row in made["fct_purchase_order_lines"].select("item_id", *LINE).iter_rows()}
    current = made["fct_inventory_daily"].filter(pl.col("superseded_at_utc").is_null())
    return rows, current["receipts_qty_ea"].sum()


NOTHING, SHIPPED, CAME = (None, 0, None, 0, 10), (NEXT, 10, None, 0, 10), (None, 0, NEXT, 10, 0)
CODES = {"X12": ("00", "01", "05", "03"), "EDIFACT": ("9", "1", "5", "3")}


@pytest.mark.parametrize("standard", CODES)
@pytest.mark.parametrize("kind", ["notice", "advice"])
def test_what_is_withdrawn_is_on_no_date_and_counts_nothing(standard: str, kind: str) -> None:
    makers = {"X12notice": x12_notice, "X12advice": x12_advice, "EDIFACTnotice": edifact_notice, "EDIFACTadvice": edifact_advice}  # fmt: skip
    write, (new, cancel, replaces, delete) = makers[standard + kind], CODES[standard]
    first, whole = write(new, "A", "B", control=1), SHIPPED if kind == "notice" else CAME
    units = 0 if kind == "notice" else 10
    assert stands(first) == ({"A": whole, "B": whole}, 2 * units)
    # A cancellation takes back all, whichever lines it names, a deletion those that it names; what a replacement still lists stands.
    assert stands(first, write(cancel, "A", control=2)) == ({"A": NOTHING, "B": NOTHING}, 0)
    assert stands(first, write(cancel, control=2)) == ({"A": NOTHING, "B": NOTHING}, 0)
    assert stands(first, write(delete, "A", control=2)) == ({"A": NOTHING, "B": whole}, units)
    assert stands(first, write(replaces, "B", control=2)) == ({"A": NOTHING, "B": whole}, units)
    # A notice that is only sent again says nothing of what it leaves out, and one of another number neither.
    assert stands(first, write(new, "B", control=2)) == ({"A": whole, "B": whole}, 2 * units)
    again = write(new, "A", control=3)
    assert stands(first, write(cancel, control=2), again) == ({"A": whole, "B": NOTHING}, units)


def test_a_cancellation_that_names_nobody_takes_back_what_its_own_sender_sent() -> None:
    first = x12_notice("00", "A", "B", control=1)
    other = x12("856", "BSN*01*H1*20260303*0900", control=2, sender="OTHER")
    assert stands(first, other)[0] == {"A": SHIPPED, "B": SHIPPED}
    assert stands(first, x12("856", "BSN*01*H2*20260303*0900", control=2))[0] == {"A": SHIPPED, "B": SHIPPED}
    assert stands(first, x12("856", "BSN*01*H1*20260303*0900", control=2))[0] == {"A": NOTHING, "B": NOTHING}
    lines = ("HL*1**S", "HL*2*1*O", "PRF*P1", "HL*3*2*I", "LIN**IN*A", "SN1**10*EA")
    listing = x12("856", "BSN*01*H1*20260303*0900", *lines, control=2)
    assert stands(first, listing)[0] == {"A": NOTHING, "B": NOTHING}


def test_a_line_of_none_is_neither_shipped_nor_received() -> None:
    world = x12("856", "BSN*00*H1*20260303*0900", "HL*1**S", "N1*SF*X*92*SUP", "HL*2*1*O", "PRF*P1", "HL*3*2*I", "LIN**IN*A", "SN1**0*EA")  # fmt: skip
    came = x12("861", "BRA*R1*20260303*00*1", "N1*ST*X*92*S1", "PRF*P1", "RCD**0*EA", "LIN**IN*A", control=2)
    assert stands(world, came)[0]["A"] == NOTHING
