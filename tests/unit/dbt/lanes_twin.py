"""Lanes as their contract words them, in plain Python, from all that stood of orders at one of some instants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

from tests.unit.dbt.marts_twin import Row
from tests.unit.dbt.supply_twin import Line, Names, Said, Supply, in_messages


class Lanes:
    """Lanes from all that stood at one of some instants: only what was known first counts, whatever was corrected since."""

    def __init__(self, raw: Mapping[str, list[Row]], names: Names, instants: Iterable[datetime]) -> None:
        said: dict[Line, dict[Any, Said]] = defaultdict(dict)
        for instant in instants:
            for key, stood in Supply(raw, names, instant).said.items():
                for s in stood:
                    said[key].setdefault((s.rank, s.place, s.code), replace(s, known=instant))
        self.lines = [
            line
            for key in sorted(said)
            for line in self._lines(sorted(said[key].values(), key=lambda s: (s.known, s.rank, s.place)))
        ]

    @staticmethod
    def _lines(said: list[Said]) -> Iterable[dict[str, Any]]:
        placing = [s for s in said if s.code == "ordered"]
        named = next((s for s in placing if s.site is not None), None)
        source = next((s for s in placing if s.source is not None), None)
        if named is None or source is None:
            return
        sites = {s.site for s in placing if s.site is not None and (s.known, s.rank) == (named.known, named.rank)}
        for site in sorted(sites, key=str):
            here = [s for s in said if s.site == site or s.site not in sites]
            ordered = next((s for s in here if s.code == "ordered"), None)
            own = next((s for s in here if s.code == "ordered" and s.source is not None), None)
            if ordered is None or own is None:
                continue
            came = next((s for s in here if s.code == "received"), None)
            promise = next((s for s in here if s.code == "confirmed" and s.expected), None)
            ends = [m[0].known for m in in_messages(s for s in here if s.code in ("cancelled", "confirmed", "changed"))
                    if all(s.quantity == 0 for s in m)]  # fmt: skip
            # What came in part ends with what came, be it refused in part.
            ends += [s.known for s in here if s.code == "refused" and not (came and came.known <= s.known)]
            yield {"lane": f"{own.source}>{site}", "known": max(ordered.known, own.known, named.known), "ordered": ordered, "came": came,
                   "promise": promise, "ended": min(ends, default=None)}  # fmt: skip

    def rows(self, day: date, known_day: Callable[[datetime], date]) -> dict[str, tuple[Any, ...]]:
        """Lines received in 90 days, open, mean, median and 90 % point of days taken, share late, by lane, as of the close of a day."""
        found: dict[str, tuple[Any, ...]] = {}
        for lane in sorted({line["lane"] for line in self.lines if known_day(line["known"]) <= day}):
            lines = [line for line in self.lines if line["lane"] == lane and known_day(line["known"]) <= day]
            is_open, took, late = 0, [], []
            for line in lines:
                came, promise = line["came"], line["promise"]
                known = max(known_day(came.known), came.day, known_day(line["known"])) if came else None
                ended = known_day(line["ended"]) if line["ended"] else None
                is_open += not any(d is not None and d <= day for d in (known, ended))
                if came and known and day - timedelta(days=90) < known <= day:
                    took.append((came.day - line["ordered"].day).days)
                    if promise and known_day(promise.known) <= known_day(came.known):
                        late.append(float(came.day > promise.expected))
            mean = sum(took) / len(took) if took else None
            found[lane] = (
                len(took),
                is_open,
                mean,
                _point(took, 0.5),
                _point(took, 0.9),
                sum(late) / len(late) if late else None,
            )
        return found


def _point(values: list[int], share: float) -> float | None:
    """Quantile with linear interpolation."""
    if not values:
        return None
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])
