"""What a worker says of imports that fail, what it refuses, and what the configuration gives it."""

# ruff: noqa: E501  (programs stand here as text)
from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import interpreters

BOTH = [sys.executable, interpreters.RUSTPYTHON]

START = """
import json, os, sys
sys.path[:] = [*sys.path, *json.loads(os.environ.get("TEST_PATH", "[]"))]
from remotemedia._guest import process
from remotemedia._guest.faults import Fault
process.prepare(None, list)

def fault(call):
    try:
        call()
    except BaseException as error:
        made = Fault("process", "n", error)
        return {"type": made.remote_type, "message": made.message, **(made.import_info or {})}
    return None

answers = {}
"""
END = """
sys.stdout.write(json.dumps(answers))
sys.stdout.flush()
"""


@pytest.fixture(params=BOTH, ids=lambda path: Path(path).name)
def interpreter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(
    interpreter: str, tmp_path: Path, script: str, path: list[str] | None = None, **env: str
) -> dict[str, Any]:
    program = tmp_path / "program.py"
    program.write_text(START + textwrap.dedent(script) + END)
    environment = {**os.environ, "TEST_PATH": json.dumps(path or []), **env}
    done = subprocess.run(
        [interpreter, str(program)], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def test_a_missing_module_is_named_with_the_nearest(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-14
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "mixing_desk.py").write_text("")
    answers = run(
        interpreter,
        tmp_path,
        """
        def numpi(): import numpi
        def desk(): import mixing_deks
        def inner(): import xml.etre
        answers = {"numpi": fault(numpi), "desk": fault(desk), "inner": fault(inner)}
        """,
        [str(tmp_path / "site")],
    )
    for name, near in (("numpi", "numpy"), ("desk", "mixing_desk"), ("inner", "xml.etree")):
        told = answers[name]
        assert told["type"] == "ModuleNotFoundError"
        assert told["reason"] == "not_installed" or name == "inner"
        assert f"did you mean '{near}'?" in told["suggestion"], told
        assert told["nearest"] == near
        assert told["message"] == f"No module named '{told['module']}'"


def test_a_c_extension_is_told_as_such(tmp_path: Path) -> None:
    # spec: IOP-14, IOP-39
    site = tmp_path / "site"
    (site / "wrapped").mkdir(parents=True)
    (site / "compiled.cpython-311-x86_64-linux-gnu.so").touch()
    (site / "wrapped" / "_core.cpython-311-x86_64-linux-gnu.so").touch()
    (site / "wrapped" / "__init__.py").write_text(
        "try:\n    from wrapped import _core\n"
        "except ImportError as error:\n    raise ImportError('wrapped is broken') from error\n"
    )
    (site / "choosy.py").write_text(
        "try:\n    import compiled as made\nexcept ImportError:\n    made = None\n"
    )
    answers = run(
        interpreters.RUSTPYTHON,
        tmp_path,
        """
        import importlib.util
        def direct(): import compiled
        def wrapped(): import wrapped
        def known(): from scipy.signal import lfilter
        def other():
            try:
                import compiled
            except ImportError as error:
                raise RuntimeError("no luck") from error
        def unrelated():
            try:
                import compiled
            except ImportError:
                raise ValueError("a bug of the node")
        import choosy
        answers = {call.__name__: fault(call) for call in (direct, wrapped, known, other, unrelated)}
        answers["choosy"] = choosy.made
        answers["probe"] = importlib.util.find_spec("torch") is None
        """,
        [str(site)],
    )
    assert answers["direct"]["reason"] == answers["wrapped"]["reason"] == "c_extension"
    assert answers["direct"]["path"] == str(site / "compiled.cpython-311-x86_64-linux-gnu.so")
    assert answers["wrapped"]["path"].endswith("_core.cpython-311-x86_64-linux-gnu.so")
    assert answers["wrapped"]["type"] == "ImportError"
    assert answers["known"]["root_package"] == "scipy"
    assert answers["known"]["reason"] == "c_extension"
    assert 'runtime_hint="cpython"' in answers["direct"]["suggestion"]
    assert answers["other"]["type"] == "RuntimeError"
    assert answers["other"]["reason"] == "c_extension"
    assert answers["unrelated"] == {"type": "ValueError", "message": "a bug of the node"}
    assert answers["choosy"] is None
    assert answers["probe"] is True


def test_the_words_of_an_error_decide_nothing(tmp_path: Path) -> None:
    # spec: IOP-14, IOP-39
    site = tmp_path / "site"
    site.mkdir()
    (site / "compiled.cpython-311-x86_64-linux-gnu.so").touch()
    (site / "flagged.py").write_text(
        "try:\n    import compiled\nexcept ImportError:\n    compiled = None\n"
        "def use():\n    if compiled is None:\n        raise ImportError('this needs more')\n"
    )
    answers = run(
        interpreters.RUSTPYTHON,
        tmp_path,
        """
        import flagged
        from remotemedia import audio
        view = audio.zeros((2, 3), "f4")
        def own_words(): raise ImportError("numpy and torch are on holiday")
        def own_type_error(): raise TypeError("an 'AudioView' is not what I want")
        def own_attribute(): object().AudioView
        def refused():
            from _ctypes import dlopen
        def wrapped():
            try:
                refused()
            except ImportError as error:
                raise RuntimeError("no luck") from error
        def attribute(): view.cumprod()
        def shape(): view.shape = (3, 2)
        def index(): view["x"]
        def operator(): view % 2
        def reflected(): [1, 2, 3] @ view
        def dtype(): view.astype("f2") + 1
        def argument(): view.sum(where=None)
        def text(): view + "x"
        asked = [flagged.use, own_words, own_type_error, own_attribute, wrapped, refused]
        asked += [attribute, shape, index, operator, reflected, dtype, argument, text]
        answers = {call.__name__: fault(call) for call in asked}
        """,
        [str(site)],
    )
    assert answers["use"]["reason"] == "c_extension"
    assert answers["use"]["module"] == "compiled"
    for name in ("own_words", "own_type_error", "own_attribute", "text"):
        assert "reason" not in answers[name], answers[name]
    for name in ("attribute", "shape", "index", "operator", "reflected", "dtype", "argument"):
        assert answers[name]["reason"] == "unsupported", name
        assert answers[name]["module"] == "numpy"
    assert answers["refused"]["is_told"]
    assert answers["wrapped"]["reason"] == "blocked"
    assert not answers["wrapped"]["is_told"], "the message says something else"


def test_modules_that_would_endanger_a_worker_are_refused(tmp_path: Path) -> None:
    # spec: IOP-28
    script = """
        def foreign(): import ctypes
        def process():
            import multiprocessing
            multiprocessing.Process(target=print).start()
        def fork():
            from os import fork as start
            start() or os._exit(0)
        def pool():
            import concurrent.futures
            with concurrent.futures.ProcessPoolExecutor(1) as executor:
                executor.submit(abs, -1).result()
        def threads():
            from multiprocessing.pool import ThreadPool
            from multiprocessing.dummy import Pool
            with ThreadPool(2) as pool:
                assert pool.map(abs, [-1, -2]) == [1, 2]
        answers = {call.__name__: fault(call) for call in (foreign, process, fork, pool, threads)}
        """
    answers = run(interpreters.RUSTPYTHON, tmp_path, script)
    assert answers["threads"] is None
    for name, instead in (
        ("foreign", 'runtime_hint="cpython"'),
        ("process", "ThreadPoolExecutor"),
        ("fork", "subprocess"),
        ("pool", "ThreadPoolExecutor"),
    ):
        assert answers[name]["reason"] == "blocked"
        assert answers[name]["type"] == "ImportError"
        assert instead in answers[name]["message"]
        assert answers[name]["is_told"]
    allowed = run(interpreters.RUSTPYTHON, tmp_path, script, REMOTEMEDIA_ALLOW_MODULES="ctypes")
    assert allowed["foreign"] is None
    assert allowed["process"]["reason"] == "blocked"
    assert allowed["fork"]["reason"] == "blocked"
    on_cpython = run(sys.executable, tmp_path, script)
    assert on_cpython["foreign"] is on_cpython["fork"] is None


def test_what_the_standard_library_lacks_there(tmp_path: Path) -> None:
    # spec: IOP-28
    answers = run(
        interpreters.RUSTPYTHON,
        tmp_path,
        """
        def secure(): import ssl
        def traced(): import tracemalloc
        answers = {"ssl": fault(secure), "tracemalloc": fault(traced)}
        """,
    )
    assert answers["ssl"]["reason"] == answers["tracemalloc"]["reason"] == "stdlib_missing"
    assert "TLS" in answers["ssl"]["suggestion"]


def test_modules_that_the_configuration_names(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-15
    (tmp_path / "bridge.py").write_text("import injected_text\nLEVEL = injected_text.LEVEL + 1\n")
    modules = {
        "injected_file": {"file": str(tmp_path / "bridge.py")},
        "injected_text": {"source": "LEVEL = 4\ndef fail():\n    return LEVEL / 0  # as text\n"},
        "injected_gone": {"file": str(tmp_path / "gone.py")},
    }
    answers = run(
        interpreter,
        tmp_path,
        """
        import traceback
        import injected_file, injected_text
        def gone(): import injected_gone
        try:
            injected_text.fail()
        except ZeroDivisionError:
            answers["trace"] = traceback.format_exc()
        answers["level"] = injected_file.LEVEL
        answers["in_modules"] = sys.modules["injected_file"] is injected_file
        answers["gone"] = fault(gone)
        """,
        REMOTEMEDIA_INJECT_MODULES=json.dumps(modules),
    )
    assert answers["level"] == 5
    assert answers["in_modules"] is True
    assert "return LEVEL / 0  # as text" in answers["trace"]
    assert answers["gone"]["type"] == "ImportError"
    assert "gone.py" in answers["gone"]["message"]


def test_log_records_keep_their_level_and_fields(tmp_path: Path, interpreter: str) -> None:
    # spec: IOP-15
    answers = run(
        interpreter,
        tmp_path,
        """
        import logging
        from remotemedia import _forward
        from remotemedia._guest import Guest
        records = []
        out = sys.stdout
        guest = Guest(None, lambda *record: records.append(record))
        log = logging.getLogger("studio.mixer")
        log.warning("level of %s", "x", extra={"channel": 3, "gain": 0.5, "who": {1: object}})
        log.error("plain")
        log.debug("not wanted")
        sys.stdout = out
        logging.getLogger().handlers.clear()
        kept = []
        class Keeps(logging.Handler):
            def emit(self, record): kept.append(record)
        logging.getLogger().addHandler(Keeps())
        for record in records:
            _forward.emit(*record)
        first, second = kept
        answers["first"] = [first.levelname, first.name, first.getMessage(), first.channel, first.gain]
        answers["second"] = [second.levelname, second.getMessage(), second.node_id]
        answers["shown"] = records[0][4]
        """,
    )
    assert answers["first"] == ["WARNING", "studio.mixer", "level of x", 3, 0.5]
    assert answers["second"] == ["ERROR", "plain", ""]
    assert '"channel": 3' in answers["shown"]


def test_an_import_at_the_top_that_is_not_used_does_no_harm(tmp_path: Path) -> None:
    # spec: IOP-39
    (tmp_path / "my_nodes.py").write_text(
        textwrap.dedent(
            """
            from __future__ import annotations
            import os, numpy as np
            from scipy.signal import lfilter
            try:
                import orjson as json
            except ImportError:
                import json
            class Fine:
                def process(self, data: np.ndarray): return json.dumps(data)
            class Needs:
                def process(self, data):
                    return np.zeros(3)  # here
            class Filters:
                def process(self, data): return lfilter(data)
            """
        )
    )
    answers = run(
        interpreters.RUSTPYTHON,
        tmp_path,
        """
        from remotemedia._portable.imports import import_module
        my_nodes = import_module("my_nodes")
        answers["fine"] = my_nodes.Fine().process([1])
        answers["needs"] = fault(lambda: my_nodes.Needs)
        answers["filters"] = fault(lambda: my_nodes.Filters)
        answers["cached"] = os.path.exists(os.path.join(os.path.dirname(my_nodes.__file__), "__pycache__"))
        """,
        [str(tmp_path)],
    )
    assert answers["fine"] == "[1]"
    for name, package in (("needs", "numpy"), ("filters", "scipy")):
        assert answers[name]["root_package"] == package
        assert answers[name]["reason"] == "c_extension"
    assert answers["cached"] is False, "bytecode of one interpreter is no business of another"


def test_the_callers_standard_library_stays_behind(tmp_path: Path) -> None:
    # spec: IOP-13
    library = tmp_path / "lib" / "python3.9"
    library.mkdir(parents=True)
    (library / "os.py").write_text("")
    script = f"""
        from remotemedia._guest import search
        given = [{str(library)!r}, {str(library)!r} + "/lib-dynload", "/usr/lib/python39.zip",
                 {str(library)!r} + "/site-packages", "/work", {os.__file__.rpartition("/")[0]!r}]
        answers["left"] = search.usable(given)
        """
    kept = [f"{library}/site-packages", "/work"]
    assert run(interpreters.RUSTPYTHON, tmp_path, script)["left"] == kept
    own = os.__file__.rpartition("/")[0]
    assert run(sys.executable, tmp_path, script)["left"] == [*kept, own]
