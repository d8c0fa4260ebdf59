"""The target on the sandbox network: pinball at least 10 % below seasonal naive, 80 % intervals cover 75–85 %, by class."""

from __future__ import annotations

import polars as pl
import pytest

from ml.datasets import training_origins
from ml.features import demand_features
from ml.training import TrainSpec, gain_over, train_demand
from tests.model.demand_world import cutoff
from tests.model.sandbox_world import sandbox_world
from tests.unit.ml.conftest import labels_as_of


@pytest.mark.slow
def test_sandbox_demand_forecasts_reach_their_target(capsys: pytest.CaptureFixture[str]) -> None:
    versions, covariates, truth, last = sandbox_world("fast", 728)
    features = demand_features(versions, training_origins(last, 728, 14), cutoff)
    trained = train_demand(
        features, labels_as_of(versions, cutoff(last)), covariates, TrainSpec(most_rows=160_000), 7, as_of=last
    )
    shown = trained.table.filter(pl.col("by") != "week").select(
        "model", "segment", "rows", "wape_frac", "bias_frac", "pinball", "coverage80_frac"
    )
    with capsys.disabled(), pl.Config(tbl_rows=60, tbl_width_chars=140):
        print(shown.sort("segment", "pinball"))
        lost = 1 - truth["sales_qty_ea"].sum() / truth["true_ea"].sum()
        print(f"demand lost at stock-outs {lost:.3%}; corrections {trained.figures['bias_correction']['factor']}")
    ours = trained.table.filter(
        (pl.col("model") == "lightgbm_direct") & (pl.col("by") != "week") & (pl.col("rows") >= 400)
    )
    gains = gain_over(trained.table)
    for row in ours.iter_rows(named=True):
        assert gains[row["segment"]] >= 0.10, row
        assert 0.75 <= row["coverage80_frac"] <= 0.85, row
