"""Orders sent in place of one that was sent before, from their bytes to the order line: what they no longer list is not on order."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from aios_assets.edi import read_documents
from aios_assets.edi.reconcile import order_findings, order_state
from tests.seams.dbt_world import World, at
from tests.unit.dbt.models import build
from tests.unit.dbt.test_marts_truth import raw_of
from tests.unit.edi.make import edifact, frame, x12

DAY = date(2026, 3, 2)
BOTH = (("A", "10"), ("B", "10"))
LESS = (("A", "12"), ("C", "10"))
ORDERED, MORE, GONE = (10.0, 10.0, False), (12.0, 12.0, False), (0.0, 0.0, True)
# Purpose of a first order, one that replaces it, and those that take it back: cancellation, deletion, cancelled to be issued again.
CODES = {"850": ("00", "05", "01", "03", "17"), "ORDERS": ("9", "5", "1", "3", "17")}


def order(
    kind: str, number: str, purpose: int, *lines: tuple[str, str], control: int = 1, sender: str = "SENDER"
) -> bytes:
    code = CODES[kind][purpose]
    if kind == "850":
        told = [f"PO1*{n}*{quantity}*EA*2**IN*{item}" for n, (item, quantity) in enumerate(lines, 1)]
        head = (f"BEG*{code}*SA*{number}**20260302", "N1*BY*X*92*S1", "N1*SE*X*92*SUP")
        content = x12("850", *head, *told, control=control)
    else:
        told = [s for n, (i, q) in enumerate(lines, 1) for s in (f"LIN+{n}++{i}:IN", f"QTY+21:{q}")]
        head = (f"BGM+220+{number}+{code}", "DTM+137:20260302:102", "NAD+BY+S1::9", "NAD+SU+SUP::9")
        content = edifact("ORDERS", *head, *told, control=f"{control}")
    return content.replace(b"SENDER", sender.encode())


# What comes after A and B were ordered, ten of each, and how the lines stand then.
CASES: dict[str, tuple[list[dict[str, object]], dict[str, tuple[float, float, bool]]]] = {
    "again": ([{"purpose": 0, "lines": LESS}], {"A": MORE, "B": ORDERED, "C": ORDERED}),
    "replaced": ([{"purpose": 1, "lines": LESS}], {"A": MORE, "B": GONE, "C": ORDERED}),
    "afterwards": (
        [{"purpose": 1, "lines": LESS}, {"purpose": 0, "lines": BOTH[1:]}],
        {"A": MORE, "B": ORDERED, "C": ORDERED},
    ),
    "of another buyer": (
        [{"purpose": 1, "lines": LESS[1:], "sender": "ELSE"}],
        {"A": ORDERED, "B": ORDERED, "C": ORDERED},
    ),
    "unknown item": ([{"purpose": 1, "lines": (("A", "12"), ("Z", "1"))}], {"A": MORE, "B": GONE}),
    "with a fault": (
        [{"purpose": 1, "lines": (("A", "1O"), ("C", "10"))}],
        {"A": ORDERED, "B": ORDERED, "C": ORDERED},
    ),
    **{
        f"purpose {n} {'lined' if lines else 'bare'}": ([{"purpose": n, "lines": lines}], {"A": GONE, "B": GONE})
        for n in (2, 3, 4)
        for lines in (BOTH, ())
    },
}


@pytest.fixture(scope="module")
def made() -> dict[tuple[str, str], tuple[float, float, bool]]:
    """Ordered, open and cancelled by order number and item, of all cases in both standards."""
    world = World(Path("replaced"))
    world.masters(at(DAY, 0), items=dict.fromkeys("ABC", 1), sites={"S1": "store"}, suppliers=["SUP"])
    control = 0
    for kind in CODES:
        for case, (later, _) in CASES.items():
            for n, said in enumerate([{"purpose": 0, "lines": BOTH}, *later]):
                control += 1
                told = {k: v for k, v in said.items() if k not in ("purpose", "lines")}
                content = order(kind, f"{kind} {case}", said["purpose"], *said["lines"], control=control, **told)  # type: ignore[arg-type, misc]
                world.documents(content, known=at(DAY, 5 + 24 * n))
    lines = build(raw_of(world), "fct_purchase_order_lines")["fct_purchase_order_lines"]
    columns = ("order_number", "item_id", "ordered_qty_ea", "open_qty_ea", "is_cancelled")
    return {(row[0], row[1]): row[2:] for row in lines.select(columns).iter_rows()}


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("case", CASES)
def test_what_a_replacement_or_cancellation_no_longer_lists_is_not_on_order(
    made: dict[tuple[str, str], tuple[float, float, bool]], kind: str, case: str
) -> None:
    assert {item: row for (number, item), row in made.items() if number == f"{kind} {case}"} == CASES[case][1]


@pytest.mark.parametrize("kind", CODES)
def test_a_replacement_with_a_line_set_aside_waits_for_a_person(kind: str) -> None:
    batch = read_documents(frame(order(kind, "P1", 1, ("A", "1O"), ("C", "10"))))
    assert batch.counts["lines"] == batch.counts["facts"] + batch.counts["lines_rejected"]
    told = [r for r in batch.rejects["reason"].to_list() if "lines of the replacement of order P1 were set aside" in r]
    assert len(told) == 1


@pytest.mark.parametrize("kind", CODES)
def test_both_sides_hold_a_replacement_for_no_second_order(kind: str) -> None:
    contents = order(kind, "P1", 0, *BOTH), order(kind, "P1", 1, ("A", "12"), control=2)
    state = order_state(read_documents(frame(*contents, when=[at(DAY, 5), at(DAY, 29)])).facts)
    assert state.select("item_id", "ordered", "is_cancelled").rows() == [("A", 12.0, False), ("B", 0.0, True)]
    assert order_findings(state)["finding_code"].to_list() == ["not_answered", "shipped_short"]
