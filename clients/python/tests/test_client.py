"""Against a real service, whose address is in CAIRN_URL; its dataset is `main`, with linked content."""

from __future__ import annotations

import os
import tempfile
import threading
import time
import unittest
import uuid
from typing import Any, Dict, List

from cairn_client import CairnError, connect
from cairn_client._cid import digest_of
from cairn_client._events import Event, read_events

from .fault_proxy import FaultProxy

URL = os.environ["CAIRN_URL"]
POST = "POST /v1/datasets/main/entries"


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.client = connect(URL)
        self.main = self.client.dataset("main")
        self.addCleanup(self.client.close)
        # The entities of this test.
        self.own = uuid.uuid4().hex

    def name(self, text: str) -> str:
        return f"{self.own}/{text}"

    def faulty(self, **options: Any) -> Any:
        proxy = FaultProxy(URL)
        self.addCleanup(proxy.close)
        client = connect(proxy.url, **{"timeout": 2.0, "deadline": 20.0, **options})
        self.addCleanup(client.close)
        return proxy, client.dataset("main")

    def refused(self, code: str, call: Any, *args: Any, **options: Any) -> CairnError:
        with self.assertRaises(CairnError) as caught:
            call(*args, **options)
        self.assertEqual(caught.exception.code, code)
        return caught.exception

    def logged(self) -> List[str]:
        """What the log has of this test."""
        found: List[str] = []
        page: Dict[str, Any] = {"next": 0, "items": [None]}
        while page["items"]:
            page = self.main.log(since=page["next"], limit=10_000)
            own = [one for one in page["items"] if one["pi"].startswith(self.own)]
            found += [f"{one['pi'][len(self.own) + 1:]} {one['ver']}" for one in own]
        return found


class Entities(Case):
    def test_entities_are_put_read_listed_and_deleted(self) -> None:
        a = self.name("a")
        self.assertIsNone(self.main.get(a))
        self.assertEqual(self.main.history(a), [])
        self.assertEqual(self.main.put(a, {"n": 1})["status"], "appended")
        self.assertEqual([self.main.put(a, {"n": 2})["ver"] for _ in range(2)], [2, 3])
        self.assertEqual(self.main.content(a), {"n": 2})
        self.assertTrue(self.main.has(a))
        self.assertEqual(self.main.delete(a)["ver"], 4)
        self.assertFalse(self.main.has(a))
        self.assertIsNone(self.main.content(a))
        self.assertEqual(self.main.put(a, "back")["ver"], 5)
        self.assertEqual([one["ver"] for one in self.main.history(a)], [5, 4, 3, 2, 1])
        self.assertEqual(len(self.main.history(a, limit=2)), 2)

    def test_pages_and_all_of_them(self) -> None:
        ids = [self.name(f"{i:03}") for i in range(25)]
        self.main.append_batch([{"pi": pi, "value": pi} for pi in ids])
        found = self.main.entities(prefix=self.own, limit=4, order="asc")
        self.assertEqual([one["pi"] for one in found], ids)
        page = self.main.list(from_=ids[3], to=ids[5], order="asc")
        self.assertEqual([one["pi"] for one in page["items"]], ids[3:5])

    def test_ids_and_content_of_all_kinds(self) -> None:
        for text in ("a/b", "a?b#c", "ü€𝄞", " ", "%2F", "a+b", "\n"):
            pi = self.name(text)
            self.main.put(pi, {"text": text})
            self.assertEqual(self.main.content(pi), {"text": text})
        for size in (0, 1, 1 << 20, (1 << 20) + 1, 3_333_333):
            data = os.urandom(size)
            self.main.put(self.name("bytes"), data)
            self.assertEqual(self.main.content(self.name("bytes")), data)
        tip = self.main.put(self.name("raw"), b"raw")["tip"]
        self.assertEqual(self.main.block(tip), b"raw")

    def test_conditions(self) -> None:
        a = self.name("a")
        tip = self.main.put(a, 1, expect_ver=0)["tip"]
        error = self.refused("conflict", self.main.put, a, 2, expect_ver=0)
        self.assertEqual((error.status, error.details["current_ver"]), (409, 1))
        self.assertFalse(error.uncertain)
        self.assertIsNotNone(error.request_id)
        self.assertEqual(self.main.put(a, 2, expect_tip=tip)["ver"], 2)
        self.refused("conflict", self.main.put, a, 3, expect_tip=tip)
        self.assertEqual(self.main.put(a, 3, ver=7)["ver"], 7)
        self.refused("conflict", self.main.put, a, 4, ver=7)

    def test_a_batch_is_all_or_nothing(self) -> None:
        a, b = self.name("a"), self.name("b")
        self.main.put(b, "old")
        written = self.main.append_batch(
            [
                {"pi": b, "value": "one"},
                {"pi": a, "bytes": b"1"},
                {"pi": b, "tip": None},
            ]
        )
        self.assertEqual([one["ver"] for one in written], [2, 1, 3])
        batch = [{"pi": self.name("c"), "value": 1}, {"pi": a, "value": 2, "expect_ver": 9}]
        self.refused("conflict", self.main.append_batch, batch)
        self.assertFalse(self.main.has(self.name("c")))
        self.refused("dataset_not_found", self.client.dataset("none").get, "a")

    def test_snapshots_jobs_and_where_it_stands(self) -> None:
        a = self.name("a")
        self.main.put(a, 1)
        steps: List[Any] = []
        job = self.main.run("build", steps.append, tags=[self.own])
        self.assertEqual(job["state"], "succeeded")
        self.main.put(a, 2)
        self.main.run("build")
        self.assertIn(self.own, [tag for one in self.main.snapshots() for tag in one["tags"]])
        self.assertEqual(self.main.get(a, at_snapshot=self.own)["ver"], 1)
        seq = self.main.snapshot(self.own)["seq"]
        changes = {one["pi"]: one["change"] for one in self.main.diff(f"seq:{seq}")}
        self.assertEqual(changes[a], "changed")
        self.assertEqual(self.main.checkpoint()["commit"], self.main.status()["commit"])
        self.assertEqual(self.main.health()["dataset"], "main")
        self.assertIn(job["id"], [one["id"] for one in self.main.jobs(kind="build", limit=1000)])
        error = self.refused("not_found", self.main.run, "export", since="no-such-tag")
        self.assertEqual(error.details["job"]["state"], "failed")
        self.assertIn("main", self.client.datasets())

    def test_cars_come_whole_or_not_at_all(self) -> None:
        self.main.put(self.name("a"), os.urandom(100_000))
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "main.car")
        report = self.main.download_car(path)
        self.assertEqual(os.path.getsize(path), report["size"])
        proxy, main = self.faulty()
        proxy.plan("/car", "half")
        self.refused("answer_cut", main.download_car, path)
        self.assertEqual(os.listdir(folder.name), ["main.car"])
        self.assertEqual(os.path.getsize(path), report["size"])
        self.main.run("export", force=True)
        backup = self.main.backups()[0]
        copy = os.path.join(folder.name, "backup.car")
        proxy.plan("/backups/", "damage", "half")
        self.refused("block_mismatch", main.download_backup, backup["filename"], copy)
        self.refused("answer_cut", main.download_backup, backup["filename"], copy)
        self.assertFalse(os.path.exists(copy))
        saved = main.download_backup(backup["filename"], copy)
        self.assertEqual(saved["sha256"], backup["sha256"])
        name = f"copy-{self.own[:8]}"
        proxy.plan("POST", "refuse")
        job = main.upload_car(copy, **{"as": name})
        self.assertEqual(self.main.wait_for_job(job["id"])["state"], "succeeded")
        self.assertTrue(self.client.dataset(name).has(self.name("a")))


class Faults(Case):
    def test_every_write_takes_effect_once(self) -> None:
        for fate in ("lose", "mute", "half", "refuse", "hang"):
            with self.subTest(fate):
                proxy, main = self.faulty(timeout=0.3)
                self.own = uuid.uuid4().hex
                a, b = self.name("a"), self.name("b")
                proxy.plan(POST, fate, fate)
                self.assertEqual(main.put(a, 1)["ver"], 1)
                proxy.plan(POST, fate)
                self.assertEqual(main.delete(a)["ver"], 2)
                proxy.plan(POST, fate)
                batch = [{"pi": pi, "value": i} for i, pi in enumerate([a, b, a])]
                self.assertEqual([one["ver"] for one in main.append_batch(batch)], [3, 1, 4])
                proxy.plan("PUT", fate)
                self.assertEqual(main.put(b, b"x" * 1_100_000)["ver"], 2)
                self.assertEqual(self.logged(), ["a 1", "a 2", "a 3", "b 1", "a 4", "b 2"])

    def test_a_lost_write_that_was_overtaken_is_found_in_the_history(self) -> None:
        proxy, main = self.faulty()
        a = self.name("a")

        def overtake() -> None:
            while not self.main.has(a):
                time.sleep(0.001)
            self.main.put(a, "other")

        other = threading.Thread(target=overtake)
        other.start()
        proxy.plan(POST, "mute")
        written = main.put(a, {"mine": True})
        other.join()
        self.assertEqual((written["ver"], written["status"]), (1, "already"))
        self.assertEqual(self.logged(), ["a 1", "a 2"])

    def test_many_writers_over_bad_lines(self) -> None:
        proxy, main = self.faulty(retries=50)
        proxy.plan("", *("lose", "pass", "mute", "half", "pass", "mute") * 8)
        count = 12

        def write(i: int) -> None:
            main.append_batch([{"pi": self.name(f"e{j}"), "value": [i, j]} for j in range(2)])

        threads = [threading.Thread(target=write, args=[i]) for i in range(count)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        expected = [f"e{j} {ver}" for j in range(2) for ver in range(1, count + 1)]
        self.assertEqual(sorted(self.logged()), sorted(expected))
        tips = {one["tip"] for j in range(2) for one in self.main.history(self.name(f"e{j}"))}
        self.assertEqual(len(tips), 2 * count)

    def test_what_is_sent_once_and_what_is_not_sent_again(self) -> None:
        proxy, main = self.faulty(retries=0)
        proxy.plan(POST, "mute")
        error = self.refused("unreachable", main.put, self.name("a"), 1)
        self.assertTrue(error.uncertain)
        self.assertEqual(proxy.seen, [POST])
        proxy, main = self.faulty()
        proxy.plan("/jobs", "refuse", "mute")
        error = self.refused("unreachable", main.start_job, "build")
        self.assertTrue(error.uncertain)
        self.assertEqual(len(proxy.seen), 2)
        self.refused("usage", main.list, limit=0)
        self.refused("not_found", main.job, "abc")
        self.assertEqual(len(proxy.seen), 4)
        nobody = connect(proxy.url, retries=1).dataset("main")
        proxy.close()
        self.assertFalse(self.refused("unreachable", nobody.start_job, "build").uncertain)

    def test_what_comes_is_whole_and_what_it_should_be(self) -> None:
        proxy, main = self.faulty()
        tip = self.main.put(self.name("a"), "x" * 100)["tip"]
        proxy.plan("/entities", "half", "lose", "mute")
        self.assertTrue(main.has(self.name("a")))
        proxy.plan("/content", "damage")
        self.refused("block_mismatch", main.block, tip)
        self.refused("invalid_entry", main.block, "nonsense")
        self.main.run("build", tags=[self.own])
        proxy.plan("/diff", "half")
        self.refused("answer_cut", lambda: list(main.diff("seq:0")))


class Changes(Case):
    def test_nothing_is_left_out_and_nothing_comes_twice(self) -> None:
        start = self.main.checkpoint()["next"]
        main = self.main
        for i in range(5):
            self.main.put(self.name(f"{i}"), i)
        follower = main.changes(since=start)
        first = [next(follower) for _ in range(2)]
        follower.close()
        # The id counts before the position.
        rest = main.changes(since=start, last_id=first[-1]["id"])
        found = first + [next(rest) for _ in range(3)]
        rest.close()
        self.assertEqual([one["position"] for one in found], list(range(start, start + 5)))
        self.assertEqual([one["pi"] for one in found], [self.name(f"{i}") for i in range(5)])

    def test_a_connection_that_says_nothing_is_given_up(self) -> None:
        start = self.main.checkpoint()["next"]
        follower = self.main.changes(since=start, idle=0.2)
        self.main.put(self.name("early"), 1)
        found: List[Any] = [next(follower)]
        reader = threading.Thread(target=lambda: found.append(next(follower)))
        reader.start()
        time.sleep(0.7)
        self.main.put(self.name("late"), 1)
        reader.join(10)
        # The connections since have repeated nothing.
        self.assertEqual([one["pi"] for one in found], [self.name("early"), self.name("late")])

    def test_a_position_that_cannot_be_is_an_error(self) -> None:
        self.refused("usage", lambda: next(self.main.changes(since=-1)))


class Wire(unittest.TestCase):
    def test_events_are_read_alike_however_they_are_cut(self) -> None:
        text = ": x\n\nid: 1.0\n\nid: 1.1\nevent: entry\ndata: €\ndata:b\n\nid: 9\ndata: not whole\n"
        expected = [
            Event("", "message", None),
            Event("1.0", "message", None),
            Event("1.1", "entry", "€\nb"),
        ]
        for end in ("\n", "\r\n", "\r"):
            whole = text.replace("\n", end).encode()
            for size in range(1, 12):
                parts = [whole[i : i + size] for i in range(0, len(whole), size)]
                self.assertEqual(list(read_events(parts)), expected)
        endless = (b"x" * (1 << 20) for _ in range(100))
        with self.assertRaises(CairnError):
            list(read_events(endless))

    def test_digests_of_cids(self) -> None:
        raw = digest_of("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
        self.assertEqual(len(raw), 32)
        # The same hash in both versions.
        zero = digest_of("QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n")
        one = digest_of("bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
        self.assertEqual(zero, one)
        for bad in ("", "b", "bafy", "Qm", "x" * 200, "bafkqaaa"):
            with self.assertRaises(CairnError):
                digest_of(bad)


if __name__ == "__main__":
    unittest.main()
