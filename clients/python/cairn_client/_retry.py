"""When a request is sent again.

``always`` is for requests that have the same effect however often they come: reads, and writes that name
their version (see _write.py). Without it a request is sent again only when it is certain that nothing was
begun. Never after an answer of 4xx, but for 429 ``rate_limited``, which says when to come again.
"""

from __future__ import annotations

import random
import time
from typing import Callable, TypeVar

from ._error import CairnError

T = TypeVar("T")

_FIRST = 0.1
_MOST = 5.0
_LOST = {"unreachable", "timeout", "answer_cut", "commit_unknown", "rate_limited"}


def back_off(attempt: int, least: float = 0.0) -> float:
    """Seconds to wait: random, so that those who failed together do not come back together."""
    most = min(_MOST, _FIRST * 2 ** min(attempt, 16))
    return least + most * random.uniform(0.5, 1.0)


def is_passing(error: CairnError) -> bool:
    """It may go better the next time."""
    if error.code == "backend_refused":
        return False
    return error.code in _LOST or error.status in (502, 503, 504)


def _maybe_done(error: CairnError) -> bool:
    if error.unbegun:
        return False
    return error.status < 400 or (error.status >= 500 and error.code != "no_space")


class Policy:
    def __init__(self, retries: int, timeout: float, deadline: float) -> None:
        self.retries = retries
        self.timeout = timeout
        self.deadline = deadline

    def run(
        self,
        attempt: Callable[[float], T],
        *,
        always: bool,
        writes: bool,
        patience: float = 0.0,
    ) -> T:
        """Runs ``attempt``, which is told how long it may take, until it succeeds or may not be made again.
        What is raised at last says whether any of the attempts may have taken effect."""
        end = time.monotonic() + self.deadline + patience
        uncertain = False
        made = 0
        while True:
            try:
                limit = min(self.timeout + patience, end - time.monotonic())
                return attempt(max(0.001, limit))
            except CairnError as error:
                uncertain = uncertain or (writes and _maybe_done(error))
                error.uncertain = uncertain
                again = is_passing(error) if always else error.unbegun
                wait = back_off(made, error.retry_after)
                if not again or made >= self.retries or time.monotonic() + wait >= end:
                    raise
            time.sleep(wait)
            made += 1
