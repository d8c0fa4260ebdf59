"""Telemetry from message buses, what MQTT and NATS share: many messages to one document, TLS, and what to tell the person.

Messages are acknowledged to the broker after their document is synced. Whatever the broker delivers again ends up in another
document, whose readings are known already.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aios_assets.contracts.errors import AiosError, BadInputError, UsageError
from aios_assets.resources.inbox import kind_of
from aios_assets.resources.transport import Incoming, Store
from aios_assets.telemetry import Message, pack, read_telemetry

# Every document is a commit of its own, and each commit looks through those before it: few large ones.
BUNDLE_MESSAGES = 50_000
BUNDLE_BYTES = 32_000_000
EVERY_S = 600.0
LOOKED_AT = 100  # messages of a bundle that are read at once, to say early that a mapping does not fit


@dataclass(slots=True)
class Keeper:
    """Stores messages: EDI documents each for itself, byte for byte, all others as one document of messages.

    Attributes:
        store: the raw store.
        bus: mqtt or nats.
        place: address of the broker.
        topic: filter that is listened to.
        rules: mapping of the messages, as plain data.
        say: takes a line for the person.
    """

    store: Store
    bus: str
    place: str
    topic: str
    rules: Sequence[dict[str, Any]] = ()
    say: Callable[[str], object] = str
    _told: set[str] = field(default_factory=set)

    def __call__(self, messages: Sequence[Message]) -> None:
        """Store `messages`; they are on disk and synced when this returns."""
        others: list[Message] = []
        incoming: list[Incoming] = []
        for message in messages:
            if is_edi(message.payload):
                incoming.append(Incoming(message.payload, f"{self.place}/{message.topic}", self.bus))
            else:
                others.append(message)
        if others:
            incoming.append(Incoming(pack(others, self._about()), f"{self.place}/{self.topic}", self.bus))
        self.store(incoming)
        self._look(others)

    def _about(self) -> dict[str, Any]:
        return {"aios_bus": self.bus, **({"mapping": list(self.rules)} if self.rules else {})}

    def _look(self, messages: Sequence[Message]) -> None:
        """Say, once for each fault, what will not become a reading: a mapping that does not fit is best known before the night."""
        if not messages:
            return
        sample = messages[:: -(-len(messages) // LOOKED_AT)]
        frame = document_of(pack(sample, self._about()), messages[-1].at)
        rejects = read_telemetry(frame).rejects
        for code, reason, text in rejects.select("error_code", "reason", "segment_text").iter_rows():
            if code not in self._told:
                self._told.add(code)
                number = rejects.filter(error_code=code).height
                said = reason.partition(": ")[2]
                self.say(
                    f"{number} of {len(sample)} messages looked at give no reading, the first: {said} ({text[:120]}). All are stored"
                )


def document_of(content: bytes, at: datetime) -> Any:
    """A document as its reader wants it, of bytes that are not stored."""
    import polars as pl

    known = pl.Series([at.astimezone(UTC)], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"document_id": [""], "content": [content], "available_at_utc": known})


def is_edi(payload: bytes) -> bool:
    """Whether a message is a document of X12 or EDIFACT.

    >>> is_edi(b"UNB+UNOA:1+A+B+260105:0700+1'"), is_edi(b'{"sensor_id": "T1"}')
    (True, False)
    """
    # Both begin with the letters of a tag; numbers and JSON, which most messages are, need no closer look.
    return payload.lstrip(b"\xef\xbb\xbf \t\r\n")[:1].isalpha() and kind_of(payload) in ("x12", "edifact")


def tls_context(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """TLS that checks the broker's certificate and name.

    Args:
        ca_file: authorities to trust, PEM; the machine's own where none is given.
        cert_file: our certificate, PEM, for brokers that ask for one.
        key_file: its private key, PEM.

    Raises:
        UsageError: a certificate without key, or a key without certificate.
        BadInputError: a file cannot be read or is not PEM.
    """
    if (cert_file is None) != (key_file is None):
        raise UsageError("--cert-file and --key-file go together", todo="give both, or none")
    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None and key_file is not None:
            context.load_cert_chain(cert_file, key_file, password=_no_password)
    except (OSError, ValueError) as error:
        files = [str(path) for path in (ca_file, cert_file, key_file) if path is not None]
        raise BadInputError(
            f"the files for TLS cannot be used ({error})", where=", ".join(files), todo="give readable PEM files, the key without a password"
        ) from error  # fmt: skip
    return context


def _no_password() -> str:
    """What OpenSSL asks for a locked key, which would otherwise wait at the terminal."""
    raise ValueError("the key is locked with a password")


def unreached(what: str, error: Exception, where: str) -> AiosError:
    """What to tell where no session came about: a certificate that is not trusted is no server that is down."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return AiosError(
            f"the certificate of the {what} is not trusted ({error.verify_message})",
            where=where,
            todo="give its authority with --ca-file, and the host by the name in the certificate",
        )
    if isinstance(error, ssl.SSLError):
        return AiosError(
            f"no TLS with the {what} ({error.reason or error})",
            where=where,
            todo="check that the port speaks TLS, and --cert-file where it asks for one",
        )
    return AiosError(f"the {what} does not answer ({error})", where=where, todo="start it, or correct host and port")
