"""AS2 without signature or encryption (RFC 4130): messages in, receipts (MDN) out, and the same from the sender's side.

A receipt says that the bytes are synced and states their digest (MIC); it does not say that they were understood. For an
unsigned, unencrypted message the MIC is taken over the content without headers (RFC 4130, 7.3.1).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser

from aios_assets.contracts.errors import BadInputError

AGENT = "AIOS AS2"


@dataclass(frozen=True, slots=True)
class As2Request:
    """What the headers of a message ask for.

    Attributes:
        message_id: the sender's id, with its angle brackets.
        sender: AS2-From.
        receiver: AS2-To.
        wants_receipt: an MDN is asked for.
        receipt_url: where it goes; empty means the answer to this very request.
        is_plain: neither signed, encrypted nor compressed.
    """

    message_id: str
    sender: str
    receiver: str
    wants_receipt: bool
    receipt_url: str
    is_plain: bool


@dataclass(frozen=True, slots=True)
class Mdn:
    """A receipt.

    Attributes:
        original_message_id: message it answers.
        disposition: as stated, such as `automatic-action/MDN-sent-automatically; processed`.
        mic: digest of the content and its algorithm, such as `…=, sha-256`; empty when refused.
    """

    original_message_id: str
    disposition: str
    mic: str

    @property
    def is_processed(self) -> bool:
        """Whether the receiver has the bytes."""
        return self.disposition.split(";", 1)[-1].strip().lower() == "processed"


def read_request(headers: Mapping[str, str]) -> As2Request:
    """What the headers of a message ask for.

    Raises:
        BadInputError: Message-ID, AS2-From or AS2-To is missing, or a header holds control characters.
    """
    found = {name.lower(): value.strip() for name, value in headers.items()}
    missing = [name for name in ("Message-ID", "AS2-From", "AS2-To") if not found.get(name.lower())]
    if missing:
        raise BadInputError(f"AS2 headers are missing: {', '.join(missing)}", where="AS2 message", todo="send them")
    if any(not v.isprintable() for v in found.values()):
        raise BadInputError(
            "an AS2 header holds control characters", where="AS2 message", todo="send plain header lines"
        )
    kind = found.get("content-type", "").lower()
    return As2Request(
        found["message-id"], found["as2-from"].strip('"'), found["as2-to"].strip('"'), "disposition-notification-to" in found,
        found.get("receipt-delivery-option", ""), not ("pkcs7" in kind or "multipart/signed" in kind),
    )  # fmt: skip


def mic_of(content: bytes) -> str:
    """MIC of unsigned content: SHA-256, Base64.

    >>> mic_of(b"")
    '47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=, sha-256'
    """
    return base64.b64encode(hashlib.sha256(content).digest()).decode() + ", sha-256"


def build_mdn(request: As2Request, content: bytes, failure: str = "") -> tuple[dict[str, str], bytes]:
    """Headers and body of the receipt.

    Args:
        request: what was asked.
        content: bytes received.
        failure: why the message was refused; empty when it is stored.
    """
    mode = "automatic-action/MDN-sent-automatically; "
    disposition = mode + (f"failed/Failure: {failure}" if failure else "processed")
    digest = hashlib.sha256(request.message_id.encode() + content).hexdigest()
    boundary = f"aios-{digest[:24]}"
    said = f"The message {request.message_id} was refused: {failure}." if failure else (
        f"The message {request.message_id} is stored. This does not say that its content was validated."
    )  # fmt: skip
    fields = [
        f"Reporting-UA: {AGENT}", f"Original-Recipient: rfc822; {request.receiver}",
        f"Final-Recipient: rfc822; {request.receiver}", f"Original-Message-ID: {request.message_id}",
        f"Disposition: {disposition}",
    ]  # fmt: skip
    if not failure:
        fields.append(f"Received-Content-MIC: {mic_of(content)}")
    parts = [("text/plain; charset=us-ascii", said), ("message/disposition-notification", "\r\n".join(fields))]
    lines = []
    for kind, text in parts:
        lines += [f"--{boundary}", f"Content-Type: {kind}", "Content-Transfer-Encoding: 7bit", "", text, ""]
    body = "\r\n".join([*lines, f"--{boundary}--", ""]).encode("ascii", "replace")
    headers = {
        "AS2-Version": "1.0", "AS2-From": _quoted(request.receiver), "AS2-To": _quoted(request.sender),
        "Message-ID": f"<mdn-{digest[:32]}@aios>", "MIME-Version": "1.0", "Subject": "Receipt",
        "Content-Type": f'multipart/report; report-type=disposition-notification; boundary="{boundary}"',
    }  # fmt: skip
    return headers, body


def parse_mdn(content_type: str, body: bytes) -> Mdn:
    """A receipt as a partner sent it.

    Raises:
        BadInputError: it is no receipt.
    """
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    for part in message.walk():
        if part.get_content_type() == "message/disposition-notification":
            said = _fields(part)
            return Mdn(
                said.get("original-message-id", ""), said.get("disposition", ""), said.get("received-content-mic", "")
            )
    raise BadInputError("the answer holds no receipt", where="MDN", todo="ask the partner for an MDN")


def _fields(part: Message) -> dict[str, str]:
    """The parser takes the notification for nested messages; their headers are its fields."""
    inner = part.get_payload()
    blocks = inner if isinstance(inner, list) else [BytesParser().parsebytes(str(inner).encode())]
    return {k.lower(): str(v).strip() for block in blocks if isinstance(block, Message) for k, v in block.items()}


def request_headers(
    sender: str, receiver: str, message_id: str, *, receipt_url: str = "", content_type: str = "application/edi-x12"
) -> dict[str, str]:
    """Headers of a message that asks for an unsigned receipt: at once, or at `receipt_url`."""
    headers = {
        "AS2-Version": "1.0", "AS2-From": _quoted(sender), "AS2-To": _quoted(receiver), "Message-ID": message_id,
        "Subject": "EDI", "Content-Type": content_type, "Disposition-Notification-To": sender,
    }  # fmt: skip
    return headers | ({"Receipt-Delivery-Option": receipt_url} if receipt_url else {})


def _quoted(name: str) -> str:
    return f'"{name}"' if " " in name else name
