"""What can be done with a dataset. Records are dicts with the names of docs/HTTP.md."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence

from ._cid import digest_of
from ._error import CairnError
from ._events import read_events
from ._files import save
from ._http import Http, Request, Stream
from ._map import Map
from ._paths import entity_path, segment
from ._retry import back_off, is_passing
from ._session import Session
from ._write import Entry, Written, write_safely

Record = Dict[str, Any]

_PAGE = 1000
_IDLE = 60.0
_CAR = "application/vnd.ipld.car"
_DAY = 86_400.0
_MAX_INLINE = 1 << 20


class Dataset:
    def __init__(self, http: Http, name: str) -> None:
        self.name = name
        self._http = http
        self._place = f"/v1/datasets/{segment(name)}"

    def _read(self, path: str, query: Mapping[str, Any] = {}) -> Any:
        return self._http.json(Request("GET", f"{self._place}{path}", query))

    def _start(self, path: str, body: Mapping[str, Any]) -> Any:
        request = Request("POST", f"{self._place}{path}", json=body, always=False)
        return self._http.json(request)

    # Entities

    def make(self, **settings: Any) -> bool:
        """Makes the dataset; False when it is there already, with these settings."""
        answer = self._http.json(Request("PUT", self._place, json=settings))
        return bool(answer["created"])

    def get(self, pi: str, **moment: Any) -> Optional[Record]:
        """``at_snapshot``, ``at_commit`` or ``at_time`` names an earlier moment."""
        return _unless_missing(lambda: self._read(f"/entities/{segment(pi)}", moment))

    def has(self, pi: str, **moment: Any) -> bool:
        return self.get(pi, **moment) is not None

    def list(self, **query: Any) -> Record:
        """A page: ``limit``, ``offset`` or ``cursor``, ``order``, ``prefix``, ``from_``, ``to``."""
        page: Record = self._read("/entities", _wire(query))
        return page

    def entities(self, **query: Any) -> Iterator[Record]:
        """All of them, page by page; with a moment they are all of one state."""
        asked = {"limit": _PAGE, **query}
        while True:
            page = self.list(**asked)
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            asked = {**asked, "offset": None, "cursor": page["next_cursor"]}

    def history(self, pi: str, limit: Optional[int] = None) -> List[Record]:
        """The kept versions, newest first, deletions among them."""
        path = f"/entities/{segment(pi)}/history"
        answer = _unless_missing(lambda: self._read(path, {"limit": limit}))
        return [] if answer is None else list(answer["items"])

    def content(self, pi: str, **moment: Any) -> Any:
        """A value, or bytes; None of what is not there. As the service tells it: see ``block``."""
        request = Request("GET", f"{entity_path(self._place, pi)}/content", moment)
        answer = _unless_missing(lambda: self._http.ask(request))
        if answer is None:
            return None
        is_value = answer.headers.get("content-type", "").startswith("application/json")
        return answer.json() if is_value else answer.body

    def block(self, cid: str) -> bytes:
        """The bytes that a CID names, proved by its hash."""
        digest = digest_of(cid)
        body = self._http.ask(
            Request("GET", f"{self._place}/content/{segment(cid)}", {"format": "raw"})
        ).body
        if hashlib.sha256(body).digest() != digest:
            raise CairnError(
                "block_mismatch", f"Other bytes came than {cid} names.", details={"cid": cid}
            )
        return body

    # Writes

    def put(self, pi: str, value: Any, **conditions: Any) -> Written:
        """JSON, or bytes. Conditions: ``ver``, ``ts``, ``exp``, ``expect_ver``, ``expect_tip``."""
        if isinstance(value, (bytes, bytearray, memoryview)):
            return self.append({"pi": pi, "bytes": bytes(value), **conditions})
        return self.append({"pi": pi, "value": value, **conditions})

    def delete(self, pi: str, **conditions: Any) -> Written:
        return self.append({"pi": pi, "tip": None, **conditions})

    def append(self, entry: Entry) -> Written:
        if len(entry.get("bytes", b"")) > _MAX_INLINE:
            return write_safely(self._http, self._place, [entry], self._send_body)[0]
        return self.append_batch([entry])[0]

    def append_batch(self, entries: Sequence[Entry]) -> List[Written]:
        """All or none of up to 10,000; one commit. An entry has ``pi`` and one of ``tip`` (None deletes),
        ``value`` and ``bytes``. Those that name their version spare a look at what is there."""
        if not entries:
            return []
        return write_safely(self._http, self._place, entries, self._send_batch)

    def _send_batch(self, entries: Sequence[Entry]) -> List[Written]:
        body = {"entries": [_wire_entry(entry) for entry in entries]}
        request = Request("POST", f"{self._place}/entries", json=body)
        written: List[Written] = self._http.json(request)["entries"]
        return written

    def _send_body(self, entries: Sequence[Entry]) -> List[Written]:
        [entry] = entries
        if "expect_ver" in entry or ("exp" in entry and entry["exp"] is None):
            raise CairnError(
                "usage",
                "Large bytes cannot be written under these conditions.",
                hint="Give `ver` or `expect_tip` in the place of `expect_ver`, and no `exp` for never.",
            )
        headers = {"Content-Type": "application/octet-stream"}
        if "expect_tip" in entry:
            tip = entry["expect_tip"]
            headers.update({"If-None-Match": "*"} if tip is None else {"If-Match": f'"{tip}"'})
        query = {name: entry.get(name) for name in ("ver", "ts", "exp")}
        path = f"{entity_path(self._place, entry['pi'])}/content"
        request = Request("PUT", path, query, body=entry["bytes"], headers=headers)
        return [self._http.json(request)]

    # Live state

    def map(self, name: str) -> Map:
        """A dict of the dataset, made with its first key."""
        return Map(self._http, self._place, name)

    def maps(self) -> Iterator[Record]:
        """``name``, ``kind``, ``ttl_ms`` and ``count`` of each, by name."""
        cursor: Optional[str] = None
        while True:
            page = self._read("/maps", {"cursor": cursor})
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def session(
        self, user: str, heartbeat: float = 30.0, timeout: Optional[float] = None
    ) -> Session:
        """``with ds.session("Alice") as s:`` keeps the user connected; see ``Session``."""
        return Session(self._http, self._place, user, heartbeat, timeout)

    def session_record(self) -> Record:
        """Who is connected, ``initialized``, ``metadata``."""
        found: Record = self._read("/session")
        return found

    # The log

    def log(self, since: Optional[int] = None, limit: Optional[int] = None) -> Record:
        page: Record = self._read("/entries", {"since": since, "limit": limit})
        return page

    def changes(
        self,
        since: Optional[int] = None,
        last_id: str = "",
        idle: float = 45.0,
    ) -> Iterator[Record]:
        """The log as it grows, over as many connections as it takes: nothing is left out and nothing comes
        twice. A change has ``kind`` and ``id``; the ``id`` of the last one that was seen is what ``last_id``
        wants. After one of kind ``generation`` the entities must be read anew. A connection that says
        nothing for ``idle`` seconds is given up; the service says something every 15."""
        failures = 0
        while True:
            headers = {"Accept": "text/event-stream"}
            if last_id:
                headers["Last-Event-ID"] = last_id
            stream: Optional[Stream] = None
            try:
                request = Request("GET", f"{self._place}/changes", {"since": since}, headers=headers)
                stream = self._http.open(request)
                for event in read_events(stream.parts(idle)):
                    failures = 0
                    last_id = event.id or last_id
                    if event.data is not None and event.event in ("entry", "generation"):
                        yield {"kind": event.event, "id": event.id, **json.loads(event.data)}
            except CairnError as error:
                if not is_passing(error):
                    raise
            finally:
                if stream is not None:
                    stream.close()
            time.sleep(back_off(failures))
            failures += 1

    # Snapshots, and where the dataset stands

    def snapshots(self, limit: Optional[int] = None) -> List[Record]:
        return list(self._read("/snapshots", {"limit": limit})["items"])

    def snapshot(self, selector: str) -> Record:
        found: Record = self._read(f"/snapshots/{segment(selector)}")
        return found

    def diff(self, from_: str, to: Optional[str] = None) -> Iterator[Record]:
        request = Request("GET", f"{self._place}/diff", {"from": from_, "to": to})
        stream = self._http.open(request)
        rest = b""
        try:
            for part in stream.parts(_IDLE):
                *lines, rest = (rest + part).split(b"\n")
                for line in lines:
                    yield json.loads(line)
        finally:
            stream.close()
        if rest:
            raise CairnError("answer_cut", "The answer is not whole: it ends within a line.")

    def status(self) -> Record:
        found: Record = self._read("")
        return found

    def checkpoint(self) -> Record:
        found: Record = self._read("/checkpoint")
        return found

    def health(self) -> Record:
        found: Record = self._read("/health")
        return found

    def rollback(self, to: Any, **options: Any) -> Record:
        answer: Record = self._start("/rollback", {"to": to, **options})
        return answer

    # Jobs

    def start_job(self, kind: str, **options: Any) -> Record:
        """Starts a job, or joins the one of its kind that runs."""
        job: Record = self._start("/jobs", {"kind": kind, **options})["job"]
        return job

    def job(self, id: str, wait: float = 0.0) -> Record:
        """As it is now, or at its end when that comes within ``wait`` seconds (60 at most)."""
        path = f"{self._place}/jobs/{segment(id)}"
        request = Request("GET", path, {"wait_ms": int(wait * 1000)}, patience=wait)
        job: Record = self._http.json(request)["job"]
        return job

    def jobs(self, **query: Any) -> List[Record]:
        return list(self._read("/jobs", query)["items"])

    def cancel_job(self, id: str) -> Record:
        request = Request("DELETE", f"{self._place}/jobs/{segment(id)}")
        job: Record = self._http.json(request)["job"]
        return job

    def wait_for_job(
        self, id: str, on_progress: Optional[Callable[[Record], None]] = None
    ) -> Record:
        told = None
        while True:
            job = self.job(id, 20.0 if on_progress is None else 1.0)
            if on_progress is not None and job["progress"] not in (None, told):
                told = job["progress"]
                on_progress(told)
            if job["state"] not in ("queued", "running"):
                return job

    def run(
        self, kind: str, on_progress: Optional[Callable[[Record], None]] = None, **options: Any
    ) -> Record:
        """Starts a job and waits for its end; one that does not succeed is an error."""
        job = self.wait_for_job(self.start_job(kind, **options)["id"], on_progress)
        if job["state"] == "succeeded":
            return job
        error = job["error"] or {}
        code = "job_cancelled" if job["state"] == "cancelled" else error.get("code", "internal")
        message = error.get("message", f"The job {job['id']} was cancelled.")
        raise CairnError(code, message, hint=error.get("hint"), details={"job": job})

    def disconnect(self, user: str) -> Record:
        """Saves because a user has left."""
        job: Record = self._start("/disconnect", {"user": user})["job"]
        return job

    # CARs

    def download_car(self, path: str, **query: Any) -> Record:
        """The state as a CAR, in a file that gets its name when all of it is there."""
        return save(self._http.open(Request("GET", f"{self._place}/car", query)), path)

    def backups(self) -> List[Record]:
        return list(self._read("/backups")["items"])

    def download_backup(self, filename: str, path: str) -> Record:
        """The file of a backup, whose hash is compared."""
        stream = self._http.open(Request("GET", f"{self._place}/backups/{segment(filename)}"))
        return save(stream, path, stream.headers.get("etag", "").strip('"'))

    def upload_car(self, path: str, **query: Any) -> Record:
        """Brings a CAR to restore from, and answers the job that does so."""
        with open(path, "rb") as file:
            request = Request(
                "POST",
                f"{self._place}/car",
                query,
                body=file,
                size=os.fstat(file.fileno()).st_size,
                headers={"Content-Type": _CAR},
                always=False,
                patience=_DAY,
            )
            job: Record = self._http.json(request)["job"]
        return job


def _unless_missing(call: Callable[[], Any]) -> Any:
    """A dataset that is missing is an error."""
    try:
        return call()
    except CairnError as error:
        if error.code == "not_found":
            return None
        raise


def _wire(query: Mapping[str, Any]) -> Dict[str, Any]:
    """``from`` is a word of Python."""
    return {name.rstrip("_"): value for name, value in query.items()}


def _wire_entry(entry: Entry) -> Dict[str, Any]:
    fields = dict(entry)
    if "bytes" in fields:
        fields["bytes"] = base64.b64encode(fields["bytes"]).decode()
    return fields
