"""The cases of the language and of the standard library, on every interpreter that is here."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

import pytest

from compat.cases import LANGUAGE, MODULES, RUSTPYTHON, Case, Difference, Target, cases
from compat.measure import Measured, Unusable, measure
from compat.page import modules_table, page
from interpreters import RUSTPYTHON as PROGRAM
from interpreters import other_pythons
from places import REPOSITORY

pytestmark = pytest.mark.rustpython

ALL = (*cases(LANGUAGE), *cases(MODULES))
CPYTHONS = [sys.executable, *other_pythons()]
# These open a web browser or windows.
NOT_PROBED = {"antigravity", "idlelib", "turtledemo"}


@cache
def _started() -> dict[str, Future[Measured]]:
    """All cases on all interpreters, side by side: one process each, once for all tests."""
    pool = ThreadPoolExecutor(max_workers=2)
    started = {program: pool.submit(measure, [program], ALL) for program in (PROGRAM, *CPYTHONS)}
    pool.shutdown(wait=False)
    return started


def _measured(program: str) -> Measured:
    return _started()[program].result()


def _case(code: str, gives: str, differs: tuple[Difference, ...] = (), name: str = "made") -> Case:
    return Case(name, "made", name, code, gives, differs=differs)


def test_the_page_is_current() -> None:
    # spec: IOP-29, IOP-38
    written = (REPOSITORY / "docs" / "compatibility.md").read_text(encoding="utf-8")
    assert written == page(), "docs/compatibility.md is out of date: run `make compatibility`"


def test_the_page_has_each_module_once() -> None:
    """A line for what differs, and one sentence for the rest.

    spec: IOP-29, IOP-38
    """
    library = page().partition("## Language")[0]
    names = [row.name for row in modules_table()]
    assert len(names) > 200
    table = [line.split("`")[1] for line in library.splitlines() if line.startswith("| `")]
    rest = library.rpartition("work on both: ")[2].replace("\n", " ")
    listed = [name.strip(" `.") for name in rest.split(",")]
    assert sorted([*table, *listed]) == sorted(names)
    assert "| `sqlite3` | works | missing | built without SQLite |" in library
    assert "json" in listed


def test_the_cases_are_many_and_named_once() -> None:
    assert len(cases(LANGUAGE)) >= 150
    ids = [case.id for case in ALL]
    assert sorted(ids) == sorted(set(ids))
    empty = [case.id for case in ALL if not case.gives or "result = " not in case.code]
    assert empty == []


@pytest.mark.parametrize("program", CPYTHONS)
def test_every_module_of_the_standard_library_is_probed(program: str) -> None:
    # spec: IOP-26, IOP-29
    code = "import sys; print(*sys.version_info[:2], *sys.stdlib_module_names)"
    told = subprocess.run([program, "-c", code], capture_output=True, text=True, check=True)
    major, minor, *names = told.stdout.split()
    public = {name for name in names if not name.startswith("_")} - NOT_PROBED
    probed = {case.module for case in cases(MODULES)}
    assert len(public) > 100
    # 3.14 has modules of its own; what the older ones have is all there.
    assert public <= probed or (int(major), int(minor)) > (3, 13)


@pytest.mark.parametrize("program", CPYTHONS)
def test_cpython_shows_what_is_recorded(program: str) -> None:
    # spec: IOP-26, IOP-27
    measured = _measured(program)
    assert measured.target.implementation == "cpython"
    assert measured.surprises(ALL) == []


def test_rustpython_shows_what_is_recorded() -> None:
    """No failure counts as a pass, and no difference is recorded that is none.

    spec: IOP-26, IOP-28
    """
    measured = _measured(PROGRAM)
    assert measured.target.implementation == "rustpython"
    assert measured.surprises(ALL) == []


def test_asyncio_is_the_same_on_both() -> None:
    # spec: IOP-27
    asynchronous = [case for case in ALL if case.area == "async" or case.module == "asyncio"]
    assert len(asynchronous) > 20
    there, here = _measured(PROGRAM), _measured(sys.executable)
    shown = [(there.outcomes[c.id].shows, here.outcomes[c.id].shows, c.gives) for c in asynchronous]
    assert [told for told in shown if len(set(told)) > 1] == []


def test_each_difference_has_a_reason_and_an_alternative() -> None:
    # spec: IOP-28, IOP-29
    without = [c.id for c in ALL for d in c.differs if not d.reason]
    assert without == []
    rows = {row.name: row for row in modules_table()}
    stuck = [r.name for r in rows.values() if r.rustpython != "works" and not r.workaround]
    assert sorted(stuck) == ["msilib", "msvcrt", "nt", "winreg", "winsound"]
    assert rows["sqlite3"].rustpython == "missing"
    assert rows["os"].rustpython == "partly"
    assert rows["multiprocessing"].rustpython == "partly"
    assert rows["ctypes"].rustpython == "refused"
    assert rows["json"].rustpython == "works"
    assert rows["audioop"].cpython == "up to 3.12"


def test_a_wrong_record_is_noticed() -> None:
    same = _case("result = 1 + 1", "2")
    wrong = _case("result = 1 + 1", "3", name="wrong")
    raises = _case("result = 1 / 0", "0", name="raises")
    over = Difference(("3.11+", "rustpython"), "raises ZeroDivisionError", "made up")
    gone = _case("result = 1 + 1", "3", (over,), name="a difference that is gone")
    known = _case("result = 1 / 0", "0", (over,), name="a difference")
    todo = [same, wrong, raises, gone, known]
    for program in (sys.executable, PROGRAM):
        told = measure([program], todo).surprises(todo)
        assert [line.partition("\n")[0] for line in told] == ["wrong", "raises", gone.id]
        assert "ZeroDivisionError (division by zero)" in told[1]


def test_a_case_that_ends_its_process_is_blamed_alone() -> None:
    kill = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"
    todo = [
        _case("result = 'before'", "'before'", name="before"),
        _case(kill, "", name="killed"),
        _case("result = 'between'", "'between'", name="between"),
        _case("import os\nos._exit(7)", "", name="left"),
        _case("while True: pass", "", name="endless"),
        _case("result = 'after'", "'after'", name="after"),
    ]
    programs = (sys.executable, PROGRAM)
    with ThreadPoolExecutor() as pool:
        all_measured = list(pool.map(lambda program: measure([program], todo, 10), programs))
    for measured in all_measured:
        outcomes = measured.outcomes
        assert {name: outcome.shows for name, outcome in outcomes.items()} == {
            "before": "'before'",
            "killed": "killed by SIGKILL",
            "between": "'between'",
            "left": "exit status 7",
            "endless": "does not end",
            "after": "'after'",
        }


def test_a_module_that_the_build_left_out_is_not_counted() -> None:
    """Only if the case names it, and only on CPython."""
    code = "import surely_not_built\nresult = 1"
    case = Case("made", "made", "made", code, "1", "surely_not_built", "surely_not_built")
    assert measure([sys.executable], [case]).surprises([case]) == []
    assert len(measure([PROGRAM], [case]).surprises([case])) == 1
    other = Case("made", "made", "made", "import something_else", "1", "made", "made_c")
    assert len(measure([sys.executable], [other]).surprises([other])) == 1


def test_a_program_that_runs_no_scripts_is_an_error() -> None:
    with pytest.raises(Unusable, match="not/there"):
        measure(["not/there"], [_case("result = 1", "1")])
    with pytest.raises(Unusable, match="exit status 1"):
        measure(["false"], [_case("result = 1", "1")])


def test_versions_of_cpython_are_compared_as_numbers() -> None:
    since = Difference(("3.12+",), "", "")
    there = [(3, 11), (3, 12), (3, 13), (3, 20)]
    assert [since.applies(Target("cpython", v)) for v in there] == [False, True, True, True]
    assert not since.applies(RUSTPYTHON)
    assert Difference(("rustpython",), "", "").applies(RUSTPYTHON)
