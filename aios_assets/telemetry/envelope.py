"""How messages of a bus are stored: one document of lines, the first about the bus, then one for each message as it came. Pure.

The payload is kept to the byte: as text where it is UTF-8, else in base64. Topic and time belong to it, for many devices say neither
who they are nor when they read.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aios_assets.contracts.errors import BadInputError

MARK = b'{"aios_bus":'  # how the first line begins


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a bus.

    Attributes:
        topic: MQTT topic or NATS subject.
        payload: bytes as they came.
        at: when it reached us (MQTT) or the stream (NATS), in UTC.
        is_retained: the broker had kept it, nobody knows for how long.
        is_again: the broker says that it gave it before.
        sequence: number in the stream; None with MQTT.
    """

    topic: str
    payload: bytes
    at: datetime
    is_retained: bool = False
    is_again: bool = False
    sequence: int | None = None


def pack(messages: Sequence[Message], about: dict[str, Any]) -> bytes:
    """A document of messages, in the order received.

    Args:
        messages: what came.
        about: what the first line says besides: bus, mapping.

    >>> from datetime import UTC, datetime
    >>> text = pack([Message("t/1", b"21.5", datetime(2026, 1, 5, tzinfo=UTC))], {"aios_bus": "mqtt"})
    >>> unpack(text)[0], [m.payload for m in unpack(text)[1]]
    ({'aios_bus': 'mqtt'}, [b'21.5'])
    """
    lines = [about, *map(_said, messages)]
    return "".join(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n" for line in lines).encode()


def unpack(content: bytes) -> tuple[dict[str, Any], Iterator[Message]]:
    """The first line of a document of messages, and the messages; line n of the document is message n - 1.

    Raises:
        BadInputError: it is none; nothing of ours writes such a document.
    """
    first, *rest = content.split(b"\n")
    try:
        about = json.loads(first)
    except ValueError as error:
        raise BadInputError("the first line of a document of messages is no JSON", todo="listen anew") from error
    return about, (_message(line) for line in rest if line)


def _said(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = {"topic": message.topic, "at": f"{message.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"}
    if message.is_retained:
        said["retained"] = True
    if message.is_again:
        said["again"] = True
    if message.sequence is not None:
        said["sequence"] = message.sequence
    try:
        said["payload"] = message.payload.decode("utf-8")
    except UnicodeDecodeError:
        said["payload_base64"] = base64.b64encode(message.payload).decode("ascii")
    return said


def _message(line: bytes) -> Message:
    try:
        said = json.loads(line)
        payload = said["payload"].encode() if "payload" in said else base64.b64decode(said["payload_base64"])
        at = datetime.fromisoformat(said["at"])
        return Message(
            said["topic"], payload, at, bool(said.get("retained")), bool(said.get("again")), said.get("sequence")
        )
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        shown = line[:80].decode("utf-8", "replace")
        raise BadInputError(f"a stored message cannot be read ({shown})", todo="call `aios check`") from error
