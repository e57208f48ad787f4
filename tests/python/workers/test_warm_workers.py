"""A warm worker stays warm when the caller's surroundings change, and nodes find the caller's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from places import FIXTURES
from remotemedia import Pipeline, Runtime
from warm_nodes import Finds
from worker_programs import RUSTPYTHON

INTERPRETERS = ["cpython", "rustpython"]

Look = Callable[[str], tuple[int, Any]]
"""Runs statements in a worker; gives its process id and what they found."""


def looker(interpreter: str, most: int = 1, more: str = "") -> Iterator[Look]:
    """Runs on one runtime with `most` workers."""
    settings = (
        f"[workers]\nmax = {most}\n[rustpython]\nmax = {most}\n[fallback]\nenabled = false\n"
        f'[python]\nruntime = "{interpreter}"\n{more}'
    )
    with Runtime(settings) as runtime:

        def look(statements: str) -> tuple[int, Any]:
            found: tuple[int, Any] = Pipeline(Finds(), runtime=runtime).run(statements)
            return found

        yield look


@pytest.fixture(params=INTERPRETERS)
def look(request: pytest.FixtureRequest) -> Iterator[Look]:
    yield from looker(request.param)


@pytest.fixture
def look_on_cpython() -> Iterator[Look]:
    yield from looker("cpython")


def module(folder: Path, name: str, value: str) -> Path:
    """A folder with a module that has one value."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(f"VALUE = {value!r}\n")
    return folder


def imports(name: str) -> str:
    """Statements that find the value of a module, or that it cannot be had."""
    return f"""
try:
    from {name} import VALUE as found
except ImportError:
    found = "not to be had"
"""


EVERYTHING = """
import sys
found = os.environ.get("WARM"), os.getcwd(), sys.argv, sys.path[-1]
mask = os.umask(0)
os.umask(mask)
found = [*found, mask]
"""


def test_a_changed_variable_folder_path_argument_and_umask_keep_the_worker(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02, CARD-03, IOP-09"""
    before = os.umask(0o22)
    try:
        pid, _ = look("found = None")
        for turn in range(3):
            folder = tmp_path / str(turn)
            folder.mkdir()
            monkeypatch.setenv("WARM", f"turn {turn}")
            monkeypatch.setenv("PYTEST_CURRENT_TEST", f"turn {turn}")
            monkeypatch.chdir(folder)
            monkeypatch.setattr(sys, "argv", ["job.py", "--turn", str(turn)])
            monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
            os.umask(0o20 + turn)
            expected = [f"turn {turn}", str(folder), sys.argv, str(folder), 0o20 + turn]
            assert look(EVERYTHING) == (pid, expected)
    finally:
        os.umask(before)


def test_removed_variables_are_removed(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller's of the last run, and what a node or a library set, in Python and in C."""
    listed = """
import subprocess
names = ["CALLERS", "NODES", "BEHIND"]
told = subprocess.run(["env"], capture_output=True, text=True).stdout.splitlines()
found = sorted(os.environ.keys() & set(names)), sorted(
    line for line in told if line.partition("=")[0] in names
)
"""
    monkeypatch.setenv("CALLERS", "here")
    pid, found = look(listed)
    assert found == (["CALLERS"], ["CALLERS=here"])
    look('os.environ["NODES"] = "1"; del os.environ["CALLERS"]')
    assert look(listed) == (pid, (["CALLERS"], ["CALLERS=here"]))
    monkeypatch.delenv("CALLERS")
    look('os.putenv("BEHIND", "1"); os.environ = {"PATH": os.environ["PATH"]}')
    assert look(listed) == (pid, ([], []))
    look('os.putenv("CALLERS", "back")')
    monkeypatch.setenv("CALLERS", "back")
    assert look(listed) == (pid, (["CALLERS"], ["CALLERS=back"]))


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_what_a_script_in_place_of_the_interpreter_exports_stays(
    interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02: in every session, unless the caller sets it; what the caller removes goes."""
    program = {"cpython": sys.executable, "rustpython": str(RUSTPYTHON)}[interpreter]
    script = tmp_path / "wrapper.sh"
    lines = ["#!/bin/sh", "export WRAPPERS=1 BOTH=wrapper", f'exec "{program}" "$@"']
    script.write_text("\n".join(lines))
    script.chmod(0o755)
    names = "WRAPPERS", "BOTH", "CALLERS", "REMOTEMEDIA_GIVEN_VARIABLES"
    listed = f"found = [os.environ.get(name) for name in {names}]"
    monkeypatch.setenv("CALLERS", "first")
    monkeypatch.setenv("REMOTEMEDIA_RUSTPYTHON", str(script))
    more = f'interpreter = "{script}"\n' if interpreter == "cpython" else ""
    for look in looker(interpreter, more=more):
        pid, found = look(listed)
        assert found == ["1", "wrapper", "first", None]
        monkeypatch.delenv("CALLERS")
        monkeypatch.setenv("BOTH", "caller")
        look('del os.environ["WRAPPERS"]')
        assert look(listed) == (pid, ["1", "caller", None, None])
        monkeypatch.delenv("BOTH")
        assert look(listed) == (pid, ["1", "wrapper", None, None])


def test_variables_are_bytes(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    """spec: CARD-02"""
    values = {"BYTES": b"\xff\xfe=\n", "UMLAUT": "grün".encode(), "EMPTY": b"", "CAF\udce9": b"1"}
    for name, value in values.items():
        monkeypatch.setitem(os.environb, os.fsencode(name), value)
    names = [os.fsencode(name) for name in values]
    _, found = look(f"found = [os.environb.get(name) for name in {names!r}]")
    assert found == list(values.values())


def test_the_time_zone_is_followed(look_on_cpython: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    hours = "import time; found = time.localtime(0).tm_hour, time.tzname[0]"
    for zone, expected in [("UTC-5", (5, "UTC")), ("ABC+3", (21, "ABC")), ("UTC", (0, "UTC"))]:
        monkeypatch.setenv("TZ", zone)
        pid, found = look_on_cpython(hours)
        assert found == expected
    look_on_cpython('import time; os.environ["TZ"] = "ABC+3"; time.tzset()')
    assert look_on_cpython(hours) == (pid, (0, "UTC"))
    monkeypatch.delenv("TZ")
    without = {name: value for name, value in os.environ.items() if name != "TZ"}
    script = "import time; print(time.localtime(0).tm_hour)"
    told = subprocess.run([sys.executable, "-c", script], env=without, capture_output=True)
    _, (hour, _) = look_on_cpython(hours)
    assert hour == int(told.stdout)


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_what_counts_at_the_start_gets_another_worker(
    interpreter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02: also what the configuration names, and only that."""
    asked = 'found = os.environ.get("GPU"), os.environ.get("LD_WARM"), os.environ.get("OTHER")'
    for look in looker(interpreter, more='start_variables = ["GPU"]\n'):
        pids = [look(asked)[0]]
        for name in ("GPU", "LD_WARM"):
            monkeypatch.setenv(name, "1")
            pids.append(look(asked)[0])
        monkeypatch.setenv("OTHER", "1")
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
        assert look(asked) == (pids[-1], ("1", "1", "1"))
        assert len(set(pids)) == 3


def test_one_name_in_two_folders(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02: a module that a fresh process would find elsewhere is not used."""
    first, second = (module(tmp_path / name, "twin", name) for name in ("first", "second"))
    path = list(sys.path)
    monkeypatch.setattr(sys, "path", [str(first), *path])
    pid, found = look(imports("twin"))
    assert found == "first"
    monkeypatch.setattr(sys, "path", [str(second), *path])
    other, found = look(imports("twin"))
    assert (found, other == pid) == ("second", False)
    monkeypatch.setattr(sys, "path", [str(first), str(second), *path])
    assert look(imports("twin"))[1] == "first"
    monkeypatch.setattr(sys, "path", [str(second), str(first), *path])
    assert look(imports("twin"))[1] == "second"
    monkeypatch.setattr(sys, "path", path)
    assert look(imports("twin"))[1] == "not to be had"


def test_unrelated_folders_keep_the_worker(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02: whether they come first, last, or go."""
    own = module(tmp_path / "own", "alone", "own")
    other = module(tmp_path / "other", "unrelated", "other")
    (other / "alone").mkdir()  # a folder without modules is no module yet
    path = list(sys.path)
    monkeypatch.setattr(sys, "path", [str(own), *path])
    pid, found = look(imports("alone"))
    assert found == "own"
    for entries in (
        [str(own), *path, str(other)],
        [str(other), str(own), *path],
        [f"{own}/", str(tmp_path / "absent"), *path],
        [str(own), *path],
    ):
        monkeypatch.setattr(sys, "path", entries)
        assert look(imports("alone")) == (pid, "own")
    monkeypatch.setattr(sys, "path", [str(other), str(own), *path])
    assert look(imports("unrelated")) == (pid, "other")


def test_a_relative_entry_means_the_callers_folder(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", ["", "lib", *sys.path])
    pids = []
    for name in ("first", "second"):
        module(tmp_path / name, "beside", f"{name} itself")
        module(tmp_path / name / "lib", "inside", name)
        monkeypatch.chdir(tmp_path / name)
        pid, found = look(imports("beside"))
        assert (pid, found) == (pid, f"{name} itself")
        assert look(imports("inside")) == (pid, name)
        pids.append(pid)
    assert pids[0] != pids[1]
    (tmp_path / "third").mkdir()
    monkeypatch.chdir(tmp_path / "third")
    assert look(imports("inside"))[1] == "not to be had"


def test_a_namespace_that_grows_keeps_the_worker_and_one_that_changes_does_not(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second"):
        module(tmp_path / name / "spread", "part", name)
    module(tmp_path / "more" / "spread", "other", "more")
    path = list(sys.path)
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), *path])
    pid, found = look(imports("spread.part"))
    assert found == "first"
    monkeypatch.setattr(sys, "path", [str(tmp_path / "more"), str(tmp_path / "first"), *path])
    assert look(imports("spread.other")) == (pid, "more")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "second"), *path])
    other, found = look(imports("spread.part"))
    assert (found, other == pid) == ("second", False)


def test_a_module_of_the_standard_library_that_the_caller_hides(
    look_on_cpython: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = "import this_day, colorsys; found = getattr(colorsys, 'VALUE', 'the library')"
    module(tmp_path / "days", "this_day", "")
    hiding = module(tmp_path / "hiding", "colorsys", "hidden")
    path = [str(tmp_path / "days"), *sys.path]
    monkeypatch.setattr(sys, "path", path)
    assert look_on_cpython(asked)[1] == "the library"
    monkeypatch.setattr(sys, "path", [str(hiding), *path])
    assert look_on_cpython(asked)[1] == "hidden"


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_programs_that_alternate_between_paths_have_a_warm_worker_for_each(
    interpreter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02"""
    names = ("first", "second")
    paths = [[str(module(tmp_path / name, "twin", name)), *sys.path] for name in names]
    for look in looker(interpreter, most=2):
        pids: list[set[int]] = [set(), set()]
        for turn in range(6):
            monkeypatch.setattr(sys, "path", paths[turn % 2])
            pid, found = look(imports("twin"))
            assert found == names[turn % 2]
            pids[turn % 2].add(pid)
        assert [len(of_one) for of_one in pids] == [1, 1]


def test_arguments_are_there_when_modules_are_imported(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taking.py").write_text("import sys\nVALUE = list(sys.argv)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ["job.py", "--gain", "3", "caf\udce9", "grün"]
    monkeypatch.setattr(sys, "argv", arguments)
    assert look(imports("taking"))[1] == arguments
    monkeypatch.setattr(sys, "argv", ["\ud800", "--gain"])
    assert look("import sys; found = sys.argv[1:]")[1] == ["--gain"]


def test_paths_that_are_not_utf_8(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(f"{tmp_path}/caf\udce9")
    module(folder, "accented", "found it")
    monkeypatch.setattr(sys, "path", [str(folder), "\ud800", *sys.path])
    monkeypatch.chdir(folder)
    assert look(imports("accented"))[1] == "found it"
    assert look("found = os.getcwdb()")[1] == os.fsencode(folder)


SCRIPT = """
import sys
from remotemedia import NodeError, Node, Pipeline, Runtime

class Script(Node):
    def process(self, data):
        return sys.argv[1] if data else 1 / data

with Runtime(f'[python]\\nruntime = "{sys.argv[2]}"\\n') as runtime:
    pipeline = Pipeline(Script(), runtime=runtime)
    assert pipeline.run(1) == sys.argv[1]
    pipeline.explain()
    try:
        pipeline.run(0)
    except NodeError as error:
        print(error.remote_type)
    try:
        Runtime(f'[python]\\ninterpreter = "{sys.argv[1]}"\\n')
    except ValueError as error:
        print(type(error).__name__)
"""


@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_a_program_in_a_folder_that_is_not_utf_8(tmp_path: Path, interpreter: str) -> None:
    folder = Path(f"{tmp_path}/caf\udce9")
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)
    command = [sys.executable, "script.py", "caf\udce9", interpreter]
    told = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    assert told.returncode == 0, told.stderr.decode()
    assert told.stdout == b"ZeroDivisionError\nConfigurationError\n"


def test_a_working_folder_that_is_gone(
    look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid, _ = look("found = os.getcwd()")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    asked = """
try:
    found = os.getcwd()
except OSError:
    found = "gone"
"""
    assert look(asked) == (pid, "gone")
    monkeypatch.chdir(tmp_path)
    assert look(asked) == (pid, str(tmp_path))


OPTIONS = """
import sys
from options_seen import ASSERTS, DEBUG
found = {
    "debug": DEBUG,
    "asserts": ASSERTS,
    "optimize": sys.flags.optimize,
    "error": "error" in sys.warnoptions,
    "digits": sys.get_int_max_str_digits(),
    "dev": sys.flags.dev_mode,
    "isolated": sys.flags.isolated,
    "ignores": sys.flags.ignore_environment,
    "user": sys.flags.no_user_site,
    "bytes": sys.flags.bytes_warning,
    "writes": not sys.dont_write_bytecode,
}
"""

SEEN = """
DEBUG = __debug__
try:
    assert False
    ASSERTS = False
except AssertionError:
    ASSERTS = True
"""


def found_by_program(
    tmp_path: Path, options: list[str], statements: str, interpreter: str = "cpython", **more: str
) -> Any:
    """What the caller and its node find, as programs that are started with these options."""
    (tmp_path / "options_seen.py").write_text(SEEN)
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(f"""
            import json, sys
            sys.path[:0] = [{str(FIXTURES)!r}, {str(tmp_path)!r}]
            from remotemedia import Pipeline, Runtime
            from warm_nodes import Finds
            with Runtime('[python]\\nruntime = "{interpreter}"\\n') as runtime:
                pid, here = Finds().process({statements!r})
                pid, there = Pipeline(Finds(), runtime=runtime).run({statements!r})
                print(json.dumps([here, there]))
        """)
    )
    told = subprocess.run(
        [sys.executable, *options, str(script)],
        env={**os.environ, **more},
        capture_output=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr.decode()
    return json.loads(told.stdout)


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["-O"],
        ["-OO", "-s"],
        ["-W", "error"],
        ["-X", "dev", "-X", "int_max_str_digits=0"],
        ["-E", "-B", "-b"],
        ["-I", "-O", "-W", "error", "-X", "dev"],
    ],
    ids=" ".join,
)
def test_options_of_the_interpreter_reach_its_workers(tmp_path: Path, options: list[str]) -> None:
    """spec: CARD-02"""
    here, there = found_by_program(tmp_path, options, OPTIONS)
    assert here == there


def test_options_that_rustpython_knows_reach_its_workers(tmp_path: Path) -> None:
    options = ["-O", "-W", "error", "-X", "int_max_str_digits=0", "-X", "dev"]
    here, there = found_by_program(tmp_path, options, OPTIONS, "rustpython")
    for name in ("debug", "asserts", "optimize", "error", "digits"):
        assert there[name] == here[name], name


@pytest.mark.parametrize("option", ["-E", "-I"])
@pytest.mark.parametrize("interpreter", INTERPRETERS)
def test_what_the_caller_ignores_its_workers_ignore(
    tmp_path: Path, option: str, interpreter: str
) -> None:
    """A home that is none would let no interpreter start; a path may hide the caller's modules."""
    hiding = module(tmp_path / "hiding", "options_seen", "hidden")
    variables = {"PYTHONHOME": "/nowhere", "PYTHONPATH": str(hiding)}
    asked = "import options_seen; found = options_seen.__file__"
    here, there = found_by_program(tmp_path, [option], asked, interpreter, **variables)
    assert here == there == str(tmp_path / "options_seen.py")


def test_the_search_path_has_the_callers_order(
    look_on_cpython: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spec: CARD-02: also when the caller has put something before its own folders."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    _, found = look_on_cpython("import sys; found = sys.path")
    wanted = list(dict.fromkeys(entry or os.getcwd() for entry in sys.path))
    assert found[: len(wanted)] == wanted


def test_the_command_line_has_no_arguments_for_nodes(tmp_path: Path) -> None:
    (tmp_path / "arguments.py").write_text(
        "import sys\nclass Tells:\n    def process(self, data):\n        return sys.argv\n"
    )
    nodes = [{"id": "tells", "node_type": "arguments:Tells"}]
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"version": "v1", "nodes": nodes}))
    command = [sys.executable, "-m", "remotemedia", "run", str(manifest), "--input", "-"]
    told = subprocess.run(command, input=b"1", capture_output=True, check=True, cwd=tmp_path)
    assert json.loads(told.stdout)["output"] == [""]
