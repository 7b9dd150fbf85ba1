"""A user of the session of a dataset, connected as long as a block lasts.

However the program ends, the user leaves: at the end of the block, at the end of the interpreter, at SIGTERM
and SIGINT. What ends without a word (SIGKILL, a power cut) is noticed by the service, which waits for the
time of the session and then disconnects and saves by itself.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import threading
from functools import partial
from types import FrameType, TracebackType
from typing import Any, Dict, List, Optional, Type

from ._error import CairnError
from ._http import Http, Request
from ._retry import Policy

_LOG = logging.getLogger("cairn_client")
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Of one goodbye, in seconds: whoever ends this process may not wait for long.
_GOODBYE = 5.0
_PATIENCE = 60.0


class Session:
    """Made by ``Dataset.session``. ``heartbeat`` is how often the service hears of the user, in seconds;
    ``timeout`` after how long a silence it disconnects them (three heartbeats unless given)."""

    def __init__(
        self,
        http: Http,
        place: str,
        user: str,
        heartbeat: float = 30.0,
        timeout: Optional[float] = None,
    ) -> None:
        if heartbeat <= 0:
            raise ValueError("a heartbeat takes some time")
        self.user = user
        self.heartbeat = heartbeat
        self.timeout = 3 * heartbeat if timeout is None else timeout
        self.lapses = 0
        """How often the service had given the user up, and they were connected anew."""
        self._http = http
        self._path = f"{place}/session"
        self._pid = 0
        self._ended = threading.Event()
        self._thread: Optional[threading.Thread] = None

    # As long as a block lasts

    def __enter__(self) -> Session:
        return self.connect()

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        try:
            self.disconnect()
        except CairnError as failed:
            # What has ended the block is what the caller must see.
            if error is None:
                raise
            _LOG.warning("%s could not be disconnected: %s", self.user, failed)

    def connect(self) -> Session:
        """Without a block: from here until ``disconnect``, or the end of the program."""
        if self.connected:
            raise CairnError("usage", f"The session of {self.user} is open already.")
        self._ended = threading.Event()
        # Before the service hears of it: from there on an end of the process is one of the session.
        self._pid = os.getpid()
        _ENDING.add(self)
        try:
            self._join()
        except BaseException:
            self._forget()
            raise
        self._thread = threading.Thread(
            target=self._beat, args=[self._ended], name=f"heartbeat of {self.user}", daemon=True
        )
        self._thread.start()
        return self

    @property
    def connected(self) -> bool:
        return self._pid == os.getpid()

    def disconnect(self, wait: bool = True) -> Optional[Dict[str, Any]]:
        """Leaves, which is saved; with ``wait`` it returns when the save is done. What the service says: its
        ``saved`` tells whether a snapshot holds everything. Who has left already, leaves no more. In a child
        that was forked it does nothing: the user is the parent's."""
        if not self.connected:
            return None
        self._ended.set()
        # Else a heartbeat that finds the user gone might connect them anew.
        if self._thread is not None:
            self._thread.join(_GOODBYE)
        patience = _PATIENCE if wait else 0.0
        answer = self._post("disconnect", {"user": self.user}, {"wait": wait}, patience)
        self._forget()
        return answer

    def _forget(self) -> None:
        self._pid = 0
        _ENDING.remove(self)

    # The session

    def record(self) -> Dict[str, Any]:
        """Who is connected, ``initialized``, ``metadata``."""
        found: Dict[str, Any] = self._http.json(Request("GET", self._path))
        return found

    def initialize(self) -> bool:
        """Says that the state is initialized, for good; False when it was so before."""
        return bool(self._post("initialize")["changed"])

    def set_metadata(self, metadata: Dict[str, Any]) -> bool:
        """Replaces it; False when it was the same before."""
        answer = self._http.json(Request("PUT", f"{self._path}/metadata", json=metadata))
        return bool(answer["changed"])

    def save(self, reason: str = "manual", wait: bool = True) -> Dict[str, Any]:
        patience = _PATIENCE if wait else 0.0
        return self._post("save", {"reason": reason}, {"wait": wait}, patience)

    # The inside

    def _post(
        self,
        name: str,
        body: Optional[Dict[str, Any]] = None,
        query: Optional[Dict[str, Any]] = None,
        patience: float = 0.0,
    ) -> Dict[str, Any]:
        path = f"{self._path}/{name}"
        request = Request("POST", path, query or {}, json=body, patience=patience)
        answer: Dict[str, Any] = self._http.json(request)
        return answer

    def _join(self) -> None:
        self._post("connect", {"user": self.user, "timeout_ms": round(self.timeout * 1000)})

    def _beat(self, ended: threading.Event) -> None:
        silent = False
        while not ended.wait(self.heartbeat):
            try:
                self._post("heartbeat", {"user": self.user})
                silent = False
            except CairnError as error:
                silent = self._unheard(error, ended, silent)

    def _unheard(self, error: CairnError, ended: threading.Event, silent: bool) -> bool:
        """Whether the service does not hear this program, which is told once."""
        if error.code == "not_found" and not ended.is_set():
            self.lapses += 1
            _LOG.warning("%s was given up by the service and connects anew", self.user)
            try:
                self._join()
                return False
            except CairnError as again:
                error = again
        if not silent and not ended.is_set():
            _LOG.warning("no heartbeat of %s was heard: %s", self.user, error)
        return True

    def goodbye(self) -> None:
        """At the end of the process, where no thread runs any more and any lock may be held for good: over a
        connection of its own. It does not wait for the save, which is the service's by then."""
        if not self.connected:
            return
        self._ended.set()
        http = self._http.fresh(Policy(2, _GOODBYE / 2, _GOODBYE))
        try:
            body = {"user": self.user}
            http.json(Request("POST", f"{self._path}/disconnect", {"wait": False}, json=body))
            self._pid = 0
        except CairnError as error:
            _LOG.warning("%s could not be disconnected: %s", self.user, error)
        finally:
            http.close()


class _Ending:
    """The open sessions of this process, and what it does when it is asked to end.

    A signal whose action was the default one ends the process: the users leave first. Where the program has a
    handler of its own, that is called and decides: if it raises, as the one of Python for SIGINT does, the
    blocks end and with them the sessions; if it returns, the program goes on, connected."""

    def __init__(self) -> None:
        self._sessions: List[Session] = []
        self._set: Dict[int, "partial[None]"] = {}
        self._registered = False

    def add(self, session: Session) -> None:
        self._sessions.append(session)
        if not self._registered:
            self._registered = True
            atexit.register(self.leave)
        if threading.current_thread() is threading.main_thread():
            self._install()

    def remove(self, session: Session) -> None:
        if session in self._sessions:
            self._sessions.remove(session)
        if not self._sessions and threading.current_thread() is threading.main_thread():
            self._restore()

    def leave(self) -> None:
        for session in list(self._sessions):
            session.goodbye()

    def _install(self) -> None:
        for number in _SIGNALS:
            before = signal.getsignal(number)
            # One that is ignored stays so; one that is not of Python cannot be called from here.
            if before in (None, signal.SIG_IGN) or before is self._set.get(number):
                continue
            # Each knows its own: a handler of the program may call one of ours that was set before it.
            self._set[number] = partial(self._handle, before)
            signal.signal(number, self._set[number])

    def _restore(self) -> None:
        for number, own in self._set.items():
            # Who has set another one since has ours to call, which passes on.
            if signal.getsignal(number) is own:
                signal.signal(number, own.args[0])
        self._set.clear()

    def _handle(self, before: Any, number: int, frame: Optional[FrameType]) -> None:
        if callable(before):
            before(number, frame)
            return
        self.leave()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


_ENDING = _Ending()
