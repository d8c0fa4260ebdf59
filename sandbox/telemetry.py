"""Readings of trailers, docks and conveyors of one day, as JSON lines."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass

import numpy as np

from sandbox.draws import Floats, stream
from sandbox.flow import DayResult
from sandbox.network import Network
from sandbox.state import SUPPLIER, Lines
from sandbox.x12 import shipment_name

COLD_SETPOINT_C = 3.0
ROUTE_HOURS = (10, 24)


@dataclass(slots=True)
class Series:
    """Equally spaced readings of one sensor on one day.

    Attributes:
        source: file it goes to.
        sensor_id: sensor.
        measure_code: what is measured.
        minutes: minutes after 00:00 UTC of the day.
        values: readings.
        asset_type: trailer, dock or conveyor.
        asset_id: what the sensor sits on.
        site_id: site, None on the road.
        shipment_id: shipment on board, None if none.
    """

    source: str
    sensor_id: str
    measure_code: str
    minutes: list[int]
    values: list[float]
    asset_type: str
    asset_id: str
    site_id: str | None
    shipment_id: str | None


def day_series(net: Network, result: DayResult) -> list[Series]:
    """All readings of a day, in a fixed order; none before the sensors were installed."""
    if result.day < net.spec.telemetry.start_day:
        return []
    rng = stream(net.seed, "telemetry", result.day)
    out: list[Series] = []
    for centre in range(net.centres):
        out += _trailers(net, result, centre, rng)
        out += _conveyors(net, result.day, centre, rng)
    return out + _docks(net, result.received, rng)


def _walk(rng: np.random.Generator, n: int, phi: float, sigma: float) -> Floats:
    noise = rng.normal(0.0, sigma, n)
    out = np.zeros(n)
    for k in range(1, n):
        out[k] = phi * out[k - 1] + noise[k]
    return out


def _trailers(net: Network, result: DayResult, centre: int, rng: np.random.Generator) -> list[Series]:
    """Route trailers from centre to stores: temperature and position while on the road."""
    every = net.spec.telemetry
    mine = result.shipped.where(result.shipped["src"] == centre)
    shipments = sorted(set(mine["shipment"].tolist()))
    out = []
    for t in range(every.trailers):
        asset = f"TR{centre + 1:02d}{t + 1:02d}"
        shipment = shipment_name(shipments[t]) if t < len(shipments) else None
        minutes = list(range(ROUTE_HOURS[0] * 60, ROUTE_HOURS[1] * 60, every.trailer_minutes))
        temperature = COLD_SETPOINT_C + _walk(rng, len(minutes), 0.8, 0.25) + 0.4 * (rng.random(len(minutes)) < 0.1)
        series = ("trailer", asset, None, shipment)
        out.append(
            Series("trailers", f"{asset}-T", "temperature_c", minutes, np.round(temperature, 2).tolist(), *series)
        )
        stops = list(range(ROUTE_HOURS[0] * 60, ROUTE_HOURS[1] * 60, every.position_minutes))
        turn = np.linspace(0, 2 * np.pi, len(stops))
        reach = 0.6 + 0.3 * rng.random()
        north = 40.5 + 0.8 * centre + reach * np.sin(turn) / 2 + rng.normal(0, 0.003, len(stops))
        east = -74.5 - 0.9 * centre + reach * (1 - np.cos(turn)) / 2 + rng.normal(0, 0.003, len(stops))
        out.append(Series("trailers", f"{asset}-P", "latitude_deg", stops, np.round(north, 5).tolist(), *series))
        out.append(Series("trailers", f"{asset}-P", "longitude_deg", stops, np.round(east, 5).tolist(), *series))
    return out


def _conveyors(net: Network, day: int, centre: int, rng: np.random.Generator) -> list[Series]:
    """Vibration of the centre's conveyors: slow wear, reset by maintenance every 180 days."""
    every, site = net.spec.telemetry, net.site_ids[centre]
    minutes = list(range(0, 1440, every.conveyor_minutes))
    out = []
    for c in range(every.conveyors):
        asset = f"CV{centre + 1:02d}{c + 1:02d}"
        wear = ((day + 61 * c) % 180) / 180
        level = 2.0 + 1.2 * wear + _walk(rng, len(minutes), 0.6, 0.12)
        values = np.round(np.maximum(level, 0.2), 3).tolist()
        out.append(
            Series(f"conveyors_{site}", f"{asset}-V", "vibration_mm_s", minutes, values, "conveyor", asset, site, None)
        )
    return out


def _docks(net: Network, received: Lines, rng: np.random.Generator) -> list[Series]:
    """How long each inbound trailer stood at the dock, one reading when it leaves."""
    out = []
    for n, order in enumerate(received.where(received["kind"] == SUPPLIER).groups()):
        site = net.site_ids[int(order["dst"][0])]
        asset = f"DK{site}{n % 4 + 1:02d}"
        dwell = round(float(rng.gamma(6.0, 9.0)), 1)
        minute = 13 * 60 + 7 * n % 480
        shipment = shipment_name(int(order["shipment"][0]))
        out.append(
            Series(f"docks_{site}", f"{asset}-D", "dwell_minutes", [minute], [dwell], "dock", asset, site, shipment)
        )
    return out


def json_lines(net: Network, day: int, series: list[Series]) -> list[tuple[str, str]]:
    """(source, text) of each telemetry file of a day, sorted by source; lines by time, then sensor."""
    midnight = dt.datetime.combine(net.spec.date(day), dt.time(), dt.UTC)
    rows: dict[str, list[tuple[int, str, str, str]]] = {}
    for s in series:
        fixed = json.dumps(
            {"asset_type": s.asset_type, "asset_id": s.asset_id, "site_id": s.site_id, "shipment_id": s.shipment_id}
        )[1:]
        for minute, value in zip(s.minutes, s.values, strict=True):
            at = (midnight + dt.timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%SZ")
            line = (
                f'{{"sensor_id": "{s.sensor_id}", "measure_code": "{s.measure_code}", "read_at_utc": "{at}", '
                f'"value": {value!r}, {fixed}'
            )
            rows.setdefault(s.source, []).append((minute, s.sensor_id, s.measure_code, line))
    return [(source, "".join(r[3] + "\n" for r in sorted(rows[source]))) for source in sorted(rows)]
