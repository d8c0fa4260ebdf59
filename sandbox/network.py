"""The trading network that never changes: parties, items, lanes, and the demand each item and site would have.

Everything follows from (specification, seed). Arrays over sites and items are site-major: shape (sites, items), centres
first, then stores. Parties are numbered sites first, then suppliers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sandbox.draws import Bools, Floats, Ints, check_digit, stream
from sandbox.spec import Spec

_WEEKDAY = np.array([0.84, 0.82, 0.88, 0.95, 1.14, 1.30, 1.07])
NEVER = 1_000_000


@dataclass(frozen=True, slots=True)
class Network:
    """Static arrays; S sites, I items, K suppliers, P = S + K parties.

    Attributes:
        spec: the specification.
        seed: the seed.
        site_ids: ids of the sites.
        site_glns: GLN of the sites.
        supplier_glns: GLN of the suppliers.
        party_ids: ids of sites and suppliers.
        serving: [S] index of the centre that serves a store, -1 for centres.
        item_ids: ids.
        gtins: GTIN-13.
        category: [I] index into `spec.categories`.
        pack: [I] eaches a case.
        cost: [I] regular cost, USD per each.
        price: [I] regular price, USD per each.
        supplier: [I] index of the regular supplier.
        alternative: [I] index of the second supplier, -1 none.
        introduced: [I] first selling day, 0 = always.
        discontinued: [I] last selling day, `NEVER` = none.
        half_life: [I] days in which a dying item's demand halves, 0 = not dying.
        decline_from: [I] day a dying item's decline starts.
        rate: [S, I] mean units a day at its level, zero at centres.
        weekday: [S, I, 7] weekday factor.
        phase: [I] day of the yearly peak.
        season: [I] yearly amplitude.
        trend: [I] yearly growth.
        dispersion: [I] negative-binomial size.
        uplift: [I] factor of demand while promoted.
        discount: [I] share off the price while promoted.
        planned: [S, I] the merchant's guess of the mean before any sale was seen.
        carrier: [P] index of the carrier used from that party.
        memo: results worth keeping, such as campaigns by number.
    """

    spec: Spec
    seed: int
    site_ids: tuple[str, ...]
    site_glns: tuple[str, ...]
    supplier_glns: tuple[str, ...]
    party_ids: tuple[str, ...]
    serving: Ints
    item_ids: tuple[str, ...]
    gtins: tuple[str, ...]
    category: Ints
    pack: Ints
    cost: Floats
    price: Floats
    supplier: Ints
    alternative: Ints
    introduced: Ints
    discontinued: Ints
    half_life: Floats
    decline_from: Ints
    rate: Floats
    weekday: Floats
    phase: Floats
    season: Floats
    trend: Floats
    dispersion: Floats
    uplift: Floats
    discount: Floats
    planned: Floats
    carrier: Ints
    memo: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sites(self) -> int:
        """Number of sites."""
        return len(self.site_ids)

    @property
    def items(self) -> int:
        """Number of items."""
        return len(self.item_ids)

    @property
    def centres(self) -> int:
        """Number of centres."""
        return self.spec.centres

    def is_edifact_site(self, site: int) -> bool:
        """Whether this site reports in EDIFACT."""
        spec = self.spec
        if site < spec.centres:
            return site >= spec.centres - spec.edifact_centres
        return site >= self.sites - spec.edifact_stores

    def party(self, party_id: str) -> int:
        """Index of a party by its id or GLN, -1 if there is none."""
        glns = self.site_glns + self.supplier_glns
        for names in (self.party_ids, glns):
            if party_id in names:
                return names.index(party_id)
        return -1

    def is_sold(self, day: int) -> Bools:
        """[I] items on sale that day."""
        sold: Bools = (self.introduced <= day) & (self.discontinued >= day)
        return sold

    def is_listed(self, day: int) -> Bools:
        """[I] items stores and centres report that day: on sale or about to be, or leaving within 30 days."""
        listed: Bools = (self.introduced <= day + 7) & (self.discontinued + 30 >= day)
        return listed

    def unit_cost(self, supplier: int) -> Floats:
        """[I] cost per each from that supplier."""
        cost: Floats = np.round(self.cost * self.spec.suppliers[supplier].cost_factor, 2)
        return cost


def _gln(kind: int, number: int) -> str:
    base = f"08500{kind}{number:06d}"
    return base + check_digit(base)


def _pick(rng: np.random.Generator, spec: Spec, n: int) -> Ints:
    """[n] category of each item: exact shares, shuffled."""
    shares = np.array([c.share_frac for c in spec.categories])
    counts = np.floor(shares * n).astype(np.int64)
    for extra in np.argsort(-(shares * n - counts), kind="stable")[: n - counts.sum()]:
        counts[extra] += 1
    codes: Ints = np.repeat(np.arange(len(shares), dtype=np.int64), counts)
    rng.shuffle(codes)
    return codes


def build_network(spec: Spec, seed: int) -> Network:
    """The network of a specification and a seed; equal arguments, equal network."""
    rng = stream(seed, "network")
    n_sites, n_items = spec.centres + spec.stores, spec.items
    store_width = max(3, len(str(spec.stores)))
    site_ids = tuple(f"DC{i + 1:02d}" for i in range(spec.centres)) + tuple(
        f"ST{i + 1:0{store_width}d}" for i in range(spec.stores)
    )
    category = _pick(rng, spec, n_items)
    names = np.array([c.name for c in spec.categories])[category]
    cost = np.round(np.exp(rng.normal(1.35, 0.7, n_items)).clip(0.6, 40.0), 2)
    pack = np.array([rng.choice(spec.categories[c].pack_ea) for c in category], dtype=np.int64)
    regular = [i for i, s in enumerate(spec.suppliers) if not s.alternative]
    second = [i for i, s in enumerate(spec.suppliers) if s.alternative]
    supplier = np.array([regular[i % len(regular)] for i in rng.permutation(n_items)], dtype=np.int64)
    has_second = rng.random(n_items) < (spec.alternative_frac if second else 0.0)
    alternative = np.where(has_second, np.array(second or [-1])[rng.integers(0, max(1, len(second)), n_items)], -1)
    span = spec.history_days
    introduced = np.where(names == "new", rng.integers(int(0.35 * span), int(0.85 * span), n_items), 0)
    decline_from = np.where(names == "dying", rng.integers(int(0.2 * span), int(0.5 * span), n_items), NEVER)
    half_life = np.where(names == "dying", rng.uniform(0.12, 0.25, n_items) * span, 0.0)
    ends = decline_from + rng.integers(int(0.4 * span), int(0.75 * span), n_items)
    rate, weekday, planned = _rates(rng, spec, category)
    return Network(
        spec=spec,
        seed=seed,
        site_ids=site_ids,
        site_glns=tuple(_gln(1, i + 1) for i in range(n_sites)),
        supplier_glns=tuple(_gln(2, i + 1) for i in range(len(spec.suppliers))),
        party_ids=site_ids + tuple(s.id for s in spec.suppliers),
        serving=np.array([-1] * spec.centres + [i % spec.centres for i in range(spec.stores)], dtype=np.int64),
        item_ids=tuple(f"I{i + 1:05d}" for i in range(n_items)),
        gtins=tuple(_gtin(i + 1) for i in range(n_items)),
        category=category,
        pack=pack,
        cost=cost,
        price=np.round(cost * rng.uniform(1.3, 1.8, n_items), 2),
        supplier=supplier,
        alternative=alternative.astype(np.int64),
        introduced=introduced.astype(np.int64),
        discontinued=np.where(names == "dying", ends, NEVER).astype(np.int64),
        half_life=half_life,
        decline_from=decline_from.astype(np.int64),
        rate=rate,
        weekday=weekday,
        phase=rng.uniform(0, 365.25, n_items),
        season=np.array([c.season_frac for c in spec.categories])[category] * rng.uniform(0.75, 1.25, n_items),
        trend=rng.normal(0.0, 0.08, n_items),
        dispersion=np.array([c.dispersion for c in spec.categories])[category],
        uplift=rng.uniform(1.5, 2.4, n_items),
        discount=rng.uniform(0.12, 0.3, n_items),
        planned=planned,
        carrier=rng.integers(0, len(spec.carriers), n_sites + len(spec.suppliers)),
    )


def _gtin(number: int) -> str:
    base = f"0850009{number:05d}"
    return base + check_digit(base)


def _rates(rng: np.random.Generator, spec: Spec, category: Ints) -> tuple[Floats, Floats, Floats]:
    """Mean rate, weekday factors and the merchant's guess, by site and item."""
    n_sites, n_items = spec.centres + spec.stores, len(category)
    low, high = (np.array([c.rate_ea[k] for c in spec.categories])[category] for k in (0, 1))
    base = np.exp(rng.uniform(np.log(low), np.log(high)))
    size = np.exp(rng.normal(0.0, 0.35, n_sites))
    taste = np.exp(rng.normal(0.0, 0.25, (n_sites, n_items)))
    rate = size[:, None] * base[None, :] * taste
    rate[: spec.centres] = 0.0
    shape = _WEEKDAY[None, None, :] * np.exp(
        rng.normal(0, 0.05, (n_sites, 1, 7)) + rng.normal(0, 0.06, (1, n_items, 7))
    )
    weekday = shape / shape.mean(axis=2, keepdims=True)
    planned = rate * np.exp(rng.normal(0.0, 0.3, (1, n_items)))
    for centre in range(spec.centres):
        members = [s for s in range(spec.centres, n_sites) if (s - spec.centres) % spec.centres == centre]
        planned[centre] = planned[members].sum(axis=0)
    return rate, weekday, planned
