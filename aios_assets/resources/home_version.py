"""Which version of this software made a home, and which used it last: `version.json` in the home.

Written on the first command that writes there, then when the version is a newer one or the day another. A home that a newer
version used is refused: its tables may have columns and its rows meanings that this one does not know.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from functools import cache
from importlib.metadata import version
from pathlib import Path

from packaging.version import InvalidVersion, Version

from aios_assets.contracts.errors import IntegrityError, RefusedError
from aios_assets.resources.clock import now_utc
from aios_assets.resources.lake_files import put_durably

NAME = "version.json"
# Homes made before this file was written.
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HomeVersion:
    """What is known of a home's versions.

    Attributes:
        made_by: version that made it; `unknown` where it was made before versions were written down.
        first_used_date: day of its first use that was written down (UTC).
        newest: newest version that used it.
        newest_used_date: day on which that version used it last (UTC).
    """

    made_by: str
    first_used_date: str
    newest: str
    newest_used_date: str


@cache
def this_version() -> str:
    """Version of this software, as installed."""
    return version("aios")


def used(before: HomeVersion | None, now: str, day: date, *, is_new: bool) -> HomeVersion:
    """What is to be written down when version `now` uses a home on `day`.

    Args:
        before: what was written down; None when nothing was.
        now: version that uses it.
        day: day of that use.
        is_new: nothing is in the home yet.

    Raises:
        RefusedError: a newer version used it.

    >>> used(None, "0.1.0", date(2026, 1, 14), is_new=True).made_by
    '0.1.0'
    """
    today = day.isoformat()
    if before is None:
        return HomeVersion(now if is_new else UNKNOWN, today, now, today)
    if is_older(now, before.newest):
        raise RefusedError(
            f"this home was last used by version {before.newest} on {before.newest_used_date}; this is {now}, which is older",
            todo=f"install {before.newest} or newer, or set AIOS_HOME to another folder",
        )
    return replace(before, newest=now, newest_used_date=max(today, before.newest_used_date))


def is_older(one: str, other: str) -> bool:
    """Whether version `one` is older than `other`; what cannot be compared is not.

    >>> is_older("0.9.0", "0.10.0"), is_older("0.10.0", "0.10.0"), is_older("0.1.0", "a branch")
    (True, False, False)
    """
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return False


def read_version(home: Path) -> HomeVersion | None:
    """What the home says of its versions; None where nothing was written down.

    Raises:
        IntegrityError: the file is there and does not say it.
    """
    path = home / NAME
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return HomeVersion(**{field.name: str(said[field.name]) for field in fields(HomeVersion)})
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(
            "the file that says which version used this home cannot be understood",
            where=str(path),
            todo="if no newer version of this software ever used the home, remove the file",
        ) from error


def note_use(home: Path, *, is_new: bool = False) -> HomeVersion:
    """Write down that this version uses the home today.

    Args:
        home: the home's folder.
        is_new: nothing is in it yet.

    Raises:
        RefusedError: a newer version used it.
        IntegrityError: what is written down cannot be understood.
    """
    before = read_version(home)
    after = used(before, this_version(), now_utc().date(), is_new=is_new)
    if after != before:
        put_durably(home / NAME, json.dumps(asdict(after), indent=1).encode())
    return after


def as_shown(home: Path) -> dict[str, str]:
    """What a person is shown of a home's versions, beside the version that shows it."""
    said = read_version(home)
    return {"this": this_version(), **(asdict(said) if said else {"made_by": UNKNOWN})}
