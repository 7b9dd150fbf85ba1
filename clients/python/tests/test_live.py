"""Live maps and sessions against a real service, whose address is in CAIRN_URL."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import uuid
from typing import Any, Callable, List

from cairn_client import CairnError, Map, connect

from .test_client import Case

URL = os.environ["CAIRN_URL"]
FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def until(condition: Callable[[], Any], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("it never came")
        time.sleep(0.02)


class Maps(Case):
    def setUp(self) -> None:
        super().setUp()
        self.map: Map = self.main.map(self.own)

    def test_it_is_a_dict(self) -> None:
        users = self.map
        self.assertEqual((len(users), bool(users), dict(users)), (0, False, {}))
        with self.assertRaises(KeyError):
            users["a"]
        with self.assertRaises(KeyError):
            del users["a"]
        users["a"] = {"name": "A", "n": [1, None, 1.5]}
        users["b"] = b"\0\1"
        self.assertEqual(users["a"], {"name": "A", "n": [1, None, 1.5]})
        self.assertEqual(users["b"], b"\0\1")
        self.assertEqual(users.get("c", 7), 7)
        self.assertEqual(("a" in users, "c" in users, 5 in users), (True, False, False))
        users.update({"c": None, "d": bytearray(b"x")}, e="more")
        users.update([("f", [])])
        self.assertEqual(len(users), 6)
        self.assertEqual(list(users), ["a", "b", "c", "d", "e", "f"])
        self.assertEqual(dict(users.items())["d"], b"x")
        self.assertEqual(list(users.values())[2:], [None, b"x", "more", []])
        self.assertIn(("e", "more"), users.items())
        self.assertIn("more", users.values())
        self.assertEqual(users.setdefault("e", 1), "more")
        self.assertEqual(users.setdefault("g", 1), 1)
        self.assertEqual(users.pop("e"), "more")
        self.assertEqual(users.pop("e", None), None)
        with self.assertRaises(KeyError):
            users.pop("e")
        self.assertEqual(users.popitem()[0], "a")
        del users["b"]
        users.clear()
        self.assertEqual((dict(users), users.info() is None), ({}, False))
        with self.assertRaises(KeyError):
            users.popitem()
        self.assertEqual(users.remove(), 0)
        self.assertIsNone(users.info())

    def test_keys_of_every_text(self) -> None:
        odd = ["a/b", "%2F", ".", "..", "?", "ü€𝄞", " ", "\n", "__proto__", "/", "read"]
        for key in odd:
            self.map[key] = {"key": key}
            self.assertEqual(self.map[key], {"key": key})
        self.assertEqual(sorted(self.map), sorted(odd))
        self.map.update({key: key for key in odd})
        self.assertEqual(dict(self.map.items()), {key: key for key in odd})
        for bad in ("", "x" * 600):
            self.assertNotIn(bad, self.map)
            self.assertEqual(self.map.get(bad, 0), 0)
            with self.assertRaises(CairnError):
                self.map[bad] = 1
        with self.assertRaises(TypeError):
            self.map[5] = 1  # type: ignore[index]
        with self.assertRaises(ValueError):
            self.map["nan"] = float("nan")
        other = self.main.map(self.name("a/b%2F"))
        other["k"] = 1
        self.assertIn(other.name, [one["name"] for one in self.main.maps()])
        self.assertEqual(len(other), 1)

    def test_update_is_one_request_that_writes_and_all_or_none(self) -> None:
        proxy, main = self.faulty()
        main.map(self.own).update({f"k{i:04}": i for i in range(1200)})
        writes = [one for one in proxy.seen if one.endswith("/keys")]
        self.assertEqual(len(writes), 1)
        self.assertLess(len(proxy.seen), 5)
        self.assertEqual(list(self.map.values()), list(range(1200)))
        with self.assertRaises(CairnError):
            self.map.update({"new": 1, "": 2})
        self.assertNotIn("new", self.map)
        self.map.clear()
        self.assertEqual(len(self.map), 0)

    def test_bytes_of_any_size(self) -> None:
        for size in (0, 1, 1 << 20, (1 << 20) + 1, 3_000_000):
            data = os.urandom(size)
            self.map["bytes"] = data
            self.assertEqual(self.map["bytes"], data)
        self.map.set("bytes", b"1" * 1_200_000, ttl=60.0, expect_ver=5)
        self.assertEqual([len(value) for _, value in self.map.items()], [1_200_000])

    def test_times(self) -> None:
        self.map.set_ttl(0.4)
        self.map["own"] = 1
        self.map.set("long", 2, ttl=60.0)
        self.map.set("good", 3, expires="never")
        self.map.set("past", 4, expires=1)
        self.map.set_many({"at": 5}, expires="2100-01-01T00:00:00Z")
        time.sleep(0.45)
        self.assertEqual(dict(self.map.items()), {"at": 5, "good": 3, "long": 2})
        self.assertNotIn("own", self.map)

    def test_a_write_whose_answer_is_lost_takes_effect_once(self) -> None:
        proxy, main = self.faulty()
        users = main.map(self.own)
        place = f"POST /v1/datasets/main/maps/{self.own}/keys"
        for i, fate in enumerate(("lose", "mute", "refuse")):
            proxy.plan(place, fate)
            self.assertEqual(users.set("k", i, ttl=60.0)["ver"], i + 1)
        proxy.plan(place, "mute")
        users.update({"k": 9, "l": 9})
        proxy.plan(place, "mute")
        self.assertEqual(users.pop("k"), 9)
        history = self.main.history(f"map/{self.own}/k")
        self.assertEqual([one["ver"] for one in history], [5, 4, 3, 2, 1])

    def test_pops_at_once_share_nothing(self) -> None:
        self.map.update({f"k{i}": i for i in range(8)})
        popped: List[Any] = []

        def take() -> None:
            for i in range(8):
                value = self.map.pop(f"k{i}", None)
                if value is not None:
                    popped.append(value)

        threads = [threading.Thread(target=take) for _ in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.assertEqual(sorted(popped), list(range(8)))

    def test_a_dataset_that_is_missing_is_an_error(self) -> None:
        none = self.client.dataset("none").map("m")
        for call in (lambda: none["a"], lambda: "a" in none, lambda: len(none), lambda: list(none)):
            self.refused("dataset_not_found", call)


CHILD = """
import os, signal, sys, time
from cairn_client import connect
client = connect(os.environ["CAIRN_URL"])
USER = sys.argv[1]
def ready():
    print("ready", flush=True)
"""


class Sessions(Case):
    def user(self) -> str:
        return f"Alice {self.own}"

    def users(self) -> List[str]:
        return [one["user"] for one in self.main.session_record()["users"]]

    def saved(self) -> List[str]:
        reasons = [one["reason"] for one in self.main.snapshots(limit=100)]
        return [one for one in reasons if one == f"user_disconnect:{self.user()}"]

    def child(self, program: str) -> "subprocess.Popen[str]":
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        child = subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD + program, self.user()],
            cwd=FOLDER,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(child.wait)
        self.addCleanup(child.stderr.close)  # type: ignore[union-attr]
        self.addCleanup(child.stdout.close)  # type: ignore[union-attr]
        self.addCleanup(child.kill)
        return child

    def ready(self, child: "subprocess.Popen[str]") -> None:
        self.assertEqual(child.stdout.readline(), "ready\n")  # type: ignore[union-attr]
        self.assertIn(self.user(), self.users())

    def assert_left(self) -> None:
        self.assertNotIn(self.user(), self.users())
        until(self.saved)
        self.assertEqual(len(self.saved()), 1)

    def test_a_block_connects_and_leaves(self) -> None:
        handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
        with self.client.session(self.user(), heartbeat=30) as session:
            self.assertTrue(session.connected)
            self.assertIn(self.user(), self.users())
            self.assertNotEqual(signal.getsignal(signal.SIGTERM), handlers[0])
            self.assertTrue(session.save("by hand")["saved"])
            session.set_metadata({"scene": self.own})
            self.assertEqual(session.record()["metadata"], {"scene": self.own})
            session.initialize()
            self.refused("usage", session.connect)
        # The save is done when the block is left.
        self.assertEqual(len(self.saved()), 1)
        self.assert_left()
        self.assertIsNone(session.disconnect())
        after = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGINT)]
        self.assertEqual(after, handlers)
        self.assertEqual([one for one in threading.enumerate() if "heartbeat" in one.name], [])

    def test_the_exception_of_the_block_is_seen(self) -> None:
        with self.assertRaisesRegex(ZeroDivisionError, "mine"):
            with self.client.session(self.user()):
                raise ZeroDivisionError("mine")
        self.assert_left()
        # Also when the disconnect fails; and without one its own failure is seen.
        proxy, main = self.faulty(retries=0)
        with self.assertLogs("cairn_client", "WARNING"):
            with self.assertRaisesRegex(ZeroDivisionError, "mine"):
                with main.session(self.user()) as first:
                    proxy.plan("POST /v1/datasets/main/session/disconnect", "lose")
                    raise ZeroDivisionError("mine")
        with self.assertRaises(CairnError):
            with main.session(self.user()) as session:
                proxy.plan("POST /v1/datasets/main/session/disconnect", "lose")
        # It can be tried again; else the end of the program does.
        self.assertTrue(first.connected and session.connected)
        first.disconnect()
        session.disconnect()
        self.assertNotIn(self.user(), self.users())

    def test_heartbeats_keep_the_user_and_bring_them_back(self) -> None:
        with self.assertLogs("cairn_client", "WARNING"):
            with self.main.session(self.user(), heartbeat=0.1, timeout=0.5) as session:
                time.sleep(1.0)
                self.assertEqual((self.users().count(self.user()), session.lapses), (1, 0))
                # Somebody else sends them away.
                self.client._http.json(session_disconnect(self.user()))
                until(lambda: session.lapses == 1)
                until(lambda: self.user() in self.users())
        self.assertNotIn(self.user(), self.users())

    def test_sigterm_of_a_child(self) -> None:
        child = self.child(
            """
with client.session(USER, heartbeat=30), client.session(USER + "2", heartbeat=30):
    ready()
    time.sleep(60)
"""
        )
        self.ready(child)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(20), -signal.SIGTERM)
        self.assert_left()
        self.assertNotIn(self.user() + "2", self.users())

    def test_sigint_of_a_child_ends_its_block(self) -> None:
        child = self.child(
            """
try:
    with client.session(USER, heartbeat=30):
        ready()
        time.sleep(60)
except KeyboardInterrupt:
    sys.exit(3)
"""
        )
        self.ready(child)
        child.send_signal(signal.SIGINT)
        self.assertEqual(child.wait(20), 3)
        self.assert_left()

    def test_a_handler_of_the_program_is_called_and_decides(self) -> None:
        child = self.child(
            """
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
own = signal.getsignal(signal.SIGTERM)
with client.session(USER, heartbeat=30) as session:
    ready()
    while not asked:
        time.sleep(0.01)
    still = [one["user"] for one in session.record()["users"]]
    assert USER in still
    print("asked", flush=True)
assert signal.getsignal(signal.SIGTERM) is own
sys.exit(4)
"""
        )
        self.ready(child)
        child.send_signal(signal.SIGTERM)
        self.assertEqual(child.wait(20), 4, child.stderr.read())  # type: ignore[union-attr]
        self.assert_left()

    def test_handlers_that_call_each_other(self) -> None:
        called: List[str] = []
        first = signal.signal(signal.SIGTERM, lambda *_: called.append("first"))
        self.addCleanup(signal.signal, signal.SIGTERM, first)
        session = self.client.session(self.user()).connect()
        ours: Any = signal.getsignal(signal.SIGTERM)

        def chained(number: int, frame: Any) -> None:
            called.append("chained")
            ours(number, frame)

        signal.signal(signal.SIGTERM, chained)
        session.disconnect()
        self.assertIs(signal.getsignal(signal.SIGTERM), chained)
        with self.client.session(self.user()):
            signal.raise_signal(signal.SIGTERM)
            self.assertIn(self.user(), self.users())
        self.assertEqual(called, ["chained", "first"])
        self.assertIs(signal.getsignal(signal.SIGTERM), chained)

    def test_the_end_of_the_interpreter(self) -> None:
        child = self.child(
            """
session = client.session(USER, heartbeat=0.2).connect()
ready()
time.sleep(0.5)
"""
        )
        self.ready(child)
        self.assertEqual(child.wait(20), 0, child.stderr.read())  # type: ignore[union-attr]
        self.assert_left()

    def test_a_forked_child_leaves_the_user_to_its_parent(self) -> None:
        child = self.child(
            """
with client.session(USER, heartbeat=30) as session:
    pid = os.fork()
    if pid == 0:
        sys.exit(0)
    os.waitpid(pid, 0)
    assert USER in [one["user"] for one in client.dataset("main").session_record()["users"]]
    ready()
    time.sleep(0.3)
"""
        )
        self.ready(child)
        self.assertEqual(child.wait(20), 0, child.stderr.read())  # type: ignore[union-attr]
        self.assert_left()

    def test_in_another_thread_no_handler_is_set(self) -> None:
        before = signal.getsignal(signal.SIGTERM)
        during: List[Any] = []

        def work() -> None:
            with self.client.session(self.user()):
                during.append(signal.getsignal(signal.SIGTERM))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        self.assertEqual(during, [before])
        self.assert_left()

    def test_sigkill_is_noticed_by_the_service_which_saves(self) -> None:
        child = self.child(
            """
with client.session(USER, heartbeat=0.2, timeout=0.8):
    ready()
    time.sleep(60)
"""
        )
        self.ready(child)
        time.sleep(1.2)
        self.assertIn(self.user(), self.users())
        child.kill()
        child.wait()
        until(lambda: self.user() not in self.users())
        self.assert_left()

    def test_who_cannot_connect_has_no_session(self) -> None:
        session = self.main.session("two\nlines")
        self.refused("usage", session.connect)
        self.assertFalse(session.connected)
        with self.assertRaises(ValueError):
            self.main.session("a", heartbeat=0)
        nobody = connect("http://127.0.0.1:9", retries=0).dataset("main").session("a")
        self.refused("unreachable", nobody.connect)


def session_disconnect(user: str) -> Any:
    from cairn_client._http import Request

    return Request("POST", "/v1/datasets/main/session/disconnect", json={"user": user})


if __name__ == "__main__":
    unittest.main()
