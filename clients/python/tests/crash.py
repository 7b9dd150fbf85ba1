"""Appends from several threads while the service is killed and started anew; then everything that was
acknowledged must be there, once. It says `acknowledged N` now and then, and `ok N` at its end."""

from __future__ import annotations

import os
import threading

from cairn_client import connect

WRITERS = 4
EACH = 60

main = connect(os.environ["CAIRN_URL"], timeout=5.0, retries=200).dataset("main")
lock = threading.Lock()
acknowledged = {}


def write(writer: int) -> None:
    for i in range(EACH):
        # Every entity is written by all of them.
        written = main.put(f"crash/{i}", {"writer": writer, "i": i})
        with lock:
            acknowledged[(written["pi"], written["ver"])] = written["tip"]
            if len(acknowledged) % 10 == 0:
                print(f"acknowledged {len(acknowledged)}", flush=True)


threads = [threading.Thread(target=write, args=[writer]) for writer in range(WRITERS)]
for one in threads:
    one.start()
for one in threads:
    one.join()

logged = [one for one in main.log(since=0, limit=10_000)["items"] if one["pi"].startswith("crash/")]
assert len(logged) == WRITERS * EACH, f"{len(logged)} entries in the log"
assert {(one["pi"], one["ver"]): one["tip"] for one in logged} == acknowledged
print(f"ok {len(logged)}", flush=True)
