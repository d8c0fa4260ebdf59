"""Which business day is next, and where its documents come from: the sandbox network or a folder of the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from aios_assets.contracts.errors import AiosError, BadInputError, UsageError
from aios_assets.settings import Settings

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake

# What every night writes once it has come that far, and the column that names the night.
WRITTEN_NIGHTLY = {
    "pred_demand__28d": "origin_date",
    "rec_decisions": "as_of_date",
    "mon_gate_verdicts": "verdict_date",
}
LAST_WRITTEN = "mon_gate_verdicts"


def ensure_sandbox(settings: Settings, say: Callable[[str], None]) -> None:
    """Make the sandbox network if documents come from it and it is not there yet."""
    if not settings.is_sandbox or (settings.sandbox_root / "state").exists():
        return
    import sandbox

    say(f"making the sandbox network (profile {settings.profile}, seed {settings.seed}) in {settings.sandbox_root}")
    sandbox.create(settings.sandbox_root, settings.profile, settings.seed)


def play_one_more_day(settings: Settings, say: Callable[[str], None]) -> None:
    """Let one more business day pass in the sandbox."""
    import sandbox

    sandbox.advance_days(settings.sandbox_root, 1)
    say(f"the sandbox lived through {sandbox.current_date(settings.sandbox_root)}")


def _closed_day(settings: Settings) -> date:
    """The newest closed business day; the sandbox has no other."""
    if settings.is_sandbox:
        import sandbox

        return sandbox.current_date(settings.sandbox_root)
    from aios_assets.resources.clock import now_utc

    return date.fromisoformat(settings.day_of(now_utc()))


def business_day(settings: Settings) -> date:
    """The business day to run: the sandbox's newest; else the newest closed one, or the open one when documents came since."""
    closed = _closed_day(settings)
    if settings.is_sandbox:
        return closed
    from aios_assets.resources.handles import world_of

    world = world_of(settings)
    cutoff = world.cutoff(closed)
    fresh = any(file.received_at > cutoff for file in world.inbox.look()) or world.has_documents_after(cutoff)
    return closed + timedelta(days=1) if fresh else closed


def check_days(settings: Settings, first: date, last: date) -> None:
    """Refuse days that the network does not have: before its first one, or not begun yet.

    Raises:
        UsageError: names the day and the limit.
    """
    oldest = date.fromisoformat(settings.start_date)
    newest = _closed_day(settings) + timedelta(days=0 if settings.is_sandbox else 1)  # the open day may be run, too
    if first < oldest:
        raise UsageError(
            f"{first} lies before {oldest}, the first business day", todo="set AIOS_START_DATE, or begin later"
        )
    if last > newest:
        raise UsageError(f"{last} lies after {newest}, the newest business day", todo=f"end at {newest}")


def newest_night(settings: Settings) -> date:
    """The newest night that was completed: marked by the command line, or judged in a run that Dagster started.

    Raises:
        BadInputError: no night was run yet.
    """
    days = _completed(settings)
    if not days:
        raise BadInputError("no night was run yet", where=str(settings.home), todo="call `make run` or `aios run`")
    return max(days)


def left_out(settings: Settings, day: date) -> tuple[date, date] | None:
    """First and last of the business days between the newest night completed before `day` and `day`; None if there are none.

    Facts and features of such days are caught up; what would have been forecast and recommended on them was not.
    """
    before = [d for d in _completed(settings) if d < day]
    first, last = max(before, default=day) + timedelta(days=1), day - timedelta(days=1)
    return (first, last) if first <= last else None


def _completed(settings: Settings) -> set[date]:
    from aios_assets.resources.lake import Lake

    lake, last = Lake(settings.lake_root), LAST_WRITTEN
    judged = lake.read(last, columns=[WRITTEN_NIGHTLY[last]]) if lake.exists(last) else None
    return {*_marked(settings), *(judged.to_series().unique() if judged is not None else [])}


def unfinished(settings: Settings) -> list[dict[str, Any]]:
    """Nights that were begun and did not end well, oldest first.

    Returns:
        day, run_id, failed_steps and their causes (empty when the process was killed or is still at work), is_under_way,
        is_dropped (a rebuild dropped what the night wrote).
    """
    from aios_assets.resources.locks import NIGHT_LOCK, is_held

    at_work = is_held(settings.at_home(NIGHT_LOCK))
    found = []
    for path in sorted(settings.at_home("nights").glob("????-??-??.begun")):
        noted = json.loads(path.read_text() or "{}")
        failed = list(noted.get("failed_steps", []))
        found.append(
            {
                "day": path.stem,
                "run_id": noted.get("run_id", ""),
                "failed_steps": failed,
                "causes": list(noted.get("causes", [])),
                "is_under_way": at_work and not failed,
                "is_dropped": bool(noted.get("is_dropped")),
            }
        )
    return found


def keep_nights(settings: Settings, lake: Lake) -> list[date]:
    """Note every night that was run, before its tables are dropped, and list them, oldest first.

    The command line marks its nights; those that Dagster started, and the days of a backfill in homes made before, are told
    from their rows. A table that is damaged tells nothing: the others name the same nights.
    """
    from aios_assets.night import UNPROVEN, mark_path
    from aios_assets.resources.lake_files import put_durably

    found = set(_marked(settings))
    for name, column in WRITTEN_NIGHTLY.items():
        try:
            found |= set(lake.read(name, columns=[column])[column].unique()) if lake.exists(name) else set()
        except AiosError:
            continue
    for day in found - set(_marked(settings)):
        put_durably(mark_path(settings, day), json.dumps(UNPROVEN).encode())
    return sorted(found)


def _marked(settings: Settings) -> list[date]:
    return sorted(date.fromisoformat(p.stem) for p in settings.at_home("nights").glob("????-??-??.json"))
