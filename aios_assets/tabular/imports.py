"""Facts from people who have no EDI: sales, stock, orders and receipts as CSV or Parquet with a mapping.

They land in the same tables as the 852, 846, 850 and 861: sales as activity QS, stock as quantity 17 (on hand), orders as new
lines, receipts as goods taken in.
"""

from __future__ import annotations

from calendar import day_name
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from aios_assets.contracts.edi_tables import (
    RAW_EDI_INVENTORY_POSITIONS,
    RAW_EDI_ORDER_LINES,
    RAW_EDI_PRODUCT_ACTIVITY,
    RAW_EDI_RECEIPT_LINES,
)
from aios_assets.contracts.errors import BadInputError
from aios_assets.contracts.rejects import Reject, reject_frame
from aios_assets.contracts.table import Column, Table
from aios_assets.tabular.files import Sheet, read_sheet
from aios_assets.tabular.gaps import listing_sales_only, with_gaps_as_zero
from aios_assets.tabular.mapping import Mapping, stored_mapping
from aios_assets.tabular.shape import Shaped, as_rejects, shape, without_future

IMPORT_TABLES: dict[str, Table] = {
    "sales": RAW_EDI_PRODUCT_ACTIVITY,
    "stock": RAW_EDI_INVENTORY_POSITIONS,
    "orders": RAW_EDI_ORDER_LINES,
    "receipts": RAW_EDI_RECEIPT_LINES,
}
IMPORT_KINDS = (*IMPORT_TABLES, "items")
_DEFAULTS = {
    "sales": {"activity_code": "QS", "unit_code": "EA"},
    "stock": {"quantity_code": "17", "unit_code": "EA"},
    "orders": {"action_code": "new", "unit_code": "EA"},
    "receipts": {"unit_code": "EA"},
}
# What a file may leave out and a message may not: each is made of what the file says.
_NUMBERED = {
    "orders": {"order_line": pl.col("_row").cast(pl.String)},
    # A receipt without a number is what came for an order on a day: a later file of the same receipts adds nothing.
    "receipts": {"receipt_id": pl.concat_str(pl.col("order_number").fill_null(""), pl.lit(" "), "received_date")},
}
# What a message may leave to its sender's name, and a file has to say.
_NEEDED = {"receipts": ("site_id",)}
# Rows that lie further back than this were hardly known first when their file came.
HISTORY = timedelta(days=35)
# So many dates, all of one weekday, are no chance.
LEAST_WEEKS = 4
# The day since which a statement of an item corrects what was stated before.
HELD_SINCE = "pack_from_date"
_OURS = (
    "document_id", "interchange_no", "set_no", "segment_no", "line_no", "standard_code", "set_code", "sender_id", "receiver_id",
    "control_number", "sent_at_utc", "available_at_utc", "available_month",
)  # fmt: skip
_EVENT = {"sales": "activity_date", "stock": "position_date", "orders": "order_date", "receipts": "received_date"}


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """What was read.

    Attributes:
        frames: rows by table name, all four fact tables, sorted by key.
        rejects: rows of `raw_edi__rejects`; segment_no is the row, element_no the column.
        counts: documents, rows, kept, rejected_rows, and rows of zero for what the files do not list (`gaps: zero`).
    """

    frames: dict[str, pl.DataFrame]
    rejects: pl.DataFrame
    counts: dict[str, int]


def utc_midnight_after(day: date) -> datetime:
    """When `day` has ended in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), UTC)


def read_import(documents: pl.DataFrame, closes: Callable[[date], datetime] = utc_midnight_after) -> ImportBatch:
    """Read imported facts; a file that cannot be read as a whole becomes one reject, and the others go on.

    Args:
        documents: rows of `raw_edi__documents`; those whose mapping names no kind of fact are passed over.
        closes: the instant (UTC) at which the knowledge of a business day is closed; asked for history with `known_after_days`.
    """
    frames: dict[str, list[pl.DataFrame]] = {t.name: [] for t in IMPORT_TABLES.values()}
    rejects: list[Reject] = []
    counts = {"documents": 0, "rows": 0, "kept": 0, "rejected_rows": 0, "gaps_as_zero": 0}
    names = ["document_id", "content", "source_uri", "mapping_json", "available_at_utc"]
    ordered = documents.select(names).sort("available_at_utc", "document_id")
    for document_id, content, uri, stored, at in ordered.iter_rows():
        mapping = stored_mapping(stored)
        if mapping.kind not in IMPORT_TABLES:
            continue
        counts["documents"] += 1
        try:
            shaped, columns = _shape(content, mapping, uri, at)
            said = _said(shaped, mapping, uri)
        except BadInputError as error:
            rejects.append(Reject(document_id, "csv:file", error.sentence(), at, level_code="document"))
            continue
        table = IMPORT_TABLES[mapping.kind]
        rejects += as_rejects(shaped.faults, columns, document_id, at, uri)
        rows = _known(said, mapping, at, closes)
        frames[table.name].append(_facts(rows, table, mapping.kind, document_id, at))
        counts["rows"] += shaped.read
        counts["kept"] += shaped.rows.height
        counts["gaps_as_zero"] += said.height - shaped.rows.height
        counts["rejected_rows"] += shaped.read - shaped.rows.height
    joined = {t.name: pl.concat([t.empty(), *frames[t.name]]).sort(list(t.key)) for t in IMPORT_TABLES.values()}
    return ImportBatch(joined, reject_frame(rejects), counts)


def preview_import(
    content: bytes, mapping: Mapping, where: str, received_at: datetime, *, is_first: bool = False
) -> dict[str, object]:
    """What importing the file will do, before anything is stored.

    Args:
        content: bytes of the file.
        mapping: mapping with its kind.
        where: the file's name, for messages.
        received_at: instant in UTC; days that have begun nowhere by then are future.
        is_first: no night was run yet, so that history can still be loaded.

    Returns:
        rows, kept, rejected_rows, `notes` on what the import will do that may not be meant, and `lines`, one per fault.

    Raises:
        BadInputError: the file as a whole cannot be used: no row fits, or a column is missing; names what it has and what
            the mapping needs.
    """
    for name, given in (("gaps", mapping.gaps), ("period_days", mapping.period_days)):
        if given and mapping.kind != "sales":
            what = f"`{name}: {given}` says something of a file of sales"
            raise BadInputError(what, where=where, todo=f"leave it out of the mapping of {mapping.kind}")
    if mapping.kind == "items":
        from aios_assets.tabular.master import MASTER_KINDS, shape_master

        sheet, table = read_sheet(content, mapping, where), MASTER_KINDS["items"]
        shaped, notes = shape_master(sheet, table, mapping, where, received_at), _left_out(sheet, table, mapping)
    elif mapping.kind in IMPORT_TABLES:
        shaped, _ = _shape(content, mapping, where, received_at)
        unlisted = _said(shaped, mapping, where).height - shaped.rows.height
        spans = f"stretches of {mapping.period_days} days" if mapping.period_days else "days"
        notes = (
            [f"{unlisted:,} site, item and {spans} without a row count as {spans} without a sale"] if unlisted else []
        )
        notes += [note for notes_of in _NOTES.get(mapping.kind, ()) for note in notes_of(shaped.rows, mapping)]
        notes += _history(shaped.rows, mapping, received_at) if is_first else []
    else:
        raise BadInputError(
            f"there is no import of '{mapping.kind}'", where=where, todo=f"use {', '.join(IMPORT_KINDS)}"
        )
    lines = [f"row {f.row}{f', column {f.column!r}' if f.column else ''}: {f.reason}" for f in shaped.faults]
    kept = shaped.rows.height
    if not kept:
        what = f"none of the {shaped.read:,} rows fits; {lines[0]}"
        raise BadInputError(what, where=where, todo="correct the mapping or the file; nothing was stored")
    return {"rows": shaped.read, "kept": kept, "rejected_rows": shaped.read - kept, "notes": notes, "lines": lines}


def _left_out(sheet: Sheet, table: Table, mapping: Mapping) -> list[str]:
    """Columns that the file has not: a statement replaces all that an earlier one said of its item."""
    wanted = [c.name for c in table.columns if c.name not in _OURS and c.name not in mapping.constants]
    theirs = {ours: mapping.columns.get(ours, ours) for ours in wanted}
    absent = [ours for ours, name in theirs.items() if name not in sheet.columns and ours != HELD_SINCE]
    strange = [name for name in sheet.columns if name and name not in theirs.values()]
    if not absent:
        return []
    passed = f" (passed over: {', '.join(strange)})" if strange else ""
    return [
        f"the file has no {', '.join(absent)}{passed}: unknown for its items from now on, also where an earlier file said otherwise. "
        "To do: give whole rows"
    ]


def _said(shaped: Shaped, mapping: Mapping, uri: str) -> pl.DataFrame:
    """What the file says: its rows, and with `gaps: zero` a row for every day that it does not list."""
    every = mapping.period_days or 1
    return (
        with_gaps_as_zero(shaped, uri, every) if mapping.gaps else shaped.rows.with_columns(line_no=pl.lit(1, pl.Int32))
    )


def _listing_sales_only(rows: pl.DataFrame, mapping: Mapping) -> list[str]:
    return [] if mapping.gaps else listing_sales_only(rows)


def _on_one_weekday(rows: pl.DataFrame, _mapping: Mapping) -> list[str]:
    """All sales on one weekday, and no word of the days before: a week's total taken for a day's sales is planned for that day."""
    days = rows.filter(pl.col("period_start_date").is_null())["activity_date"].unique()
    if len(days) < LEAST_WEEKS or days.dt.weekday().n_unique() > 1:
        return []
    return [
        f"all rows are of {day_name[days[0].weekday()]}s. To do: if a row is of the week that ends with its date, say `period_days: 7` in the mapping"
    ]


def _returns_alone(rows: pl.DataFrame, _mapping: Mapping) -> list[str]:
    """Days with returns and no sales: in a file of their own the returns replace what was said of the day's sales."""
    said = pl.col("activity_code")
    days = rows.group_by("site_id", "item_id", "activity_date").agg(
        (said == "QU").any().alias("returned"), (said == "QS").any().alias("sold")
    )
    alone = days.filter(pl.col("returned") & ~pl.col("sold"))
    if alone.is_empty():
        return []
    first = alone.sort("site_id", "item_id", "activity_date").row(0, named=True)
    return [
        f"{alone.height:,} of {days.height:,} site, item and days have returns and no sales here (first: {first['site_id']}, "
        f"{first['item_id']}, {first['activity_date']}): their sales become zero, also where an earlier file said otherwise. "
        "To do: unless nothing was sold, put returns in one file with the sales of the day"
    ]


def _closing_no_order(rows: pl.DataFrame, _mapping: Mapping) -> list[str]:
    """Receipts that name no order: their goods are stock, and whatever was ordered stays on order."""
    alone = rows.filter(pl.col("order_number").is_null() & pl.col("shipment_id").is_null()).height
    if not alone:
        return []
    return [
        f"{alone:,} of {rows.height:,} receipts name neither order nor shipment: they close no order, and what was ordered stays on "
        "order. To do: name the order number in the mapping"
    ]


def _history(rows: pl.DataFrame, mapping: Mapping, received_at: datetime) -> list[str]:
    """Rows of days long before the file: nothing can be learned from what nobody knew at the time."""
    old = rows.filter(pl.col(_EVENT[mapping.kind]) < received_at.date() - HISTORY).height
    if not old or mapping.known_after_days is not None:
        return []
    return [
        f"{old:,} of {rows.height:,} rows are of days more than {HISTORY.days} days before the file, and count as known since the file "
        "reached us: models learn only from what was known in time. To do: if this is history that was known day by day, load it before "
        "the first night with `known_after_days: 0` in the mapping (the days after its day on which a row was known)"
    ]


_NOTES = {"sales": (_returns_alone, _listing_sales_only, _on_one_weekday), "receipts": (_closing_no_order,)}


def _shape(content: bytes, mapping: Mapping, uri: str, at: datetime) -> tuple[Shaped, list[str]]:
    kind, table = mapping.kind, IMPORT_TABLES[mapping.kind]
    sheet = read_sheet(content, mapping, uri)
    columns = [
        replace(c, null_means="") if c.name in _NEEDED.get(kind, ()) else c
        for c in table.columns
        if c.name not in _OURS
    ]
    given = {*mapping.columns, *mapping.constants, *sheet.columns}
    defaults = {k: v for k, v in _DEFAULTS[kind].items() if k not in given and not (k == "unit_code" and mapping.unit)}
    made = {name: number for name, number in _NUMBERED.get(kind, {}).items() if name not in given}
    wanted = [c for c in columns if c.name not in made]
    full = replace(mapping, constants=mapping.constants | defaults)
    shaped = shape(sheet, wanted, (), full, uri, _least)
    shaped = replace(shaped, rows=_stretched(shaped.rows.with_columns(**made), mapping))
    return without_future(shaped, _EVENT[kind], mapping.columns.get(_EVENT[kind], _EVENT[kind]), at), sheet.columns


def _stretched(rows: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """Sales with the first day of their period, where the mapping says how long it is and the row does not."""
    if mapping.period_days is None or mapping.kind != "sales":
        return rows
    first = pl.col("activity_date") - pl.duration(days=mapping.period_days - 1)
    return rows.with_columns(pl.coalesce("period_start_date", first).alias("period_start_date"))


def _least(column: Column) -> float | None:
    return 0.0 if column.name in ("quantity", "rejected_quantity", "unit_price") else None


def _known(rows: pl.DataFrame, mapping: Mapping, at: datetime, closes: Callable[[date], datetime]) -> pl.DataFrame:
    """Rows with `set_no` and `available_at_utc`: a file is one message, history one message of each of its days."""
    known = pl.lit(at).cast(pl.Datetime("us", "UTC"))
    if mapping.known_after_days is None:
        return rows.with_columns(set_no=pl.lit(0, pl.Int32), available_at_utc=known)
    day, lag = _EVENT[mapping.kind], timedelta(days=mapping.known_after_days)
    days = rows.select(pl.col(day).unique().sort())
    # The last moment at which the night of that day still learns of it.
    instants = [min(closes(d + lag) - timedelta(microseconds=1), at) for d in days.to_series()]
    said = days.with_columns(
        set_no=pl.int_range(1, pl.len() + 1, dtype=pl.Int32),
        available_at_utc=pl.Series(instants, dtype=pl.Datetime("us", "UTC")),
    )
    return rows.join(said, on=day, how="left", maintain_order="left")


def _facts(rows: pl.DataFrame, table: Table, kind: str, document_id: str, at: datetime) -> pl.DataFrame:
    return rows.with_columns(
        document_id=pl.lit(document_id), interchange_no=pl.lit(0, pl.Int32), segment_no=pl.col("_row"),
        standard_code=pl.lit("CSV"), set_code=pl.lit(kind), sender_id=pl.lit("import"), receiver_id=pl.lit("aios"),
        control_number=pl.lit(document_id[:14]),
        # A file has no envelope that says when it was sent. It was sent when it reached us: without that, which of two files
        # corrects the other would be decided by the hash of their bytes.
        sent_at_utc=pl.lit(at).cast(pl.Datetime("us", "UTC")),
        available_month=pl.col("available_at_utc").dt.strftime("%Y-%m"),
    ).select(table.names)  # fmt: skip
