"""One interchange per document from fact rows: header, lines, totals, envelope, all rows of all documents at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from aios_assets.contracts.edi_tables import EDI_FACT_TABLES
from aios_assets.contracts.errors import BadInputError, UsageError
from aios_assets.contracts.table import Column
from aios_assets.edi.typing_rules import own_columns
from aios_assets.edi.writing import edifact_sets, x12_sets
from aios_assets.edi.writing.envelopes import as_bytes, edifact_text, refuse_profile, x12_text
from aios_assets.edi.writing.pen import Pen, Segment, joined, number
from aios_assets.edi.writing.profiles import Partner
from aios_assets.edi.writing.proof import lines_told_apart, proved, shared_by_document


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
        once: columns of which a document says one value only.
        extra: numeric columns beyond the table that are written when given.
        needed: columns that may be empty in the table but not here.
        action: what a line of an order does that says nothing of it.
        unsaid: columns of the table that such a document does not carry.
        read_as: where the reader puts such documents when that is another table: its name, and column to column there.
    """

    table: str
    key: str
    standard: str
    group: str
    layout: Callable[[Pen], tuple[list[Segment], list[Segment], list[Segment]]]
    once: tuple[str, ...]
    extra: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    action: str = "new"
    unsaid: tuple[str, ...] = ()
    read_as: tuple[str, dict[str, str]] | None = None

    def carried(self) -> tuple[str, dict[str, str]]:
        """The table that such documents are read to, and its columns by ours, of all they carry."""
        if self.read_as is not None:
            return self.read_as
        return self.table, {c.name: c.name for c in self.columns() if c.name not in self.unsaid}

    def columns(self) -> tuple[Column, ...]:
        """The own columns of its table."""
        return own_columns(next(t for t in EDI_FACT_TABLES if t.name == self.table))


_PARTIES = ("order_date", "buyer_id", "seller_id", "ship_to_site_id", "currency_code")
_TRIP = ("shipped_date", "expected_date", "ship_from_id", "ship_to_site_id", "carrier_id")
_STOCK_LINE = {n: n for n in ("ship_to_site_id", "item_id", "item_gtin", "quantity", "unit_code")}
_ORDER_LINES, _SHIPMENT_LINES, _INVOICE_LINES = (
    "raw_edi__order_lines",
    "raw_edi__shipment_lines",
    "raw_edi__invoice_lines",
)
_IN_STORES = ("line_quantity", "order_type_code", "blanket_number")
WRITERS: dict[str, Writer] = {
    "850": Writer(_ORDER_LINES, "order_number", "X12", "PO", x12_sets.order, _PARTIES, unsaid=_IN_STORES),
    "860": Writer(
        _ORDER_LINES, "order_number", "X12", "PC", x12_sets.change, _PARTIES, action="change", unsaid=_IN_STORES
    ),
    "855": Writer(
        "raw_edi__order_responses",
        "order_number",
        "X12",
        "PR",
        x12_sets.response,
        ("response_date", "seller_id"),
        ("unit_price",),
    ),
    "856": Writer(_SHIPMENT_LINES, "shipment_id", "X12", "SH", x12_sets.shipment, _TRIP),
    "810": Writer(
        _INVOICE_LINES,
        "invoice_number",
        "X12",
        "IN",
        x12_sets.invoice,
        ("invoice_date", "seller_id", "currency_code"),
        needed=("unit_price",),
    ),
    "940": Writer(
        _ORDER_LINES,
        "order_number",
        "X12",
        "OW",
        x12_sets.warehouse_order,
        ("requested_date", "buyer_id", "seller_id", "ship_to_site_id"),
        read_as=(
            "raw_edi__warehouse_lines",
            {
                **_STOCK_LINE,
                "order_number": "document_number",
                "seller_id": "warehouse_id",
                "requested_date": "movement_date",
            },
        ),
    ),
    "945": Writer(
        _SHIPMENT_LINES,
        "shipment_id",
        "X12",
        "SW",
        x12_sets.warehouse_shipment,
        (*_TRIP, "order_number"),
        read_as=(
            "raw_edi__warehouse_lines",
            {
                **_STOCK_LINE,
                "shipment_id": "shipment_id",
                "shipped_date": "movement_date",
                "ship_from_id": "warehouse_id",
            },
        ),
    ),
    "214": Writer("raw_edi__shipment_statuses", "shipment_id", "X12", "QM", x12_sets.status, ("carrier_id",)),
    "ORDERS": Writer(_ORDER_LINES, "order_number", "EDIFACT", "", edifact_sets.order, _PARTIES, unsaid=_IN_STORES),
    "ORDCHG": Writer(
        _ORDER_LINES, "order_number", "EDIFACT", "", edifact_sets.change, _PARTIES, action="change", unsaid=_IN_STORES
    ),
    "DESADV": Writer(_SHIPMENT_LINES, "shipment_id", "EDIFACT", "", edifact_sets.shipment, _TRIP),
    "INVOIC": Writer(
        _INVOICE_LINES,
        "invoice_number",
        "EDIFACT",
        "",
        edifact_sets.invoice,
        ("invoice_date", "seller_id", "currency_code"),
        needed=("unit_price",),
    ),
}


@dataclass(frozen=True, slots=True)
class Written:
    """Documents written.

    Attributes:
        documents: key, control_number (i64), content (binary), one row per document in key order.
    """

    documents: pl.DataFrame


def _prepared(writer: Writer, rows: pl.DataFrame) -> pl.DataFrame:
    """Rows in document and line order with every column of the table.

    Raises:
        BadInputError: a needed column is missing, null or of a type that cannot be read, or a number is none.
    """
    own, frame = writer.columns(), rows
    for column in own:
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
        frame = frame.with_columns(pl.col("unit_code").fill_null("EA"))
    needed = [c.name for c in own if not c.nullable and c.name not in ("order_line", "action_code")]
    needed += writer.needed
    nulls = {n: frame[n].null_count() for n in needed if frame[n].null_count()}
    if nulls:
        name, count = next(iter(nulls.items()))
        raise BadInputError(f"column '{name}' has empty values", where=writer.table, count=count, todo="fill them")
    for name in frame.columns:
        count = int((~frame[name].is_finite()).sum()) if frame[name].dtype.is_float() else 0
        if count:
            raise BadInputError(
                f"column '{name}' has values that are no number", where=writer.table, count=count, todo="correct them"
            )
    for name in writer.extra:
        if name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.Float64).alias(name))
    frame = frame.select(*(c.name for c in own), *writer.extra).sort(writer.key, maintain_order=True)
    numbered = pl.int_range(1, pl.len() + 1).over(writer.key)
    frame = frame.with_columns(nth=numbered.cast(pl.String), document=pl.col(writer.key))
    if "order_line" in frame.columns:
        frame = frame.with_columns(order_line=pl.coalesce("order_line", "nth"))
    if "action_code" in frame.columns:
        frame = frame.with_columns(pl.col("action_code").fill_null(writer.action))
    return frame


def write(
    kind: str,
    rows: pl.DataFrame,
    partner: Partner,
    *,
    numbers: Callable[[str, list[str]], list[int]],
    now: datetime,
    moments: Callable[[str, list[str]], list[datetime]] | None = None,
) -> Written:
    """Write one interchange per document, after it was read again and says what its rows say.

    Args:
        kind: document type, a key of `WRITERS`.
        rows: fact rows: the own columns of the writer's table.
        partner: whom to write to.
        numbers: control numbers for (series, purposes), such as `ControlNumbers.take`.
        now: date and time written into the envelopes.
        moments: when each of these numbers was first taken, such as `ControlNumbers.moments`: what is written again then has the
            bytes it had.

    Raises:
        UsageError: the type is not written here.
        BadInputError: rows lack something, hold a delimiter, differ in what their document says once, or would be read otherwise.
    """
    if kind not in WRITERS:
        raise UsageError(f"there is no writer of '{kind}'", todo=f"use one of {', '.join(WRITERS)}")
    writer = WRITERS[kind]
    refuse_profile(partner, writer.standard)
    pen = Pen(partner, writer.standard)
    frame = _prepared(writer, rows)
    shared_by_document(frame, writer.once, kind)
    lines_told_apart(frame, kind, counted="order_line" in writer.carried()[1].values())
    said = frame
    if "unit_code" in frame.columns:
        frame = frame.with_columns(pl.col("unit_code").replace(partner.unit_codes(writer.standard)))
    bodies = _bodies(writer, pen.safe(frame), pen)
    purposes = _purposes(kind, said, writer)
    # A number that is taken must be used, so one in its place stands in what is proved.
    trial = bodies.with_columns(control=pl.int_range(1, pl.len() + 1, dtype=pl.Int64), made_at=pl.lit(now))
    proved(_contents(kind, writer, trial, pen), frame, *writer.carried(), kind, partner)
    series = f"{writer.standard}|{partner.our_id}|{partner.partner_id}"
    taken = numbers(series, purposes)
    made = moments(series, purposes) if moments is not None else [now] * len(taken)
    numbered = bodies.with_columns(
        control=pl.Series(taken, dtype=pl.Int64), made_at=pl.Series(made, dtype=pl.Datetime("us", "UTC"))
    )
    contents = _contents(kind, writer, numbered, pen)
    return Written(contents.select(key="document", control_number="control", content="content"))


def _purposes(kind: str, frame: pl.DataFrame, writer: Writer) -> list[str]:
    """What each control number is for: the document and what its rows say, whichever file they came in and whatever stood beside them."""
    # No value that can be written holds a control character: they keep values, and what is missing from what is empty, apart.
    own = (pl.col(n).cast(pl.String).fill_null("\x1e") for n in (*(c.name for c in writer.columns()), *writer.extra))
    said = frame.select("document", said=pl.concat_str(*own, separator="\x1f"))
    per = said.group_by("document", maintain_order=True).agg(pl.col("said").str.join("\n"))
    return [f"{kind} {key} {hashlib.sha256(text.encode()).hexdigest()[:16]}" for key, text in per.iter_rows()]


def _contents(kind: str, writer: Writer, bodies: pl.DataFrame, pen: Pen) -> pl.DataFrame:
    """document, control and content of each body in its envelope."""
    text = x12_text(kind, writer.group, pen) if writer.standard == "X12" else edifact_text(kind, pen)
    texts = bodies.select("document", "control", text=text)
    return texts.select("document", "control", content=as_bytes(texts, pen.partner, writer.standard))


def _exact(name: str) -> pl.Expr:
    """A quantity or price as it is written, with six decimals."""
    return pl.col(name).round(6).cast(pl.Decimal(38, 6)).cast(pl.Decimal(38, 12))


def _bodies(writer: Writer, frame: pl.DataFrame, pen: Pen) -> pl.DataFrame:
    """What stands between the header and the trailer of each set (`body`), and its number of segments with both."""
    head, line, tail = writer.layout(pen)
    parts = {}
    for name, segments in (("head", head), ("line", line)):
        parts[f"{name}_text"], parts[f"{name}_count"] = joined(segments)
    # Computed before grouping: a constant would count once per document instead of once per line.
    frame = frame.with_columns(**parts)
    quantity = pl.col("quantity") if "quantity" in frame.columns else pl.lit(0.0)
    # Of what is written, not of its binary approximation: 1.005 is half a cent above one dollar.
    priced = "unit_price" in writer.needed
    amount = _exact("quantity") * _exact("unit_price") if priced else pl.lit(0.0)
    bodies = (
        frame.group_by(writer.key, maintain_order=True)
        .agg(
            pl.col("document").first(),
            pl.col("head_text", "head_count").first(),
            pl.col("line_text").str.join(""),
            pl.col("line_count").sum(),
            pl.len().cast(pl.Int64).alias("lines"),
            quantity.sum().alias("sum"),
            amount.sum().round(2, mode="half_away_from_zero").alias("amount"),
        )
        .with_columns(total=number("sum"), lines=pl.col("lines").cast(pl.String))
    )
    tail_text, tail_count = joined(tail)
    return bodies.with_columns(
        body=pl.col("head_text") + pl.col("line_text") + tail_text,
        segments=pl.col("head_count") + pl.col("line_count") + tail_count + 2,
    )
