"""Every mapped set type by (standard, type)."""

from __future__ import annotations

from aios_assets.edi.edifact import MAPPINGS as EDIFACT_MAPPINGS
from aios_assets.edi.mapping import Mapping
from aios_assets.edi.x12 import MAPPINGS as X12_MAPPINGS

MAPPINGS: dict[tuple[str, str], Mapping] = {
    **{("X12", k): m for k, m in X12_MAPPINGS.items()},
    **{("EDIFACT", k): m for k, m in EDIFACT_MAPPINGS.items()},
}
