"""Where the service is."""

from __future__ import annotations

import ssl
from typing import Any, List, Optional

from ._dataset import Dataset
from ._http import Http, Request
from ._retry import Policy
from ._session import Session


class Client:
    """May be used by several threads at once."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def dataset(self, name: str) -> Dataset:
        return Dataset(self._http, name)

    def session(
        self,
        user: str,
        heartbeat: float = 30.0,
        timeout: Optional[float] = None,
        dataset: str = "main",
    ) -> Session:
        """``with client.session("Alice", heartbeat=30) as s:`` keeps the user connected; see ``Session``."""
        return self.dataset(dataset).session(user, heartbeat, timeout)

    def datasets(self) -> List[str]:
        names: List[str] = self._http.json(Request("GET", "/v1/datasets"))["datasets"]
        return names

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def connect(
    url: str,
    *,
    token: Optional[str] = None,
    timeout: float = 10.0,
    deadline: float = 60.0,
    retries: int = 5,
    context: Optional[ssl.SSLContext] = None,
) -> Client:
    """``timeout`` is for one attempt, ``deadline`` for a call with all its attempts, both in seconds.
    ``retries`` is how often what may be sent again is sent again. It connects to nothing yet."""
    return Client(Http(url, token, Policy(retries, timeout, deadline), context))
