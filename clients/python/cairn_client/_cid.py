"""The hash in a CID: version 1 in base32, or version 0, both of sha2-256."""

from __future__ import annotations

import base64

from ._error import CairnError

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_SHA2_256 = b"\x12\x20"


def digest_of(cid: str) -> bytes:
    try:
        raw = _bytes_of(cid)
    except ValueError:
        raw = b""
    # In front of the hash stand the version and a codec of one or two bytes; in version 0 nothing.
    head, digest = raw[:-32], raw[-32:]
    is_one = len(head) in (4, 5) and head.startswith(b"\x01") and head.endswith(_SHA2_256)
    if is_one or head == _SHA2_256:
        return digest
    raise CairnError("invalid_entry", f"{cid[:100]!r} is no CID of sha2-256.")


def _bytes_of(cid: str) -> bytes:
    if cid.startswith("b"):
        text = cid[1:]
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    value = 0
    for char in cid[:100]:
        value = value * 58 + _BASE58.index(char)
    return value.to_bytes(34, "big") if value < 256**34 else b""
