"""Nodes as source: from a script on CPython to workers of any interpreter, and back."""

# ruff: noqa: E501  (programs stand here as text)
from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import interpreters
from places import FIXTURES

EVERYWHERE = [sys.executable, *interpreters.other_pythons(), interpreters.RUSTPYTHON]

# The host ships `nodes` and sends `items`; what the worker answers is `answers`.
HOST = """
import pickle, sys
from pathlib import Path
from remotemedia import _pickle
from remotemedia._portable.writing import PortableShipment
from remotemedia._unpicklable import UnpicklableError
import interpreters

HERE = Path(__file__).parent

def talk(worker, nodes, items=()):
    shipment = PortableShipment(nodes)
    assert not shipment.refused, shipment.refused
    sent = [shipment.dumps(item) for item in items]
    path = HERE / "worker.py"
    path.write_text(worker)
    out = interpreters.run(sys.argv[1], path, pickle.dumps((shipment.instances, sent)))
    return [_pickle.loads(answer) for answer in pickle.loads(out)], sent
"""
WORKER_START = """
import pickle, sys
from remotemedia import _pickle
instances, sent = pickle.load(sys.stdin.buffer)
nodes = _pickle.open_shipment(instances)[0]
items = [_pickle.loads(item) for item in sent]
answers = []
"""
WORKER_END = """
sys.stdout.buffer.write(pickle.dumps([_pickle.dumps(answer) for answer in answers], 5))
sys.stdout.buffer.flush()
"""


@pytest.fixture(params=EVERYWHERE, ids=lambda path: Path(path).name)
def interpreter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run_host(script: str, worker: str, tmp_path: Path, interpreter: str) -> str:
    """Runs a script that finds HOST's `talk` and the worker's program as WORKER."""
    program = WORKER_START + textwrap.dedent(worker) + WORKER_END
    path = tmp_path / "host_script.py"
    script = textwrap.dedent(script).lstrip("\n")
    future = "from __future__ import annotations\n" if script.startswith("from __future__") else ""
    script = script.removeprefix(future)
    path.write_text(f"{future}{HOST}\nWORKER = {program!r}\n{script}")
    done = subprocess.run(
        [sys.executable, str(path), interpreter],
        env={**os.environ, "PYTHONPATH": str(FIXTURES)},
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_classes_of_a_script_travel_with_what_they_refer_to(
    tmp_path: Path, interpreter: str
) -> None:
    # spec: IOP-12, IOP-19
    out = run_host(
        """
        from __future__ import annotations
        import abc
        import collections.abc as collections_abc
        import dataclasses, enum, functools, math
        from collections import OrderedDict, namedtuple
        from dataclasses import dataclass, field
        from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeVar

        if TYPE_CHECKING:
            from nowhere import Nothing

        try:
            import surely_not_here
        except ImportError:
            surely_not_here = None

        print("executed")
        T = TypeVar("T")
        FACTOR = 5
        LIMITS = {"low": 1, "high": [2, 3]}
        FACTOR += 1          # changed at run time
        Pair = namedtuple("Pair", "first second", defaults=[0])

        class Row(NamedTuple):
            x: int
            y: float = 2.5

        def logged(function):
            @functools.wraps(function)
            def wrapper(*args):
                CALLS.append(function.__name__)
                return function(*args)
            return wrapper

        CALLS: list[str] = []

        class Colour(enum.Enum):
            RED = 1
            GREEN = "g"
            @property
            def loud(self): return self.name + "!"

        class Flags(enum.IntFlag):
            A = enum.auto()
            B = enum.auto()

        @dataclass(frozen=True, slots=True)
        class Point:
            x: int
            y: int = 0
            kind: ClassVar[str] = "p"
            tags: list[str] = field(default_factory=list, compare=False)
            def scaled(self): return helper(self)

        @logged
        def helper(point): return Point(point.x * FACTOR, LIMITS["high"][1])

        class Problem(Exception):
            def __init__(self, text, code):
                super().__init__(text, code)
                self.code = code

        class Base(abc.ABC):
            made = 0
            def __init__(self): type(self).made += 1
            @abc.abstractmethod
            def process(self, data: Nothing) -> Nothing: ...
            def child(self): return Child()

        class Child(Base):
            class Inner:
                depth = math.floor(2.5)
                class Innermost: pass
            default, problem = Row(FACTOR), Problem
            def __init__(self, colour=Colour.RED, factor=FACTOR):
                super().__init__()
                self.colour, self.inner, self.factor = colour, Child.Inner(), factor
                self.innermost = Child.Inner.Innermost
            def process(self, point: T) -> T:
                assert isinstance(point, Point) and surely_not_here is None
                return point.scaled()

        node = Child()
        answers, sent = talk(WORKER, [node, OrderedDict(a=Row(1)), CALLS],
            [Point(3), Colour.GREEN, Problem("t", 4), Child, helper, Pair(1), Flags.A | Flags.B])
        back = answers.pop(0)
        assert back == Point(18, 3) and type(back) is Point, back
        assert answers[0] is Colour.GREEN and answers[2] is Child and answers[3] is helper, answers
        assert type(answers[1]) is Problem and answers[1].code == 4
        assert type(answers[4]) is Pair and answers[4] == (1, 0) and answers[5] == Flags(3)
        assert answers[6:] == [Row(1), "RED!", 2, 6, 1, ["helper"], Row(6)], answers[6:]
        assert type(answers[6]) is Row and type(answers[-1]) is Row
        assert max(map(len, sent[:5])) < 250, [len(data) for data in sent]
        """,
        """
        node, rows, calls = nodes
        assert items[1].loud == "GREEN!" and items[3] is type(node)
        assert node.innermost is type(node).Inner.Innermost
        answers += [node.process(items[0]), *items[1:]]
        answers += [rows["a"], node.colour.loud, node.inner.depth, node.factor, type(node).made]
        answers += [calls, type(node.child()).default]
        """,
        tmp_path,
        interpreter,
    )
    assert out == "executed\n"


def test_functions_inside_functions(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19, IOP-21
    run_host(
        """
        import functools
        SCALE = 10
        def make(start):
            total = start
            def put(amount, *, twice: bool = False) -> int:
                nonlocal total
                total += amount * (2 if twice else 1)
                return recurse(3)
            def recurse(depth): return depth and recurse(depth - 1)
            class Local:
                kept = "x"
                def value(self): return start + SCALE
            return put, lambda: total, Local(), lambda x, y=start: (x + y) * SCALE
        def decorated(function):
            @functools.wraps(function)
            def wrapper(*args): return ("wrapped", function(*args))
            return wrapper
        @decorated
        def plain(x): return x + SCALE
        class Holder:
            def __init__(self, f): self.f = f
            def run(self, x): return self.f(x)
        holder = Holder(lambda x: x * SCALE); other = Holder(lambda x: x - SCALE)
        two = (lambda x: x + 1, lambda x: x + 2)
        answers, _ = talk(WORKER, [make(1), plain, holder.run, other, two, functools.partial(plain, 4)])
        assert answers == [1, 0, 8, 11, 30, ("wrapped", 12), 20, -8, 3, 4, ("wrapped", 14),
                           "make.<locals>.Local"], answers
        """,
        """
        (put, look, local, scaled), plain, run, other, two, part = nodes
        answers += [look(), put(3), (put(2, twice=True), look())[1], local.value(), scaled(2)]
        answers += [plain(2), run(2), other.run(2), two[0](2), two[1](2), part()]
        answers.append(type(local).__qualname__)
        """,
        tmp_path,
        interpreter,
    )


def test_definitions_that_refer_to_each_other(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19
    run_host(
        """
        import threading
        DEFAULT = 3
        def start(): return DEFAULT + len(Child.__mro__)
        class Base:
            def other(self): return Child()
            level = DEFAULT
        class Child(Base):
            def parent(self): return Base(), FIRST, SECOND
            def lock(self):
                with LOCK: return start()
        LOCK = threading.Lock()
        FIRST = Child()
        SECOND = {"first": FIRST, "type": Base}
        Alias = Child
        class Uses:
            def run(self): return Alias().parent()[1] is FIRST and SECOND["type"] is Base
        Base.level = 9
        answers, _ = talk(WORKER, [Base(), FIRST, Uses(), SECOND])
        assert answers == ["Child", True, 6, True, True, 9], answers
        """,
        """
        base, first, uses, second = nodes
        child = base.other()
        answers += [type(child).__name__, child.parent()[1] is first, child.lock(), uses.run()]
        answers += [second is child.parent()[2], base.level]
        """,
        tmp_path,
        interpreter,
    )


def test_imports_that_code_uses_are_needed_and_others_are_not(
    tmp_path: Path, interpreter: str
) -> None:
    # spec: IOP-14, IOP-39
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "only_here.py").write_text("def work(): return 1\n")
    run_host(
        """
        import fractions, sys
        sys.path.append(str(HERE / "elsewhere"))
        from decimal import Decimal as half
        import only_here
        from only_here import work as job
        import numpy as np
        class Node:
            def other(self) -> np.ndarray: return 2
            def annotated(self, x: only_here.Thing if sys.argv[2:] else int): return 3
            def counted(self): return fractions.Fraction(1, 2) + half(1)
        class Uses:
            def work(self): return job()
        class Dotted:
            def work(self): return only_here.work()
        more = [PortableShipment([Node(), kind()]).instances for kind in (Uses, Dotted)]
        answers, _ = talk(WORKER, [Node(), *more])
        assert answers == [2, 3, "TypeError", "only_here", [1], "only_here", [1]], answers
        """,
        """
        node, *more = nodes
        answers += [node.other(), node.annotated(0)]
        try:
            node.counted()
        except TypeError as error:  # both are there, and do not add up
            answers.append(type(error).__name__)
        for instances in more:
            try:
                _pickle.open_shipment(instances)
            except ModuleNotFoundError as error:
                answers += [error.name, list(_pickle.unopened())]
        """,
        tmp_path,
        interpreter,
    )


def test_tracebacks_show_the_lines_of_the_script(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-24
    run_host(
        """
        class Node:
            def process(self, data):
                return helper(data)  # in the class

        if __name__ == "__main__":
            def helper(data):
                return data / 0  # in a block
        answers, _ = talk(WORKER, [Node()])
        text, = answers
        assert "return helper(data)  # in the class" in text, text
        assert "return data / 0  # in a block" in text, text
        assert __file__ in text, text
        """,
        """
        import os, traceback
        try:
            nodes[0].process(1)
        except ZeroDivisionError:
            answers.append(traceback.format_exc())
        """,
        tmp_path,
        interpreter,
    )


def test_modules_that_a_worker_cannot_import(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19
    run_host(
        """
        import importlib.util, pathlib, sys
        path = pathlib.Path(__file__).parent / "elsewhere" / "hidden.py"
        path.parent.mkdir()
        path.write_text(
            "import math\\nLIMIT = 4\\nclass Hidden:\\n    def limit(self): return LIMIT + math.floor(1.5)\\n"
        )
        spec = importlib.util.spec_from_file_location("hidden", path)
        hidden = sys.modules["hidden"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hidden)
        source = "class Cell:\\n    def value(self): return LIMIT\\nLIMIT = 8\\n"
        import linecache
        linecache.cache["<cell 1>"] = (len(source), None, source.splitlines(True), "<cell 1>")
        space = {"__name__": "cells"}
        exec(compile(source, "<cell 1>", "exec"), space)
        from hidden import Hidden as Found, LIMIT
        class Uses(Found):
            def run(self): return LIMIT + Found().limit()
        answers, _ = talk(WORKER, [hidden.Hidden(), space["Cell"](), Uses()])
        assert type(answers[0]) is hidden.Hidden and type(answers[1]) is space["Cell"]
        assert answers[2:] == [5, 8, 9], answers
        """,
        "answers += [*nodes[:2], nodes[0].limit(), nodes[1].value(), nodes[2].run()]",
        tmp_path,
        interpreter,
    )


def test_what_stands_under_its_name_in_the_script(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19
    run_host(
        """
        import functools
        from typing import Generic, NewType, TypeVar
        T = TypeVar("T")
        Level = NewType("Level", int)
        CALLS = []
        @functools.lru_cache
        def cached(x):
            CALLS.append(x)
            return x * 2
        @functools.singledispatch
        def shown(x): return "any"
        @shown.register
        def _(x: int): return "int"
        class Meta(type):
            def __new__(meta, name, bases, space, **options):
                made = super().__new__(meta, name, bases, space)
                made.options = options
                return made
        class Box(Generic[T]):
            def __init__(self, *inside): self.inside = inside
        class Tagged(Box[int], metaclass=type(Box)): pass
        class Plain(metaclass=Meta, level=Level(3)): pass
        answers, _ = talk(WORKER, [Box(T, cached, shown, Level), Tagged(), Plain(), Box[int]])
        assert answers == [4, 4, [2], "T", "int", 5, {"level": 3}, True], answers
        """,
        """
        box, tagged, plain, alias = nodes
        T, cached, shown, level = box.inside
        import __main__
        answers += [cached(2), cached(2), __main__.CALLS, T.__name__, shown(1), level(5)]
        answers += [type(plain).options, alias.__origin__ is type(box)]
        """,
        tmp_path,
        interpreter,
    )


def test_what_a_worker_lacks_is_no_loss_to_the_caller(tmp_path: Path) -> None:
    # spec: IOP-14, IOP-39
    run_host(
        """
        class Node:
            def make(self):
                class Made:
                    def zeros(self):
                        import numpy as np
                        return np.zeros(2)
                return Made()
        answers, _ = talk(WORKER, [Node()])
        made, told = answers
        assert told == "ModuleNotFoundError", told
        assert made.zeros().tolist() == [0, 0]
        """,
        """
        made = nodes[0].make()
        try:
            made.zeros()
        except ImportError as error:
            told = type(error).__name__
        answers += [made, told]
        """,
        tmp_path,
        interpreters.RUSTPYTHON,
    )


def test_cells_of_a_notebook(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19, IOP-24
    run_host(
        """
        import linecache
        del __file__
        def cell(number, source):
            name = f"/tmp/ipykernel_1/{number}.py"
            linecache.cache[name] = (len(source), None, source.splitlines(True), name)
            exec(compile(source, name, "exec"), globals())
        cell(1, "import math\\nfrom collections import namedtuple, OrderedDict as OD\\nLIMIT = 1\\n")
        cell(2, "class Settings:\\n    level = 2\\n")
        cell(3, "Pair = namedtuple('Pair', 'a b')\\nLIMIT = 3\\n")
        cell(4, "class Node:\\n    def process(self, data): return old()\\n")
        cell(5, "def old(): return 'first'\\n")
        cell(6, "def old():\\n    return math.floor(1.5), Settings.level, Pair(1, 2), LIMIT, OD(a=1)\\n")
        answers, _ = talk(WORKER, [Node(), Settings()])
        assert answers[0] == (1, 2, (1, 2), 3, {"a": 1}), answers
        assert type(answers[0][2]) is Pair and type(answers[1]) is Settings, answers
        """,
        "answers += [nodes[0].process(1), nodes[1]]",
        tmp_path,
        interpreter,
    )


def test_a_class_that_no_node_knows(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19
    run_host(
        """
        import pathlib
        import numpy as np
        LEVEL = 3
        class Base:
            seen = 0
            def level(self): return LEVEL
        class Child(Base): pass
        items = [Base(), Child(), Base(), [Child, Base], pathlib.Path("a/b")]
        answers, _ = talk(WORKER, [object()], items)
        assert [type(a) for a in answers[:3]] == [Base, Child, Base]
        assert answers[3] == [Child, Base] and answers[4] == pathlib.Path("a/b") and Base.seen == 0
        assert answers[5] == 3
        """,
        """
        assert type(items[0]) is type(items[2]) is items[3][1]
        assert issubclass(type(items[1]), type(items[0]))
        items[3][1].seen += 1
        assert type(_pickle.loads(sent[0])).seen == 1, "a class does not start afresh"
        answers += [*items, items[1].level()]
        """,
        tmp_path,
        interpreter,
    )


def test_what_cannot_travel_is_named_and_the_rest_goes(tmp_path: Path) -> None:
    # spec: IOP-07, IOP-39
    run_host(
        """
        import threading
        space = {"__name__": "__main__"}
        exec("class NoSource:\\n    def process(self, data): return data", space)
        class Node:
            def __init__(self, **attributes): self.__dict__.update(attributes)
        lock = threading.Lock()
        nodes = [Node(a=1), space["NoSource"](), Node(deep=[{"k": lock}]), Node(code=Node.__init__.__code__)]
        shipment = PortableShipment(nodes)
        assert sorted(shipment.refused) == [1, 2, 3]
        by_exec, locked, code = (shipment.refused[k] for k in (1, 2, 3))
        assert "source of __main__.NoSource.process cannot be found" in str(by_exec), by_exec
        assert "runtime_hint" in str(by_exec)
        assert locked.path == ".deep[0]['k']" and locked.type_name == "_thread.lock", locked
        assert code.path == ".code", code
        from remotemedia._portable import opening
        opened = opening.loads(shipment.instances)[0]
        assert opened[0].a == 1 and opened[1:] == [None] * 3
        """,
        "",
        tmp_path,
        sys.executable,
    )


def test_a_worker_refuses_code_of_another_interpreter(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19
    run_host(
        """
        by_value = _pickle.Shipment([lambda: 1]).instances
        answers, _ = talk(WORKER, [by_value, b"RMP1v" + by_value])
        assert answers[1:] == ["UnpicklingError", True], answers
        assert answers[0] == ("opened" if sys.argv[1] == sys.executable else "UnpicklableError"), answers
        """,
        """
        by_value, disguised = nodes
        try:
            _pickle.loads(by_value)
            answers.append("opened")
        except Exception as error:
            answers.append(type(error).__name__)
        try:
            _pickle.loads(disguised)
        except Exception as error:
            answers += [type(error).__name__, "contains bytecode" in str(error)]
        """,
        tmp_path,
        interpreter,
    )


def test_a_session_of_a_guest_from_beginning_to_end(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-12, IOP-20, IOP-24
    run_host(
        """
        import asyncio, dataclasses
        from remotemedia import Node
        from remotemedia.nodes import BufferNode, TextTransformNode

        @dataclasses.dataclass
        class Note:
            text: str

        class Counts(Node):
            def __init__(self):
                super().__init__(name="counts")
                self.seen, self.last, self.deleted = 0, None, 1
            async def initialize(self):
                await super().initialize()
            async def process(self, data):
                await asyncio.sleep(0)
                self.seen += 1
                self.last = Note(data)
                vars(self).pop("deleted", None)
                for part in data:
                    yield part
                if data == "!":
                    raise KeyError(self.last)

        nodes = [TextTransformNode(lambda text: text.upper()), Counts(), BufferNode(2)]
        shipment = PortableShipment(nodes)
        assert not shipment.refused, shipment.refused
        path = Path(__file__).with_name("worker.py")
        path.write_text(WORKER)
        sent = (shipment.instances, [])
        answers = pickle.loads(interpreters.run(sys.argv[1], path, pickle.dumps(sent)))
        outputs, fault, states = map(_pickle.loads, answers)
        assert outputs == [["A", "B"], ["C", "!"]], outputs
        assert fault[:3] == ("process", "counts", "KeyError"), fault
        assert "raise KeyError(self.last)" in fault[3] and __file__ in fault[3], fault
        (states,) = [_pickle.loads(data) for name, data, _ in states if name == "counts"]
        changes, deleted = states["counts"]
        assert changes["seen"] == 3 and deleted == ["deleted"], changes
        assert changes["last"] == Note("!") and type(changes["last"]) is Note
        """,
        """
        from remotemedia._guest import DONE, Fault, Guest
        from remotemedia._guest.spec import NodeSpec, SessionSpec
        class Meter:
            def enter(self, node, operation): pass
            def leave(self): pass
            def call_next(self, node): pass
            def runs_on(self, node): pass
            def count_call(self, node): pass
            def count_error(self, node): pass
        out = sys.stdout
        guest = Guest(Meter(), lambda *record: None)
        names = ["upper", "counts", "pairs"]
        specs = [NodeSpec(name, "", "", k, {}, False) for k, name in enumerate(names)]
        guest.open(SessionSpec([(0, specs)], instances, None, 1 << 20))
        outputs, fault = [], None
        for item in ("ab", "c", "!"):
            try:
                kind, value = guest.first_step(0, item)
                while kind != DONE:
                    outputs.append(value)
                    kind, value = guest.step(0)
            except Fault as error:
                fault = (error.kind, error.node_id, error.remote_type, error.traceback)
        states, faults, _ = guest.close()
        assert not faults
        sys.stdout = out
        answers += [outputs, fault, states]
        """,
        tmp_path,
        interpreter,
    )


@pytest.mark.parametrize(
    "interpreter", [sys.executable, interpreters.RUSTPYTHON], ids=["cpython", "rustpython"]
)
def test_arrays_inside_objects(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-19
    run_host(
        """
        import numpy as np
        class Frame:
            def __init__(self, samples, rate): self.samples, self.rate = samples, rate
        whole = np.arange(6, dtype=np.int16).reshape(2, 3)
        answers, _ = talk(WORKER, [object()], [Frame(whole, np.int64(8000))])
        shape, total, rate, back = answers
        assert (shape, total, rate) == ([2, 3], 15, 8000), answers
        assert type(back) is Frame and type(back.samples) is np.ndarray, back.samples
        assert back.samples.dtype == np.int16 and (back.samples == whole).all()
        """,
        """
        frame = items[0]
        answers += [list(frame.samples.shape), int(frame.samples.sum()), int(frame.rate), frame]
        """,
        tmp_path,
        interpreter,
    )


def test_a_session_of_both_kinds_of_workers(tmp_path: Path) -> None:
    # spec: IOP-19, IOP-41
    run_host(
        """
        class Known: pass
        class Node:
            known = Known
        def made_later():
            class Later:
                kept = 5
            return Later()
        import subprocess
        by_value = _pickle.Shipment([Node(), lambda: 1], portable_items=True)
        portable = PortableShipment([Node()])
        assert portable.shipped <= by_value.shipped
        path = Path(__file__).with_name("worker.py")
        path.write_text(WORKER)
        items = [portable.dumps(Known()), portable.dumps(made_later())]
        sent = (by_value.instances, items)
        first = pickle.loads(interpreters.run(sys.executable, path, pickle.dumps(sent)))
        assert all(data.startswith(b"RMP1") for data in first), first
        # What one worker sends goes to the next as it is.
        sent = (portable.instances, first)
        for other in {*interpreters.other_pythons(), interpreters.RUSTPYTHON}:
            second = pickle.loads(interpreters.run(other, path, pickle.dumps(sent)))
            known, later = map(_pickle.loads, second)
            assert type(known) is Known and type(later).kept == 5, second
        """,
        """
        answers += items
        """,
        tmp_path,
        sys.executable,
    )


def test_data_of_the_standard_library_is_the_same_everywhere(
    tmp_path: Path, interpreter: str
) -> None:
    # spec: IOP-19
    run_host(
        """
        import array, collections, datetime, decimal, fractions, functools, ipaddress, operator
        import pathlib, random, re, types, uuid, zoneinfo
        values = [
            datetime.datetime(2024, 1, 2, 3, tzinfo=datetime.timezone.utc), datetime.timedelta(1, 2),
            decimal.Decimal("1.50"), fractions.Fraction(1, 3), uuid.UUID(int=5), 2**100, -0.0, 1j,
            collections.deque([1, 2], 3), collections.OrderedDict(a=1), collections.Counter("aab"),
            collections.defaultdict(list, {1: [2]}), array.array("f", [1.5, 2]), pathlib.Path("/a/b"),
            pathlib.PurePosixPath("x"), pathlib.PureWindowsPath("c:/y"), re.compile("a+", re.I),
            range(3), slice(1, 2), frozenset({1}), bytearray(b"x"), ValueError("v", 1), Ellipsis,
            types.SimpleNamespace(a=1), ipaddress.ip_address("10.0.0.1"),
            functools.partial(operator.add, 1), KeyError("k"), memoryview(b"ab").tobytes(),
        ]
        answers, _ = talk(WORKER, [object()], values)
        for value, answer in zip(values, answers, strict=True):
            assert type(answer) is type(value), (value, answer)
            if isinstance(value, BaseException):
                assert answer.args == value.args
            elif isinstance(value, functools.partial):
                assert answer(2) == 3
            else:
                assert answer == value, (value, answer)
        """,
        "answers += items",
        tmp_path,
        interpreter,
    )
