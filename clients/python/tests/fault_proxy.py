"""A proxy before the service, which loses and damages what passes."""

from __future__ import annotations

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import List, Tuple
from urllib.parse import urlsplit


class FaultProxy:
    """``plan("POST /v1", "mute")`` says what becomes of the next request that matches:

    lose    the service does not get it, and the connection is cut
    mute    the service gets it, and the connection is cut
    half    half of the answer's body comes, then the connection is cut
    damage  the last byte of the answer's body is another one
    refuse  503 ``overloaded``
    hang    the service gets it, and nothing comes
    """

    def __init__(self, target: str) -> None:
        self._plans: List[Tuple[str, str]] = []
        self._lock = threading.Lock()
        self.seen: List[str] = []
        self.ended = threading.Event()
        address = urlsplit(target)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                fate = proxy.fate_of(f"{self.command} {self.path}")
                self.close_connection = True
                if fate == "lose":
                    return
                if fate == "refuse":
                    self.answer(503, [("Retry-After", "0")], b'{"code":"overloaded"}')
                    return
                ahead = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
                ahead.request(self.command, self.path, body, dict(self.headers))
                answer = ahead.getresponse()
                text = answer.read()
                ahead.close()
                if fate == "hang":
                    proxy.ended.wait(10)
                if fate in ("mute", "hang"):
                    return
                if fate == "damage":
                    text = text[:-1] + bytes([text[-1] ^ 1])
                skipped = ("content-length", "transfer-encoding", "connection")
                headers = [one for one in answer.getheaders() if one[0].lower() not in skipped]
                cut = len(text) // 2 if fate == "half" else len(text)
                self.answer(answer.status, headers, text, cut)

            def answer(
                self, status: int, headers: List[Tuple[str, str]], text: bytes, cut: int = 1 << 40
            ) -> None:
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(text)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(text[:cut])

            do_GET = do_PUT = do_POST = do_DELETE = handle_any

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def plan(self, match: str, *fates: str) -> None:
        with self._lock:
            self._plans += [(match, fate) for fate in fates]

    def fate_of(self, call: str) -> str:
        with self._lock:
            self.seen.append(call)
            for i, (match, fate) in enumerate(self._plans):
                if match in call:
                    del self._plans[i]
                    return fate
        return "pass"

    def close(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
