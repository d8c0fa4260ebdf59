"""What Dagster's page of a table says stands in the table's contract, whoever declares the asset."""

from __future__ import annotations

import pytest

from aios_assets.assets.describe import what_it_holds
from aios_assets.assets.s3_features import feat_item_site__demand
from aios_assets.assets.s6_score import pred_demand__28d
from aios_assets.assets.s7_recommend import rec_decisions
from aios_assets.contracts.registry import TABLES


@pytest.mark.parametrize("made", [feat_item_site__demand, pred_demand__28d, rec_decisions], ids=str)
def test_an_asset_of_its_own_is_described_by_its_contract(made: object) -> None:
    for key, spec in made.specs_by_key.items():  # type: ignore[attr-defined]
        assert spec.description == what_it_holds(TABLES[key.to_user_string()])
