"""Writes that may be sent again.

What makes a repetition safe is its version: the service takes a version of an entity once, answers
``already`` to the same one with the same content, and refuses any other. So a write that names no version
gets the next one from here, before it is sent, and every attempt is the same request.

A refusal as ``conflict`` means one of two things. If no attempt was lost, somebody else was faster and
nothing was written: the next version is tried. If one was lost, it may have been ours that was there first:
the history says whose version it is. Versions only go up, so an attempt that is still under way somewhere
can do no harm later.
"""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, TypeVar, Union

from ._error import CairnError
from ._http import Http, Request
from ._paths import entity_path

Entry = Mapping[str, Any]
Written = Dict[str, Any]
Send = Callable[[Sequence[Entry]], List[Written]]

T = TypeVar("T")
R = TypeVar("R")

_MAX_ROUNDS = 100
_AT_ONCE = 8
_ABSENT = object()


Versions = Callable[[Sequence[str]], Dict[str, int]]


def write_safely(
    http: Http,
    place: str,
    entries: Sequence[Entry],
    send: Send,
    versions_of: Optional[Versions] = None,
) -> List[Written]:
    """Sends ``entries`` until they are written once. All of them are, or none. ``versions_of`` is a shorter
    way to the versions of entities than to ask for one after the other."""
    if http.policy.retries == 0:
        return send(entries)
    versions = _read_versions(http, place, entries, versions_of)
    for number in range(1, _MAX_ROUNDS + 1):
        numbered = _with_versions(entries, versions)
        try:
            return send(numbered)
        except CairnError as refused:
            if refused.code != "conflict":
                raise
            written = _settle(http, place, numbered, refused)
            if written is not None:
                return written
            moved = _moved_on(entries, refused)
            if refused.uncertain or moved is None or number == _MAX_ROUNDS:
                raise
            versions[moved[0]] = moved[1]
        time.sleep(random.random() * min(number, 10) * 0.005)
    raise AssertionError("the last round raises")


def _needs_version(entry: Entry) -> bool:
    return entry.get("ver") is None and entry.get("expect_ver") is None


def _read_versions(
    http: Http, place: str, entries: Sequence[Entry], versions_of: Optional[Versions]
) -> Dict[str, int]:
    """Of what is deleted, or was never there, 0; the first refusal tells what it is."""

    def version(pi: str) -> int:
        try:
            return int(http.json(Request("GET", entity_path(place, pi)))["ver"])
        except CairnError as error:
            if error.code == "not_found":
                return 0
            raise

    ids = list({entry["pi"]: None for entry in entries if _needs_version(entry)})
    if versions_of is not None and ids:
        return versions_of(ids)
    return dict(zip(ids, _each(ids, version)))


def _with_versions(entries: Sequence[Entry], versions: Mapping[str, int]) -> List[Entry]:
    """Several entries of one entity get one version after the other."""
    last = dict(versions)
    numbered: List[Entry] = []
    for entry in entries:
        ver = _version_of(entry, last.get(entry["pi"], 0))
        last[entry["pi"]] = ver
        numbered.append({**entry, "ver": ver} if _needs_version(entry) else entry)
    return numbered


def _version_of(entry: Entry, before: int = 0) -> int:
    if entry.get("ver") is not None:
        return int(entry["ver"])
    expected = entry.get("expect_ver")
    return (before if expected is None else int(expected)) + 1


def _moved_on(entries: Sequence[Entry], refused: CairnError) -> Optional[Tuple[str, int]]:
    """The version of who was faster; None where the refusal is about what the caller has asked for."""
    pi, ver = refused.details.get("pi"), refused.details.get("current_ver")
    own = [entry for entry in entries if entry["pi"] == pi]
    if not own or not isinstance(ver, int) or not all(map(_needs_version, own)):
        return None
    expected = own[0].get("expect_tip", _ABSENT)
    if expected is _ABSENT or expected == refused.details.get("current_tip"):
        return str(pi), ver
    return None


def _settle(
    http: Http, place: str, entries: Sequence[Entry], refused: CairnError
) -> Optional[List[Written]]:
    """After a conflict: what was written after all, or None, and the refusal says what is certain."""
    repeats = len({entry["pi"] for entry in entries}) < len(entries)
    if not refused.uncertain and not repeats:
        return None
    found = _each(entries, lambda entry: _find_written(http, place, entry))
    if "other" in found:
        # All or none: one version that is another's, and none of ours was written.
        refused.uncertain = False
        return None
    written = [one for one in found if isinstance(one, dict)]
    return written if len(written) == len(entries) else None


def _find_written(http: Http, place: str, entry: Entry) -> Union[Written, str]:
    """What was written; or ``other`` or ``unknown``."""
    ver = _version_of(entry)
    items = _history_of(http, place, entry["pi"])
    item = next((one for one in items if one["ver"] == ver), None)
    if item is None:
        # A later one alone: the log is not kept so far back, or the version was passed over.
        return "other" if not items or items[0]["ver"] < ver else "unknown"
    try:
        same = _same_content(http, place, entry, item)
    except CairnError:
        return "unknown"
    if same is not True:
        return "other" if same is False else "unknown"
    fields = {name: item[name] for name in ("pi", "ver", "tip", "position")}
    return {**fields, "status": "already"}


def _history_of(http: Http, place: str, pi: str) -> List[Dict[str, Any]]:
    path = f"{entity_path(place, pi)}/history"
    try:
        items: List[Dict[str, Any]] = http.json(Request("GET", path, {"limit": 1000}))["items"]
        return items
    except CairnError as error:
        if error.code == "not_found":
            return []
        raise


def _same_content(http: Http, place: str, entry: Entry, item: Entry) -> Optional[bool]:
    """None where it cannot be told."""
    if "exp" in entry and entry["exp"] != item["exp"]:
        return None
    if "tip" in entry:
        return bool(entry["tip"] == item["tip"])
    if item["tip"] is None:
        return False
    answer = http.ask(Request("GET", f"{place}/content/{item['tip']}"))
    is_value = answer.headers.get("content-type", "").startswith("application/json")
    if "bytes" in entry:
        return not is_value and answer.body == entry["bytes"]
    text = json.dumps(entry["value"])
    if is_value and _same_json(json.loads(text), answer.json()):
        return True
    # Links and bytes may be written in several ways.
    return None if '"/"' in text else False


def _same_json(a: Any, b: Any) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same_json(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same_json, a, b))
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _each(items: Sequence[T], work: Callable[[T], R]) -> List[R]:
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(_AT_ONCE, len(items))) as pool:
        return list(pool.map(work, items))
