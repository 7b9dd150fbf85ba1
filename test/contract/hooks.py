"""
What an API document cannot say of requests: which things there are, and conditions between parameters.
Only requests that are meant to be valid are changed.
"""

import ipaddress
import itertools
import os
import zlib

import requests
import schemathesis
from hypothesis import strategies as st

SELECTORS = ("at_snapshot", "snapshot")
MOMENTS = ("at_snapshot", "at_commit", "at_time")

# What test/contract/world.ts has made; most requests are about it.
KNOWN = {
    "dataset": ["main", "main", "outside"],
    "pi": ["e0", "e1", "e2", "bytes"],
    "selector": ["latest", "first", "seq:1"],
    "filename": [os.environ["CONTRACT_BACKUP"]],
    "cid": [os.environ["CONTRACT_CID"]],
    "id": [os.environ["CONTRACT_JOB"]],
    "name": ["users", "users", "cache"],
    "key": ["alice", "bob"],
}


ADDRESSES = itertools.count(1)


def next_address():
    return str(ipaddress.ip_address(0xCB000000 + next(ADDRESSES)))


def known_or_given(name, value, mark):
    """Mostly a thing that there is, sometimes one that there is not, else what was made up."""
    known = KNOWN.get(name)
    if known is None or mark % 4 == 0:
        return value
    if name == "dataset" and mark % 8 == 1:
        return "absent"
    return known[mark // 8 % len(known)]


def one_write_a_key(body):
    """Each is named once, and has one end."""
    told = dict(body)
    if isinstance(told.get("delete"), list):
        names = list(dict.fromkeys(one for one in told["delete"] if isinstance(one, str)))
        told["delete"] = [one for one in names if one not in (told.get("set") or {})]
    if isinstance(told.get("entries"), list):
        told["entries"] = [
            {name: value for name, value in one.items() if name != "exp" or "ttl_ms" not in one}
            if isinstance(one, dict)
            else one
            for one in told["entries"]
        ]
    return told


@schemathesis.hook
def map_case(ctx, case):
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return case
    path = dict(case.path_parameters or {})
    # What one answer has named is what the next request is about.
    is_stateful = case.meta.phase.name.value == "stateful"
    # Always the same for the same request.
    mark = zlib.crc32(repr((case.operation.label, path, case.query, case.body)).encode())
    told = {name: known_or_given(name, value, mark) for name, value in path.items()}
    if told != path and not is_stateful:
        case.path_parameters = told
    query = dict(case.query or {})
    fewer = dict(query)
    for name in SELECTORS:
        if name in query and case.operation.label.startswith("GET ") and isinstance(query[name], str):
            fewer[name] = known_or_given("selector", query[name], mark)
    if case.operation.label.endswith("/diff") and "from" in query:
        fewer["from"] = known_or_given("selector", query["from"], mark)
    # A read is about one moment.
    for extra in [name for name in MOMENTS if name in query][1:]:
        del fewer[extra]
    # Only what a page has handed out is one; test/service/entities.test.ts reads on with it.
    fewer.pop("cursor", None)
    if fewer != query:
        case.query = fewer
    # A key has one end.
    if "ttl_ms" in query and "expires" in query:
        case.query = {name: value for name, value in query.items() if name != "expires"}
    if case.operation.label.endswith("/maps/{name}/keys") and isinstance(case.body, dict):
        case.body = one_write_a_key(case.body)
    # A rule of each kind at most.
    if isinstance(case.body, dict) and isinstance(case.body.get("keep"), str):
        rules = {rule.split("=")[0]: rule for rule in case.body["keep"].split(",")}
        case.body = {**case.body, "keep": ",".join(rules.values())}
    return case


SEND = requests.Session.send


def send_from_another_address(session, request, **options):
    """One address that sends many wrong tokens has to wait, which is a test of its own."""
    request.headers["X-Forwarded-For"] = next_address()
    return SEND(session, request, **options)


requests.Session.send = send_from_another_address


@schemathesis.serializer("application/vnd.ipld.car")
def serialize_car(ctx, value):
    return value if isinstance(value, bytes) else bytes(value)


# Whether it is a CAR is for the job to find out.
schemathesis.openapi.media_type("application/vnd.ipld.car", st.binary(min_size=1, max_size=500))
