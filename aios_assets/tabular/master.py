"""Master data from CSV or Parquet: items, sites, suppliers, lanes, supplier items, promotions, holidays.

A document is master data when its source lies below `master/<kind>/`, or when the mapping stored with it names the kind.
Columns are those of `raw_master__<kind>`; one that may be null may be left out, further ones are passed over and counted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.raw_tables import MASTER_TABLES
from aios_assets.contracts.rejects import Reject, reject_frame
from aios_assets.contracts.table import Column, Table
from aios_assets.tabular.cells import Fault
from aios_assets.tabular.files import Sheet, read_sheet, refuse_spreadsheet
from aios_assets.tabular.imports import HELD_SINCE, IMPORT_TABLES
from aios_assets.tabular.item_units import BASE, in_common_codes, without_strays
from aios_assets.tabular.mapping import Mapping, stored_mapping
from aios_assets.tabular.shape import Shaped, as_rejects, shape, without_future
from aios_assets.tabular.sniff import is_spreadsheet

MASTER_KINDS: dict[str, Table] = {t.name.removeprefix("raw_master__"): t for t in MASTER_TABLES}
_OURS = ("document_id", "line_no", "available_at_utc")
# Nothing says what kind of table it is: read again once it is delivered where its place says so.
UNPLACED = "csv:unplaced"
_FOLDER = re.compile(r"(?:^|/)master/([^/]+)/")


@dataclass(frozen=True, slots=True)
class MasterBatch:
    """What was read.

    Attributes:
        frames: rows by table name, every master table, sorted by key.
        rejects: rows of `raw_edi__rejects`; segment_no is the row, element_no the column.
        counts: documents, rows, kept, rejected_rows, ignored_columns.
    """

    frames: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    counts: dict[str, int]


def read_master(documents: pl.DataFrame) -> MasterBatch:
    """Read master data documents; the good rows of a file land, each bad cell becomes a reject.

    Args:
        documents: rows of `raw_edi__documents` of kind csv or parquet. Imports of facts (sales, stock, orders, receipts) are left to
            `read_import`; a document of no known kind becomes a reject that says how to send it.
    """
    frames: dict[str, list[pl.DataFrame]] = {t.name: [] for t in MASTER_TABLES}
    rejects: list[Reject] = []
    counts = {"documents": 0, "rows": 0, "kept": 0, "rejected_rows": 0, "ignored_columns": 0}
    names = ["document_id", "content", "source_uri", "mapping_json", "available_at_utc"]
    ordered = documents.select(names).sort("available_at_utc", "document_id")
    for document_id, content, uri, stored, at in ordered.iter_rows():
        mapping = stored_mapping(stored)
        kind = kind_of_source(uri, mapping)
        if kind in IMPORT_TABLES:
            continue
        counts["documents"] += 1
        try:
            refuse_spreadsheet(content, uri)
            table, mapping = _table(kind, uri), _checked(mapping)
            sheet = read_sheet(content, mapping, uri)
            shaped = shape_master(sheet, table, mapping, uri, at)
        except BadInputError as error:
            # A workbook is refused in every place.
            code = "csv:file" if kind in MASTER_KINDS or is_spreadsheet(content) else UNPLACED
            rejects.append(Reject(document_id, code, error.sentence(), at, level_code="document"))
            continue
        rejects += as_rejects(shaped.faults, sheet.columns, document_id, at, uri)
        good = shaped.rows.rename({"_row": "line_no"}).with_columns(
            document_id=pl.lit(document_id), available_at_utc=pl.lit(at).cast(pl.Datetime("us", "UTC"))
        )
        frames[table.name].append(good.select(table.names))
        counts["rows"] += shaped.read
        counts["kept"] += good.height
        counts["rejected_rows"] += shaped.read - good.height
        used = {mapping.columns.get(c.name, c.name) for c in table.columns if c.name not in _OURS}
        counts["ignored_columns"] += len([c for c in sheet.columns if c not in used])
    joined = {t.name: pl.concat([t.empty(), *frames[t.name]]).sort(list(t.key)) for t in MASTER_TABLES}
    return MasterBatch(joined, reject_frame(rejects), counts)


def shape_master(sheet: Sheet, table: Table, mapping: Mapping, where: str, received_at: datetime) -> Shaped:
    """The good rows of one file of master data.

    Args:
        sheet: the file as text.
        table: the master it belongs to.
        mapping: where columns are, constants, formats.
        where: the file, for messages.
        received_at: instant in UTC; a pack cannot have held since a day that has begun nowhere by then.

    Raises:
        BadInputError: a needed column is missing, or the mapping names one that is not there.
    """
    wanted = [c for c in table.columns if c.name not in _OURS]
    if BASE in table.names:
        sheet, mapping = in_common_codes(sheet, mapping)
    shaped = shape(sheet, wanted, [k for k in table.key if k not in _OURS], mapping, where, least_of)
    if HELD_SINCE in table.names:
        shaped = without_strays(shaped, mapping)
        return without_future(shaped, HELD_SINCE, mapping.columns.get(HELD_SINCE, HELD_SINCE), received_at)
    return _without_backward(shaped, mapping) if "start_date" in table.names else shaped


def _without_backward(shaped: Shaped, mapping: Mapping) -> Shaped:
    """Without stretches that end before they start; one that ends when it starts holds no day, and is so withdrawn."""
    is_backward = pl.col("end_date") < pl.col("start_date")
    column, why = mapping.columns.get("end_date", "end_date"), "lies before the first; it is the day after the last"
    ends = shaped.rows.filter(is_backward).select("_row", "end_date").iter_rows()
    faults = [Fault(row, column, "backward", f"{day} {why}", str(day)) for row, day in ends]
    return Shaped(shaped.rows.filter(~is_backward), [*shaped.faults, *faults], shaped.read)


def kind_of_source(source_uri: str, mapping: Mapping) -> str:
    """The kind a document says it is: by its mapping, else by its folder; empty when neither says."""
    if mapping.kind:
        return mapping.kind
    found = _FOLDER.search(source_uri)
    return found.group(1) if found else ""


def least_of(column: Column) -> float | None:
    """Smallest value taken: the contract's lower limit, and nothing negative where there is a unit of goods, money or time."""
    if column.low is not None:
        return column.low
    return 0.0 if column.unit in ("ea", "usd", "days") else None


def _table(kind: str, uri: str) -> Table:
    if kind in MASTER_KINDS:
        return MASTER_KINDS[kind]
    what = f"there is no master data of kind '{kind}'" if kind else "nothing says what this table is"
    kinds = ", ".join(MASTER_KINDS)
    raise BadInputError(
        what, where=uri, todo=f"put it below master/<kind>/ ({kinds}) or hand a fresh export to `aios import`"
    )


def _checked(mapping: Mapping) -> Mapping:
    if mapping.unit:
        raise BadInputError("master data has no unit", where="mapping", todo="leave `unit` out of the mapping")
    if mapping.known_after_days is not None:
        raise BadInputError(
            "master data has no day", where="mapping", todo="leave `known_after_days` out of the mapping"
        )
    return mapping
