"""Telemetry: sensor readings from JSON lines, and the stretches in which they left their limits. Pure."""

from aios_assets.telemetry.envelope import Message, pack, unpack
from aios_assets.telemetry.excursions import excursions, not_judged
from aios_assets.telemetry.limits import Limit, default_limits, parse_limits, with_own
from aios_assets.telemetry.mapping import parse_rules
from aios_assets.telemetry.readings import TelemetryBatch, read_telemetry

__all__ = [
    "Limit",
    "Message",
    "TelemetryBatch",
    "default_limits",
    "excursions",
    "not_judged",
    "pack",
    "parse_limits",
    "parse_rules",
    "read_telemetry",
    "unpack",
    "with_own",
]
