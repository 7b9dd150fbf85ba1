"""A client of ``cairn serve``. It needs Python 3.9 or newer and nothing else."""

from ._client import Client, connect
from ._dataset import Dataset
from ._error import CairnError
from ._map import Map
from ._session import Session

__all__ = ["CairnError", "Client", "Dataset", "Map", "Session", "connect"]
__version__ = "0.1.0"
