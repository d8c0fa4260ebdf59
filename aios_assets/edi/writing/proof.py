"""What was written, read again before it takes a control number: a document that says other than its rows is never sent."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl

from aios_assets.contracts.errors import BadInputError
from aios_assets.edi.batch import EdiBatch, read_documents
from aios_assets.edi.writing.profiles import Partner

# Nothing that is proved depends on when it was received.
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
# Six decimals are written; what a sum in binary leaves behind them is no other quantity.
_SAME = 1e-9
# Documents that say what each line of an order is to be.
_ORDERS = ("850", "860", "ORDERS", "ORDCHG")


def shared_by_document(rows: pl.DataFrame, columns: tuple[str, ...], kind: str) -> None:
    """Refuse rows of one document that differ in what the document says once.

    Args:
        rows: fact rows with `document`.
        columns: what stands in the header of a document.
        kind: document type.

    Raises:
        BadInputError: with the document, the column and the values.
    """
    for name in columns:
        said = rows.group_by("document", maintain_order=True).agg(pl.col(name).unique(maintain_order=True))
        torn = said.filter(pl.col(name).list.len() > 1)
        if torn.height:
            document, values = torn.row(0)
            raise BadInputError(
                f"a {kind} says {name} once, its rows say {', '.join(str(v) for v in values[:5])}",
                where=f"document {document}",
                count=torn.height,
                todo="give each its own document number, or all rows one value",
            )


def lines_told_apart(rows: pl.DataFrame, kind: str, *, counted: bool) -> None:
    """Refuse an order two of whose lines have one number: an answer to, or a change of, that number could mean either.

    Args:
        rows: fact rows with `document`.
        kind: document type.
        counted: whether such a document carries the numbers of its lines.

    Raises:
        BadInputError: with the document and the number.
    """
    if not counted or kind not in _ORDERS:
        return
    twice = rows.filter(pl.struct("document", "order_line").is_duplicated())
    if twice.height:
        document, line = twice.select("document", "order_line").row(0)
        raise BadInputError(
            f"order_line {line} stands in more than one row",
            where=f"document {document}",
            count=twice.height,
            todo="number every line of the order, each differently, or leave the numbers of all out",
        )


def proved(
    contents: pl.DataFrame, rows: pl.DataFrame, table: str, columns: dict[str, str], kind: str, partner: Partner
) -> None:
    """Read documents with the front door and compare them with the rows they were written from.

    Args:
        contents: document and content (binary), one row each.
        rows: fact rows with `document`, in the order in which they were written.
        table: where such documents are read to.
        columns: column of `rows` to column of `table`, for all that such a document carries.
        kind: document type.
        partner: whom the envelope is to name.

    Raises:
        BadInputError: the reader sets something aside, finds a fault, or reads another value.
    """
    numbered = contents.with_row_index("at").with_columns(document_id=pl.col("at").cast(pl.String).str.zfill(12))
    documents = numbered.select("document_id", "content", available_at_utc=pl.lit(_ANY_TIME))
    batch = read_documents(documents, grammar=True, apart=True)
    _refuse_faults(batch, numbered, kind)
    _refuse_envelope(batch, partner, kind)
    names = dict(numbered.select("document", "document_id").iter_rows())
    given = rows.with_columns(document_id=pl.col("document").replace_strict(names)).sort(
        "document_id", maintain_order=True
    )
    read = batch.facts[table].sort("document_id", "set_no", "segment_no", "line_no")
    if read["document_id"].to_list() != given["document_id"].to_list():
        raise BadInputError(
            f"{given.height} rows were written and {read.height} are read from the {kind}",
            where=f"documents {', '.join(str(d) for d in contents['document'].head(3))}",
            todo="give one row for each line",
        )
    for name, other in columns.items():
        _refuse_change(given.select("document", name), read[other], kind)


def _refuse_faults(batch: EdiBatch, named: pl.DataFrame, kind: str) -> None:
    """Refuse what our own reader would set aside or answer with an error."""
    wrong = ["document_id", "reason"]
    faults = pl.concat([batch.rejects.select(wrong), batch.findings.select(wrong)])
    if faults.height:
        first = faults.join(named, on="document_id", how="left").sort("document_id").row(0, named=True)
        raise BadInputError(
            f"the {kind} would be at fault: {first['reason']}",
            where=f"document {first['document']}",
            count=faults.height,
            todo="correct the row, or the partner profile",
        )


def _refuse_envelope(batch: EdiBatch, partner: Partner, kind: str) -> None:
    """Refuse envelopes that name another party, or that a partner would take for real where they are a test."""
    said = batch.interchanges.join(batch.headers, on=["document_id", "interchange_no"])
    meant = {
        "sender_id": partner.our_id,
        "sender_qualifier": partner.our_qualifier,
        "receiver_id": partner.partner_id,
        "receiver_qualifier": partner.partner_qualifier,
        "usage_code": partner.usage,
    }
    for name, value in meant.items():
        other = said.filter(pl.col(name).fill_null("").ne(value))
        if other.height:
            raise BadInputError(
                f"{name} is '{value}', the {kind} would say '{other[name][0]}'",
                where=f"partner {partner.name}",
                count=other.height,
                todo="correct the partner profile",
            )


def _refuse_change(given: pl.DataFrame, read: pl.Series, kind: str) -> None:
    """Refuse the first value that the document would say otherwise."""
    name = given.columns[1]
    pairs = given.with_columns(read.cast(given[name].dtype).alias("read"))
    other = pl.col(name).ne_missing(pl.col("read"))
    if given[name].dtype.is_float():
        near = (pl.col(name) - pl.col("read")).abs() <= _SAME * pl.col(name).abs().clip(lower_bound=1.0)
        other &= ~near.fill_null(value=False)
    changed = pairs.filter(other)
    if changed.height:
        document, value, instead = changed.row(0)
        raise BadInputError(
            f"{name} is {value}, the {kind} would say {'nothing' if instead is None else instead}",
            where=f"document {document}",
            count=changed.height,
            todo="give a value that such a document can carry",
        )
