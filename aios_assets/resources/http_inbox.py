"""Documents over HTTP and AS2, on this machine only: put a proxy with TLS and login in front of it.

`POST /documents/<name>` stores the body and answers 201 with its SHA-256; `POST /as2` does the same for AS2 and answers with
a receipt. An answer of success means that the bytes are synced.
"""

from __future__ import annotations

import hmac
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from aios_assets.contracts.errors import AiosError, BadInputError, StorageError
from aios_assets.resources.as2 import As2Request, build_mdn, read_request
from aios_assets.resources.transport import Incoming, Store


@dataclass(frozen=True, slots=True)
class HttpInbox:
    """Listens for documents.

    Attributes:
        port: port; 0 takes a free one.
        host: address to bind; the loopback unless there is a reason.
        cap_bytes: largest document taken.
        token: bearer token that senders must show; empty asks for none.
        receipt_hosts: hosts that asynchronous receipts may be sent to: a sender must not make us call just anybody.
        on_ready: told the port once the server listens.
    """

    port: int = 8321
    host: str = "127.0.0.1"
    cap_bytes: int = 256_000_000
    token: str = ""
    receipt_hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    on_ready: Callable[[int], object] = lambda _port: None

    def serve(self, store: Store, until: Callable[[], bool]) -> int:
        """Receive until `until()`; returns documents acknowledged.

        Raises:
            AiosError: the port is taken.
        """
        try:
            server = _Server((self.host, self.port), self, store)
        except OSError as error:
            raise AiosError(
                f"cannot listen ({error.strerror})", where=f"{self.host}:{self.port}", todo="stop what listens there, or choose another port"
            ) from error  # fmt: skip
        with server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
            thread.start()
            self.on_ready(server.server_address[1])
            try:
                pause = threading.Event()
                while not until():
                    pause.wait(0.1)
            finally:
                server.shutdown()
                thread.join()
        return server.acknowledged


class _RefusedRequest(Exception):
    """An answer other than success, with its status."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True

    def __init__(self, address: tuple[str, int], inbox: HttpInbox, store: Store) -> None:
        super().__init__(address, _Handler)
        self.inbox, self.store = inbox, store
        self.acknowledged = 0
        self.counting = threading.Lock()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that hangs up before its answer sends again, and is told then that the bytes are known: no line for the person."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)

    def take(self, content: bytes, source: str, transport: str) -> dict[str, Any]:
        try:
            receipt = self.store([Incoming(content, source, transport)])[0]
        except OSError as error:
            # Without an answer the sender would not know whether to send it again.
            raise StorageError(
                f"the document could not be stored ({error.strerror or error})",
                where=str(error.filename or ""),
                todo="send it again once the receiver has room and rights",
            ) from error
        with self.counting:
            self.acknowledged += 1
        return {"document_id": receipt.document_id, "is_new": receipt.is_new}


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "AIOS"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        """Health."""
        known = self.path == "/health"
        self._json(200 if known else 404, {"ok": known})

    def do_POST(self) -> None:
        """A document."""
        path = unquote(urlsplit(self.path).path)
        try:
            content = self._body()
            if path == "/as2":
                self._as2(content)
            elif path.startswith("/documents/") and len(path) > len("/documents/"):
                name = path.removeprefix("/documents/")
                self._json(201, self.server.take(content, f"http:{name}", "http"))
            else:
                self._json(404, {"error": "there is no such place; post to /documents/<name> or /as2"})
        except _RefusedRequest as refused:
            self.close_connection = True
            self._json(refused.status, {"error": str(refused)})
        except BadInputError as error:
            self._json(400, {"error": str(error)})
        except AiosError as error:
            # The sender keeps the document and tries again: nothing was acknowledged.
            self._json(503, {"error": str(error)})

    def _body(self) -> bytes:
        inbox = self.server.inbox
        shown = self.headers.get("Authorization", "")
        if inbox.token and not hmac.compare_digest(shown.encode(), f"Bearer {inbox.token}".encode()):
            raise _RefusedRequest(401, "show the bearer token")
        length = self.headers.get("Content-Length", "")
        if not length.isdigit():
            raise _RefusedRequest(411, "state Content-Length")
        if int(length) > inbox.cap_bytes:
            raise _RefusedRequest(413, f"a document may have {inbox.cap_bytes:,} bytes; see AIOS_DOCUMENT_CAP_MB")
        content = self.rfile.read(int(length))
        if len(content) != int(length):
            raise _RefusedRequest(400, "the body is shorter than Content-Length")
        if not content:
            raise _RefusedRequest(400, "the document is empty")
        return content

    def _as2(self, content: bytes) -> None:
        request = read_request(dict(self.headers.items()))
        where = request.receipt_url
        if where and urlsplit(where).hostname not in self.server.inbox.receipt_hosts:
            raise BadInputError("receipts are not sent to that host", where=where, todo="allow it in receipt_hosts")
        failure = "" if request.is_plain else "unsupported format"
        if not failure:
            self.server.take(content, f"as2://{request.sender}/{request.message_id.strip('<>')}", "as2")
        if not request.wants_receipt:
            self._send(200, {}, b"")
            return
        headers, body = build_mdn(request, content, failure)
        if where:
            self._send(200, {}, b"")
            threading.Thread(target=_deliver, args=(request, headers, body), daemon=True).start()
        else:
            self._send(200, headers, body)

    def _json(self, status: int, said: dict[str, Any]) -> None:
        self._send(status, {"Content-Type": "application/json"}, json.dumps(said).encode())

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Quiet: what is stored is in the lake, what is refused is in the answer."""


def _deliver(request: As2Request, headers: dict[str, str], body: bytes) -> None:
    """Send an asynchronous receipt. A sender that gets none sends its message again, and is answered again."""
    import httpx

    for _ in range(3):
        try:
            if httpx.post(request.receipt_url, headers=headers, content=body, timeout=10).is_success:
                return
        except httpx.HTTPError:
            continue
