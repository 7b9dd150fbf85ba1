#!/usr/bin/env python3
"""Converts a pickled session file into a JSON backup that `cairn import --layout radish` reads.

WARNING. A pickle is a program. Whoever loads one with Python's `pickle` runs whatever its maker wrote into it.
This converter never loads the file: it reads the instructions one by one and builds plain data from them. Nothing
that the file names is imported or called. Even so, run it only on a machine that may be lost, such as a container
without network, and only when there is no other copy of the data:

  docker run --rm --network none --read-only --memory 4g -v "$PWD:/in:ro" -v "$PWD/out:/out" \\
    python:3 python3 /in/pickle-to-json.py /in/session_snapshot.pkl --out /out

What becomes JSON: None, booleans, numbers, texts, bytes, lists, tuples (as lists), sets (as sorted lists),
dictionaries, and dates (as ISO texts). Any other class is refused by its name. With --allow MODULE.CLASS (as often
as need be) an object of it becomes {"class": ..., "args": [...], "state": ..., "items": ...}: what the file says of
it, never an object of that class. A graph of NetworkX needs

  --allow networkx.classes.graph.Graph --allow networkx.classes.reportviews.NodeView

and has its nodes at graph/state/_node. With --at PATH the keys below that place become the keys of the map.
"""
import argparse
import base64
import datetime
import json
import math
import os
import pickletools
import sys
import tempfile

MAX_DEPTH = 500
MAX_VALUES = 10_000_000


class Refused(Exception):
    """What is wrong with the file, for its user."""


class Global:
    """The name of a class or function. It is only ever a name."""

    def __init__(self, name):
        self.name = name


class Object:
    """What the file says of an object of a class that is not known here."""

    def __init__(self, name, args):
        self.name = name
        self.args = args
        self.state = None
        self.items = []
        self.pairs = []


class Set:
    """A set whose members need not be hashable here."""

    def __init__(self, members):
        self.members = list(members)


class Pairs:
    """A dictionary as the file fills it: any keys, in their order."""

    def __init__(self, pairs=()):
        self.pairs = list(pairs)


MARK = object()
BUILTINS = ("builtins", "__builtin__")


def known(name, args):
    """The value of a call to one of the few names whose meaning is known; NotImplemented for all others."""
    module, _, short = name.rpartition(".")
    if module in BUILTINS and short in ("set", "frozenset") and len(args) <= 1:
        return Set(listed(args[0]) if args else [])
    if module in BUILTINS and short in ("list", "tuple") and len(args) <= 1:
        return listed(args[0]) if args else []
    if module in BUILTINS and short == "dict" and len(args) == 0:
        return Pairs()
    if module in BUILTINS and short in ("bytes", "bytearray") and (not args or isinstance(args[0], (bytes, str))):
        return latin1(args[0]) if args else b""
    if name == "_codecs.encode" and len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return latin1(args[0])
    if name in ("collections.OrderedDict", "collections.Counter") and len(args) <= 1:
        return pairs_of(args[0]) if args else Pairs()
    if name == "collections.defaultdict" and len(args) <= 1:
        return Pairs()
    if name == "collections.deque" and len(args) <= 2:
        return list(listed(args[0])) if args else []
    if module == "datetime":
        return date(short, args)
    return NotImplemented


def listed(value):
    if isinstance(value, (list, tuple)):
        return list(value)
    if isinstance(value, Set):
        return list(value.members)
    raise Refused("a container is made of something that is no list")


def pairs_of(value):
    if isinstance(value, Pairs):
        return Pairs(value.pairs)
    pairs = [listed(pair) for pair in listed(value)]
    if any(len(pair) != 2 for pair in pairs):
        raise Refused("a dictionary is made of something that is no pairs")
    return Pairs((key, one) for key, one in pairs)


def latin1(value):
    return value if isinstance(value, bytes) else value.encode("latin-1")


DATES = {"datetime": datetime.datetime, "date": datetime.date, "time": datetime.time}


def date(short, args):
    """Dates are made by Python's own classes, of texts, numbers and each other alone."""
    plain = [latin1(arg) if isinstance(arg, str) and short in DATES else arg for arg in args]
    if not all(isinstance(arg, (bytes, int, datetime.timedelta, datetime.timezone)) for arg in plain):
        return NotImplemented
    try:
        if short in DATES:
            return DATES[short](*plain)
        if short == "timedelta":
            return datetime.timedelta(*plain)
        if short == "timezone":
            return datetime.timezone(*plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"a date is none: {error}") from None
    return NotImplemented


class Reader:
    """Follows the instructions of a pickle over plain data. Those that would need more are refused."""

    def __init__(self, allowed):
        self.allowed = allowed
        self.refused = []
        self.stack = []
        self.memo = {}

    def read(self, file):
        # Of bytes in memory no more is read than there is, whatever length the file speaks of.
        for opcode, arg, _ in pickletools.genops(file.read()):
            if opcode.name == "STOP":
                break
            self.step(opcode.name, arg)
        else:
            raise Refused("it ends too early")
        if self.refused:
            names = sorted(set(self.refused))
            allow = " ".join(f"--allow {name}" for name in names)
            raise Refused(f"it needs {', '.join(names)}. If their data is wanted: {allow}")
        return self.pop()

    def pop(self):
        if not self.stack or self.stack[-1] is MARK:
            raise Refused("its stack is empty")
        return self.stack.pop()

    def top(self):
        if not self.stack or self.stack[-1] is MARK:
            raise Refused("its stack is empty")
        return self.stack[-1]

    def pop_mark(self):
        """Everything above the last mark."""
        for at in range(len(self.stack) - 1, -1, -1):
            if self.stack[at] is MARK:
                taken = self.stack[at + 1 :]
                del self.stack[at:]
                return taken
        raise Refused("a mark is missing")

    def step(self, name, arg):
        push = self.stack.append
        if name in ("PROTO", "FRAME"):
            return
        if name in VALUES:
            push(arg)
        elif name in CONSTANTS:
            push(CONSTANTS[name]())
        elif name in ("STRING", "BINSTRING", "SHORT_BINSTRING"):
            push(arg)
        elif name == "MARK":
            push(MARK)
        elif name == "POP":
            self.stack.pop() if self.stack else self.pop()
        elif name == "POP_MARK":
            self.pop_mark()
        elif name == "DUP":
            push(self.top())
        elif name in ("LIST", "TUPLE"):
            taken = self.pop_mark()
            push(taken if name == "LIST" else tuple(taken))
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            parts = [self.pop() for _ in range(int(name[-1]))]
            push(tuple(reversed(parts)))
        elif name == "DICT":
            push(Pairs(paired(self.pop_mark())))
        elif name == "FROZENSET":
            push(Set(self.pop_mark()))
        elif name == "APPEND":
            one = self.pop()
            self.extend([one])
        elif name == "APPENDS":
            self.extend(self.pop_mark())
        elif name == "ADDITEMS":
            added = self.pop_mark()
            into = self.top()
            if not isinstance(into, Set):
                raise Refused("something is added to what is no set")
            into.members.extend(added)
        elif name == "SETITEM":
            value, key = self.pop(), self.pop()
            self.set_items([(key, value)])
        elif name == "SETITEMS":
            self.set_items(paired(self.pop_mark()))
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memo[int(arg)] = self.top()
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.top()
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            if int(arg) not in self.memo:
                raise Refused("it refers to what is not there")
            push(self.memo[int(arg)])
        elif name == "GLOBAL":
            push(Global(arg.replace(" ", ".", 1)))
        elif name == "STACK_GLOBAL":
            short, module = self.pop(), self.pop()
            if not isinstance(short, str) or not isinstance(module, str):
                raise Refused("the name of a class is no text")
            push(Global(f"{module}.{short}"))
        elif name == "INST":
            push(self.call(Global(arg.replace(" ", ".", 1)), self.pop_mark()))
        elif name == "OBJ":
            taken = self.pop_mark()
            push(self.call(taken[0] if taken else None, taken[1:]))
        elif name in ("REDUCE", "NEWOBJ"):
            args, named = self.pop(), self.pop()
            push(self.call(named, listed(args)))
        elif name == "NEWOBJ_EX":
            more, args, named = self.pop(), self.pop(), self.pop()
            if not isinstance(more, Pairs):
                raise Refused("named arguments are no dictionary")
            push(self.call(named, listed(args) + ([more] if more.pairs else [])))
        elif name == "BUILD":
            state = self.pop()
            self.build(self.top(), state)
        else:
            raise Refused(f"it has the instruction {name}, which refers to something outside of the file")

    def extend(self, added):
        into = self.top()
        if isinstance(into, list):
            into.extend(added)
        elif isinstance(into, Object):
            into.items.extend(added)
        else:
            raise Refused("something is appended to what is no list")

    def set_items(self, pairs):
        into = self.top()
        if not isinstance(into, (Pairs, Object)):
            raise Refused("something is set in what is no dictionary")
        into.pairs.extend(pairs)

    def call(self, named, args):
        if not isinstance(named, Global):
            raise Refused("it calls what is no class")
        # How protocols 0 and 1 write any object: its class, a base, and the base's value.
        if named.name in ("copy_reg._reconstructor", "copyreg._reconstructor") and len(args) == 3:
            return self.call(args[0], [] if args[2] is None else [args[2]])
        value = known(named.name, args)
        if value is not NotImplemented:
            return value
        if named.name not in self.allowed:
            self.refused.append(named.name)
        return Object(named.name, args)

    def build(self, into, state):
        if isinstance(into, Object):
            into.state = state
        elif state is not None and not (isinstance(into, (Pairs, list)) and isinstance(state, Pairs) and not state.pairs):
            raise Refused("it gives a state to what has none")


VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip

CONSTANTS = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": Pairs,
    "EMPTY_SET": lambda: Set(()),
}


def paired(flat):
    if len(flat) % 2:
        raise Refused("a key has no value")
    return list(zip(flat[::2], flat[1::2]))


class Plain:
    """Turns what was read into JSON. What has no place in it is refused with where it is."""

    def __init__(self, most):
        self.most = most
        self.count = 0
        self.open = set()

    def value(self, one, path):
        self.count += 1
        if self.count > self.most:
            raise Refused(f"it unfolds into more than {self.most} values")
        if one is None or isinstance(one, bool):
            return one
        if isinstance(one, str):
            return text(one, path)
        if isinstance(one, int):
            if -(2**64) <= one < 2**64:
                return one
            raise Refused(f"{where(path)} is an integer beyond 64 bits")
        if isinstance(one, float):
            if math.isfinite(one):
                return one
            raise Refused(f"{where(path)} is {one}, for which JSON has no word")
        if isinstance(one, (bytes, bytearray)):
            return {"/": {"bytes": base64.b64encode(one).decode().rstrip("=")}}
        if isinstance(one, (datetime.datetime, datetime.date, datetime.time)):
            return one.isoformat()
        if isinstance(one, datetime.timedelta):
            return one.total_seconds()
        if isinstance(one, Global):
            raise Refused(f"{where(path)} is {one.name} itself, not data")
        return self.container(one, path)

    def container(self, one, path):
        if id(one) in self.open:
            raise Refused(f"{where(path)} contains itself")
        if len(path) > MAX_DEPTH:
            raise Refused(f"it is nested more than {MAX_DEPTH} levels deep")
        self.open.add(id(one))
        try:
            if isinstance(one, (list, tuple)):
                return [self.value(part, path + (n,)) for n, part in enumerate(one)]
            if isinstance(one, Set):
                members = [self.value(part, path + ("a member",)) for part in one.members]
                return sorted(members, key=lambda part: json.dumps(part, sort_keys=True))
            if isinstance(one, Pairs):
                return dict(self.members(one, path))
            if isinstance(one, Object):
                return self.object(one, path)
        finally:
            self.open.discard(id(one))
        raise Refused(f"{where(path)} is a {type(one).__name__}")

    def members(self, pairs, path):
        last = {}
        for key, value in pairs.pairs:
            name = self.name(key, path)
            if name in last and not same(last[name][0], key):
                raise Refused(f"{where(path)} has two keys that are {name!r} in JSON")
            last[name] = (key, value)
        if "/" in last:
            raise Refused(f'{where(path)} has the key "/", which Cairn keeps for bytes and links')
        for name, (_, value) in last.items():
            yield name, self.value(value, path + (name,))

    def name(self, key, path):
        if isinstance(key, str):
            return text(key, path)
        if isinstance(key, bytes):
            raise Refused(f"{where(path)} has bytes as a key")
        plain = self.value(key, path + ("a key",))
        if isinstance(plain, dict):
            raise Refused(f"{where(path)} has an object as a key")
        return plain if isinstance(plain, str) else json.dumps(plain)

    def object(self, one, path):
        told = {"class": text(one.name, path)}
        if one.args:
            told["args"] = self.value(list(one.args), path + ("args",))
        if one.state is not None:
            told["state"] = self.value(one.state, path + ("state",))
        if one.items:
            told["items"] = self.value(one.items, path + ("items",))
        if one.pairs:
            told["items"] = self.value(Pairs(one.pairs), path + ("items",))
        return told


def same(a, b):
    return type(a) is type(b) and isinstance(a, (str, int, float)) and a == b


def text(one, path):
    try:
        one.encode()
    except UnicodeEncodeError:
        raise Refused(f"{where(path)} is not Unicode") from None
    return one


def where(path):
    return "the whole" if not path else "/".join(str(part) for part in path)[:200]


def has_bytes(value):
    if isinstance(value, dict):
        return "/" in value or any(has_bytes(one) for one in value.values())
    return isinstance(value, list) and any(has_bytes(one) for one in value)


def at(value, path):
    """The part of what was read that is at PATH, in the words of the JSON that it would be."""
    for part in [] if path is None else path.split("/"):
        value = inside(value).get(part, MARK)
        if value is MARK:
            raise Refused(f"there is nothing at {path}: no {part!r}")
    return value


def inside(value):
    if isinstance(value, Pairs):
        return {key if isinstance(key, str) else json.dumps(key): one for key, one in value.pairs if is_name(key)}
    if isinstance(value, (list, tuple)):
        return {str(n): one for n, one in enumerate(value)}
    if isinstance(value, Object):
        items = Pairs(value.pairs) if value.pairs else value.items
        return {"args": value.args, "state": value.state, "items": items}
    return {}


def is_name(key):
    return key is None or isinstance(key, (str, int, float, bool))


def backup(name, value, now):
    """The file of one map: the keys of a dictionary, or the one key `value`."""
    data = value if isinstance(value, dict) and "/" not in value else {"value": value}
    encodings = {}
    for key, one in data.items():
        if not has_bytes(one):
            continue
        encodings[key] = "dag-json"
        if isinstance(one, dict) and set(one) == {"/"}:
            encoded = one["/"]["bytes"]
            data[key] = encoded + "=" * (-len(encoded) % 4)
            encodings[key] = "base64"
    return {
        "type": "named_cache",
        "cache_name": name,
        "timestamp": now.strftime("%Y%m%d_%H%M%S"),
        "datetime": now.strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "item_count": len(data),
        "schema": "cairn/radish@1",
        "data": data,
        **({"encodings": encodings} if encodings else {}),
    }


def write(folder, document):
    """Whole or not at all, and never over another file."""
    os.makedirs(folder, exist_ok=True)
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in document["cache_name"])[:100]
    path = os.path.join(folder, f"cache_{safe}_{document['timestamp']}.json")
    handle, temporary = tempfile.mkstemp(dir=folder, suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False, allow_nan=False, indent=2)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    finally:
        os.unlink(temporary)
    return path


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a pickle, such as session_snapshot.pkl")
    parser.add_argument("--out", required=True, metavar="DIR", help="the folder for the JSON file")
    parser.add_argument("--map", default="session", metavar="NAME", help="the map that it becomes (session)")
    parser.add_argument("--at", metavar="PATH", help="only what is there, such as graph/state/_node")
    parser.add_argument("--allow", action="append", default=[], metavar="MODULE.CLASS", help="take an object's data; may be repeated")
    parser.add_argument("--max-values", type=int, default=MAX_VALUES, metavar="N", help=f"refuse what unfolds into more ({MAX_VALUES})")
    args = parser.parse_args(argv)
    sys.setrecursionlimit(20_000)
    try:
        with open(args.file, "rb") as file:
            read = Reader(set(args.allow)).read(file)
        plain = Plain(args.max_values).value(at(read, args.at), ())
        print(write(args.out, backup(args.map, plain, datetime.datetime.now(datetime.timezone.utc))))
    except (Refused, ValueError, OverflowError, MemoryError) as error:
        print(f"{args.file} was not converted: {error or 'it needs more memory than there is'}.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{args.file} was not converted: {error.strerror} ({args.out}).", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
