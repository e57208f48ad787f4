"""A session finds its worker as if it were fresh: what nodes change is put back, or the worker is
replaced.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hygiene_cases import ALIVE, CASES, LIMITS
from places import FIXTURES, REPOSITORY
from remotemedia import NodeError, Pipeline, RunCancelled, Runtime
from warm_nodes import FailsToStart, Finds

INTERPRETERS = ["cpython", "rustpython"]
ALLOWED = '[rustpython]\nmax = 1\nallow_modules = "os.fork, multiprocessing, ctypes"\n'


NOTHING: contextlib.AbstractContextManager[Any] = contextlib.nullcontext()
ENDINGS = {"returns": "", "raises": "raise ValueError('after the change')"}


@pytest.fixture(scope="module", params=INTERPRETERS)
def interpreter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def runtime(interpreter: str) -> Iterator[Runtime]:
    """One worker at most, so that every session has the same one, or one that replaced it."""
    settings = f'[python]\nruntime = "{interpreter}"\n[fallback]\nenabled = false\n'
    with Runtime(f"{settings}[workers]\nmax = 1\n{ALLOWED}") as runtime:
        yield runtime


def run(runtime: Runtime, statements: str) -> tuple[int, Any]:
    """Run statements in a pipeline of their own: the worker's process id, and what they `found`."""
    result: tuple[int, Any] = Pipeline(Finds(), runtime=runtime).run(statements)
    return result


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", CASES)
def test_a_session_finds_its_worker_as_if_it_were_fresh(
    runtime: Runtime, interpreter: str, name: str, ending: str
) -> None:
    """spec: CARD-02, CARD-03, CARD-08: also after a node that failed."""
    case = CASES[name]
    if interpreter == "rustpython" and not case.is_everywhere:
        pytest.skip("RustPython does not have it")
    before, expected = run(runtime, case.look)
    with pytest.raises(NodeError, match="after the change") if ENDINGS[ending] else NOTHING:
        run(runtime, f"{case.change}\n{ENDINGS[ending]}")
    after, found = run(runtime, case.look)
    assert found == expected
    assert (after != before) is case.is_replaced


@pytest.mark.parametrize("name", LIMITS)
def test_what_may_not_be_undone_replaces_the_worker(runtime: Runtime, name: str) -> None:
    """spec: CARD-02, CARD-03: the superuser may undo it, and others get a new worker."""
    _, expected = run(runtime, LIMITS[name].look)
    run(runtime, LIMITS[name].change)
    assert run(runtime, LIMITS[name].look)[1] == expected


def test_everything_at_once_is_put_back(runtime: Runtime, interpreter: str) -> None:
    everywhere = interpreter == "cpython"
    # Without those that take from the others what they need.
    alone = {"descriptors 0 to 2", "closed descriptors", "import finders", "resource limits"}
    alone |= {"settings of streams", "modules that cannot be imported", "stand-ins for modules"}
    alone |= {"attributes of sys", "search path that is no list", "search path deleted"}
    cases = [
        case
        for name, case in CASES.items()
        if not (case.is_replaced or name in alone) and (everywhere or case.is_everywhere)
    ]
    expected = [run(runtime, case.look)[1] for case in cases]
    before, _ = run(runtime, "\n".join(case.change for case in cases))
    found = [run(runtime, case.look) for case in cases]
    assert found == [(before, each) for each in expected]


@pytest.mark.parametrize("name", ["timers", "threads", "logging: loggers", "environment"])
def test_a_cancelled_session_leaves_nothing(runtime: Runtime, interpreter: str, name: str) -> None:
    """spec: CARD-02, CARD-03"""
    case = CASES["alarm" if name == "timers" else name]
    _, expected = run(runtime, case.look)
    session = Pipeline(Finds(), runtime=runtime).session()
    session.process(case.change)
    session.cancel()
    with contextlib.suppress(RunCancelled):
        session.close()
    assert run(runtime, case.look)[1] == expected


STORM = """
import signal
def handler(*_): raise ValueError("the handler of a node")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
"""


def test_a_timer_whose_handler_raises_ends_with_its_session(runtime: Runtime) -> None:
    """spec: CARD-02, CARD-03: it may raise anywhere, also while the session closes."""
    for _ in range(10):
        with contextlib.suppress(NodeError):
            run(runtime, STORM)
        assert run(runtime, "found = 1")[1] == 1


@pytest.mark.parametrize("name", ["alarm", "threads", "recursion limit"])
def test_a_session_that_could_not_be_opened_leaves_nothing(runtime: Runtime, name: str) -> None:
    """spec: CARD-02, CARD-03"""
    case = CASES[name]
    _, expected = run(runtime, case.look)
    with pytest.raises(NodeError, match="after the change"):
        Pipeline(FailsToStart(case.change), runtime=runtime).run("")
    assert run(runtime, case.look)[1] == expected


def test_numbers_by_chance_are_by_chance_again(runtime: Runtime, interpreter: str) -> None:
    names = ["random", "numpy.random"] if interpreter == "cpython" else ["random"]
    for name in names:
        seed = f"import {name}; {name}.seed(1)\n"
        pid, fixed = run(runtime, f"{seed}found = {name}.random()")
        assert run(runtime, f"{seed}found = {name}.random()") == (pid, fixed)
        run(runtime, seed)
        assert run(runtime, f"import {name}; found = {name}.random()") != (pid, fixed)


def test_what_a_module_sets_while_it_is_imported_stays(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not imported a second time, and the node counts on it."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "sets_at_import.py").write_text(
        "import sys\nfrom remotemedia import Node\nsys.setrecursionlimit(4321)\n"
        "class Sets(Node):\n"
        "    def process(self, item):\n"
        "        found = sys.getrecursionlimit()\n"
        "        sys.setrecursionlimit(1234)\n"
        "        return found\n"
    )
    before, own = run(runtime, CASES["recursion limit"].look)
    import sets_at_import  # type: ignore[import-not-found]

    sys.setrecursionlimit(1000)  # that was for the worker only
    pipeline = Pipeline(sets_at_import.Sets(), runtime=runtime)
    assert [pipeline.run(1) for _ in range(3)] == [4321] * 3
    after, found = run(runtime, "import sys; found = sys.getrecursionlimit()")
    assert (after, found) == (before, 4321)
    assert own != 4321


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "wrap",
    [
        "io.TextIOWrapper(sys.{}.buffer, encoding='latin-1').write('x')",
        "io.TextIOWrapper(sys.{}.detach()).write('x')",
        "sys.{}.buffer.close(); sys.{}.close()",
        "sys.__{}__.detach().close()",
        "io.TextIOWrapper(sys.__{}__.buffer).write('x')",
    ],
)
def test_wrappers_of_the_streams_close_them_for_nobody_else(
    runtime: Runtime, capfd: pytest.CaptureFixture[str], stream: str, wrap: str
) -> None:
    pid, _ = run(runtime, f"import io, sys; {wrap.replace('{}', stream)}")
    says = f"import sys; print('text', file=sys.{stream}); sys.{stream}.buffer.write(b'bytes\\n')\n"
    says += f"sys.{stream}.flush(); print('own', file=sys.__{stream}__, flush=True)\n"
    says += "found = [os.readlink(f'/proc/self/fd/{n}')[:5] for n in (1, 2)]"
    assert run(runtime, says) == (pid, ["pipe:"] * 2)  # and nothing is raised
    assert "text" in "".join(capfd.readouterr())


def test_the_log_says_why_a_worker_is_replaced(
    runtime: Runtime, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "remotemedia")
    run(runtime, CASES["threads"].look)
    assert "replaced" not in caplog.text
    pid, _ = run(runtime, CASES["threads"].change)
    (record,) = [r for r in caplog.records if "replaced" in r.getMessage()]
    assert record.name == "remotemedia"
    assert record.getMessage().startswith(f"the worker of Finds_0 (pid {pid}) is replaced")
    assert "threads" in record.getMessage()


def test_threads_of_an_installed_library_stay_with_it(runtime: Runtime, tmp_path: Path) -> None:
    """Such as the monitor that tqdm has for all progress bars."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "bars.py").write_text(
        "import threading\nclass Monitor(threading.Thread):\n"
        "    def run(self): threading.Event().wait()\n"
    )
    start = f"import sys; sys.path.append({str(packages)!r}); import bars\n"
    pid, _ = run(runtime, f"{start}bars.Monitor(daemon=True).start()")
    assert run(runtime, ALIVE)[0] == pid


NODES_THAT_LEAVE_FILES_OPEN = f"""
import resource, sys
sys.path.insert(0, {str(FIXTURES)!r})
from remotemedia import Pipeline, Runtime
from warm_nodes import Finds

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
settings = '[python]\\nruntime = "' + sys.argv[1] + '"\\n[fallback]\\nenabled = false\\n'
with Runtime(settings + "[workers]\\nmax = 1\\n[rustpython]\\nmax = 1\\n") as runtime:
    opens = "[os.open('/dev/null', os.O_RDONLY) for _ in range(20)]"
    print(*[Pipeline(Finds(), runtime=runtime).run(opens)[0] for _ in range(30)])
"""


def test_open_files_stay_until_there_are_too_many(interpreter: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NODES_THAT_LEAVE_FILES_OPEN, interpreter],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pids = done.stdout.split()
    assert pids[0] == pids[1]
    assert len(set(pids)) > 1


def test_the_page_for_authors_lists_every_row() -> None:
    page = (REPOSITORY / "docs" / "worker-state.md").read_text()
    names = subprocess.run(
        [sys.executable, "-c", "from remotemedia._guest import hygiene\n"
         "print(*[row.name for row in hygiene.rows_of_worker(2)], sep='\\n')"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert len(names) > 40
    assert [name for name in names if f"| {name} |" not in page] == []
