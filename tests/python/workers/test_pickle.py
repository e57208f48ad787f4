"""Pickles between two processes: what travels by name, by token and by value."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import types
from pathlib import Path
from typing import Any

import pytest

from remotemedia import _pickle
from remotemedia._pickle import UnpicklableError

# The host ships `nodes` and sends `items`; what the worker answers is `answers`.
HOST = """
import pickle, subprocess, sys
from remotemedia import _pickle

def talk(worker, nodes, items=()):
    shipment = _pickle.Shipment(nodes)
    sent = [shipment.dumps(item) for item in items]
    run = [sys.executable, "-P", "-c", worker]
    done = subprocess.run(
        run, input=pickle.dumps((shipment.instances, sent)), stdout=subprocess.PIPE, check=True
    )
    return [_pickle.loads(answer) for answer in pickle.loads(done.stdout)], sent
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
sys.stdout.buffer.write(pickle.dumps([_pickle.dumps(answer) for answer in answers]))
"""


def run_host(script: str, worker: str, tmp_path: Path) -> str:
    """Runs a script that finds HOST's `talk` and the worker's program as WORKER."""
    program = WORKER_START + textwrap.dedent(worker) + WORKER_END
    path = tmp_path / "host_script.py"
    path.write_text(f"{HOST}\nWORKER = {program!r}\n" + textwrap.dedent(script))
    root = str(Path(_pickle.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(path)],
        env={"PYTHONPATH": root, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout


def test_shipped_classes_are_the_same_on_both_sides_and_travel_once(tmp_path: Path) -> None:
    # spec: IOP-06, IOP-19, IOP-32
    run_host(
        """
        import dataclasses, enum

        @dataclasses.dataclass
        class Point:
            x: int
            def scaled(self): return helper(self)

        class Colour(enum.Enum):
            RED = 1

        class Problem(Exception):
            def __init__(self, text, code):
                super().__init__(text, code)
                self.code = code

        FACTOR = 5
        def helper(point): return Point(point.x * FACTOR)

        class Scale:
            wanted = Point
            colour = Colour.RED
            problem = Problem
            def process(self, point):
                assert isinstance(point, Point)
                return point.scaled()

        items = [Point(3), Colour.RED, Problem("t", 4), Scale, helper]
        answers, sent = talk(WORKER, [Scale()], items)
        assert answers[0] == Point(15) and type(answers[0]) is Point, answers
        assert answers[1] is Colour.RED and answers[3] is Scale and answers[4] is helper, answers
        assert type(answers[2]) is Problem and answers[2].code == 4
        assert max(map(len, sent)) < 250, [len(data) for data in sent]
        """,
        """
        assert items[1] is nodes[0].colour and items[3] is type(nodes[0])
        answers += [nodes[0].process(items[0]), *items[1:]]
        """,
        tmp_path,
    )


def test_a_class_that_no_node_knows_is_one_class_over_all_items(tmp_path: Path) -> None:
    # spec: IOP-19
    run_host(
        """
        class Base:
            seen = 0
        class Child(Base):
            pass
        answers, _ = talk(WORKER, [object()], [Base(), Child(), Base(), [Child, Base]])
        assert [type(a) for a in answers[:3]] == [Base, Child, Base]
        assert answers[3] == [Child, Base] and Base.seen == 0
        """,
        """
        assert type(items[0]) is type(items[2]) is items[3][1]
        assert issubclass(type(items[1]), type(items[0]))
        items[3][1].seen += 1
        assert type(_pickle.loads(sent[0])).seen == 1, "a class does not start afresh"
        answers += items
        """,
        tmp_path,
    )


def test_a_class_of_the_worker_comes_to_the_host(tmp_path: Path) -> None:
    run_host(
        """
        class Known:
            pass
        answers, _ = talk(WORKER, [Known()])
        pair, made, again = answers
        assert pair == (1, 2) and pair.first == 1
        assert made.known is Known and made.value == 7 and type(made) is type(again)
        """,
        """
        import collections
        Pair = collections.namedtuple("Pair", "first second")
        class Made:
            known = type(nodes[0])
            value = 7
        answers += [Pair(1, 2), Made(), Made()]
        """,
        tmp_path,
    )


def test_the_script_is_not_executed_again_and_main_is_a_stand_in(tmp_path: Path) -> None:
    out = run_host(
        """
        print("executed")
        class Node:
            pass
        def made_in_a_function():
            class Local:
                pass
            return Local()
        answers, _ = talk(WORKER, [Node(), made_in_a_function()])
        assert answers == ["['Node']", True, "made_in_a_function.<locals>.Local"], answers
        """,
        """
        import __main__
        answers.append(str([name for name in vars(__main__) if not name.startswith("__")]))
        answers.append(isinstance(pickle.loads(pickle.dumps(nodes[0])), __main__.Node))
        answers.append(type(nodes[1]).__qualname__)
        """,
        tmp_path,
    )
    assert out == "executed\n"


def test_nodes_share_what_they_shared(tmp_path: Path) -> None:
    # spec: IOP-21
    run_host(
        """
        class Node:
            def __init__(self, shared): self.shared = shared
        shared = []
        answers, _ = talk(WORKER, [Node(shared), Node(shared)])
        assert answers == [True]
        """,
        "answers.append(nodes[0].shared is nodes[1].shared)",
        tmp_path,
    )


def test_functions_share_their_variables(tmp_path: Path) -> None:
    # spec: IOP-21
    run_host(
        """
        def make():
            total = 0
            def put(amount):
                nonlocal total
                total += amount
                return recurse(3)
            def recurse(depth):
                return depth and recurse(depth - 1)
            return put, lambda: total
        class Base:
            def value(self): return 1
        class Child(Base):
            def value(self): return super().value() + len(__class__.__name__)
        answers, _ = talk(WORKER, [make(), Child()])
        assert answers == [0, 5, 7, 6], answers
        """,
        """
        put, look = nodes[0]
        answers += [put(5), look()]
        put(2)
        answers += [look(), nodes[1].value()]
        """,
        tmp_path,
    )


def test_a_cached_function_travels_with_its_bounds(tmp_path: Path) -> None:
    # spec: IOP-21
    printed = run_host(
        """
        import functools

        @functools.lru_cache(maxsize=7)
        def double(value):
            return 2 * value

        class Doubles:
            def process(self, data):
                return double(data), double(data), double.cache_info()

        print(talk(WORKER, [Doubles()])[0])
        """,
        "answers.append(tuple(nodes[0].process(4)[:2]) + tuple(nodes[0].process(4)[2]))",
        tmp_path,
    )
    assert printed == "[(8, 8, 3, 1, 7, 1)]\n"


def test_the_next_session_replaces_the_last(tmp_path: Path) -> None:
    run_host(
        """
        class First: pass
        class Second: pass
        other = _pickle.Shipment([Second()]).instances
        answers, _ = talk(WORKER, [First(), other])
        assert answers == [False, True]
        """,
        """
        second = _pickle.open_shipment(nodes[1])[0]
        import __main__
        answers += [hasattr(__main__, "First"), type(second[0]) is __main__.Second]
        """,
        tmp_path,
    )


def test_source_lines_without_a_file_travel_along(tmp_path: Path) -> None:
    # spec: IOP-24
    run_host(
        """
        import linecache
        source = "class Cell:\\n    def process(self):\\n        return 1 / 0  # in a cell\\n"
        linecache.cache["<cell 1>"] = (len(source), None, source.splitlines(True), "<cell 1>")
        exec(compile(source, "<cell 1>", "exec"))
        answers, _ = talk(WORKER, [Cell()])
        assert "return 1 / 0  # in a cell" in answers[0], answers[0]
        """,
        """
        import traceback
        try:
            nodes[0].process()
        except ZeroDivisionError:
            answers.append(traceback.format_exc())
        """,
        tmp_path,
    )


def test_modules_that_a_worker_cannot_import_travel_by_value(tmp_path: Path) -> None:
    # spec: IOP-19
    run_host(
        """
        import importlib.util, pathlib, sys, types
        made = types.ModuleType("made_here")
        sys.modules["made_here"] = made
        exec("class Made:\\n    pass\\n", vars(made))
        path = pathlib.Path(__file__).parent / "elsewhere" / "hidden.py"
        path.parent.mkdir()
        path.write_text("LIMIT = 4\\nclass Hidden:\\n    def limit(self): return LIMIT\\n")
        spec = importlib.util.spec_from_file_location("hidden", path)
        hidden = sys.modules["hidden"] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(hidden)
        answers, _ = talk(WORKER, [made.Made(), hidden.Hidden()])
        assert type(answers[0]) is made.Made and type(answers[1]) is hidden.Hidden
        assert answers[2] == 4
        """,
        "answers += [*nodes, nodes[1].limit()]",
        tmp_path,
    )


def test_importable_classes_travel_by_name() -> None:
    data = _pickle.dumps(Path("x"))
    assert len(data) < 100
    assert _pickle.loads(data) == Path("x")


class Holder:
    array: Any
    model: Any
    small: Any
    text: Any

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda lock: lock, ""),
        (lambda lock: [1, {"k": (2, lock)}], "[1]['k'][1]"),
        (lambda lock: Holder(a=[Holder(b={5: lock})]), ".a[0].b[5]"),
        (lambda lock: {lock: 1}, " key <unlocked"),
        (lambda lock: {lock}, "{element}"),
        (lambda lock: types.SimpleNamespace(x=lock), ".x"),
    ],
)
def test_an_error_names_the_path_and_the_type(make: Any, path: str) -> None:
    # spec: IOP-07
    with pytest.raises(UnpicklableError) as caught:
        _pickle.dumps(make(threading.Lock()))
    assert caught.value.path.startswith(path)
    assert caught.value.type_name == "_thread.lock"
    assert "cannot pickle" in caught.value.reason
    assert isinstance(caught.value, TypeError)


def test_an_error_of_a_shipment_begins_with_the_place_in_it() -> None:
    # spec: IOP-07
    with pytest.raises(UnpicklableError) as caught:
        _pickle.Shipment([Holder(), Holder(model=Holder(lock=threading.Lock()))])
    assert caught.value.path == "[1].model.lock"


def test_what_pickling_raises_itself_is_the_reason() -> None:
    class Refuses:
        def __reduce__(self) -> Any:
            raise ZeroDivisionError("not today")

    with pytest.raises(UnpicklableError, match="not today") as caught:
        _pickle.dumps({"a": Refuses()})
    assert caught.value.path == "['a']"

    class Interrupted:
        def __reduce__(self) -> Any:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _pickle.dumps(Interrupted())


def test_a_class_that_is_gone_is_named() -> None:
    def shipped() -> bytes:
        class Gone:
            pass

        shipment = _pickle.Shipment([Gone])
        return shipment.dumps(Gone)

    data = shipped()
    import gc

    gc.collect()
    with pytest.raises(Exception, match=r"shipped\.<locals>\.Gone of test_pickle no longer exists"):
        _pickle.loads(data)


class Tensor:
    """Like a tensor, it copies itself before it is pickled."""

    nbytes = 1 << 40

    def __reduce__(self) -> Any:
        raise AssertionError("it was copied")


def test_what_is_too_large_to_be_written_back_is_not_even_copied() -> None:
    from remotemedia._guest.state import Snapshots

    node = Holder(small=1, model=Holder(weights=[Tensor()]))
    snapshots = Snapshots({"n": node}, limit=1000)
    assert snapshots.changes() == []
    node.small = 2
    node.model = Tensor()
    node.text = "x" * 2000
    ((node_id, changed, kept),) = snapshots.changes()
    assert node_id == "n"
    assert _pickle.loads(changed) == {"n": ({"small": 2}, [])}
    assert [name for name, _ in kept] == ["model", "text"]
    assert all("larger than write_back_max" in reason for _, reason in kept)


def test_large_arrays_are_compared_without_a_copy_of_their_memory() -> None:
    import tracemalloc

    import numpy as np

    from remotemedia._guest.state import Snapshots

    node = Holder(array=np.zeros(4_000_000))
    tracemalloc.start()
    try:
        snapshots = Snapshots({"n": node}, limit=64 << 20)
        node.array[3] = 1
        ((_, _, kept),) = snapshots.changes()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept == []
    assert peak < 3 * node.array.nbytes, "the changed value itself is pickled once"
