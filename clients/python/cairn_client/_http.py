"""Requests over connections that are kept: one attempt at a time, each with its limit."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from typing import Any, BinaryIO, Dict, Iterator, List, Mapping, NamedTuple, Optional, Union
from urllib.parse import urlencode, urlsplit

from ._error import CairnError, error_of
from ._retry import Policy

Body = Union[bytes, BinaryIO]

_PART = 1 << 16
_KEPT = 8
_HINT = "Does the service run, at that address?"


class Request(NamedTuple):
    method: str
    path: str
    query: Mapping[str, Any] = {}
    json: Any = None
    body: Optional[Body] = None
    size: Optional[int] = None
    headers: Mapping[str, str] = {}
    always: bool = True
    """It may be sent again, whatever became of it."""
    patience: float = 0.0
    """Seconds that it may take longer than others."""


class Answer(NamedTuple):
    status: int
    headers: Dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            request_id = self.headers.get("x-request-id")
            raise CairnError(
                "answer_cut", "The answer is no JSON.", status=self.status, request_id=request_id
            ) from None


class Stream:
    """An answer whose body is read as it comes; one that is cut off raises ``answer_cut``."""

    def __init__(
        self,
        http_: Http,
        connection: http.client.HTTPConnection,
        response: http.client.HTTPResponse,
        sock: socket.socket,
    ) -> None:
        self._http = http_
        self._connection = connection
        self._response = response
        # The connection forgets it when the answer says that it is the last one.
        self._sock = sock
        self.status = response.status
        self.headers = _headers_of(response)
        length = self.headers.get("content-length")
        self.size = None if length is None else int(length)

    def parts(self, idle: float) -> Iterator[bytes]:
        """``idle`` is the longest wait for the next part, in seconds."""
        come = 0
        try:
            # Newer versions of Python close what is read to its end, and with it perhaps the socket.
            while not self._response.isclosed():
                self._sock.settimeout(idle)
                part = self._response.read1(_PART)
                if not part:
                    break
                come += len(part)
                yield part
            if self.size is not None and come != self.size:
                raise _cut(f"it has {come} bytes, not {self.size}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.close()
            raise _translate(error, answered=True) from error
        except BaseException:
            self.close()
            raise
        else:
            self._http.give_back(self._connection, self._response)

    def close(self) -> None:
        self._response.close()
        self._connection.close()


class Http:
    def __init__(
        self,
        url: str,
        token: Optional[str],
        policy: Policy,
        context: Optional[ssl.SSLContext],
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname is None:
            raise ValueError(f"not an address of http or https: {url!r}")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._base = parts.path.rstrip("/")
        self._context = context
        self._token = token
        self._lock = threading.Lock()
        self._kept: List[http.client.HTTPConnection] = []
        self.policy = policy
        self._url = url

    def fresh(self, policy: Policy) -> Http:
        """Another one to the same service, which shares neither connections nor locks."""
        return Http(self._url, self._token, policy, self._context)

    def ask(self, request: Request) -> Answer:
        """The whole answer; sent again as the policy allows."""

        def attempt(limit: float) -> Answer:
            end = time.monotonic() + limit
            stream = self._send(request, limit)
            body = bytearray()
            for part in stream.parts(limit):
                body += part
                if time.monotonic() > end:
                    stream.close()
                    raise CairnError("timeout", "The answer did not come in its time.")
            return Answer(stream.status, stream.headers, bytes(body))

        return self.policy.run(
            attempt,
            always=request.always,
            writes=request.method != "GET",
            patience=request.patience,
        )

    def json(self, request: Request) -> Any:
        return self.ask(request).json()

    def open(self, request: Request) -> Stream:
        """An answer that is read as it comes."""
        return self.policy.run(
            lambda limit: self._send(request, limit),
            always=request.always,
            writes=request.method != "GET",
            patience=request.patience,
        )

    def close(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, []
        for connection in kept:
            connection.close()

    def give_back(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        response.close()
        with self._lock:
            if len(self._kept) < _KEPT and connection.sock is not None:
                self._kept.append(connection)
                return
        connection.close()

    def _send(self, request: Request, limit: float) -> Stream:
        """One attempt, up to the head of its answer."""
        body, headers = _body_of(request)
        headers.update(request.headers)
        headers["Accept-Encoding"] = "identity"
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        path = self._base + request.path + _query_of(request.query)
        connection = self._connected(request.always, limit)
        try:
            sock = connection.sock
            connection.request(request.method, path, body=body, headers=headers)
            response = connection.getresponse()
            stream = Stream(self, connection, response, sock)
            if 200 <= response.status < 300:
                return stream
            text = b"".join(stream.parts(limit))
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _translate(error) from error
        raise error_of(response.status, stream.headers, text)

    def _connected(self, always: bool, limit: float) -> http.client.HTTPConnection:
        # One that was kept may have been closed since; what may be sent once only gets a new one.
        with self._lock:
            kept = self._kept.pop() if always and self._kept else None
        if kept is not None and kept.sock is not None:
            kept.sock.settimeout(limit)
            return kept
        made: http.client.HTTPConnection
        if self._secure:
            made = http.client.HTTPSConnection(
                self._host, self._port, timeout=limit, context=self._context
            )
        else:
            made = http.client.HTTPConnection(self._host, self._port, timeout=limit)
        try:
            made.connect()
            made.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            message = f"The service was not reached: {error}."
            raise CairnError("unreachable", message, hint=_HINT, unbegun=True) from error
        return made


def _body_of(request: Request) -> "tuple[Optional[Body], Dict[str, str]]":
    if request.json is not None:
        text = json.dumps(request.json, allow_nan=False).encode()
        return text, {"Content-Type": "application/json"}
    if request.size is not None and hasattr(request.body, "seek"):
        # It may have been read by an attempt before.
        request.body.seek(0)
        return request.body, {"Content-Length": str(request.size)}
    return request.body, {}


def _query_of(query: Mapping[str, Any]) -> str:
    given = {name: _text(value) for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _headers_of(response: http.client.HTTPResponse) -> Dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _cut(why: str) -> CairnError:
    return CairnError("answer_cut", f"The answer is not whole: {why}.", hint="Ask again.")


def _translate(error: Exception, answered: bool = False) -> CairnError:
    if isinstance(error, (socket.timeout, TimeoutError)):
        hint = "Is the service under load? `timeout` is how long an attempt may take."
        return CairnError("timeout", "There was no answer in its time.", hint=hint)
    if answered:
        return _cut(str(error) or type(error).__name__)
    message = f"There was no answer: {error or type(error).__name__}."
    return CairnError("unreachable", message, hint=_HINT)
