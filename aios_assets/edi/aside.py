"""What was set aside, as rows of the rejects table: documents, envelopes, stray text; and the answers that stand outside sets."""

from __future__ import annotations

import numpy as np
import polars as pl

from aios_assets.edi.delims import COMP, EL, REP
from aios_assets.edi.envelope_faults import stray_code
from aios_assets.edi.words import say

TEXT_LIMIT = 500
REJECT_COLUMNS: dict[str, pl.DataType] = {
    "document_id": pl.String(),
    "interchange_no": pl.Int32(),
    "set_no": pl.Int32(),
    "segment_no": pl.Int32(),
    "line_no": pl.Int32(),
    "element_no": pl.Int32(),
    "level_code": pl.String(),
    "kind_code": pl.String(),
    "error_code": pl.String(),
    "reason": pl.String(),
    "segment_text": pl.String(),
    "available_at_utc": pl.Datetime("us", "UTC"),
}
# A reject that is there several times stands once with its number.
TIMES = "times"
COUNTED_COLUMNS: dict[str, pl.DataType] = {**REJECT_COLUMNS, TIMES: pl.Int64()}
# Rejects above lines: also the ordinal of the document, and the first row of what is set aside.
WHOLE_COLUMNS: dict[str, pl.DataType] = {**COUNTED_COLUMNS, "doc": pl.Int32(), "at": pl.Int64()}
_INTERCHANGE = ["gi", "doc", "document_id", "interchange_no", "available_at_utc", pl.col("row").alias("at")]


def interchange_answers(inter: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """TA1 segments as acknowledgements: set_no is 0, segment_no counts from ISA.

    Args:
        inter: interchanges with their verdicts.
        rows: TA1 segments as envelope rows.

    Source: X12.5: TA101 control number answered, TA104 A, E or R, TA105 note code.
    """
    found = rows.select("row", "e1", "e4", "e5").sort("row")
    if found.is_empty():
        return found
    named = inter.filter(pl.col("verdict_code") != "rejected").sort("row").with_columns(isa=pl.col("row"))
    out = found.join_asof(named, on="row", strategy="backward").filter(pl.col("gi").is_not_null())
    out = out.filter((pl.col("e1") != "") & (pl.col("e4") != ""))
    none = pl.lit(None, dtype=pl.String)
    return out.with_columns(
        set_no=pl.lit(0, dtype=pl.Int32),
        segment_no=(pl.col("row") - pl.col("isa") + 1).cast(pl.Int32),
        line_no=pl.lit(1, dtype=pl.Int32),
        set_code=pl.lit("TA1"),
        level_code=pl.lit("interchange"),
        acked_group_code=none,
        acked_group_control_number=none,
        acked_set_code=none,
        acked_control_number=pl.col("e1"),
        verdict_code=pl.col("e4"),
        error_codes=pl.when(pl.col("e5") != "000").then(say("TA1:{}", "e5")),
        available_month=pl.col("available_at_utc").dt.strftime("%Y-%m"),
    )


def count_strays(inter: pl.DataFrame, strays: pl.DataFrame | None) -> pl.DataFrame:
    if strays is None:
        return inter.with_columns(strays=pl.lit(0, dtype=pl.Int64))
    per = _owner(inter, strays).group_by("gi").agg(pl.col("n").sum().alias("strays"))
    return inter.join(per, on="gi", how="left", maintain_order="left").with_columns(pl.col("strays").fill_null(0))


def _owner(inter: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """The interchange that each row follows."""
    return rows.sort("row").join_asof(inter.select("row", "gi").sort("row"), on="row", strategy="backward")


def stray_rejects(inter: pl.DataFrame, strays: pl.DataFrame | None) -> pl.DataFrame:
    """One reject for the text outside every set of an interchange, with its first segment, and one for text before it."""
    if strays is None:
        return pl.DataFrame(schema=WHOLE_COLUMNS)
    per = (
        _owner(inter, strays)
        .group_by("gi", "code", maintain_order=True)
        .agg(pl.col("n").sum(), pl.col("seg").first(), pl.col("size").sum())
    )
    out = per.join(inter.select(_INTERCHANGE), on="gi", how="left", maintain_order="left")
    return out.with_columns(
        *(pl.lit(0, dtype=pl.Int32).alias(n) for n in ("set_no", "segment_no", "line_no")),
        element_no=pl.lit(None, dtype=pl.Int32),
        level_code=pl.lit("interchange"),
        kind_code=pl.lit("syntax"),
        error_code=pl.col("code"),
        reason=pl.when(pl.col("code") == "text_before")
        .then(say("{} bytes of other text stand before the interchange; they are kept raw only", "size"))
        .otherwise(say("{} segments stand outside every set; they are kept raw only", "n")),
        segment_text=shown(pl.col("seg")),
        times=pl.lit(1, dtype=pl.Int64),
    ).select(pl.col(n).cast(t) for n, t in WHOLE_COLUMNS.items())


def shown(text: pl.Expr) -> pl.Expr:
    """A canonical segment in print: `*` between elements, `:` between components, at most 500 characters."""
    return text.str.replace_many([EL, COMP, REP], ["*", ":", "^"]).str.head(TEXT_LIMIT)


def document_rejects(named: pl.DataFrame, refused: list[tuple[int, str, str]], sizes: pl.DataFrame) -> pl.DataFrame:
    """One reject per document that could not be read, as if it stood before the next document that could."""
    schema = {"doc": pl.Int32, "error_code": pl.String, "reason": pl.String}
    frame = pl.DataFrame(refused, schema=schema, orient="row").join(named, on="doc", how="left", maintain_order="left")
    return frame.with_columns(
        *(pl.lit(0, dtype=pl.Int32).alias(n) for n in ("interchange_no", "set_no", "segment_no", "line_no")),
        element_no=pl.lit(None, dtype=pl.Int32),
        level_code=pl.lit("document"),
        kind_code=pl.lit("envelope"),
        segment_text=pl.lit(None, dtype=pl.String),
        times=pl.lit(1, dtype=pl.Int64),
        at=pl.Series(np.append(0, sizes["doc_end"])[np.searchsorted(sizes["doc"], frame["doc"])]),
    ).select(pl.col(n).cast(t) for n, t in WHOLE_COLUMNS.items())


def envelope_rejects(
    faults: pl.DataFrame, inter: pl.DataFrame, groups: pl.DataFrame, sets: pl.DataFrame, repeated: pl.DataFrame
) -> pl.DataFrame:
    """One reject per envelope fault that holds (a released set is no longer set aside)."""
    if faults.is_empty():
        return pl.DataFrame(schema=WHOLE_COLUMNS)
    more = repeated.select("row", stray_code(), "again")
    faults = faults.join(more, on=["row", "code"], how="left", maintain_order="left")
    faults = faults.with_columns(times=pl.col("again").fill_null(0) + 1)
    gone = inter.filter((pl.col("verdict_code") != "rejected") & pl.col("own_reason").is_not_null())["gi"]
    top = (
        faults.filter((pl.col("level") == "interchange") & ~pl.col("gi").is_in(gone.implode()))
        .join(inter.select(_INTERCHANGE), on="gi", how="left", maintain_order="left")
        .with_columns(set_no=pl.lit(0, dtype=pl.Int32), segment_no=pl.lit(0, dtype=pl.Int32))
    )
    free = sets.group_by("gg").agg(pl.col("released").all().alias("free")).filter("free")["gg"]
    mid = (
        faults.filter((pl.col("level") == "group") & ~pl.col("gg").is_in(free.implode()))
        .drop("gi")
        .join(groups.select("gg", "gi"), on="gg", how="left", maintain_order="left")
        .join(inter.select(_INTERCHANGE), on="gi", how="left", maintain_order="left")
        .with_columns(set_no=pl.lit(0, dtype=pl.Int32), segment_no=pl.lit(0, dtype=pl.Int32))
    )
    low = (
        faults.filter(pl.col("level") == "set")
        .join(
            sets.filter(~pl.col("released")).select(
                "gs", "doc", "document_id", "interchange_no", "set_no", "available_at_utc", at="start"
            ),
            on="gs",
            how="inner",
            maintain_order="left",
        )
        .with_columns(segment_no=pl.lit(0, dtype=pl.Int32))
    )
    out = pl.concat(
        [
            f.select(
                "document_id",
                "interchange_no",
                "set_no",
                "segment_no",
                "element_no",
                pl.col("level").alias("level_code"),
                pl.col("code").alias("error_code"),
                "reason",
                "available_at_utc",
                "times",
                "doc",
                "at",
            )
            for f in (top, mid, low)
        ]
    )
    duplicate = pl.col("error_code").is_in(["TA1:025", "CONTRL:26"])
    return out.with_columns(
        line_no=pl.lit(0, dtype=pl.Int32),
        kind_code=pl.when(duplicate).then(pl.lit("duplicate")).otherwise(pl.lit("envelope")),
        segment_text=pl.lit(None, dtype=pl.String),
    ).select(pl.col(n).cast(t) for n, t in WHOLE_COLUMNS.items())
