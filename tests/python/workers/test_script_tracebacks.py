"""Tracebacks of nodes that are in no module: the caller sees file, line number and source line."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import types
import zipfile
from pathlib import Path
from typing import Any

import pytest

from remotemedia import _by_value, _sources

NODES = """
import functools
from remotemedia import Node, NodeError, Pipeline

def checked(function):
    @functools.wraps(function)
    def inner(*arguments):
        return function(*arguments)  # line of the decorator
    return inner

class Outer:
    @staticmethod
    def helper(data):
        return (lambda value: value / 0)(data)  # line of the helper

class Script(Node):
    @checked
    def process(self, data):
        def nested(value):
            return Outer.helper(value)  # line of the nested function
        return nested(data)  # line of the method

def function(data):
    return data / 0  # line of the function
"""
RUNS = """
for node in (Script(), function, lambda data: data / 0):  # line of the lambda
    try:
        Pipeline(node).run(1)
    except NodeError as error:
        print(error.remote_traceback)
"""
LINES = ["decorator", "helper", "nested function", "method", "function", "lambda"]
BOTH = pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])


def output(command: list[str], folder: Path, interpreter: str, program: str = "") -> str:
    """What a program prints that runs its Python nodes on `interpreter`."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "REMOTEMEDIA_PYTHON_RUNTIME": interpreter},
        input=program,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(printed: str, text: str, file: str) -> None:
    """Every marked line of `text` is shown with the number that it has there."""
    for name in LINES:
        mark = f"# line of the {name}"
        (number,) = (n for n, line in enumerate(text.splitlines(), 1) if line.endswith(mark))
        # A lambda reaches RustPython without the statement around it.
        shown = "lambda data: data / 0" if name == "lambda" else mark
        assert shown in printed, f"{mark}\n{printed}"
        assert f'File "{file}", line {number}' in printed, f"{mark}\n{printed}"


@BOTH
def test_of_a_script(tmp_path: Path, interpreter: str) -> None:
    """spec: IOP-24"""
    script = tmp_path / "script.py"
    script.write_text(NODES + RUNS)
    check(output([str(script)], tmp_path, interpreter), script.read_text(), str(script))


@BOTH
def test_of_a_script_in_another_folder(tmp_path: Path, interpreter: str) -> None:
    """spec: IOP-24"""
    (tmp_path / "below").mkdir()
    (tmp_path / "elsewhere").mkdir()
    script = tmp_path / "below" / "script.py"
    script.write_text(f"import os\nos.chdir({str(tmp_path / 'elsewhere')!r})\n{NODES}{RUNS}")
    printed = output(["below/script.py"], tmp_path, interpreter)
    check(printed, script.read_text(), str(script))


@BOTH
def test_of_a_command(tmp_path: Path, interpreter: str) -> None:
    """spec: IOP-24"""
    check(output(["-c", NODES + RUNS], tmp_path, interpreter), NODES + RUNS, "<string>")


@BOTH
@pytest.mark.parametrize("name", ["<cell 1>", "/tmp/ipykernel_1/1234567890.py"])
def test_of_a_notebook_cell(tmp_path: Path, interpreter: str, name: str) -> None:
    """spec: IOP-24"""
    text = NODES + RUNS
    cells = f"""
import linecache
text = {text!r}
linecache.cache[{name!r}] = (len(text), None, text.splitlines(True), {name!r})
exec(compile(text, {name!r}, "exec"))
"""
    script = tmp_path / "kernel.py"
    script.write_text(cells)
    check(output([str(script)], tmp_path, interpreter), text, name)


def test_of_a_file_that_is_gone(tmp_path: Path) -> None:
    """Python itself shows the lines of a file only while it has them in `linecache`.

    spec: IOP-24
    """
    script = tmp_path / "script.py"
    begin = "import linecache, os\nlinecache.getlines(__file__)\nos.remove(__file__)\n"
    text = begin + NODES + RUNS
    script.write_text(text)
    check(output([str(script)], tmp_path, "cpython"), text, str(script))


def test_of_an_archive(tmp_path: Path) -> None:
    """spec: IOP-24"""
    archive = tmp_path / "program.pyz"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("__main__.py", NODES + RUNS)
    printed = output([str(archive)], tmp_path, "cpython")
    check(printed, NODES + RUNS, f"{archive}/__main__.py")


def test_a_cell_that_is_run_again_shows_its_present_lines(tmp_path: Path) -> None:
    """spec: IOP-24"""
    script = tmp_path / "kernel.py"
    script.write_text(
        textwrap.dedent(
            """
            import linecache, os
            from remotemedia import NodeError, Pipeline

            def fail(text, known):
                linecache.cache.pop("<cell>", None)
                if known:
                    linecache.cache["<cell>"] = (len(text), None, text.splitlines(True), "<cell>")
                space = {"__name__": "__main__"}
                exec(compile(text, "<cell>", "exec"), space)
                try:
                    Pipeline(space["node"]).run(1)
                except NodeError as error:
                    print("first line" in error.remote_traceback, end=" ")
                    print("second line" in error.remote_traceback)

            fail("def node(data):\\n    return 1 / 0  # first line\\n", True)
            fail("def node(data):\\n    return 2 / 0  # second line\\n", True)
            fail("def node(data):\\n    return 3 / 0  # third line\\n", False)
            """
        )
    )
    printed = output([str(script)], tmp_path, "cpython")
    assert printed == "True False\nFalse True\nFalse False\n"


def test_code_keeps_its_file_name_whatever_cloudpickle_writes() -> None:
    """spec: IOP-24"""

    def reduce(code: types.CodeType) -> Any:
        return _anonymous, (code.co_code,)

    def outer() -> Any:
        return 1

    make, arguments = _sources.reduce_code(outer.__code__, reduce)
    assert make(*arguments).co_filename == __file__
    reduced = _by_value.Pickler(_Nowhere(), frozenset()).reducer_override(outer.__code__)
    assert reduced[0](*reduced[1]) == outer.__code__


def _anonymous(code: bytes) -> types.CodeType:
    return compile("1", "<dynamic-code>", "eval")


class _Nowhere:
    def write(self, data: bytes, /) -> int:
        return len(data)


OLDEST = "3.0.0"
"""The oldest cloudpickle that the wheel accepts; the other tests have the newest one."""


def test_of_a_script_with_the_oldest_cloudpickle(tmp_path: Path) -> None:
    """Needs the network.

    spec: IOP-24
    """
    folder = tmp_path / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, str(folder), f"cloudpickle=={OLDEST}"], check=True)
    script = tmp_path / "script.py"
    text = f"import sys; sys.path.insert(0, {str(folder)!r})\n{NODES}{RUNS}"
    text += "import cloudpickle; print(cloudpickle.__version__)\n"
    script.write_text(text)
    printed = output([str(script)], tmp_path, "cpython")
    check(printed, text, str(script))
    assert printed.endswith(f"{OLDEST}\n")
