"""Scripts as people write them: each node gives the same on both interpreters, where it is told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from e2e_nodes import run_script

START = """
import functools, json, sys, threading
from remotemedia import Node, Pipeline, Runtime
HERE = sys.implementation.name
def give(kind, runtime):
    with Runtime() as own:
        pipeline = Pipeline(kind(), runtime=own)
        out = pipeline.run_sync([2], runtime=runtime, fallback=False)
        return [out, next(iter(pipeline.explain(runtime=runtime, fallback=False))).runtime]
"""
END = """
if __name__ == "__main__":
    kinds = [k for k in list(globals().values()) if isinstance(k, type) and issubclass(k, Node)]
    for kind in kinds:
        if kind is not Node:
            given = [give(kind, runtime) for runtime in ("cpython", "rustpython")]
            print(json.dumps([kind.__name__, given]))
"""


def both(tmp_path: Path, script: str) -> dict[str, object]:
    """What each node of a script gives, when both interpreters give the same."""
    printed = run_script(tmp_path, START + script + END)
    results = {}
    for line in printed.splitlines():
        name, ((there, on_cpython), (here, on_rustpython)) = json.loads(line)
        assert there == here, (name, there, here)
        assert (on_cpython, on_rustpython) == ("cpython", "rustpython")
        results[name] = here
    return results


def test_tables_in_which_definitions_enter_themselves(tmp_path: Path) -> None:
    # spec: IOP-12, IOP-37
    script = """
BY_NAME = {}
ORDER = []
COUNT = 0
def register(name):
    def enter(function):
        global COUNT
        COUNT += 1
        BY_NAME[name] = function
        ORDER.append(name)
        return function
    return enter
@register("double")
def double(x): return 2 * x
@register("next")
def following(x): return x + 1
BY_NAME["again"] = double

@functools.singledispatch
def told(x): return "object"
@told.register
def _(x: int): return "int"

class Named(Node):
    def process(self, data):
        return [BY_NAME["double"](data), BY_NAME["again"](3), sorted(BY_NAME), ORDER, COUNT]
class Direct(Node):
    def process(self, data):
        return [following(data), sorted(BY_NAME)]
class Dispatches(Node):
    def process(self, data):
        return [told(data), told("a")]
"""
    assert both(tmp_path, script) == {
        "Named": [4, 6, ["again", "double", "next"], ["double", "next"], 2],
        "Direct": [3, ["again", "double", "next"]],
        "Dispatches": ["int", "object"],
    }


def test_modules_below_a_package_are_imported_too(tmp_path: Path) -> None:
    # spec: IOP-26, IOP-37
    script = """
import logging, logging.handlers
import packaging.version
import xml.dom.minidom as dom, xml.etree.ElementTree
import wsgiref.headers
if sys:
    import wsgiref.util
import packaging
class Newer(Node):
    def process(self, data):
        return packaging.version.parse("1.10") > packaging.version.parse("1.9")
class Parses(Node):
    def process(self, data):
        return [xml.etree.ElementTree.fromstring("<a b='1'/>").get("b"), dom.Node.TEXT_NODE]
class Logs(Node):
    def process(self, data):
        return logging.handlers.SYSLOG_UDP_PORT
class Heads(Node):
    def process(self, data):
        return [str(wsgiref.headers.Headers([("a", "b")])), wsgiref.util.is_hop_by_hop("Upgrade")]
"""
    assert both(tmp_path, script) == {
        "Newer": True,
        "Parses": ["1", 3],
        "Logs": 514,
        "Heads": ["a: b\r\n\r\n", True],
    }


def test_what_no_pickle_takes_is_made_anew_by_its_statement(tmp_path: Path) -> None:
    # spec: IOP-12, IOP-19
    script = """
LOCK = threading.Lock()
EVENT = threading.Event()
SEEN = {}
class Locked(Node):
    def process(self, data):
        with LOCK:
            SEEN["data"] = data
        return [SEEN, EVENT.is_set()]
"""
    assert both(tmp_path, script) == {"Locked": [{"data": 2}, False]}


@pytest.mark.parametrize("runtime", ["cpython", "rustpython"])
def test_what_no_way_can_carry_is_one_error(tmp_path: Path, runtime: str) -> None:
    # spec: IOP-07, IOP-19
    script = f"""
class Holds(Node):
    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()
    def process(self, data):
        return data
try:
    Pipeline(Holds()).run_sync([1], runtime={runtime!r})
except Exception as error:
    told = str(error)
    print(type(error).__name__, error.node_id, told.count("self.lock"), "initialize()" in told)
"""
    printed = run_script(tmp_path, START + script)
    assert printed.split() == ["MarshalingError", "Holds_0", "1", "True"]
