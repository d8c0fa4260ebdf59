"""How somebody else's messages become readings: the mapping file of `aios listen`. Pure.

A file is one rule or a list of them; the first whose topic fits a message holds. See docs/listening.md for examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from aios_assets.contracts.errors import BadInputError
from aios_assets.telemetry.limits import line_of

TIME_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
NAMES = ("sensor_id", "measure_code", "asset_type", "asset_id", "site_id", "shipment_id", "read_at_utc", "value")
SEE = "see docs/listening.md for examples"


@dataclass(frozen=True, slots=True)
class Measure:
    """Where the value of a measure stands, and what makes our unit of theirs: value × times + plus."""

    of: str
    times: float = 1.0
    plus: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        topic: topic filter whose levels may be names of ours between braces, such as `tele/{sensor_id}/SENSOR`.
        columns: our name to their field; dots lead deeper.
        constants: our name to a value that holds for every message.
        measures: our measure to their field, for messages of several measures; or to their name of the measure, where topic or column
            says `measure_code`. What is not listed is left out; without a list their names are ours.
        each: field with a list whose entries are readings; what an entry does not say the message says.
        time_unit: s, ms, us or ns, where times are numbers since 1970.
        time_zone: of times without a zone.
        words: their word to a number, such as ON to 1.
        ignore: messages of these topics are no readings, and that is known.
    """

    topic: str
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    measures: dict[str, Measure] = field(default_factory=dict)
    each: str = ""
    time_unit: str = ""
    time_zone: str = "UTC"
    words: dict[str, float] = field(default_factory=dict)
    ignore: bool = False


def parse_rules(text: str, where: str = "mapping") -> tuple[dict[str, Any], ...]:
    """Rules from YAML text, checked, as plain data that can be stored.

    Raises:
        BadInputError: not YAML, no rule, an unknown key or a value of the wrong kind; names rule and key.

    Everything is text as written: site 007 is not 7, the word ON is not true.

    >>> parse_rules('topic: "plant/{asset_id}"\\nconstants: {asset_type: pump, site_id: 007}\\nmeasures: {power_kw: P}')[0]["constants"]
    {'asset_type': 'pump', 'site_id': '007'}
    """
    try:
        data = yaml.load(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        raise BadInputError(
            f"the mapping is not valid YAML{line_of(error)}", where=where, todo="correct the file"
        ) from error
    rules = data if isinstance(data, list) else [data]
    if not rules or not all(isinstance(rule, dict) for rule in rules):
        raise BadInputError("the mapping is no list of rules", where=where, todo=SEE)
    rules_of(rules, where)
    return tuple(rules)


def rules_of(data: Sequence[Mapping[str, Any]], where: str = "mapping") -> tuple[Rule, ...]:
    """Rules from plain data.

    Raises:
        BadInputError: as `parse_rules`.
    """
    return tuple(_rule(rule, f"rule {number}", where) for number, rule in enumerate(data, start=1))


def _rule(data: Mapping[str, Any], which: str, where: str) -> Rule:
    known = [f.name for f in fields(Rule)]
    unknown = sorted(str(k) for k in data if k not in known)
    if unknown:
        raise BadInputError(
            f"{which} has unknown keys {', '.join(unknown)}", where=where, todo=f"use {', '.join(known)}"
        )
    if not isinstance(data.get("topic"), str) or not data["topic"]:
        raise BadInputError(f"{which} names no topic", where=where, todo='write topic: "#" if it holds for all')
    values: dict[str, Any] = dict(data)
    for name in ("columns", "constants", "measures", "words"):
        part = values.get(name, {})
        if not isinstance(part, dict):
            raise BadInputError(f"'{name}' in {which} is no list of `ours: theirs`", where=where, todo="indent it")
    for name in ("topic", "each", "time_unit", "time_zone", "ignore"):
        if not isinstance(values.get(name, ""), str):
            raise BadInputError(f"'{name}' in {which} is no text", where=where, todo="write one value")
    for name in ("columns", "constants"):
        values[name] = {k: _plain(v, f"{k} in '{name}' of {which}", where) for k, v in values.get(name, {}).items()}
    values["measures"] = {k: _measure(v, f"measure {k} in {which}", where) for k, v in values.get("measures", {}).items()}  # fmt: skip
    values["words"] = {k.lower(): _number(v, f"word {k} in {which}", where) for k, v in values.get("words", {}).items()}
    if "ignore" in values:
        values["ignore"] = _truth(values["ignore"], f"'ignore' in {which}", where)
    rule = Rule(**values)
    _check(rule, which, where)
    return rule


def _check(rule: Rule, which: str, where: str) -> None:
    """Refuse what can never give a reading, and names that mean nothing.

    Raises:
        BadInputError: names rule and fault.
    """
    captured = [level[1:-1] for level in _levels(rule.topic) if level.startswith("{") and level.endswith("}")]
    named = {*captured, *rule.columns, *rule.constants}
    faults = [
        (bool(named - set(NAMES)), f"{', '.join(sorted(named - set(NAMES)))} is no name of ours", f"use {', '.join(NAMES)}"),
        (rule.time_unit not in ("", *TIME_UNITS), f"time_unit is '{rule.time_unit}'", f"use {', '.join(TIME_UNITS)}"),
        (not _is_zone(rule.time_zone), f"time_zone is '{rule.time_zone}'", "use a name such as Europe/Berlin"),
        (not rule.ignore and not {"sensor_id", "asset_id"} & named and not rule.each, "neither sensor_id nor asset_id is named",
         "name one in topic, columns or constants"),
        (not rule.ignore and "asset_type" not in named, "asset_type is not named", "name it, mostly as a constant"),
        (not rule.ignore and "measure_code" not in named and not rule.measures, "no measure is named",
         "list measures, or name measure_code in topic, columns or constants"),
    ]  # fmt: skip
    for is_wrong, what, todo in faults:
        if is_wrong:
            raise BadInputError(f"{which} (topic {rule.topic}): {what}", where=where, todo=todo)


def _measure(said: Any, what: str, where: str) -> Measure:
    if isinstance(said, dict) and set(said) <= {"of", "times", "plus"} and said.get("of"):
        factors = {k: _number(v, what, where) for k, v in said.items() if k != "of"}
        return Measure(_plain(said["of"], what, where), **factors)
    if isinstance(said, str) and said:
        return Measure(said)
    raise BadInputError(f"{what} names no field", where=where, todo="write theirs, or {of: theirs, times: 0.01}")


def _plain(said: Any, what: str, where: str) -> str:
    if isinstance(said, str) and said:
        return said
    raise BadInputError(f"{what} is no text", where=where, todo="write one value")


def _number(said: Any, what: str, where: str) -> float:
    try:
        number = float(said)
    except (TypeError, ValueError):
        number = float("nan")
    if isfinite(number):
        return number
    raise BadInputError(f"{what} has no number", where=where, todo="write a number")


def _truth(said: str, what: str, where: str) -> bool:
    if said in ("true", "false"):
        return said == "true"
    raise BadInputError(f"{what} is '{said}'", where=where, todo="write true or false")


def _is_zone(name: Any) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return False
    return True


def _levels(topic: str) -> list[str]:
    """Levels of a topic: MQTT parts them by slashes, NATS by dots."""
    return topic.split("/") if "/" in topic else topic.split(".")


def captured_of(rule: Rule, topic: str, separator: str) -> dict[str, str] | None:
    """What a topic says by the rule's names; None where it does not fit.

    >>> captured_of(Rule("tele/{sensor_id}/+"), "tele/cold-2/SENSOR", "/")
    {'sensor_id': 'cold-2'}
    >>> captured_of(Rule("tele/{sensor_id}"), "tele/cold-2/SENSOR", "/"), captured_of(Rule("a.>"), "a.b.c", ".")
    (None, {})
    """
    wanted, have = rule.topic.split(separator), topic.split(separator)
    found: dict[str, str] = {}
    for n, level in enumerate(wanted):
        if level in ("#", ">") and n == len(wanted) - 1:
            return found if len(have) > n or level == "#" else None
        if n >= len(have):
            return None
        if level.startswith("{") and level.endswith("}"):
            found[level[1:-1]] = have[n]
        elif level not in ("+", "*") and level != have[n]:
            return None
    return found if len(have) == len(wanted) else None


def field_of(said: Any, path: str) -> Any:
    """What stands in a field; None where there is none. A key that holds dots itself goes first.

    >>> field_of({"SI7021": {"Temperature": 21.5}}, "SI7021.Temperature"), field_of({"a.b": 1}, "a.b"), field_of([], "a")
    (21.5, 1, None)
    """
    if not isinstance(said, dict):
        return None
    if path in said:
        return said[path]
    head, _, rest = path.partition(".")
    return field_of(said.get(head), rest) if rest else None


class NoMeasure(ValueError):
    """A message that says nothing of what its rule lists."""


def statements(said: Any, rule: Rule, captured: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Readings of one message under our names, not checked yet; `read_at_utc` is missing where the message tells no time.

    Args:
        said: what the payload says: parsed JSON, or its text where it is none.
        rule: how to read it.
        captured: what the topic says.

    Raises:
        NoMeasure: it says nothing of what the rule lists, or has no list where the rule asks for one.
    """
    entries = field_of(said, rule.each) if rule.each else said
    if rule.each and not isinstance(entries, list):
        raise NoMeasure(f"there is no list '{rule.each}' in it")
    given = False
    for entry in entries if isinstance(entries, list) else [entries]:
        for statement in _of_entry(entry, said, rule, captured):
            given = True
            yield statement
    if not given:
        listed = ", ".join(sorted(m.of for m in rule.measures.values()))
        raise NoMeasure(f"it says nothing of {listed}" if listed else "it is empty")


def _of_entry(entry: Any, said: Any, rule: Rule, captured: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    found = {name: value for name in NAMES if (value := _found(name, entry, said, rule, captured)) is not None}
    found.setdefault("sensor_id", found.get("asset_id"))
    found.setdefault("asset_id", found["sensor_id"])
    if "measure_code" in found:
        theirs = found["measure_code"]
        value = found.get("value", entry if not isinstance(entry, dict) else None)
        if not rule.measures:
            yield found | {"value": value}
        for ours, measure in rule.measures.items():
            if measure.of == theirs:
                yield found | {"measure_code": ours, "value": _scaled(value, measure, rule)}
        return
    for ours, measure in rule.measures.items():
        value = field_of(entry, measure.of)
        if value is not None:
            yield found | {"measure_code": ours, "value": _scaled(value, measure, rule)}


def _found(name: str, entry: Any, said: Any, rule: Rule, captured: Mapping[str, str]) -> Any:
    """A field of ours: as the rule's column says, else from the topic, else a constant, else under our own name."""
    if name in rule.columns:
        value = field_of(entry, rule.columns[name])
        value = field_of(said, rule.columns[name]) if value is None else value
        return "" if value is None and name == "read_at_utc" else _text(name, value)
    if name in captured:
        return captured[name]
    if name in rule.constants:
        return rule.constants[name]
    value = field_of(entry, name)
    return _text(name, field_of(said, name) if value is None else value)


def _text(name: str, value: Any) -> Any:
    """Names may come as whole numbers: node 12."""
    is_name = name not in ("read_at_utc", "value")
    return str(value) if is_name and isinstance(value, int) and not isinstance(value, bool) else value


def _scaled(value: Any, measure: Measure, rule: Rule) -> Any:
    """A value in our unit; what is no number stays what it is, and is set aside."""
    number = as_number(value, rule.words)
    if number is None or (measure.times == 1.0 and measure.plus == 0.0):
        return value if number is None else number
    return float(f"{number * measure.times + measure.plus:.12g}")  # 61 × 0.01 is 0.61


def as_number(value: Any, words: Mapping[str, float]) -> float | int | None:
    """A number that was sent as number, as text, as true or false, or as a word of the rule's; None for anything else.

    >>> as_number("21.5", {}), as_number(True, {}), as_number("ON", {"on": 1.0}), as_number("n/a", {})
    (21.5, 1, 1.0, None)
    """
    if isinstance(value, bool):
        return words.get(str(value).lower(), int(value))
    if isinstance(value, int | float):
        return value
    if not isinstance(value, str):
        return None
    word = value.strip().lower()
    if word in words:
        return words[word]
    try:
        return float(word)
    except ValueError:
        return None
