"""Telemetry: sensor readings from JSON lines, and the stretches in which they left their limits. Pure."""

from aios_assets.telemetry.excursions import excursions, not_judged
from aios_assets.telemetry.limits import Limit, default_limits, parse_limits, with_own
from aios_assets.telemetry.readings import TelemetryBatch, read_telemetry

__all__ = [
    "Limit",
    "TelemetryBatch",
    "default_limits",
    "excursions",
    "not_judged",
    "parse_limits",
    "read_telemetry",
    "with_own",
]
