"""Textbook problems by name: inputs as a mapping, answers in the order their fields are listed. `aios solve KIND --from FILE`."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from aios_assets.contracts.errors import BadInputError, UsageError
from planning import multiechelon, suppliers, transfers
from planning.policies import dynamic, eoq, newsvendor, reorder

Answer = dict[str, Any]


def _named(names: tuple[str, ...], function: Callable[..., Any]) -> Callable[..., Answer]:
    def call(**inputs: Any) -> Answer:
        wanted = inspect.signature(function).parameters
        strange = sorted(set(inputs) - set(wanted))
        lacking = sorted(n for n, p in wanted.items() if p.default is inspect.Parameter.empty and n not in inputs)
        if strange or lacking:
            text = ", ".join([*(f"{n} is unknown" for n in strange), *(f"{n} is missing" for n in lacking)])
            raise BadInputError(text, where="inputs", todo=f"give {', '.join(wanted)}")
        try:
            found = function(**inputs)
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError) as error:
            raise BadInputError(
                f"the inputs cannot be used: {error}", where="inputs", todo=f"give {', '.join(wanted)}"
            ) from error
        values = found if isinstance(found, tuple) else (found,)
        answer = dict(zip(names, values, strict=False))
        endless = sorted(n for n, v in answer.items() if isinstance(v, float) and not np.isfinite(v))
        if endless:
            raise BadInputError(
                f"{', '.join(endless)} would not be finite: an input is missing, or far too large or small", where="inputs",
                todo=f"check {', '.join(sorted(inputs))}",
            )  # fmt: skip
        return answer

    return call


def _rq(method: str, names: tuple[str, ...]) -> Callable[..., Answer]:
    def run(h: float, p: float, K: float, lam: float, sd: float, L: float) -> Any:
        return getattr(reorder.NormalRQ(h, p, K, lam, sd, L), method)()

    return _named(names, run)


def _rq_cost(r: float, Q: float, h: float, p: float, K: float, lam: float, sd: float, L: float) -> float:
    return reorder.NormalRQ(h, p, K, lam, sd, L).cost(r, Q)


def _keys(value: Any) -> Any:
    """JSON has text keys only; edges and stages are numbers."""
    if isinstance(value, Mapping):
        return {int(k) if isinstance(k, str) and k.lstrip("-").isdigit() else k: v for k, v in value.items()}
    return value


def _service_tree(edges: Any, T: Any, h: Any, sd: Any, s_in: Any = None, s_out: Any = None, dbc: float = 1.0) -> Any:
    return multiechelon.guaranteed_service(
        [(a, b) for a, b in edges], _keys(T), _keys(h), _keys(sd), s_in=_keys(s_in), s_out=_keys(s_out), dbc=dbc
    )


def _service_serial(T: Any, h: Any, s_in: int, s_out: int, sd: float, dbc: float = 1.0) -> Any:
    stages = sorted(_keys(T), reverse=True)
    edges = list(itertools.pairwise(stages))
    return multiechelon.guaranteed_service(
        edges, _keys(T), _keys(h), {stages[-1]: sd}, s_in={stages[0]: s_in}, s_out={stages[-1]: s_out}, dbc=dbc
    )


def _transport(supply: Any, demand: Any, unit_cost: Any) -> Any:
    plan, cost = transfers.transport(np.asarray(supply, float), np.asarray(demand, float), np.asarray(unit_cost, float))
    return cost, plan.tolist()


def _location(fixed: Any, capacity: Any, supply_cost: Any) -> Any:
    return suppliers.capacitated_assignment(fixed, capacity, np.asarray(supply_cost, float))


KINDS: dict[str, Callable[..., Answer]] = {
    "eoq": _named(("Q", "cost"), eoq.eoq),
    "eoq-backorders": _named(("Q", "x", "cost"), eoq.eoq_backorders),
    "epq": _named(("Q", "cost"), eoq.epq),
    "eoq-all-units": _named(("Q", "region", "cost"), eoq.eoq_all_units),
    "eoq-incremental": _named(("Q", "region", "cost"), eoq.eoq_incremental),
    "eoq-disruptions": _named(("Q", "cost"), eoq.eoq_disruptions),
    "eoq-additive-yield": _named(("Q", "cost"), eoq.eoq_additive_yield),
    "eoq-multiplicative-yield": _named(("Q", "cost"), eoq.eoq_multiplicative_yield),
    "joint-replenishment": _named(("Q", "T", "m", "cost"), eoq.joint_replenishment),
    "wagner-whitin": _named(("orders", "cost"), eoq.wagner_whitin),
    "newsvendor-normal": _named(("S", "cost"), newsvendor.newsvendor_normal),
    "newsvendor": _named(("S", "cost"), newsvendor.newsvendor),
    "newsvendor-price": _named(("S", "profit"), newsvendor.newsvendor_price),
    "newsvendor-additive-yield": _named(("S", "cost"), newsvendor.newsvendor_additive_yield),
    "newsvendor-poisson": _named(("S", "cost"), newsvendor.newsvendor_poisson),
    "base-stock": _named(("S", "cost"), newsvendor.newsvendor_normal),
    "base-stock-disruptions": _named(("S", "cost"), newsvendor.base_stock_disruptions),
    "loss": _named(("n", "n_bar"), newsvendor.demand_loss),
    "loss-normal": _named(("n", "n_bar"), newsvendor.normal_loss),
    "loss-standard-normal": _named(("n", "n_bar"), newsvendor.standard_normal_loss),
    "loss-poisson": _named(("n", "n_bar"), newsvendor.poisson_loss),
    "loss-negative-binomial": _named(("n", "n_bar"), newsvendor.negative_binomial_loss),
    "erlang-b": _named(("loss",), newsvendor.erlang_b),
    "fill-rate": _named(("beta",), newsvendor.fill_rate),
    "level-for-fill-rate": _named(("S",), newsvendor.level_for_fill_rate),
    "pooling": _named(("ratio",), newsvendor.pooling_ratio),
    "power-approximation": _named(("s", "S"), reorder.power_approximation),
    "s-s": _named(("s", "S", "cost"), reorder.s_s),
    "s-s-poisson": _named(("s", "S", "cost"), reorder.s_s_poisson),
    "r-q-cost": _named(("cost",), _rq_cost),
    "r-q-optimal": _rq("optimal", ("r", "Q", "cost")),
    "r-q-loss": _rq("loss_approximation", ("r", "Q")),
    "r-q-eil": _rq("eil_approximation", ("r", "Q", "cost")),
    "r-q-eoqb": _rq("eoqb_approximation", ("r", "Q")),
    "r-q-eoqss": _rq("eoqss_approximation", ("r", "Q")),
    "r-q-poisson": _named(("r", "Q", "cost"), reorder.rq_poisson),
    "finite-horizon": _named(("s", "S", "cost"), dynamic.finite_horizon),
    "lost-sales": _named(("cost",), dynamic.lost_sales_optimal),
    "serial": _named(("S", "cost"), multiechelon.serial_base_stock),
    "service-tree": _named(("cst", "cost"), _service_tree),
    "service-serial": _named(("cst", "cost"), _service_serial),
    "transport": _named(("cost", "plan"), _transport),
    "location": _named(("cost", "open", "source"), _location),
}


def solve(kind: str, inputs: Mapping[str, Any]) -> Answer:
    """Solve a problem by name.

    Raises:
        UsageError: no such kind.
        BadInputError: inputs unknown, missing or unusable.

    >>> round(solve("eoq", {"K": 8, "h": 0.225, "lam": 1300})["Q"], 2)
    304.05
    """
    if kind not in KINDS:
        raise UsageError(f"there is no kind '{kind}'", todo=f"use one of {', '.join(sorted(KINDS))}")
    if not isinstance(inputs, Mapping):
        raise BadInputError("the inputs are not a mapping of names to values", where="inputs")
    return KINDS[kind](**dict(inputs))
