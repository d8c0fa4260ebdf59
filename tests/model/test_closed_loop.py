"""The real planner in the sandbox network, in memory: cheaper than min-max at no less service, and only on what was announced."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from benchmarks.closed_loop import inputs_of, lose, master_until, play_minmax, play_ours, row, start_of
from planning.inputs import load_spec
from planning.recommend import recommend
from sandbox.state import NetworkState
from sandbox.writer import read_spec

SPEC = dataclasses.replace(load_spec(), scenarios=96)


@pytest.fixture(scope="module")
def start() -> NetworkState:
    return start_of(read_spec("tiny"), 7, 120)


def test_fifty_days_cost_less_than_min_max_at_no_less_service(start: NetworkState) -> None:
    ours = row(play_ours(start, 50, SPEC))
    plain = row(play_minmax(start, 50, start.net.spec.policy, "minmax"))
    assert ours["headline_usd"] < 0.85 * plain["headline_usd"]
    assert ours["fill_rate_frac"] >= plain["fill_rate_frac"]


def test_the_planner_is_not_told_when_an_order_will_arrive(start: NetworkState) -> None:
    later = start.branch()
    later.lines["arrive"] = np.where(
        later.lines["arrive"] >= later.day, later.lines["arrive"] + 3, later.lines["arrive"]
    )
    master = master_until(start, 0)
    one, two = inputs_of(start, master), inputs_of(later, master)
    for name in ("forecasts", "lead_times", "open_orders", "stock", "items", "lanes"):
        assert one.frame(name).equals(two.frame(name)), name


def test_a_lost_supplier_is_not_ordered_from_and_what_it_leaves_says_so(start: NetworkState) -> None:
    net = start.net
    supplier = int(np.bincount(net.supplier).argmax())
    name = net.spec.suppliers[supplier].id
    known = lose(inputs_of(start, master_until(start, 0)), name)
    out = recommend(known, net.spec.date(start.day - 1), SPEC)
    assert name not in out["source_id"].to_list()
    centre = {r["item_id"]: r for r in out.filter(out["site_id"] == net.site_ids[0]).iter_rows(named=True)}
    sole = [net.item_ids[i] for i in range(net.items) if net.supplier[i] == supplier and net.alternative[i] < 0]
    listed = [item for item in sole if item in centre]
    assert listed
    for item in listed:
        assert centre[item]["decision_code"] == "none"
        assert "no supplier" in centre[item]["reason"] or "no lead time" in centre[item]["reason"], centre[item][
            "reason"
        ]
