"""Names in addresses."""

from __future__ import annotations

from urllib.parse import quote


def segment(text: str) -> str:
    return quote(text, safe="")


def entity_path(place: str, pi: str) -> str:
    return f"{place}/entities/{segment(pi)}"
