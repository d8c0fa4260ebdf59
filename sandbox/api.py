"""Sandboxes on disk: create, advance, look."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aios_assets.contracts.errors import UsageError
from sandbox import writer
from sandbox.compare import Tally, minmax_at_service, play_minmax, report
from sandbox.delivery import day_files, first_files
from sandbox.flow import step
from sandbox.orders import OrdersProvider
from sandbox.play import Decide, minmax_policy, provider_policy
from sandbox.state import NetworkState, new_network
from sandbox.truth import TruthLog

CHUNK_DAYS = 60


def root_inbox(root: Path) -> Path:
    """The inbox folder of a sandbox."""
    return Path(root) / "inbox"


def create(root: Path, profile: str = "fast", seed: int = 7) -> dict[str, Any]:
    """Make a sandbox and play its history into its inbox.

    Args:
        root: folder that gets `inbox/`, `state/` and `truth/`.
        profile: shipped profile, or path of a specification.
        seed: equal seeds give equal bytes.

    Raises:
        ConflictError: there is a sandbox at `root` already.
        BadInputError: the profile is unknown or wrong.
    """
    root = Path(root)
    writer.must_be_new(root)
    spec = writer.read_spec(profile)
    state = new_network(spec, seed)
    files = writer.write_files(root_inbox(root), first_files(state))
    files += _advance(root, state, spec.history_days, minmax_policy(spec.policy))
    return {**_status(state), "files": files}


def advance_days(root: Path, days: int, orders_for: OrdersProvider | None = None) -> dict[str, Any]:
    """Play further days into the inbox; equal to playing them one by one.

    Args:
        root: the sandbox.
        days: how many days, at least 1.
        orders_for: who decides each morning; None is the min-max planner.

    Raises:
        BadInputError: there is no sandbox at `root`, or the orders cannot be used.
        UsageError: `days` is below 1.
    """
    if days < 1:
        raise UsageError("days must be at least 1", where=f"days={days}", todo="advance by one day or more")
    root = Path(root)
    state = writer.load_state(root)
    decide = provider_policy(orders_for) if orders_for else minmax_policy(state.net.spec.policy)
    files = _advance(root, state, days, decide, save_daily=orders_for is not None)
    return {**_status(state), "files": files}


def compare(
    root: Path, days: int, policy: str = "minmax", recommended: Callable[[Path], OrdersProvider] | None = None
) -> dict[str, Any]:
    """Advance a sandbox under one policy and say what the other would have cost over the same days.

    The other one is played on a branch from the same morning with the same demand and lead times: min-max in memory,
    recommended orders (which need an inbox to read) in a copy of the sandbox beside it that is removed afterwards.

    Args:
        root: the sandbox; it is advanced under `policy`.
        days: how many days, at least 1.
        policy: `recommended` or `minmax`.
        recommended: makes the provider of recommended orders for the sandbox at a path; without it min-max stands alone.

    Returns:
        `from_date`, `to_date`, `policies` (one row each: costs, fill rate, stock) and the share saved.

    Raises:
        UsageError: the policy is unknown, `days` is below 1, or `recommended` is asked for and nobody provides it.
        BadInputError: there is no sandbox at `root`.
    """
    if policy not in ("recommended", "minmax"):
        raise UsageError(f"there is no policy '{policy}'", todo="use recommended or minmax")
    if days < 1:
        raise UsageError("days must be at least 1", where=f"days={days}", todo="advance by one day or more")
    if policy == "recommended" and recommended is None:
        raise UsageError(
            "nobody provides recommended orders here", todo="use `aios sandbox advance`, or hand in a provider"
        )
    root = Path(root)
    start = writer.load_state(root)
    spec = start.net.spec
    plain = play_minmax(start, days, spec.policy, "minmax")
    tallies = [plain]
    if recommended is not None:
        ours = Tally("recommended")
        if policy == "recommended":
            _advance(root, writer.load_state(root), days, provider_policy(recommended(root)), True, ours)
        else:
            with writer.clone(root) as twin:
                _advance(twin, writer.load_state(twin), days, provider_policy(recommended(twin)), True, ours)
        tallies = [ours, plain, minmax_at_service(start, days, ours.fill_rate_frac)]
    if policy == "minmax":
        _advance(root, writer.load_state(root), days, minmax_policy(spec.policy))
    out = report(spec.date(start.day), spec.date(start.day + days - 1), tallies)
    writer.write_comparison(root, out)
    return out


def _advance(
    root: Path, state: NetworkState, days: int, decide: Decide, save_daily: bool = False, sums: Tally | None = None
) -> int:
    """Play days; files and state of a day are on disk before the next morning is decided."""
    spec, files = state.net.spec, 0
    saved = writer.spec_to_saved(spec)
    quiet_until = spec.history_days - spec.document_days if spec.document_days else 0
    log, first = TruthLog(state.net), state.day
    for played in range(1, days + 1):
        result = step(state, decide(state))
        if sums is not None:
            sums.add(result)
        if result.day >= quiet_until:
            tonight, faults = day_files(state, result)
            files += writer.write_files(root_inbox(root), tonight)
            writer.append_faults(root, faults)
            log.add(result)
        if played % CHUNK_DAYS == 0 or played == days or save_daily:
            writer.write_truth(root, log.frames(), str(spec.date(first)), str(spec.date(result.day)))
            log, first = TruthLog(state.net), state.day
        if save_daily or played == days:
            writer.save_state(root, state, saved)
    return files


def current_date(root: Path) -> dt.date:
    """The last business day played.

    Raises:
        BadInputError: there is no sandbox at `root`.
    """
    return dt.date.fromisoformat(str(writer.read_head(Path(root))["date"])) - dt.timedelta(days=1)


def status(root: Path) -> dict[str, Any]:
    """What a sandbox is and how far it is played.

    Raises:
        BadInputError: there is no sandbox at `root`.
    """
    return _status(writer.load_state(Path(root)))


def _status(state: NetworkState) -> dict[str, Any]:
    spec = state.net.spec
    return {
        "profile": spec.profile,
        "seed": state.net.seed,
        "centres": spec.centres,
        "stores": spec.stores,
        "items": spec.items,
        "first_date": spec.start_date,
        "current_date": spec.date(state.day - 1),
        "days_played": state.day,
        "on_hand_ea": int(state.on_hand.sum()),
        "open_order_lines": int((state.lines["arrive"] >= state.day).sum()),
        "files_on_their_way": len(state.pending),
    }
