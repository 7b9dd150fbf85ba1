"""Downloads: a file gets its name when it is whole."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import Any, Dict, Optional

from ._error import CairnError
from ._http import Stream

# A service that makes something large may say nothing for a while.
_IDLE = 120.0


def save(stream: Stream, path: str, sha256: Optional[str] = None) -> Dict[str, Any]:
    """Writes beside ``path``, syncs, compares, renames. What stood at ``path`` stays until then."""
    folder = os.path.dirname(os.path.abspath(path))
    digest = hashlib.sha256()
    size = 0
    handle, unfinished = tempfile.mkstemp(prefix=".cairn-", suffix=".part", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            for part in stream.parts(_IDLE):
                digest.update(part)
                size += len(part)
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        if sha256 is not None and digest.hexdigest() != sha256:
            raise CairnError(
                "block_mismatch",
                f"The file that came has another hash than {sha256}.",
                hint="Ask again; if it stays so, the backup is damaged.",
            )
        os.replace(unfinished, path)
    except BaseException:
        stream.close()
        os.unlink(unfinished)
        raise
    _sync_folder(folder)
    return {"path": path, "size": size, "sha256": digest.hexdigest()}


def _sync_folder(folder: str) -> None:
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
