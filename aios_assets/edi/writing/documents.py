"""One interchange per document from fact rows: header, lines, totals, envelope, all rows of all documents at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.edi.typing_rules import own_columns
from aios_assets.edi.writing import edifact_sets, x12_sets
from aios_assets.edi.writing.pen import Pen, Segment, joined, number
from aios_assets.edi.writing.profiles import Partner


@dataclass(frozen=True, slots=True)
class Writer:
    """One document type that can be written.

    Attributes:
        table: fact table whose columns it is written from.
        key: column that names a document.
        standard: X12 or EDIFACT.
        group: GS01.
        layout: pen to the segments of each document (from its first row), of each line, and after the lines, where `lines`,
            `total` and, with prices, `amount` (quantities times prices) are at hand.
        extra: numeric columns beyond the table that are written when given.
        needed: columns that may be empty in the table but not here.
    """

    table: str
    key: str
    standard: str
    group: str
    layout: Callable[[Pen], tuple[list[Segment], list[Segment], list[Segment]]]
    extra: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()


WRITERS: dict[str, Writer] = {
    "850": Writer("raw_edi__order_lines", "order_number", "X12", "PO", x12_sets.order),
    "860": Writer("raw_edi__order_lines", "order_number", "X12", "PC", x12_sets.change),
    "855": Writer("raw_edi__order_responses", "order_number", "X12", "PR", x12_sets.response, ("unit_price",)),
    "856": Writer("raw_edi__shipment_lines", "shipment_id", "X12", "SH", x12_sets.shipment),
    "810": Writer("raw_edi__invoice_lines", "invoice_number", "X12", "IN", x12_sets.invoice, needed=("unit_price",)),
    "940": Writer("raw_edi__order_lines", "order_number", "X12", "OW", x12_sets.warehouse_order),
    "945": Writer("raw_edi__shipment_lines", "shipment_id", "X12", "SW", x12_sets.warehouse_shipment),
    "214": Writer("raw_edi__shipment_statuses", "shipment_id", "X12", "QM", x12_sets.status),
    "ORDERS": Writer("raw_edi__order_lines", "order_number", "EDIFACT", "", edifact_sets.order),
    "ORDCHG": Writer("raw_edi__order_lines", "order_number", "EDIFACT", "", edifact_sets.change),
    "DESADV": Writer("raw_edi__shipment_lines", "shipment_id", "EDIFACT", "", edifact_sets.shipment),
    "INVOIC": Writer(
        "raw_edi__invoice_lines", "invoice_number", "EDIFACT", "", edifact_sets.invoice, needed=("unit_price",)
    ),
}


@dataclass(frozen=True, slots=True)
class Written:
    """Documents written.

    Attributes:
        documents: key, control_number (i64), content (binary), one row per document in key order.
    """

    documents: pl.DataFrame


def _prepared(writer: Writer, rows: pl.DataFrame, pen: Pen) -> pl.DataFrame:
    """Rows in document and line order with every column of the table, texts made safe.

    Raises:
        BadInputError: a needed column is missing, null or of a type that cannot be read.
    """
    table = next(t for t in EDI_FACT_TABLES if t.name == writer.table)
    frame = rows
    for column in own_columns(table):
        if column.name not in frame.columns:
            if not column.nullable and column.name not in ("unit_code", "order_line", "action_code"):
                raise BadInputError(
                    f"column '{column.name}' is missing: {column.means}", where=writer.table, todo="add it"
                )
            frame = frame.with_columns(pl.lit(None, dtype=column.dtype).alias(column.name))
        try:
            frame = frame.with_columns(pl.col(column.name).cast(column.dtype))
        except pl.exceptions.PolarsError as error:
            raise BadInputError(
                f"column '{column.name}' cannot be read as {column.type}", where=writer.table, todo="correct its values"
            ) from error
    if "unit_code" in frame.columns:
        frame = frame.with_columns(pl.col("unit_code").fill_null("EA").replace(pen.partner.unit_codes(writer.standard)))
    needed = [c.name for c in own_columns(table) if not c.nullable and c.name not in ("order_line", "action_code")]
    needed += writer.needed
    nulls = {n: frame[n].null_count() for n in needed if frame[n].null_count()}
    if nulls:
        name, count = next(iter(nulls.items()))
        raise BadInputError(f"column '{name}' has empty values", where=writer.table, count=count, todo="fill them")
    for name in writer.extra:
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    frame = frame.select(*(c.name for c in own_columns(table)), *writer.extra).sort(writer.key, maintain_order=True)
    numbered = pl.int_range(1, pl.len() + 1).over(writer.key)
    frame = frame.with_columns(nth=numbered.cast(pl.String), document=pl.col(writer.key))
    if "order_line" in frame.columns:
        frame = frame.with_columns(order_line=pl.coalesce("order_line", "nth"))
    return pen.safe(frame)


def write(
    kind: str,
    rows: pl.DataFrame,
    partner: Partner,
    *,
    numbers: Callable[[str, list[str]], list[int]],
    now: datetime,
    prefix: str = "",
) -> Written:
    """Write one interchange per document.

    Args:
        kind: document type, a key of `WRITERS`.
        rows: fact rows: the own columns of the writer's table.
        partner: whom to write to.
        numbers: control numbers for (series, purposes), such as `ControlNumbers.take`.
        now: date and time written into the envelopes.
        prefix: put before the purpose of each control number, to tell a new version of a document from the old.

    Raises:
        UsageError: the type is not written here.
        BadInputError: rows lack something, or hold a delimiter.
    """
    if kind not in WRITERS:
        raise UsageError(f"there is no writer of '{kind}'", todo=f"use one of {', '.join(WRITERS)}")
    writer = WRITERS[kind]
    pen = Pen(partner, writer.standard)
    frame = _prepared(writer, rows, pen)
    head, line, tail = writer.layout(pen)
    parts = {}
    for name, segments in (("head", head), ("line", line)):
        parts[f"{name}_text"], parts[f"{name}_count"] = joined(segments)
    # Computed before grouping: a constant would count once per document instead of once per line.
    frame = frame.with_columns(**parts)
    quantity = pl.col("quantity") if "quantity" in frame.columns else pl.lit(0.0)
    price = pl.col("unit_price") if "unit_price" in frame.columns else pl.lit(0.0)
    bodies = (
        frame.group_by(writer.key, maintain_order=True)
        .agg(
            pl.col("document").first(),
            pl.col("head_text", "head_count").first(),
            pl.col("line_text").str.join(""),
            pl.col("line_count").sum(),
            pl.len().cast(pl.Int64).alias("lines"),
            quantity.sum().alias("sum"),
            (quantity * price).sum().round(2, mode="half_away_from_zero").alias("amount"),
        )
        .with_columns(total=number("sum"), lines=pl.col("lines").cast(pl.String))
    )
    tail_text, tail_count = joined(tail)
    bodies = bodies.with_columns(
        body=pl.col("head_text") + pl.col("line_text") + tail_text,
        segments=pl.col("head_count") + pl.col("line_count") + tail_count + 2,
    )
    series = f"{writer.standard}|{partner.our_id}|{partner.partner_id}"
    taken = numbers(series, [f"{prefix}{kind} {key}" for key in bodies["document"]])
    bodies = bodies.with_columns(control=pl.Series(taken, dtype=pl.Int64))
    text = _x12(kind, writer, pen, now) if writer.standard == "X12" else _edifact(kind, pen, now)
    return Written(
        bodies.select(
            pl.col("document").alias("key"),
            pl.col("control").alias("control_number"),
            text.cast(pl.Binary).alias("content"),
        )
    )


def _x12(kind: str, writer: Writer, pen: Pen, now: datetime) -> pl.Expr:
    """ISA, GS, ST, body, SE, GE, IEA."""
    p = pen.partner
    element, component, _segment = p.delimiters("X12")
    padded = pl.col("control").cast(pl.String).str.zfill(9)
    plain = pl.col("control").cast(pl.String)
    new = p.x12_version >= "004020"
    isa12 = p.x12_version[:5]
    start = element.join(
        [
            "ISA",
            "00",
            " " * 10,
            "00",
            " " * 10,
            f"{p.our_qualifier:<2}",
            f"{p.our_id:<15}",
            f"{p.partner_qualifier:<2}",
            f"{p.partner_id:<15}",
            f"{now:%y%m%d}",
            f"{now:%H%M}",
            p.repetition if new else "U",
            isa12,
            "",
        ]
    )
    gs = element.join(
        [
            "GS",
            writer.group,
            p.our_group_id or p.our_id,
            p.partner_group_id or p.partner_id,
            f"{now:%Y%m%d}",
            f"{now:%H%M}",
            "",
        ]
    )
    end = pen.end
    return pl.concat_str(
        [
            pl.lit(start),
            padded,
            pl.lit(f"{element}0{element}{p.usage}{element}{component}{end}"),
            pl.lit(gs),
            plain,
            pl.lit(f"{element}X{element}{p.x12_version}{end}ST{element}{kind}{element}0001{end}"),
            pl.col("body"),
            pl.lit(f"SE{element}"),
            pl.col("segments").cast(pl.String),
            pl.lit(f"{element}0001{end}GE{element}1{element}"),
            plain,
            pl.lit(f"{end}IEA{element}1{element}"),
            padded,
            pl.lit(end),
        ]
    )


def _edifact(kind: str, pen: Pen, now: datetime) -> pl.Expr:
    """UNA where the delimiters are not the usual ones, UNB, UNH, body, UNT, UNZ."""
    p = pen.partner
    element, component, segment = p.delimiters("EDIFACT")
    end = pen.end
    usual = (element, component, segment, p.release) == ("+", ":", "'", "?")
    una = "" if usual else f"UNA{component}{element}.{p.release} {segment}" + ("\n" if p.line_break else "")

    def composite(text: str) -> str:
        return text.replace(":", component)

    def party(identity: str, qualifier: str) -> str:
        return identity + (component + qualifier if qualifier else "")

    unb = element.join(
        [
            "UNB",
            composite(p.edifact_syntax),
            party(p.our_id, p.our_qualifier),
            party(p.partner_id, p.partner_qualifier),
            f"{now:%y%m%d}{component}{now:%H%M}",
            "",
        ]
    )
    number_ = pl.col("control").cast(pl.String)
    return pl.concat_str(
        [
            pl.lit(una + unb),
            number_,
            pl.lit(f"{end}UNH{element}1{element}{kind}{component}{composite(p.edifact_version)}{end}"),
            pl.col("body"),
            pl.lit(f"UNT{element}"),
            pl.col("segments").cast(pl.String),
            pl.lit(f"{element}1{end}UNZ{element}1{element}"),
            number_,
            pl.lit(end),
        ]
    )
