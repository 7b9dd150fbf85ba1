"""A live map of a dataset, as a dict."""

from __future__ import annotations

import base64
import random
import time
from itertools import islice
from typing import (
    Any,
    Dict,
    ItemsView,
    Iterable,
    Iterator,
    List,
    Mapping,
    MutableMapping,
    Optional,
    Sequence,
    Tuple,
    Union,
    ValuesView,
)

from ._error import CairnError
from ._http import Http, Request
from ._paths import entity_path, segment
from ._write import Entry, Written, write_safely

_PAGE = 1000
_MAX_READ = 1000
_MAX_INLINE = 1 << 20
_PATIENCE = 60.0
_DAY = 86_400.0
_NONE = object()

Pairs = Union[Mapping[str, Any], Iterable[Tuple[str, Any]]]


class Map(MutableMapping[str, Any]):
    """Keys are texts; values are JSON, or bytes. Every write is durable when it returns, and takes effect
    once, however often it has to be sent. A key that has expired is not there; a map is made with its first
    key. Iteration goes page by page, in the order of keys: what changes meanwhile may be seen or not."""

    def __init__(self, http: Http, place: str, name: str) -> None:
        if name in (".", ".."):
            raise CairnError("usage", f'A map "{name}" cannot be asked for by its address.')
        self.name = name
        self._http = http
        self._place = place
        self._path = f"{place}/maps/{segment(name)}"
        # As the service keeps them: src/live/layout.ts of the project.
        self._prefix = f"map/{name.replace('%', '%25').replace('/', '%2F')}/"

    def __repr__(self) -> str:
        return f"<Map {self.name!r}>"

    # Reading

    def __getitem__(self, key: str) -> Any:
        return self._read(key)[0]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._version(key) > 0

    def __iter__(self) -> Iterator[str]:
        for item in self._items(values=False):
            yield item["key"]

    def __len__(self) -> int:
        info = self.info()
        return 0 if info is None else int(info["count"])

    def __bool__(self) -> bool:
        return next(iter(self), None) is not None

    def items(self) -> ItemsView[str, Any]:
        """Read page by page, not key by key."""
        return _Items(self)

    def values(self) -> ValuesView[Any]:
        return _Values(self)

    def scan(self, prefix: str = "", order: str = "asc") -> Iterator[Tuple[str, Any]]:
        """Keys that begin with ``prefix``, with what they hold."""
        for item in self._items(values=True, prefix=prefix or None, order=order):
            key = item["key"]
            if "value" in item:
                yield key, item["value"]
            elif "bytes" in item:
                yield key, base64.b64decode(item["bytes"])
            else:
                # Too large for a page; it may be gone by now.
                value = self.get(key, _NONE)
                if value is not _NONE:
                    yield key, value

    def info(self) -> Optional[Dict[str, Any]]:
        """``name``, ``kind``, ``ttl_ms`` and ``count``; None where there is no such map."""
        try:
            found: Dict[str, Any] = self._http.json(Request("GET", self._path))
            return found
        except CairnError as error:
            if error.code == "not_found":
                return None
            raise

    # Writing

    def __setitem__(self, key: str, value: Any) -> None:
        self.set(key, value)

    def set(
        self,
        key: str,
        value: Any,
        *,
        ttl: Optional[float] = None,
        expires: Optional[Union[str, int]] = None,
        **conditions: Any,
    ) -> Written:
        """``ttl`` is in seconds; ``expires`` is RFC 3339, milliseconds since 1970, or ``never``. Without either
        the map says. Conditions: ``expect_ver`` (0: it must not exist), ``expect_tip``."""
        _check_key(key)
        return self._write([(key, value)], ttl, expires, conditions)[0]

    def update(self, other: Pairs = (), /, **more: Any) -> None:  # type: ignore[override]
        """All or none, in one commit; up to 9,999 keys."""
        self.set_many(dict(other, **more))

    def set_many(
        self,
        values: Pairs,
        *,
        ttl: Optional[float] = None,
        expires: Optional[Union[str, int]] = None,
    ) -> None:
        pairs = list(dict(values).items())
        for key, _ in pairs:
            _check_key(key)
        if pairs:
            self._write(pairs, ttl, expires, {})

    def __delitem__(self, key: str) -> None:
        if not isinstance(key, str) or self._version(key) == 0:
            raise KeyError(key)
        self._send_safely([{"pi": self._id(key), "tip": None}], {})

    def pop(self, key: str, default: Any = _NONE) -> Any:
        """What is given back is what was deleted, whoever else writes."""
        while True:
            try:
                value, tip = self._read(key)
            except KeyError:
                if default is _NONE:
                    raise
                return default
            try:
                gone = {"pi": self._id(key), "tip": None, "expect_tip": tip, "exp": _remembered()}
                self._send_safely([gone], {})
                return value
            except CairnError as error:
                if error.code != "conflict" or error.uncertain:
                    raise

    def popitem(self) -> Tuple[str, Any]:
        for key in self:
            value = self.pop(key, _NONE)
            if value is not _NONE:
                return key, value
        raise KeyError("the map is empty")

    def clear(self) -> None:
        """Deletes the keys, some at a time; the map stays, and how long its keys live."""
        while True:
            found = list(islice(self._items(values=False), _PAGE))
            if not found:
                return
            gone = [
                {"pi": self._id(one["key"]), "tip": None, "ver": one["ver"] + 1} for one in found
            ]
            try:
                self._send_safely(gone, {})
            except CairnError as error:
                # Some of them were set meanwhile: look again.
                if error.code != "conflict" or error.uncertain:
                    raise

    def remove(self) -> int:
        """Deletes the map with all its keys, all or none; how many they were."""
        request = Request("DELETE", self._path, patience=_PATIENCE)
        try:
            return int(self._http.json(request)["deleted"])
        except CairnError as error:
            if error.code == "not_found":
                return 0
            raise

    def set_ttl(self, ttl: Optional[float]) -> None:
        """How long keys live that are set from now on without a time of their own, in seconds."""
        self._http.json(Request("PUT", self._path, json={"ttl_ms": _ms(ttl)}))

    # The inside

    def _id(self, key: str) -> str:
        return f"{self._prefix}{key}"

    def _version(self, key: str) -> int:
        """0 of what is not there."""
        return self._versions([self._id(key)])[self._id(key)]

    def _versions(self, ids: Sequence[str]) -> Dict[str, int]:
        versions = {id: 0 for id in ids}
        # What can be no key is not there; who sets it is told by the service.
        keys = [id[len(self._prefix) :] for id in ids if id != self._prefix and _fits(id)]
        for i in range(0, len(keys), _MAX_READ):
            body = {"keys": keys[i : i + _MAX_READ], "values": False}
            for item in self._http.json(Request("POST", f"{self._path}/read", json=body))["items"]:
                versions[self._id(item["key"])] = int(item["ver"])
        return versions

    def _read(self, key: str) -> Tuple[Any, str]:
        """What it holds, and the CID of that."""
        if not isinstance(key, str) or not _fits(self._id(key)):
            raise KeyError(key)
        # Not by the address of the key: one such as ".." would be a step of it.
        path = f"{entity_path(self._place, self._id(key))}/content"
        try:
            answer = self._http.ask(Request("GET", path))
        except CairnError as error:
            if error.code == "not_found":
                raise KeyError(key) from None
            raise
        is_value = answer.headers.get("content-type", "").startswith("application/json")
        tip = answer.headers.get("etag", "").replace("W/", "").strip('"')
        return (answer.json() if is_value else answer.body), tip

    def _items(self, **query: Any) -> Iterator[Dict[str, Any]]:
        cursor: Optional[str] = None
        while True:
            asked = {"limit": _PAGE, **query, "cursor": cursor}
            try:
                page = self._http.json(Request("GET", f"{self._path}/keys", asked))
            except CairnError as error:
                if error.code == "not_found":
                    return
                raise
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def _write(
        self,
        pairs: Sequence[Tuple[str, Any]],
        ttl: Optional[float],
        expires: Optional[Union[str, int]],
        conditions: Mapping[str, Any],
    ) -> List[Written]:
        end: Dict[str, Any] = {}
        if expires is not None:
            end["exp"] = None if expires == "never" else expires
        entries = [
            {"pi": self._id(key), **_held(value), **end, **conditions} for key, value in pairs
        ]
        return self._send_safely(entries, {} if ttl is None else {"ttl_ms": _ms(ttl)})

    def _send_safely(self, entries: Sequence[Entry], beside: Mapping[str, Any]) -> List[Written]:
        [first, *others] = entries
        is_large = not others and len(first.get("bytes", b"")) > _MAX_INLINE

        def send_all(numbered: Sequence[Entry]) -> List[Written]:
            body = {**beside, "entries": [self._wire(one) for one in numbered]}
            return self._told(self._http.json(Request("POST", f"{self._path}/keys", json=body)))

        def send_one(numbered: Sequence[Entry]) -> List[Written]:
            [one] = numbered
            return self._told({"entries": [self._send_body(one, beside)]})

        send = send_one if is_large else send_all
        return write_safely(self._http, self._place, entries, send, self._versions)

    def _wire(self, entry: Entry) -> Dict[str, Any]:
        fields = {name: value for name, value in entry.items() if name != "pi"}
        if "bytes" in fields:
            fields["bytes"] = base64.b64encode(fields["bytes"]).decode()
        return {"key": entry["pi"][len(self._prefix) :], **fields}

    def _send_body(self, entry: Entry, beside: Mapping[str, Any]) -> Written:
        headers = {"Content-Type": "application/octet-stream"}
        if "expect_tip" in entry:
            tip = entry["expect_tip"]
            headers.update({"If-None-Match": "*"} if tip is None else {"If-Match": f'"{tip}"'})
        query = {name: entry.get(name) for name in ("ver", "expect_ver")}
        if "exp" in entry:
            query["expires"] = "never" if entry["exp"] is None else entry["exp"]
        key = entry["pi"][len(self._prefix) :]
        request = Request(
            "PUT",
            f"{self._path}/keys/{segment(key)}",
            {**query, **beside},
            body=entry["bytes"],
            headers=headers,
        )
        written: Written = self._http.json(request)
        return written

    def _told(self, answer: Mapping[str, Any]) -> List[Written]:
        return [{"pi": self._id(one["key"]), **one} for one in answer["entries"]]


class _Items(ItemsView[str, Any]):
    def __iter__(self) -> Iterator[Tuple[str, Any]]:
        return self._mapping.scan()  # type: ignore[attr-defined,no-any-return]


class _Values(ValuesView[Any]):
    def __iter__(self) -> Iterator[Any]:
        return (value for _, value in self._mapping.scan())  # type: ignore[attr-defined]

    def __contains__(self, value: object) -> bool:
        return any(one is value or one == value for one in self)


def _held(value: Any) -> Dict[str, Any]:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"bytes": bytes(value)}
    return {"value": value}


def _remembered() -> str:
    """Until when a deletion is remembered: about a month, and another moment for each, by which the service
    tells a deletion that is sent again from one of somebody else."""
    end = time.time() + 30 * _DAY + random.random() * _DAY
    [whole, thousandths] = divmod(int(end * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{thousandths:03}Z"


def _fits(id: str) -> bool:
    return len(id.encode("utf-8", "surrogatepass")) <= 512


def _check_key(key: object) -> None:
    if not isinstance(key, str):
        raise TypeError(f"keys are texts, and not {type(key).__name__}")


def _ms(seconds: Optional[float]) -> Optional[int]:
    return None if seconds is None else max(1, round(seconds * 1000))
