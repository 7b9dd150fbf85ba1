"""Server-Sent Events: an event counts when it is whole."""

from __future__ import annotations

import codecs
from typing import Iterable, Iterator, List, NamedTuple, Optional

from ._error import CairnError

_MOST_CHARS = 4 << 20


class Event(NamedTuple):
    id: str
    event: str
    data: Optional[str]
    """None for an event that only tells an id."""


def read_events(parts: Iterable[bytes]) -> Iterator[Event]:
    last_id = ""
    name = ""
    data: List[str] = []
    for line in _lines(parts):
        if line == "":
            yield Event(last_id, name or "message", "\n".join(data) if data else None)
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if field == "id" and "\0" not in value:
            last_id = value
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)


def _lines(parts: Iterable[bytes]) -> Iterator[str]:
    """Whole lines, which end with LF, CR LF or CR."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    for part in parts:
        rest += decoder.decode(part)
        # Of a CR at the end it is not known yet whether an LF follows.
        held = "\r" if rest.endswith("\r") else ""
        text = rest[: len(rest) - len(held)].replace("\r\n", "\n").replace("\r", "\n")
        *lines, last = text.split("\n")
        rest = last + held
        yield from lines
        if len(rest) > _MOST_CHARS:
            raise CairnError("bad_answer", "An event is longer than any of the service.")
