"""A small lake made by hand for the dbt tests: every row of it is stated in the test that needs it."""

from __future__ import annotations

import atexit
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from aios_assets.contracts.registry import TABLES
from aios_assets.contracts.table import Table
from aios_assets.edi import read_documents
from aios_assets.resources.lake import Lake
from tests.unit.edi.make import frame, x12

REPO = Path(__file__).resolve().parents[2]
PROJECT = REPO / "dbt_project"
DAY = date(2026, 3, 2)


def at(day: date, hour: float = 5.0, minute: int = 30) -> datetime:
    """An instant in the night after `day` (05:30 UTC is 00:30 in New York)."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, hours=hour, minutes=minute)


class World:
    """Collects raw rows and writes them as a lake."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.counter = itertools.count(1)

    def message(
        self, name: str, known: datetime, *lines: dict[str, Any], set_code: str = "852", sent: datetime | None = None
    ) -> str:
        """One message of one set: its lines share document, control number and clocks."""
        number = next(self.counter)
        document = hashlib.sha256(f"{self.root.name}{name}{number}".encode()).hexdigest()
        for segment, line in enumerate(lines, start=2):
            origin = {
                "document_id": document,
                "interchange_no": 1,
                "set_no": 1,
                "segment_no": segment,
                "line_no": 1,
                "standard_code": "X12",
                "set_code": set_code,
                "sender_id": "SENDER",
                "receiver_id": "RECEIVER",
                "control_number": f"{number:09d}",
                "sent_at_utc": sent or known - timedelta(minutes=3),
                "available_at_utc": known,
                "available_month": f"{known:%Y-%m}",
                "item_gtin": None,
                "unit_code": "EA",
            }
            self.rows.setdefault(name, []).append(origin | line)
        return document

    def activity(
        self,
        day: date,
        site: str,
        item: str,
        *,
        known: datetime | None = None,
        sent: datetime | None = None,
        unit: str = "EA",
        price: float | None = None,
        **codes: float,
    ) -> str:
        """One 852 of one item: `QS=3, QA=10` and so on."""
        lines = [
            {
                "site_id": site,
                "item_id": item,
                "activity_code": code,
                "activity_date": day,
                "period_start_date": None,
                "quantity": float(quantity),
                "unit_code": unit,
                "unit_price": price,
            }
            for code, quantity in codes.items()
        ]
        return self.message("raw_edi__product_activity", known or at(day), *lines, sent=sent)

    def position(
        self, day: date, site: str, item: str, *, code: str = "17", quantity: float, known: datetime | None = None
    ) -> str:
        """One 846 of one item."""
        line = {
            "site_id": site,
            "item_id": item,
            "quantity_code": code,
            "position_date": day,
            "quantity": float(quantity),
        }
        return self.message("raw_edi__inventory_positions", known or at(day), line, set_code="846")

    def order(
        self,
        number: str,
        day: date,
        item: str,
        quantity: float,
        *,
        source: str,
        site: str,
        action: str = "new",
        known: datetime | None = None,
        sent: datetime | None = None,
        wanted: date | None = None,
    ) -> str:
        """One 850 (or 860) of one item."""
        line = {
            "order_number": number,
            "order_date": day,
            "order_line": "1",
            "action_code": action,
            "buyer_id": None,
            "seller_id": source,
            "ship_to_site_id": site,
            "item_id": item,
            "quantity": float(quantity),
            "unit_price": 2.0,
            "requested_date": wanted,
        }
        return self.message(
            "raw_edi__order_lines", known or at(day), line, set_code="850" if action == "new" else "860", sent=sent
        )

    def split_order(
        self, number: str, day: date, item: str, stores: dict[str, float], *, source: str, total: float | None = None
    ) -> None:
        """One 850 of one item, in bytes, that SDQ splits by store; `total` is what the line says of all of them."""
        split = "*".join(f"{site}*{quantity:g}" for site, quantity in stores.items())
        line = f"PO1*1*{total or sum(stores.values()):g}*EA*2**IN*{item}"
        head = (f"BEG*00*SA*{number}**{day:%Y%m%d}", "N1*BY*X*92*HQ", f"N1*SE*X*92*{source}")
        self.documents(x12("850", *head, line, f"SDQ*EA*92*{split}", control=next(self.counter)), known=at(day))

    def whole(self, number: str, day: date, action: str, *, source: str, known: datetime | None = None) -> str:
        """One 860 (cancel) or 855 (refuse) that names no line."""
        line = {"order_number": number, "said_date": day, "action_code": action, "buyer_id": None, "seller_id": source}
        code = "860" if action == "cancel" else "855"
        return self.message("raw_edi__whole_orders", known or at(day), line, set_code=code)

    def documents(self, *contents: bytes, known: datetime) -> None:
        """Facts and envelopes of real bytes."""
        batch = read_documents(frame(*contents, when=known))
        for name, facts in {**batch.facts, "raw_edi__interchanges": batch.interchanges}.items():
            if facts.height:
                self.rows.setdefault(name, []).extend(facts.to_dicts())

    def answer(
        self,
        number: str,
        day: date,
        item: str,
        quantity: float,
        *,
        source: str,
        code: str = "IA",
        promised: date | None = None,
        known: datetime | None = None,
    ) -> str:
        """One 855 of one item."""
        line = {
            "order_number": number,
            "response_date": day,
            "order_line": "1",
            "response_code": code,
            "seller_id": source,
            "item_id": item,
            "quantity": float(quantity),
            "promised_date": promised,
        }
        return self.message("raw_edi__order_responses", known or at(day), line, set_code="855")

    def shipment(
        self,
        shipment: str,
        day: date,
        item: str,
        quantity: float,
        *,
        order: str | None,
        source: str,
        site: str,
        expected: date | None = None,
        known: datetime | None = None,
    ) -> str:
        """One 856 of one item."""
        line = {
            "shipment_id": shipment,
            "shipped_date": day,
            "expected_date": expected,
            "order_number": order,
            "order_line": "1",
            "ship_from_id": source,
            "ship_to_site_id": site,
            "carrier_id": "FDXG",
            "item_id": item,
            "quantity": float(quantity),
        }
        return self.message("raw_edi__shipment_lines", known or at(day), line, set_code="856")

    def receipt(
        self,
        receipt: str,
        day: date,
        item: str,
        quantity: float,
        *,
        site: str,
        order: str | None = None,
        shipment: str | None = None,
        rejected: float | None = None,
        known: datetime | None = None,
    ) -> str:
        """One 861 of one item."""
        line = {
            "receipt_id": receipt,
            "received_date": day,
            "shipment_id": shipment,
            "order_number": order,
            "order_line": None,
            "site_id": site,
            "item_id": item,
            "quantity": float(quantity),
            "rejected_quantity": rejected,
        }
        return self.message("raw_edi__receipt_lines", known or at(day), line, set_code="861")

    def status(self, shipment: str, when: datetime, *, estimated: date | None) -> str:
        """One 214."""
        line = {
            "shipment_id": shipment,
            "carrier_id": "FDXG",
            "status_code": "SD",
            "reason_code": None,
            "status_at_utc": when,
            "location_name": None,
            "estimated_date": estimated,
        }
        return self.message("raw_edi__shipment_statuses", when + timedelta(hours=6), line, set_code="214")

    def masters(
        self,
        known: datetime,
        items: dict[str, int] | None = None,
        sites: dict[str, str] | None = None,
        suppliers: list[str] | None = None,
    ) -> None:
        """Item master (item -> pack), site master (site -> type) and suppliers, stated once each."""
        origin = {"document_id": hashlib.sha256(str(known).encode()).hexdigest(), "available_at_utc": known}
        for line, (item, pack) in enumerate((items or {}).items(), start=2):
            self.rows.setdefault("raw_master__items", []).append(
                origin
                | {
                    "item_id": item,
                    "item_gtin": f"0{abs(hash_of(item)) % 10**11:012d}",
                    "pack_ea": pack,
                    "unit_cost_usd": 2.0,
                    "unit_price_usd": 3.0,
                    "supplier_id": "SUP",
                    "line_no": line,
                }
            )
        for line, (site, kind) in enumerate((sites or {}).items(), start=2):
            self.rows.setdefault("raw_master__sites", []).append(
                origin | {"site_id": site, "site_gln": f"GLN-{site}", "site_type": kind, "line_no": line}
            )
        for line, supplier in enumerate(suppliers or [], start=2):
            self.rows.setdefault("raw_master__suppliers", []).append(
                origin | {"supplier_id": supplier, "supplier_gln": f"GLN-{supplier}", "line_no": line}
            )

    def write(self) -> Lake:
        """Write all rows collected so far as Delta tables."""
        lake = Lake(self.root)
        for name, rows in self.rows.items():
            lake.write(name, frame_of(TABLES[name], rows))
        return lake


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def frame_of(table: Table, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a frame of the contract; columns that a row leaves out are null."""
    return pl.DataFrame([{name: row.get(name) for name in table.names} for row in rows], schema=table.schema)


@cache
def parsed_project() -> tuple[Path, str]:
    """The project as dbt parsed it, once for all homes of a test process, and the folder to spill to that it was parsed with."""
    from aios_assets.resources.dbt import dbt_environment as real
    from aios_assets.resources.dbt import ensure_manifest

    home = Path(tempfile.mkdtemp(prefix="aios-parsed-"))
    atexit.register(shutil.rmtree, home, ignore_errors=True)
    return ensure_manifest(home).with_name("partial_parse.msgpack"), real(home, home)["AIOS_DBT_SPILL"]


def dbt_environment(lake: Path, home: Path, window: tuple[date, date] | None = None) -> dict[str, str]:
    """Environment of a dbt process; a home without a parsed project is given the common one."""
    from aios_assets.resources.dbt import dbt_environment as real

    parsed, spill = parsed_project()
    environment = dict(os.environ) | real(home, lake, window=window) | {"AIOS_DBT_SPILL": spill}
    own = Path(environment["DBT_TARGET_PATH"]) / parsed.name
    if not own.exists():
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(parsed, own)
    return environment


def build(lake: Path, home: Path, window: tuple[date, date] | None = None) -> str:
    """Run `dbt build` in a process of its own and give back what it printed; fails the test when it fails."""
    return run_dbt(["build", "--exclude-resource-type", "unit_test"], dbt_environment(lake, home, window))


def run_dbt(arguments: list[str], environment: dict[str, str]) -> str:
    """Run dbt in a process of its own and give back what it printed; fails the test when it fails."""
    dbt = Path(sys.executable).with_name("dbt")
    done = subprocess.run(
        [str(dbt), *arguments],
        env=environment,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    return done.stdout
