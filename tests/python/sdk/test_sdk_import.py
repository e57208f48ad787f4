"""Importing the package costs little and needs little."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import remotemedia
from interpreters import RUSTPYTHON

BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r} or name == "remotemedia._native":
            raise ModuleNotFoundError(f"blocked: {{name}}", name=name)
sys.meta_path.insert(0, Block())
"""


def _run(code: str, *blocked: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED.format(blocked=set(blocked)) + code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_core_needs_neither_numpy_nor_the_native_module() -> None:
    code = """
import remotemedia, remotemedia.core, remotemedia.nodes
from remotemedia import *
from remotemedia.core import *
from remotemedia.core.exceptions import NodeError
class Mine(Node):
    def process(self, data): return data
p = Pipeline("p"); p.add_node(AudioResampleNode(target_rate=16000)); p.add_node(Mine())
print(len(p.serialize()) > 0, Mine().process(3))
"""
    code = code.replace(
        "from remotemedia import *",
        "from remotemedia import Node, Pipeline, "
        "AudioResampleNode, read_audio, Runtime, RustExecutor",
    )
    assert _run(code, "numpy") == "True 3"


def test_nodes_need_only_the_standard_library() -> None:
    code = """
from remotemedia.core import Node
from remotemedia.core.exceptions import NodeError
class Mine(Node):
    def process(self, data): return data
print(Mine(name="n").to_manifest()["id"])
"""
    assert _run(code, "numpy", "cloudpickle", "yaml", "asyncio") == "n"


def test_what_calls_nodes_needs_only_the_standard_library() -> None:
    # spec: IOP-12
    code = """
from remotemedia._guest import DONE, Fault, Guest
from remotemedia import _pickle
from remotemedia.nodes import AudioBuffer, AudioTransform, BufferNode, VoiceActivityDetector
from remotemedia._portable.writing import PortableShipment
shipment = PortableShipment([BufferNode(2), VoiceActivityDetector()])
nodes, levels = _pickle.open_shipment(shipment.instances)
assert nodes[0].process(1) is None
print(nodes[0].process(2), _pickle.loads(_pickle.dumps({"a": 1})))
try:
    _pickle.Shipment([BufferNode(2)])
except _pickle.UnpicklableError as problem:
    print("by value" in str(problem) or "code" in str(problem))
"""
    assert _run(code, "numpy", "cloudpickle", "yaml") == "[1, 2] {'a': 1}\nTrue"


def test_a_missing_native_module_is_explained() -> None:
    code = """
import warnings
from remotemedia import Pipeline, PassThroughNode, try_load_rust_runtime
from remotemedia import is_rust_runtime_available, get_rust_runtime
try:
    Pipeline(PassThroughNode()).run(1)
except ImportError as problem:
    print("pip install" in str(problem))
ok, module, problem = try_load_rust_runtime()
print(ok, module, bool(problem), get_rust_runtime())
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    print(is_rust_runtime_available(), "Rust runtime unavailable" in str(seen[0].message))
"""
    assert _run(code).split("\n") == ["True", "False None True None", "False True"]


def test_yaml_is_asked_for_by_name() -> None:
    code = """
from remotemedia import Pipeline
try:
    Pipeline.from_yaml("nodes: []\\n")
except ImportError as problem:
    print(problem)
"""
    assert "pip install 'remotemedia[yaml]'" in _run(code, "yaml")


def test_every_public_name_is_there() -> None:
    native = {"execute_pipeline", "execute_pipeline_with_input", "get_available_nodes"}
    native |= {"get_node_metadata", "validate_manifest"}
    for name in set(remotemedia.__all__) - native:
        assert getattr(remotemedia, name) is not None
    assert set(remotemedia.__all__) <= set(dir(remotemedia))
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        remotemedia.__getattr__("Nonsense")


def test_importing_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _run("import remotemedia; print(remotemedia.__version__)") == "1.0.0"


@pytest.mark.rustpython
def test_everything_that_is_there_can_be_imported_at_once(tmp_path: Path) -> None:
    # spec: IOP-12
    script = tmp_path / "star.py"
    script.write_text("from remotemedia import *\nprint(Node.__name__, Pipeline.__name__)\n")
    for interpreter in (sys.executable, RUSTPYTHON):
        printed = subprocess.check_output([interpreter, str(script)], text=True)
        assert printed == "Node Pipeline\n", interpreter
