"""The one error of the client: what the service has said, or why there is no answer of it."""

from __future__ import annotations

import email.utils
import json
import time
from typing import Any, Dict, Mapping, Optional

_COMMON = {"type", "title", "status", "code", "detail", "hint", "instance"}


class CairnError(Exception):
    """``code`` is one of docs/ERRORS.md, or ``unreachable``, ``timeout``, ``answer_cut``, ``bad_answer``,
    ``job_cancelled``."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 0,
        hint: Optional[str] = None,
        details: Optional[Mapping[str, Any]] = None,
        request_id: Optional[str] = None,
        retry_after: float = 0.0,
        uncertain: bool = False,
        unbegun: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        """Of HTTP; 0 where there was no answer."""
        self.hint = hint
        self.details: Dict[str, Any] = dict(details or {})
        self.request_id = request_id
        """Leads to the line in the log of the service."""
        self.retry_after = retry_after
        self.uncertain = uncertain
        """A write may have taken effect all the same."""
        self.unbegun = unbegun or code in ("rate_limited", "overloaded")
        """It is certain that nothing was begun."""

    def __str__(self) -> str:
        hint = "" if self.hint is None else f" {self.hint}"
        return f"{self.code}: {super().__str__()}{hint}"


def error_of(status: int, headers: Mapping[str, str], body: bytes) -> CairnError:
    """An answer that is no success, as an error; its body may be of someone in between."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = {}
    if not isinstance(problem, dict):
        problem = {}

    def text(name: str) -> Optional[str]:
        value = problem.get(name)
        return value if isinstance(value, str) else None

    return CairnError(
        text("code") or "bad_answer",
        text("detail") or f"The answer has the status {status}.",
        status=status,
        hint=text("hint"),
        details={name: value for name, value in problem.items() if name not in _COMMON},
        request_id=headers.get("x-request-id") or text("instance"),
        retry_after=_retry_after(headers.get("retry-after")),
    )


def _retry_after(header: Optional[str]) -> float:
    """Seconds, or a date."""
    if header is None:
        return 0.0
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0
