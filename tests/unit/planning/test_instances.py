"""Instances with published answers; each row of the file names its source, which the test id carries."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aios_assets.contracts.errors import BadInputError
from planning.policies.newsvendor import erlang_b
from planning.solve import solve

ROOT = Path(os.environ.get("AIOS_SHARED", Path(__file__).parents[4] / "shared"))
FILE = ROOT / "data" / "inventory_instances.json"


def _load() -> dict[str, dict[str, Any]]:
    if not FILE.is_file():
        return {}
    return {i["id"]: i for i in json.loads(FILE.read_text())["instances"]}


INSTANCES = _load()
OF = {
    "eoq_ex3.1": "eoq", "eoqb_ex3.8": "eoq-backorders", "eoq_allunits_doc": "eoq-all-units",
    "jrp_silver_doc": "joint-replenishment", "ww_ex3.9": "wagner-whitin", "nv_ex4.1": "newsvendor-normal",
    "nv_poisson": "newsvendor-poisson", "basestock_ex4.4": "base-stock", "ss_power_ex4.8": "power-approximation",
    "rq_ex5.1_exact_cost": "r-q-cost", "rq_ex5.1_eil": "r-q-eil", "rq_ex5.1_eoqb": "r-q-eoqb", "rq_ex5.1_loss": "r-q-optimal",
    "rq_ex5.1_eoqss": "r-q-eoqss", "gsm_serial_ex6.3": "service-serial", "gsm_tree_ex6.5": "service-tree",
    "finite_horizon_4.29doc": "finite-horizon", "eoqd_ex9.1": "eoq-disruptions", "nv_disrupt_ex9.3": "base-stock-disruptions",
    "eoq_addyield_ex9.4": "eoq-additive-yield", "eoq_multyield_ex9.5": "eoq-multiplicative-yield",
    "loss_stdnormal": "loss-standard-normal", "loss_negbin": "loss-negative-binomial", "eppen_pooling_n4": "pooling",
    "mip_csplib034": "location",
}  # fmt: skip


def instance(name: str) -> dict[str, Any]:
    if name not in INSTANCES:
        pytest.skip(f"{FILE} is not there: set AIOS_SHARED")
    return INSTANCES[name]


def flat(value: Any) -> list[float]:
    if isinstance(value, dict):
        return [x for k in sorted(value, key=str) for x in flat(value[k])]
    if isinstance(value, list | tuple):
        return [x for v in value for x in flat(v)]
    return [float(value)]


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(OF))
def test_published(name: str) -> None:
    case = instance(name)
    found = list(solve(OF[name], case["inputs"]).values())
    published = case["published"] if isinstance(case["published"], list) else [case["published"]]
    for mine, theirs in zip(found, published, strict=False):
        np.testing.assert_allclose(flat(mine), flat(theirs), rtol=max(case["rel_tol"], 1e-12), err_msg=case["source"])


@pytest.mark.shared
def test_clark_scarf_normal() -> None:
    case = instance("clarkscarf_ex6.1")
    i = case["inputs"]
    found = solve("serial", {"L": i["L"], "h_echelon": i["h_echelon"], "p": i["p"], "mu": 5, "sd": 1})
    np.testing.assert_allclose(
        flat(found["S"]), flat(case["published"][0]), rtol=case["rel_tol"], err_msg=case["source"]
    )
    assert found["cost"] == pytest.approx(case["published"][1], rel=case["rel_tol"])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["shang_song_1", "shang_song_17"])
def test_clark_scarf_poisson(name: str) -> None:
    case = instance(name)
    i = case["inputs"]
    found = solve("serial", {"L": i["L"], "h_echelon": i["h_echelon_1_to_4"], "p": i["p"], "mu": i["lam"]})
    assert flat(found["S"]) == flat(case["published"][0]), case["source"]
    if case["published"][1] is not None:
        assert found["cost"] == pytest.approx(case["published"][1], rel=case["rel_tol"])


@pytest.mark.shared
def test_s_s_veinott_wagner() -> None:
    case = instance("ss_veinott_wagner")
    i = case["inputs"]
    for mu, (s, top, cost) in case["published"].items():
        found = solve("s-s-poisson", {"h": i["h"], "p": i["p"], "K": i["K"], "mu": float(mu), "L": i["L"]})
        assert (found["s"], found["S"]) == (s, top), case["source"]
        assert found["cost"] == pytest.approx(cost, rel=case["rel_tol"])


@pytest.mark.shared
@pytest.mark.parametrize("name", ["lost_sales_zipkin_L1", "lost_sales_zipkin_L3"])
def test_lost_sales(name: str) -> None:
    case = instance(name)
    i = case["inputs"]
    for p, cost in zip(i["p"], case["published"], strict=True):
        found = solve("lost-sales", {"h": i["h"], "p": p, "L": i["L"], "mu": 5})
        assert found["cost"] == pytest.approx(cost, rel=case["rel_tol"]), case["source"]


@pytest.mark.shared
def test_transport_dantzig() -> None:
    case = instance("lp_trnsport")
    i = case["inputs"]
    unit = (np.array(i["dist"]) * i["freight"] / 1000).tolist()
    found = solve("transport", {"supply": i["supply"], "demand": i["demand"], "unit_cost": unit})
    assert found["cost"] == pytest.approx(case["published"], rel=1e-9)


@pytest.mark.shared
def test_erlang() -> None:
    case = instance("erlangB_5_5")
    i = case["inputs"]
    found = [erlang_b(a, s) for a, s in zip(i["offered_load"], i["S"], strict=True)]
    assert found == pytest.approx(case["published"], rel=case["rel_tol"])


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("newsvendor-normal", {"h": 0.18, "p": 0.7, "mu": float("nan"), "sd": 8}),
        ("eoq", {"K": 8, "h": 1e-308, "lam": 1300}),
        ("newsvendor-poisson", {"h": 1, "p": 1e308, "mu": 6}),
    ],
)
def test_an_answer_that_is_not_finite_is_refused(kind: str, inputs: dict[str, float]) -> None:
    with pytest.raises(BadInputError, match=r"not be finite|cannot be used"):
        solve(kind, inputs)
