"""When a bundle of MQTT messages is complete. Pure but for the clock that counts seconds.

A broker that hands out only so many unacknowledged messages (20, 32, 100) falls silent until they are acknowledged: waiting for
more would stop the flow. One that has no more to say falls silent too, and storing then would make a document of every burst. Which
of the two it was shows after the acknowledgement: the first goes on at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable

QUIET_S = 0.2
GAPS = 10  # times the mean pause between messages of a bundle that make silence
FEW = 10  # a broker that hands out fewer at a time is none
MISSES = 3


class Window:
    """What was learned of the broker's window, and the bundle that is being collected.

    >>> window = Window()
    >>> window.learn(20, lambda: True)
    >>> window.is_full(19), window.is_full(20)
    (False, True)
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.size: int | None = None  # unacknowledged messages after which the broker waits
        self.free = FEW  # as many came, and the broker had no more
        self.misses = 0
        self.first = self.last = 0.0

    def begin(self) -> None:
        """A new bundle."""
        self.first = self.last = 0.0

    def note(self, now: float) -> None:
        """A message came."""
        self.first, self.last = self.first or now, now

    def is_full(self, count: int) -> bool:
        """Whether the broker will hand out no more before it is told that these are stored."""
        return self.size is not None and count >= self.size

    def is_old(self, every_s: float) -> bool:
        """Whether the bundle waited long enough."""
        return bool(self.first) and time.monotonic() - self.first >= every_s

    def is_done(self, count: int, silence_s: float, every_s: float) -> bool:
        """Whether to store, nothing having come for `silence_s`."""
        gap = (self.last - self.first) / max(count - 1, 1)
        is_stalled = count > self.free and silence_s >= max(QUIET_S, GAPS * gap)
        return is_stalled or self.is_old(every_s)

    def learn(self, count: int, comes: Callable[[], bool]) -> None:
        """See whether the broker goes on at once.

        Args:
            count: messages just acknowledged.
            comes: waits a moment for the next.
        """
        if count >= FEW and comes():
            self.size = count if self.size is None else max(self.size, count)
            self.misses = 0
        elif self.size is None:
            self.free = max(self.free, count)
        else:
            self.misses += 1
            if self.misses >= MISSES:
                self.size, self.misses, self.free = None, 0, max(self.free, count)
