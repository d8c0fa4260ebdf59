"""Excursions read off the readings one by one, as `limits.yaml` and the contract have it, and random streams of sensors in trouble."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import copysign, floor
from statistics import median
from typing import Any

from aios_assets.telemetry import Limit

Row = dict[str, Any]
START = datetime(2026, 1, 5, tzinfo=UTC)
TRAILER = Limit("trailer", "temperature_c", 8.0, -2.0, 8, 6.0, 2, 4, 600, 7)
LIMITS = (
    TRAILER,
    Limit("trailer", "temperature_c", high=8.0),
    Limit("trailer", "temperature_c", spike_mads=3, spike_floor=1.0, spike_readings=1, stuck_readings=3),
    Limit("trailer", "temperature_c", gap_intervals=2),
    Limit(
        "trailer",
        "temperature_c",
        gap_intervals=2,
        gap_minutes=100,
        pause_minutes=290,
        stuck_readings=3,
        stuck_minutes=95,
    ),
)


def stream(seed: int, sensors: int = 3) -> list[Row]:
    """Readings of whole, half or tenth degrees with jumps, other levels, silences, values at a limit, late uploads and new loads."""
    draw, rows = random.Random(seed), []
    for s in range(sensors):
        at, load, level, step = START, "SH0", 0.0, draw.choice([1.0, 0.5, 0.1])
        for n in range(draw.randrange(120)):
            at += timedelta(minutes=draw.choice([30] * 20 + [30, 60, 125, 300, 700, 1]), seconds=draw.randrange(50))
            load = draw.choice(["SH1", "SH2", None]) if draw.random() < 0.05 else load
            level = draw.choice([0, 0, 5, 6, -6, 25, -30]) if draw.random() < 0.04 else level
            value = 3 + level + draw.gauss(0, 1) if draw.random() < 0.9 else draw.choice([8.0, -2.0, 30, 3])
            rows.append(
                {"sensor_id": f"s{s}", "measure_code": "temperature_c", "read_at_utc": at, "value": round(value / step) * step,
                 "asset_type": "trailer", "asset_id": f"A{n // 50}", "site_id": None, "shipment_id": load, "document_id": f"d{n}",
                 "line_no": n, "available_at_utc": at + timedelta(hours=draw.choice([0, 0, 9])), "available_month": "2026-01"}
            )  # fmt: skip
    return rows


def plain_excursions(rows: Sequence[Row], limit: Limit) -> list[tuple[Any, ...]]:
    """Rows of `raw_telemetry__excursions`, sorted by key; all readings are of one asset type and measure."""
    out: list[tuple[Any, ...]] = []
    for sensor in sorted({r["sensor_id"] for r in rows}):
        own = sorted((r for r in rows if r["sensor_id"] == sensor), key=lambda r: r["read_at_utc"])
        out += [(sensor, "temperature_c", *found) for found in _of_series(own, limit)]
    return sorted(out, key=lambda e: e[:4])


def _of_series(own: list[Row], limit: Limit) -> Iterator[tuple[Any, ...]]:
    values = [r["value"] for r in own]
    usual, bounds, is_spike = _spikes(values, limit)

    def found(kind: str, i: int, j: int, peak: float, crossed: float | None) -> tuple[Any, ...]:
        part, first = own[i:j], own[i]
        return (
            kind, first["read_at_utc"], own[j - 1]["read_at_utc"], j - i, peak, crossed, first["asset_id"], first["shipment_id"],
            first["document_id"], max(r["available_at_utc"] for r in part),
        )  # fmt: skip

    for i, j in _stretches(is_spike):
        far = max(range(i, j), key=lambda k: (abs(values[k] - usual[k]), -k))
        yield found("spike", i, j, values[far], bounds[i])
    sides: list[tuple[str, float | None, Callable[..., float]]] = [("high", limit.high, max), ("low", limit.low, min)]
    for kind, edge, most in sides:
        beyond = [
            edge is not None and not is_spike[k] and (v > edge if kind == "high" else v < edge)
            for k, v in enumerate(values)
        ]
        loads = [(r["asset_id"], r["shipment_id"]) if b else None for r, b in zip(own, beyond, strict=True)]
        for i, j in _stretches(loads):
            yield found(kind, i, j, most(values[i:j]), edge)
    for i, j in _stretches(_stuck(own, limit)):
        yield found("stuck", i, j, values[i], None)
    yield from _gaps(own, limit)


def _stretches(marks: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Stretches of equal marks that are not false or None."""
    i = 0
    while i < len(marks):
        j = i
        while j < len(marks) and marks[j] == marks[i]:
            j += 1
        if marks[i]:
            yield i, j
        i = j


def _spikes(values: list[float], limit: Limit) -> tuple[list[Any], list[Any], list[bool]]:
    """What is usual before each reading, the bound beyond which it is a jump, and which readings are spikes."""
    usual: list[Any] = [median(values[max(0, i - 11) : i]) if i > 1 else None for i in range(len(values))]
    away = [abs(v - u) if u is not None else None for v, u in zip(values, usual, strict=True)]
    spike, reach = [False] * len(values), [0.0] * len(values)
    jump = [False] * len(values)
    for i in range(len(values)):
        before = [a for a in away[max(0, i - 11) : i] if a is not None]
        reach[i] = max(limit.spike_floor, (limit.spike_mads or 0) * 1.4826 * (median(before) if before else 0.0))
        jump[i] = limit.spike_mads is not None and away[i] is not None and away[i] > reach[i]  # type: ignore[operator]
    for i, j in _stretches(jump):
        sudden = i > 0 and abs(values[i] - values[i - 1]) > reach[i] / 2
        spike[i:j] = [sudden and j < len(values) and j - i <= limit.spike_readings] * (j - i)
    bounds = [u + copysign(r, v - u) if u is not None else None for v, u, r in zip(values, usual, reach, strict=True)]
    return usual, bounds, spike


def _stuck(own: list[Row], limit: Limit) -> list[bool]:
    """Runs long by the limit and by the last 1000 runs before, without the longest or, once there are 502, the two longest."""
    out: list[bool] = []
    lengths: list[int] = []
    for i, j in _stretches([("run", r["value"]) for r in own]):
        before = sorted(lengths[-1000:])
        often = before[floor(0.998 * (len(before) - 1))] if len(before) > 1 else 0
        is_long = limit.stuck_readings is not None and j - i >= limit.stuck_readings and j - i > 2 * often
        lasts = floor((own[j - 1]["read_at_utc"] - own[i]["read_at_utc"]).total_seconds()) / 60
        out += [is_long and lasts >= (limit.stuck_minutes or 0)] * (j - i)
        lengths.append(j - i)
    return out


def _gaps(own: list[Row], limit: Limit) -> Iterator[tuple[Any, ...]]:
    """Silences longer than usual and shorter than a pause, told by the reading before."""
    at = [r["read_at_utc"] for r in own]
    minutes = [floor((b - a).total_seconds()) / 60 for a, b in pairwise(at)]
    pause = [limit.pause_minutes is not None and m >= limit.pause_minutes for m in minutes]
    for i in range(1, len(minutes)):
        awake = sorted(m for m, p in list(zip(minutes, pause, strict=True))[max(0, i - 200) : i] if not p)
        if len(awake) < 5:
            continue
        most = awake[floor(0.9 * (len(awake) - 1))]
        usual, last = max(median(minutes[max(0, i - 11) : i]), most), own[i]
        is_long = minutes[i] >= (limit.gap_minutes or 0) and not pause[i]
        if limit.gap_intervals is not None and minutes[i] > limit.gap_intervals * usual and is_long:
            yield (
                "gap", at[i], at[i + 1], 0, None, None, last["asset_id"], last["shipment_id"], last["document_id"],
                own[i + 1]["available_at_utc"],
            )  # fmt: skip
