"""Which business day is next, and where its documents come from: the sandbox network or a folder of the user's own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.settings import Settings


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
    from aios_assets.definitions import world_of

    world = world_of(settings)
    since = world.cutoff(closed)
    fresh = any(file.received_at >= since for file in world.inbox.look()) or world.has_documents_since(since)
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
    """The newest night that was completed.

    Raises:
        BadInputError: no night was run yet.
    """
    marks = sorted(path.stem for path in settings.at_home("nights").glob("????-??-??.json"))
    if not marks:
        raise BadInputError("no night was run yet", where=str(settings.home), todo="call `make run` or `aios run`")
    return date.fromisoformat(marks[-1])
