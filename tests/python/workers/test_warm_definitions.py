"""What a worker received for one session is not found in the next: each case in one warm worker."""

# ruff: noqa: E501  (sources stand here as text)
from __future__ import annotations

import linecache
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from remotemedia import Pipeline, Runtime, _by_value
from remotemedia._definitions import Definitions

START = """
import functools, os, threading
from remotemedia import Node
class Base(Node):
    def process(self, data): return [self.work(data), os.getpid()]
"""
LOCK = "LOCK = threading.Lock()\nBase.locked = lambda self: LOCK.locked()\n"


class Case(NamedTuple):
    """A script's definitions, what changes between two runs, and what its nodes give in each."""

    name: str
    source: str
    change: str
    wanted: list[Any]
    item: str = "2"


SCALE = """
GAIN = 1
def scale(x): return x * GAIN
class Amplify(Base):
    level = 1
    def work(self, data): return scale(data) + self.level
NODES = [Amplify]
"""
CASES = [
    Case("changed global", SCALE, "GAIN = 5", [3, 11]),
    Case("changed class attribute", SCALE, "Amplify.level = 9", [3, 11]),
    Case(
        "deleted class attribute",
        f"{SCALE}\nAmplify.level = 4\nBase.level = 0",
        "del Amplify.level",
        [6, 2],
    ),
    Case("redefined function", SCALE, "def scale(x): return -x", [3, -1]),
    Case(
        "redefined class",
        "class Helper:\n    by = 1\nclass Adds(Base):\n    def work(self, data): return data + Helper.by\nNODES = [Adds]",
        "class Helper:\n    by = 2",
        [3, 4],
    ),
    Case(
        "changed table",
        "TABLE = {'by': 1}\nclass Adds(Base):\n    def work(self, data): return data + TABLE['by']\nNODES = [Adds]",
        "TABLE['by'] = 7",
        [3, 9],
    ),
    Case(
        "list that nodes append to",
        "SEEN = []\nclass Sees(Base):\n    def work(self, data):\n        SEEN.append(data)\n        return list(SEEN)\nNODES = [Sees]",
        "",
        [[2], [2]],
    ),
    Case(
        "attribute that nodes put on their class",
        "class Counts(Base):\n    def work(self, data):\n        type(self).seen = getattr(self, 'seen', 0) + 1\n        return self.seen\nNODES = [Counts]",
        "",
        [1, 1],
    ),
    Case(
        "helper shared by two pipelines",
        f"{SCALE}\nclass Other(Base):\n    def work(self, data): return -scale(data)\nNODES = [Amplify, Other, Amplify]",
        "GAIN = 3",
        [3, -2, 3, 7, -6, 7],
    ),
    Case(
        "single dispatch",
        "@functools.singledispatch\ndef told(x): return 'any'\n@told.register\ndef _(x: int): return WORD\nWORD = 'int'\n"
        "class Tells(Base):\n    def work(self, data): return [told(data), told('a')]\nNODES = [Tells]",
        "WORD = 'whole'",
        [["int", "any"], ["whole", "any"]],
    ),
    Case(
        "function as item",
        f"{SCALE}\nclass Calls(Base):\n    def work(self, data): return [data[0] is scale, data[0](2)]\nNODES = [Calls]",
        "GAIN = 5",
        [[True, 2], [True, 10]],
        "(scale, 1)",
    ),
    Case(
        "function as item of nodes that do not know it",
        f"{SCALE}\nclass Calls(Base):\n    def work(self, data): return data(2)\nNODES = [Calls, Calls]",
        "GAIN = 5",
        [2, 2, 10, 10],
        "scale",
    ),
    Case(
        "function as result",
        f"{SCALE}\ndef over(n): return lambda x: scale(x) + n\nclass Gives(Base):\n    def work(self, data): return [scale, over(data)]\n"
        "NODES = [Gives]\nRESULT = lambda given: [given[0] is scale, given[1](2)]",
        "GAIN = 5",
        [[True, 4], [True, 12]],
    ),
    Case(
        "registry of a decorator",
        "BY = {}\ndef enter(f):\n    BY[f.__name__] = f\n    return f\n@enter\ndef first(x): return x\n"
        "class Lists(Base):\n    def work(self, data): return sorted(BY)\nNODES = [Lists]",
        "@enter\ndef second(x): return x",
        [["first"], ["first", "second"]],
    ),
    Case(
        "class made in a function",
        "BY = 1\ndef make(n):\n    class Local(Base):\n        def work(self, data): return data * n + BY\n    return Local()\nNODES = [lambda: make(3)]",
        "BY = 2",
        [7, 8],
    ),
]


ADDS = """
class Adds(Base):
    def work(self, data, by=1): return data + by
NODES = [Adds]
"""
OF_ONE_PIPELINE = [
    Case("changed default", ADDS, "Adds.work.__defaults__ = (7,)", [3, 9]),
    Case("changed code", ADDS, "Adds.work.__code__ = (lambda self, data: -data).__code__", [3, -2]),
    Case("replaced method", ADDS, "Adds.work = lambda self, data: -data", [3, -2]),
    Case(
        "further base",
        ADDS,
        "class Base2(Base):\n    def work(self, data): return 0\ndel Adds.work\nAdds.__bases__ = (Base2,)",
        [3, 0],
    ),
    Case(
        "changed default by name",
        "class Adds(Base):\n    def work(self, data, *, by=1): return data + by\nNODES = [Adds]",
        "Adds.work.__kwdefaults__['by'] = 7",
        [3, 9],
    ),
    Case(
        "changed variable of a closure",
        "def made(by):\n    def add(self, data): return data + by\n    def change(value):\n        nonlocal by\n        by = value\n"
        "    return add, change\nADD, CHANGE = made(1)\nclass Adds(Base):\n    work = ADD\nNODES = [Adds]",
        "CHANGE(5)",
        [3, 7],
    ),
    Case(
        "attribute of a function",
        "def scale(x): return x * scale.by\nscale.by = 2\nclass Scales(Base):\n    def work(self, data): return scale(data)\nNODES = [Scales]",
        "scale.by = 5",
        [4, 10],
    ),
    Case(
        "class that counts as another",
        "import abc\nclass Kind(abc.ABC): pass\nclass Thing: pass\nclass Asks(Base):\n"
        "    def work(self, data): return isinstance(Thing(), Kind)\nNODES = [Asks]",
        "Kind.register(Thing)",
        [False, True],
    ),
    Case(
        "variable that a function among the attributes sets",
        "COUNT = 0\ndef count():\n    global COUNT\n    COUNT += 1\nclass Counts(Base):\n    def __init__(self):\n"
        "        super().__init__()\n        self.call = lambda: count()\n    def work(self, data):\n        self.call()\n"
        "        return COUNT\nNODES = [Counts]",
        "COUNT = 5",
        [1, 6],
    ),
    Case(
        "function that becomes an attribute",
        "COUNT = 0\ndef count():\n    global COUNT\n    COUNT += 1\nclass Counts(Base):\n    call = None\n    def work(self, data):\n"
        "        if self.call: self.call()\n        return COUNT\nNODE = Counts()\nNODES = [lambda: NODE]",
        "NODE.call = count",
        [0, 1],
    ),
]


class Script:
    """The main module of this process, as long as a test runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.module = types.ModuleType("__main__")
        self.name = folder.name
        monkeypatch.setitem(sys.modules, "__main__", self.module)
        self.cells = 0

    def run(self, source: str) -> None:
        """Runs a cell."""
        self.cells += 1
        name = f"/tmp/ipykernel_2/{self.name}_{self.cells}.py"
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
        exec(compile(source, name, "exec"), vars(self.module))


COLLECT = "import gc\nclass Collects(Node):\n    def process(self, data): return gc.collect() * 0\n"
WAYS = {
    "cpython": ("cpython", False),
    "by source": ("cpython", True),
    "rustpython": ("rustpython", False),
}


class Warm(NamedTuple):
    """One worker for all cases, and how they run in it."""

    runtime: Runtime
    interpreter: str
    has_lock: bool
    collects: bool


@pytest.fixture(scope="module", params=[(way, c) for way in WAYS for c in (False, True)], ids=str)
def warm(request: pytest.FixtureRequest) -> Iterator[Warm]:
    """One worker for all cases of one way, with and without a collection between the runs."""
    way, collects = request.param
    with Runtime("[workers]\nmax = 1\n") as runtime:
        yield Warm(runtime, *WAYS[way], collects)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_next_session_has_the_definitions_of_now(
    case: Case, warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-19, IOP-20
    assert given_by(case, warm, Script(tmp_path, monkeypatch), keeps=False) == case.wanted


@pytest.mark.parametrize("warm", [("cpython", False), ("cpython", True)], ids=str, indirect=True)
@pytest.mark.parametrize("case", CASES + OF_ONE_PIPELINE, ids=lambda case: case.name)
def test_the_next_run_of_a_pipeline_has_the_definitions_of_now(
    case: Case, warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # spec: IOP-19, IOP-20
    assert given_by(case, warm, Script(tmp_path, monkeypatch), keeps=True) == case.wanted


def given_by(case: Case, warm: Warm, script: Script, *, keeps: bool) -> list[Any]:
    """What the nodes of a case give before its change and after. `keeps`: whether they stay in their pipelines."""
    script.run(START + (LOCK if warm.has_lock else "") + COLLECT)
    script.run(case.source)
    space = vars(script.module)
    given, workers = [], set()
    pipelines: dict[int, Pipeline] = {}

    def run(number: int, make: Callable[[], Any], item: Any) -> Any:
        if not keeps or number not in pipelines:
            pipelines[number] = Pipeline(make(), runtime=warm.runtime)
        return pipelines[number].run_sync([item], runtime=warm.interpreter, fallback=False)

    for change in ("", case.change):
        if change:
            script.run(change)
        for number, make in enumerate(space["NODES"]):
            out, worker = run(number, make, eval(case.item, space))
            given.append(space.get("RESULT", lambda result: result)(out))
            workers.add(worker)
        if warm.collects:
            run(-1, space["Collects"], 1)
    assert len(workers) == 1, "the worker was not the same"
    return given


def test_definitions_are_pickled_again_only_when_they_have_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = Script(tmp_path, monkeypatch)
    script.run(f"{START}{SCALE}")
    space = vars(script.module)
    kept = Definitions()

    def pickled() -> bytes:
        bundle = kept.bundle([space["Amplify"]], _by_value._dump_bundle)
        assert bundle is not None
        return bundle.data

    first = pickled()
    assert pickled() is first
    script.run("GAIN = 2")
    second = pickled()
    assert second is not first
    assert pickled() is second
    script.run("Amplify.table = []")
    assert kept.bundle([space["Amplify"]], _by_value._dump_bundle) is None, "a list may change"
    script.run("del Amplify.table")
    assert kept.bundle([space["Amplify"]], _by_value._dump_bundle) is None, "it was given up"
