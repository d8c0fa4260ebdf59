"""What was set aside, shown with a marker under the fault, and released by a person's decision."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from aios_assets.contracts.errors import AiosError, BadInputError
from aios_assets.contracts.raw_tables import RAW_EDI_RELEASES
from aios_assets.edi.envelope import is_test
from aios_assets.lookup import the_one
from aios_assets.tabular import kind_of_source, rows_as_text
from aios_assets.tabular.mapping import stored_mapping

if TYPE_CHECKING:
    from aios_assets.resources.lake import Lake


# Share of a table's rows that a later file of its name must hold to count as the same table sent again.
SAME_TABLE = 0.5


def open_rejects(lake: Lake) -> pl.DataFrame:
    """Rejects that nobody released and nothing later took the place of, newest first, with the source of their document."""
    return unreleased_rejects(lake).filter(pl.col("superseded_by").is_null())


def unreleased_rejects(lake: Lake) -> pl.DataFrame:
    """Rejects that nobody released yet, newest first, with the source of their document and `superseded_by`.

    `superseded_by` is the document that took its place, null where there is none. Of a table it is a later file of the same
    name and kind that holds at least half of its rows, so that a file of the next day under the same name is none. Of a rejected
    interchange it is a later document with the same sender, receiver and control number that was accepted: a rejected
    interchange does not use its number up, and its correction comes under it.
    """
    documents = lake.scan("raw_edi__documents").select("document_id", "source_uri")
    released = lake.scan("raw_edi__releases").select("reject_id")
    rejects = (
        lake.scan("raw_edi__rejects")
        .join(released, on="reject_id", how="anti")
        .join(documents, on="document_id", how="left")
        .sort(["available_at_utc", "reject_id"], descending=[True, False])
        .collect()
    )
    of_tables = rejects.filter(pl.col("error_code").str.starts_with("csv:"))["document_id"].unique().sort().to_list()
    again = {old: new for old in of_tables if (new := _sent_again(lake, old)) is not None}
    table = pl.col("document_id").replace_strict(again, default=None, return_dtype=pl.String)
    return rejects.join(
        _accepted_again(lake), on=["document_id", "interchange_no"], how="left", maintain_order="left"
    ).with_columns(superseded_by=pl.coalesce(table, "superseded_by"))


def _accepted_again(lake: Lake) -> pl.DataFrame:
    """Rejected interchanges whose correction was accepted: document_id, interchange_no, superseded_by (the newest one)."""
    key = ["standard_code", "sender_id", "receiver_id", "control_number", "is_test"]
    columns = ["document_id", "interchange_no", *key[:-1], "usage_code", "verdict_code", "available_at_utc"]
    sent = lake.read("raw_edi__interchanges", columns=columns).filter(pl.col("control_number") != "")
    sent = sent.with_columns(is_test=is_test())
    is_rejected = pl.col("verdict_code") == "rejected"
    good = sent.filter(~is_rejected).select(*key, superseded_by="document_id", taken="available_at_utc")
    both = sent.filter(is_rejected).join(good, on=key)
    later = both.filter(
        (pl.col("taken") > pl.col("available_at_utc")) & (pl.col("superseded_by") != pl.col("document_id"))
    )
    newest = later.sort("taken", "superseded_by").unique(["document_id", "interchange_no"], keep="last")
    return newest.select("document_id", pl.col("interchange_no").cast(pl.Int32), "superseded_by")


def _sent_again(lake: Lake, document_id: str) -> str | None:
    """The newest later table of the same name and kind with at least half of the rows of this one."""
    columns = ["document_id", "content", "mapping_json", "source_uri", "available_at_utc"]
    old = lake.read("raw_edi__documents", columns=columns, where=pl.col("document_id") == document_id)
    if old.is_empty():
        return None
    first = old.row(0, named=True)
    same_name = (pl.col("source_uri") == first["source_uri"]) & (pl.col("document_id") != document_id)
    is_later = pl.col("available_at_utc") >= first["available_at_utc"]
    later = lake.read("raw_edi__documents", columns=columns, where=same_name & is_later)
    rows = _rows_of(first)
    for row in later.sort("available_at_utc", "document_id", descending=True).iter_rows(named=True):
        is_kind = _kind(row) == _kind(first)
        if is_kind and rows and len(rows & _rows_of(row)) >= SAME_TABLE * len(rows):
            return str(row["document_id"])
    return None


def _kind(document: dict[str, Any]) -> str:
    return kind_of_source(document["source_uri"], stored_mapping(document["mapping_json"]))


def _rows_of(document: dict[str, Any]) -> set[str]:
    """The rows of a table as text; none of one that cannot be read."""
    try:
        return rows_as_text(document["content"], stored_mapping(document["mapping_json"]))
    except AiosError:
        return set()


def find_reject(lake: Lake, reject_id: str) -> dict[str, Any]:
    """The one reject that nobody released yet whose id starts with `reject_id`.

    Raises:
        BadInputError: none, or more than one.
    """
    todo = "see the ids with `aios quarantine list`"
    return the_one(unreleased_rejects(lake), "reject_id", reject_id, noun="open reject", todo=todo)


def marked_segment(reject: dict[str, Any]) -> str:
    """The offending segment, with a marker under the faulty element.

    >>> print(marked_segment({"segment_text": "ZA*QS*x*EA", "element_no": 2}))
    ZA*QS*x*EA
          ^
    """
    text = reject.get("segment_text") or ""
    number = reject.get("element_no")
    # Of a table the text is the cell itself, and its column stands in the reason; of telemetry the number is that of a reading.
    is_message = str(reject.get("error_code", "")).startswith("telemetry:")
    if not text or not number or is_message or reject.get("kind_code") == "import":
        return text
    separator = next((c for c in text if not c.isalnum()), "*")
    starts = [0] + [i + 1 for i, c in enumerate(text) if c == separator]
    if number >= len(starts):
        return f"{text}\n{' ' * len(text)}^ element {number} is missing"
    width = max(1, (text + separator).index(separator, starts[number]) - starts[number])
    return f"{text}\n{' ' * starts[number]}{'^' * width}"


def release(lake: Lake, reject_id: str, reason: str, released_by: str, at: datetime) -> dict[str, Any]:
    """Record that a person lets a reject through; the next run reads its document again with that fault waived.

    Args:
        lake: the lake.
        reject_id: id, or its first characters.
        reason: why.
        released_by: who.
        at: instant of the decision.

    Raises:
        BadInputError: no such reject, one whose correction was accepted, a whole document that cannot be read at all, or a row of a
            table or of telemetry: what is wrong with it leaves nothing to take, and released it would only be gone from the list.
    """
    reject = find_reject(lake, reject_id)
    if reject["superseded_by"] and reject["kind_code"] != "import":
        raise BadInputError(
            f"its correction was accepted as document {reject['superseded_by'][:12]}…; released it would count twice",
            where=str(reject["source_uri"]),
            todo="nothing: it is settled",
        )
    if reject["level_code"] == "document":
        raise BadInputError(
            "a document that cannot be read cannot be released",
            where=str(reject["source_uri"]),
            todo="ask the partner to send it again",
        )
    document = lake.read(
        "raw_edi__documents", columns=["kind_code"], where=pl.col("document_id") == reject["document_id"]
    )
    if not set(document["kind_code"]) <= {"x12", "edifact", "unknown"}:
        raise BadInputError(
            "a row that does not fit its table cannot be released",
            where=f"{reject['source_uri']}, row {reject['segment_no']}",
            todo="correct the row, and send or import the rows set aside as a file of their own",
        )
    if not reason.strip():
        raise BadInputError("a release needs a reason", todo="add --reason")
    whole = reject["level_code"] != "line"
    row = {
        "reject_id": reject["reject_id"],
        "document_id": reject["document_id"],
        "interchange_no": reject["interchange_no"],
        "set_no": reject["set_no"],
        "segment_no": 0 if whole else reject["segment_no"],
        "released_by": released_by,
        "reason": reason.strip(),
        "available_at_utc": at,
    }
    lake.write(RAW_EDI_RELEASES, pl.DataFrame([row], schema=RAW_EDI_RELEASES.schema))
    return row
