"""What lines and bus messages say, each with its place: readings under our names, to be checked, or why they are none. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aios_assets.telemetry.checks import Fault
from aios_assets.telemetry.envelope import Message, unpack
from aios_assets.telemetry.instants import instant_of
from aios_assets.telemetry.mapping import NoMeasure, Rule, captured_of, rules_of, statements

SEPARATORS = {"mqtt": "/", "nats": "."}
OURS = "our fields are sensor_id, measure_code, read_at_utc, value, asset_type, asset_id; for other messages give a mapping (aios listen --mapping)"


@dataclass(frozen=True, slots=True)
class Said:
    """What may be a reading.

    Attributes:
        line_no: line of the document.
        part_no: which of the line's readings, from 1; None where a line is one.
        what: its fields, or why there are none.
        text: the line or payload.
        topic: where it came from; empty outside a bus.
        is_ignored: a mapping passes it over.
    """

    line_no: int
    part_no: int | None
    what: dict[str, Any] | Fault
    text: bytes
    topic: str = ""
    is_ignored: bool = False

    def fields(self) -> dict[str, Any]:
        """The fields.

        Raises:
            Fault: there are none.
        """
        if isinstance(self.what, Fault):
            raise self.what
        return self.what

    @property
    def where(self) -> str:
        """Place in words."""
        return f"line {self.line_no}" + (f", topic {self.topic}" if self.topic else "")

    @property
    def shown(self) -> str:
        """What stands there, readable."""
        return self.text[:2000].decode("utf-8", "replace")


def said_in_line(line: bytes, number: int) -> Said:
    """What a line of JSON says."""
    return Said(number, None, _object(line), line)


def _object(line: bytes) -> dict[str, Any] | Fault:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):  # brackets within brackets, as deep as the line is long
        return Fault("not_json", "not valid JSON; send one whole object per line")
    return said if isinstance(said, dict) else Fault("not_object", "not a JSON object; send one object per line")


def said_in_messages(content: bytes) -> Iterator[Said]:
    """What a document of bus messages says, by its own mapping."""
    about, messages = unpack(content)
    rules = rules_of(about.get("mapping", ()))
    separator = SEPARATORS.get(about.get("aios_bus", ""), "/")
    for number, message in enumerate(messages, start=2):
        rule, captured = _rule_for(message.topic, rules, separator)
        if rule is None:
            yield from _in_our_words(message, number, bool(rules))
        elif rule.ignore:
            yield Said(number, None, {}, b"", is_ignored=True)
        else:
            yield from _by_rule(message, number, rule, captured)


def _rule_for(topic: str, rules: tuple[Rule, ...], separator: str) -> tuple[Rule | None, dict[str, str]]:
    for rule in rules:
        captured = captured_of(rule, topic, separator)
        if captured is not None:
            return rule, captured
    return None, {}


def _in_our_words(message: Message, number: int, has_rules: bool) -> Iterator[Said]:
    """A message of our own fields: one object, a list of them, or lines."""
    payload = message.payload.strip()
    try:
        whole = json.loads(payload)
    except (ValueError, RecursionError):
        whole = None
    parts: list[tuple[dict[str, Any] | Fault, bytes]]
    if isinstance(whole, list) and whole:
        is_object = Fault("not_object", "not a JSON object; send objects in the list")
        parts = [(entry if isinstance(entry, dict) else is_object, message.payload) for entry in whole]
    elif whole is None and isinstance(_object(payload.partition(b"\n")[0]), dict):
        lines = [line.strip() for line in payload.split(b"\n") if line.strip()]
        parts = [(_object(line), line) for line in lines]
    else:
        parts = [(_foreign(whole, payload, has_rules), message.payload)]
    for n, (what, text) in enumerate(parts, start=1):
        yield Said(number, n if len(parts) > 1 else None, what, text, message.topic)


def _foreign(whole: Any, payload: bytes, has_rules: bool) -> dict[str, Any] | Fault:
    """One object with at least one of our names in it; else what to do about it."""
    if isinstance(whole, dict) and ("sensor_id" in whole or "measure_code" in whole):
        return whole
    if not payload:
        return Fault("empty", "an empty message")
    if has_rules:
        return Fault(
            "no_rule",
            "no rule of the mapping has a topic that fits, and it is none of ours; add one, or one with ignore: true",
        )
    if isinstance(whole, dict):
        return Fault("foreign", OURS)
    return Fault("not_json" if whole is None else "not_object", f"no JSON object; {OURS}")


def _by_rule(message: Message, number: int, rule: Rule, captured: dict[str, str]) -> Iterator[Said]:
    """The readings of a message by a rule, or why there is none."""
    text = message.payload
    if not text.strip():
        yield Said(number, None, Fault("empty", "an empty message"), text, message.topic)
        return
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = text.decode("utf-8", "replace").strip()
    try:
        found = list(statements(said, rule, captured))
    except NoMeasure as error:
        fault = Fault("no_measure", f"{error}; correct the mapping, or add a rule with ignore: true")
        yield Said(number, None, fault, text, message.topic)
        return
    for n, fields in enumerate(found, start=1):
        part = n if len(found) > 1 else None
        yield Said(number, part, _with_instant(fields, rule, message), text, message.topic)


def _with_instant(fields: dict[str, Any], rule: Rule, message: Message) -> dict[str, Any] | Fault:
    """The fields with their instant; a message that tells none was read when it came, unless the broker had kept it."""
    if "read_at_utc" not in fields:
        if message.is_retained:
            return Fault("retained", "the broker had kept it and it tells no time: nobody knows when it was read")
        return fields | {"read_at_utc": message.at}
    try:
        instant: datetime = instant_of(fields["read_at_utc"], rule.time_unit, rule.time_zone, message.at)
    except ValueError as error:
        return Fault("bad_instant", f"its time {error}")
    return fields | {"read_at_utc": instant}
