"""Papers of a version: in the order they were written, also when they are made again from what was stored."""

from __future__ import annotations

import json

import pytest

from aios_assets.assets.glue_cards import render
from aios_assets.contracts.errors import RefusedError
from ml.promotion.cards import CARD_SECTIONS, SHEET_SECTIONS


def papers() -> dict[str, dict[str, object]]:
    card: dict[str, object] = {s: f"about {s}" for s in CARD_SECTIONS if s != "Gates"}
    card["Quality by demand class"] = [{"segment": "lumpy", "model": "naive", "pinball": 0.5, "bias_frac": 0.1}]
    return {"card": card, "sheet": dict.fromkeys(SHEET_SECTIONS, "text")}


def test_made_again_from_what_was_stored_they_read_the_same() -> None:
    first = render(papers(), "demand", "3", [])
    again = render(json.loads(json.dumps(papers())), "demand", "3", [])
    assert first == again
    assert "| segment | model | pinball | bias_frac |" in first["cards/model_card.md"].decode()
    assert "Not judged yet" in first["cards/model_card.md"].decode()


@pytest.mark.parametrize(
    ("paper", "section"), [("card", "Calibration"), ("card", "Fallback"), ("sheet", "Known faults")]
)
def test_a_missing_section_is_refused(paper: str, section: str) -> None:
    broken = papers()
    del broken[paper][section]
    with pytest.raises(RefusedError, match=section):
        render(broken, "demand", "3", [])
