"""Which of a line's numbers names the item: a colour, a size or an order line never does while anything better is there."""

from __future__ import annotations

import pytest

from aios_assets.edi import read_documents
from tests.unit.edi.make import edifact, frame, x12


@pytest.mark.parametrize(
    ("pairs", "item", "gtin"),
    [
        ("UP*012345678905*IN*A*BO*RED", "A", "012345678905"),
        ("BO*RED*IZ*M*VN*V1", "V1", None),
        ("PL*0001*VP*V1", "V1", None),
        ("RY*2026*MG*M1", "M1", None),
        ("VA*STYLE*BO*RED*IZ*M*UP*012345678905", "012345678905", "012345678905"),
        ("VA*STYLE*BO*RED", "STYLE", None),
        ("MF*ACME*ND*0001-02", "0001-02", None),
        ("UC*DEC0199*UK*10012345678902", "10012345678902", "10012345678902"),
        ("BO*RED", "RED", None),  # nothing else is said: the line is kept, and its item is not known to the item master
        ("ZZ*X*BO*RED", "X", None),
    ],
)
def test_x12_numbers_by_what_they_name(pairs: str, item: str, gtin: str | None) -> None:
    content = x12("850", "BEG*00*SA*P1**20260103", f"PO1*1*10*EA*2**{pairs}")
    (line,) = read_documents(frame(content)).facts["raw_edi__order_lines"].to_dicts()
    assert (line["item_id"], line["item_gtin"]) == (item, gtin)


@pytest.mark.parametrize(
    ("segments", "item", "gtin"),
    [
        (("LIN+1++4000862141404:SRV", "PIA+1+A:IN+RED:BO"), "A", "4000862141404"),
        (("LIN+1++4000862141404:EN", "PIA+1+RED:BO+M:SM"), "4000862141404", "4000862141404"),
        (("LIN+1++0001:PL", "PIA+1+V1:SA"), "V1", None),
        (("LIN+1++P1:MF",), "P1", None),
        (("LIN+1++C1:UA", "PIA+1+RED:BO"), "C1", None),
        (("LIN+1++RED:BO",), "RED", None),
    ],
)
def test_edifact_numbers_by_what_they_name(segments: tuple[str, ...], item: str, gtin: str | None) -> None:
    content = edifact("ORDERS", "BGM+220+P1+9", "DTM+137:20260103:102", *segments, "QTY+21:10")
    (line,) = read_documents(frame(content)).facts["raw_edi__order_lines"].to_dicts()
    assert (line["item_id"], line["item_gtin"]) == (item, gtin)
