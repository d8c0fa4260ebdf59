"""How somebody else's columns become ours: the mapping file of `aios import`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import yaml

from aios_assets.contracts.errors import BadInputError

# What is known later than this is no report of a day.
MOST_KNOWN_AFTER = 60
# Stretches longer than a month are no report of sales.
LONGEST_PERIOD = 31


@dataclass(frozen=True, slots=True)
class Mapping:
    """One mapping.

    Attributes:
        kind: sales, stock, orders, receipts or items (or another kind of master data).
        columns: our column name to theirs; a column that is not named is looked for under our name.
        constants: our column name to a value that holds for every row.
        date_format: strptime format of dates; ISO (2026-01-31) when empty.
        decimal_comma: 1,5 means one and a half.
        thousands: mark between thousands; none when empty.
        unit: unit code of all quantities; short for the constant `unit_code`.
        separator: field separator of the CSV; found from the header when empty.
        encoding: text encoding of the CSV.
        known_after_days: history that is loaded at once says here how many business days after its day each row was known;
            None: all rows were known when the file reached us.
        gaps: "zero" where an item of a sales file sold nothing on days without a row, from its first row to the last day of the
            file; None: nothing is known of such days.
        period_days: each row of a sales file is of so many days, the last of which is its date; None: of one day, or of what
            `period_start_date` says.
    """

    kind: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    date_format: str = ""
    decimal_comma: bool = False
    thousands: str = ""
    unit: str = ""
    separator: str = ""
    encoding: str = "utf-8"
    known_after_days: int | None = None
    gaps: str | None = None
    period_days: int | None = None


def mapping_of(data: Any, where: str) -> Mapping:
    """A mapping from parsed YAML or JSON.

    Raises:
        BadInputError: not a mapping, an unknown key, or a value of the wrong type; names the key.

    >>> mapping_of({"kind": "sales", "item_id": "SKU"}, "").columns
    {'item_id': 'SKU'}
    """
    if data is None:
        return Mapping()
    if not isinstance(data, dict):
        raise BadInputError(
            "the mapping is not a list of `key: value`", where=where, todo="see docs/lake.md for an example"
        )
    names = [f.name for f in fields(Mapping)]
    unknown = sorted(str(k) for k in data if k not in names)
    # `ours: theirs` lines on their own are the short form of `columns:`.
    if unknown and all(isinstance(data[k], str) for k in unknown) and "columns" not in data:
        data = {k: v for k, v in data.items() if k in names} | {"columns": {k: data[k] for k in unknown}}
    elif unknown:
        raise BadInputError(
            f"the mapping has unknown keys {', '.join(unknown)}", where=where, todo=f"use {', '.join(names)}"
        )
    values = dict(data)
    for name in ("columns", "constants"):
        part = values.get(name) or {}
        if not isinstance(part, dict):
            raise BadInputError(
                f"'{name}' in the mapping is not a list of `ours: theirs`", where=where, todo="indent it"
            )
        values[name] = {str(k): str(v) for k, v in part.items()}
    for name in ("kind", "date_format", "thousands", "unit", "separator", "encoding"):
        if not isinstance(values.get(name, ""), str):
            raise BadInputError(f"'{name}' in the mapping is not text", where=where, todo="put it in quotes")
    if not isinstance(values.get("decimal_comma", False), bool):
        raise BadInputError(
            "'decimal_comma' in the mapping is not true or false", where=where, todo="write true or false"
        )
    for name, low, high in (("known_after_days", 0, MOST_KNOWN_AFTER), ("period_days", 2, LONGEST_PERIOD)):
        days = values.get(name)
        if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not low <= days <= high):
            what = f"'{name}' in the mapping is no whole number of days"
            raise BadInputError(what, where=where, todo=f"give {low} to {high}, or leave it out")
    gaps = values.get("gaps")
    if gaps not in (None, "zero", "unknown"):
        raise BadInputError("'gaps' in the mapping is neither zero nor unknown", where=where, todo="write one of them")
    return Mapping(**values | {"gaps": None if gaps == "unknown" else gaps})


def parse_mapping(text: str, where: str = "mapping") -> Mapping:
    """A mapping from YAML text.

    Raises:
        BadInputError: not YAML, or not a mapping.

    Constants and column names are text as written: site 007 is not 7, a column No is not false.

    >>> parse_mapping("columns: {item_id: SKU}").columns
    {'item_id': 'SKU'}
    >>> parse_mapping("constants: {site_id: 007}").constants
    {'site_id': '007'}
    >>> parse_mapping("item_id: No").columns
    {'item_id': 'No'}
    """
    try:
        data, written = yaml.safe_load(text), yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise BadInputError("the mapping is not valid YAML", where=where, todo="correct the file") from error
    if isinstance(data, dict):
        names = [f.name for f in fields(Mapping)]
        for key in data:
            if key in ("constants", "columns") or (key not in names and isinstance(written.get(key), str)):
                data[key] = written[key]
    mapping = mapping_of(data, where)
    if mapping.thousands == ("," if mapping.decimal_comma else "."):
        raise BadInputError(
            f"the mapping uses '{mapping.thousands}' as decimal mark and between thousands", where=where,
            todo="set decimal_comma to what the file has, or leave `thousands` out",
        )  # fmt: skip
    return mapping


def mapping_json(mapping: Mapping) -> str:
    """The mapping as it is stored beside the raw bytes: equal mappings give equal text, in every version."""
    said = {k: v for k, v in asdict(mapping).items() if v is not None}
    return json.dumps(said, sort_keys=True, ensure_ascii=False)


def stored_mapping(text: str | None) -> Mapping:
    """The mapping stored beside a document; the empty one when there is none."""
    return mapping_of(json.loads(text), "mapping_json") if text else Mapping()
