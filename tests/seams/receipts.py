"""A partner's address for AS2 receipts: takes what is posted to it, on loopback."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


@contextmanager
def receipt_box() -> Iterator[tuple[str, queue.Queue[tuple[str, bytes]]]]:
    """The address to name, and a queue of (content type, body) of every receipt posted there."""
    got: queue.Queue[tuple[str, bytes]] = queue.Queue()

    class Box(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.put((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Box) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/mdn", got
        finally:
            server.shutdown()
