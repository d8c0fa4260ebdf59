"""The sandbox's specification: a YAML file turned into frozen, checked values.

Nothing here reads a file; `sandbox.writer.read_spec` hands in the parsed mapping.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from aios_assets.contracts.errors import BadInputError

T = TypeVar("T")
CATEGORIES = ("fast", "smooth", "seasonal", "intermittent", "new", "dying")
FAULT_KINDS = (
    "duplicate",
    "late",
    "out_of_order",
    "corrected_resend",
    "truncated",
    "wrong_se_count",
    "wrong_control_number",
    "unknown_item",
    "unit_off_by_pack",
    "sensor_spike",
    "sensor_gap",
    "sensor_stuck",
    "regime_change",
)


@dataclass(frozen=True, slots=True)
class CategorySpec:
    """Demand of one category of items.

    Attributes:
        name: one of `CATEGORIES`.
        share_frac: share of all items.
        rate_ea: lowest and highest mean units a day at an average store.
        dispersion: negative-binomial size k, variance = mean + mean² / k.
        season_frac: amplitude of the yearly wave (0 = none).
        pack_ea: case sizes to choose from.
        promoted: whether promotions take items of this category.
    """

    name: str
    share_frac: float
    rate_ea: tuple[float, float]
    dispersion: float
    season_frac: float
    pack_ea: tuple[int, ...]
    promoted: bool = True


@dataclass(frozen=True, slots=True)
class SupplierSpec:
    """One supplier: how long it takes, what it asks for, how it writes.

    Attributes:
        id: supplier number.
        family: distribution of the lead time, `gamma` or `lognormal`.
        lead_time_days: mean lead time, order to receipt.
        cv_frac: standard deviation over mean of the lead time.
        quoted_days: lead time as agreed.
        transit_days: of which on the road.
        minimum_order_usd: smallest order value taken without a surcharge.
        order_weekdays: ISO weekdays on which orders are taken.
        standard: `x12` or `edifact`.
        version: X12 version, 004010 or 005010.
        unit_code: unit it writes, EA or CA (cases).
        drift: first day, last day and factor the mean lead time reaches; empty means none.
        alternative: it is only the second source of items.
        cost_factor: cost of an item over its regular cost.
    """

    id: str
    family: str
    lead_time_days: float
    cv_frac: float
    quoted_days: int
    transit_days: int
    minimum_order_usd: float
    order_weekdays: str
    standard: str = "x12"
    version: str = "004010"
    unit_code: str = "EA"
    drift: tuple[float, ...] = ()
    alternative: bool = False
    cost_factor: float = 1.0


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """Faults of one kind.

    Attributes:
        kind: one of `FAULT_KINDS`.
        rate_frac: probability per document (or sensor and day) in range.
        from_day: first day number concerned.
        to_day: day after the last.
        at_days: days on which one fault is planted for certain, besides the rate.
        factor: size of a regime change; unused by other kinds.
    """

    kind: str
    rate_frac: float = 0.0
    from_day: int = 0
    to_day: int = 1_000_000
    at_days: tuple[int, ...] = ()
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class PolicySpec:
    """The min-max planner: safety factors, cover and review.

    Attributes:
        store_z: safety factor of stores.
        dc_z: safety factor of centres.
        store_cover_days: days of demand between min and max at stores.
        dc_cover_days: the same at centres.
        window_days: trailing days of demand looked at.
        review_days: parameters are computed again every so many days.
        promo_factor: by how much the planner lifts the mean while a promotion runs in the exposed days.
    """

    store_z: float
    dc_z: float
    store_cover_days: float
    dc_cover_days: float
    window_days: int = 56
    review_days: int = 7
    promo_factor: float = 1.5


@dataclass(frozen=True, slots=True)
class CostSpec:
    """What stock and shortage cost.

    Attributes:
        holding_frac_per_day: share of unit cost for one unit held one day (capital, space, spoilage).
        shortage_margin_factor: lost sale = this times (price - cost).
        small_order_usd: surcharge of an order below the supplier's minimum.
        supplier_order_usd: fixed cost of one order to a supplier.
        store_order_usd: fixed cost of one delivery between sites.
        freight_per_ea_usd: freight of one each on any standard lane.
        expedite_per_ea_usd: premium per expedited each.
        expedite_per_order_usd: premium per expedited order line.
        expedite_days: days an expedited order takes at most.
    """

    holding_frac_per_day: float
    shortage_margin_factor: float
    small_order_usd: float
    supplier_order_usd: float
    store_order_usd: float
    freight_per_ea_usd: float
    expedite_per_ea_usd: float
    expedite_per_order_usd: float
    expedite_days: int


@dataclass(frozen=True, slots=True)
class TelemetrySpec:
    """How much telemetry there is.

    Attributes:
        start_day: first day with sensors.
        trailer_minutes: minutes between two temperature readings of a trailer.
        position_minutes: minutes between two positions.
        conveyor_minutes: minutes between two vibration readings.
        conveyors: conveyors per centre.
        trailers: route trailers per centre.
    """

    start_day: int
    trailer_minutes: int
    position_minutes: int
    conveyor_minutes: int
    conveyors: int
    trailers: int


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole trading network.

    Attributes:
        profile: its name.
        company: interchange id of the company that trades.
        start_date: first business day.
        history_days: days that `create` plays.
        centres: distribution centres.
        stores: stores.
        items: items.
        edifact_stores: how many of the last stores report in EDIFACT.
        edifact_centres: how many of the last centres report in EDIFACT.
        document_days: only the last so many days of history write EDI, telemetry and truth (0 = all).
        batch_reports: all X12 stores of one centre report in one interchange per night instead of one each.
        promotion_item_frac: share of promotable items in one campaign.
        promotion_every_days: days between two campaigns.
        promotion_days: length of a campaign.
        alternative_frac: share of items with a second supplier.
        categories: demand by category.
        suppliers: suppliers.
        carriers: SCAC codes.
        policy: the min-max planner.
        costs: money.
        telemetry: sensors.
        faults: what goes wrong, and when.
    """

    profile: str
    company: str
    start_date: dt.date
    history_days: int
    centres: int
    stores: int
    items: int
    edifact_stores: int
    edifact_centres: int
    document_days: int
    promotion_item_frac: float
    promotion_every_days: int
    promotion_days: int
    alternative_frac: float
    categories: tuple[CategorySpec, ...]
    suppliers: tuple[SupplierSpec, ...]
    carriers: tuple[str, ...]
    policy: PolicySpec
    costs: CostSpec
    telemetry: TelemetrySpec
    faults: tuple[FaultSpec, ...]
    batch_reports: bool = False

    def day(self, date: dt.date) -> int:
        """Day number of a date, 0 on `start_date`."""
        return (date - self.start_date).days

    def date(self, day: int) -> dt.date:
        """Date of a day number."""
        return self.start_date + dt.timedelta(days=day)


def _build(cls: type[T], data: object, where: str) -> T:
    """A dataclass from a mapping; unknown and missing keys are named."""
    if not isinstance(data, Mapping):
        raise BadInputError("expected a mapping", where=where, todo="see sandbox/specs/fast.yaml")
    fields = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(str(k) for k in data if k not in fields)
    missing = sorted(
        n
        for n, f in fields.items()
        if n not in data and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    )
    if unknown or missing:
        said = "; ".join(
            p for p in (f"unknown keys {unknown}" if unknown else "", f"missing keys {missing}" if missing else "") if p
        )
        raise BadInputError(said, where=where, todo="see sandbox/specs/fast.yaml")
    values = {str(k): tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return cls(**values)


def spec_from_mapping(data: Mapping[str, Any], where: str = "sandbox specification") -> Spec:
    """A checked specification from a parsed YAML mapping.

    Raises:
        BadInputError: a key is unknown or missing, or a value is out of range.
    """
    parts: dict[str, Any] = dict(data)
    for name, cls in (("categories", CategorySpec), ("suppliers", SupplierSpec), ("faults", FaultSpec)):
        rows = parts.get(name)
        if not isinstance(rows, list):
            raise BadInputError(f"'{name}' must be a list", where=where, todo="see sandbox/specs/fast.yaml")
        parts[name] = [_build(cls, row, f"{where}: {name}[{i}]") for i, row in enumerate(rows)]
    for name, single in (("policy", PolicySpec), ("costs", CostSpec), ("telemetry", TelemetrySpec)):
        parts[name] = _build(single, parts.get(name), f"{where}: {name}")
    spec = _build(Spec, parts, where)
    _check(spec, where)
    return spec


def _check(spec: Spec, where: str) -> None:
    """Ranges and cross references."""
    problems = [
        (spec.centres < 1 or spec.stores < 1 or spec.items < 1, "centres, stores and items must be at least 1"),
        (spec.edifact_stores > spec.stores, "edifact_stores is larger than stores"),
        (spec.edifact_centres > spec.centres, "edifact_centres is larger than centres"),
        (not isinstance(spec.start_date, dt.date), "start_date must be a date"),
        (abs(sum(c.share_frac for c in spec.categories) - 1.0) > 1e-6, "category shares must add up to 1"),
        (any(c.name not in CATEGORIES for c in spec.categories), f"categories must be among {CATEGORIES}"),
        (all(s.alternative for s in spec.suppliers), "at least one supplier must be a regular one"),
        (any(s.family not in ("gamma", "lognormal") for s in spec.suppliers), "family must be gamma or lognormal"),
        (any(f.kind not in FAULT_KINDS for f in spec.faults), f"faults must be among {FAULT_KINDS}"),
        (any(not 0.0 <= f.rate_frac <= 1.0 for f in spec.faults), "rate_frac of a fault must be between 0 and 1"),
    ]
    for is_bad, what in problems:
        if is_bad:
            raise BadInputError(what, where=where, todo="correct the specification")
