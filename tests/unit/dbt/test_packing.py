"""Packed online bytes against Feast's own serialisers."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aios_assets.contracts.errors import BadInputError
from feature_repo.packing import cut, entity_keys, key_column, layout, packed, texts

SLOTS = layout(
    [("f", "float"), ("d", "double"), ("i", "int32"), ("l", "int64"), ("b", "bool"), ("t", "instant"), ("s", "text")]
)
FIELDS = {"f": "float_val", "d": "double_val", "i": "int32_val", "l": "int64_val", "b": "bool_val", "t": "unix_timestamp_val", "s": "string_val"}  # fmt: skip
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "f": st.none() | st.floats(width=32, allow_nan=False), "d": st.none() | st.floats(allow_nan=False),
            "i": st.none() | st.integers(-(2**31), 2**31 - 1), "l": st.none() | st.integers(-(2**63), 2**63 - 1),
            "b": st.none() | st.booleans(), "t": st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda t: t.replace(microsecond=0)),
            "s": st.none() | st.text(max_size=200),
        }
    ),
    min_size=1, max_size=8,
)  # fmt: skip
SCHEMA = {
    "f": pl.Float32,
    "d": pl.Float64,
    "i": pl.Int32,
    "l": pl.Int64,
    "b": pl.Boolean,
    "t": pl.Datetime("us"),
    "s": pl.String,
}


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_every_slot_is_the_value_feast_would_store(rows: list[dict[str, object]]) -> None:
    from feast.protos.feast.types.Value_pb2 import Value

    frame = pl.DataFrame(rows, schema=SCHEMA)
    cells, written = packed(frame, SLOTS), texts(frame["s"])
    blobs = cut(cells.tobytes(), cells.shape[1], frame.height)
    for row, blob, text in zip(rows, blobs, written, strict=True):
        for slot in SLOTS:
            part = text if slot.kind == "text" else blob[slot.offset : slot.offset + slot.width]
            value = row[slot.name]
            if value is None:
                assert part.strip(b"\0") == b""
                continue
            if isinstance(value, datetime):
                value = int(value.replace(tzinfo=UTC).timestamp())
            assert Value.FromString(part) == Value(**{FIELDS[slot.name]: value})


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.integers(-(2**63), 2**63 - 1))
def test_entity_keys_are_feast_s(name: str, number: int) -> None:
    from feast.infra.key_encoding_utils import serialize_entity_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    frame = pl.DataFrame({"site_id": [name], "item_no": [number]}, schema={"site_id": pl.String, "item_no": pl.Int64})
    key = EntityKey(join_keys=["site_id", "item_no"], entity_values=[Value(string_val=name), Value(int64_val=number)])
    assert entity_keys(frame, ["site_id", "item_no"]) == [serialize_entity_key(key, 3)]


def test_a_null_key_is_refused() -> None:
    with pytest.raises(BadInputError, match="key 'item_id' is null"):
        entity_keys(pl.DataFrame({"item_id": ["A", None]}), ["item_id"])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=60), st.text(max_size=200)), min_size=1, max_size=6))
def test_keys_made_by_the_column_are_those_made_one_by_one(rows: list[tuple[str, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"site_id": pl.String, "item_id": pl.String}, orient="row")
    column = key_column(frame, ["site_id", "item_id"])
    if column is not None:
        assert [k.encode() for k in column.to_list()] == entity_keys(frame, ["site_id", "item_id"])
    else:
        assert max(len(v.encode()) for row in rows for v in row) >= 128
