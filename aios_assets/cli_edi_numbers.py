"""Control numbers for `aios edi write`: one for what a document says, whichever file said it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from aios_assets.resources.control_numbers import ControlNumbers

# Of these a partner expects one under a number. A change, an answer or a status may say again what one said before the last.
_ONCE = ("850", "940", "ORDERS", "856", "945", "DESADV", "810", "INVOIC")


@dataclass
class NumberTaker:
    """Takes numbers for documents, and notes what was written before under the same key with other rows.

    Attributes:
        numbers: the store.
        now: the moment kept with new numbers.
        content: the bytes of the file the rows came in.
        told: what a person should know.
    """

    numbers: ControlNumbers
    now: datetime
    content: bytes
    told: list[str] = field(default_factory=list)

    def take(self, series: str, purposes: list[str]) -> list[int]:
        """Numbers for purposes such as "850 PO1 0123456789abcdef": type, key and digest of the rows."""
        # All were bound to the whole file once; what was written then keeps its number.
        formerly = [self._of_file(purpose) for purpose in purposes]
        taken = self.numbers.take(series, self._bound(purposes), at=self.now, formerly=formerly)
        for purpose in purposes:
            self._tell(series, purpose.rpartition(" ")[0], purpose)
        return taken

    def moments(self, series: str, purposes: list[str]) -> list[datetime]:
        """When each of these numbers was first taken."""
        return self.numbers.moments(series, self._bound(purposes), self.now)

    def _bound(self, purposes: list[str]) -> list[str]:
        """What numbers are taken for: the rows of an order; of what may be said again, and mean it, the file that says it."""
        return [p if p.partition(" ")[0] in _ONCE else self._of_file(p) for p in purposes]

    def _of_file(self, purpose: str) -> str:
        return f"{hashlib.sha256(self.content).hexdigest()[:16]} {purpose.rpartition(' ')[0]}"

    def _tell(self, series: str, stem: str, purpose: str) -> None:
        if stem.partition(" ")[0] not in _ONCE:
            return
        width = len(purpose) - len(stem)
        before = [
            n for n, p in self.numbers.beginning(series, f"{stem} ") if p != purpose and len(p) == len(stem) + width
        ]
        if before:
            numbers = ", ".join(map(str, before))
            self.told.append(
                f"{stem} was written before with other rows (control number {numbers}): the partner may act on both"
            )
