"""Options that choose tests, and the folder of modules that tests import."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

# Workers search the same folders as the process that starts them.
sys.path.insert(0, str(Path(__file__).with_name("fixtures")))

from databases import (  # noqa: F401  # fixtures
    lasting_url,
    postgres_folder,
    postgres_server,
    url,
)
from loops import Loop


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--stress` chooses tests and the length of their loops."""
    text = "run what `make stress` runs: tests with long loops, and those marked `stress`"
    parser.addoption("--stress", action="store_true", help=text)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs the worker of RustPython, if a parameter says so."""
    if "rustpython" in item.nodeid:
        item.add_marker("rustpython")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of the other target."""
    is_stress = config.getoption("--stress")

    def is_chosen(item: pytest.Item) -> bool:
        is_marked = item.get_closest_marker("stress") is not None
        has_loop = "rounds" in getattr(item, "fixturenames", ())
        return (is_marked or has_loop) if is_stress else not is_marked

    left_out = [item for item in items if not is_chosen(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if is_chosen(item)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Captured output becomes text that can be sent: nodes also print what is not UTF-8."""
    report = yield
    report.sections = [
        (name, text.encode(errors="backslashreplace").decode()) for name, text in report.sections
    ]
    return report


@pytest.fixture(scope="session")
def rounds(pytestconfig: pytest.Config) -> Callable[[Loop], int]:
    """How often a loop goes round in this run."""
    is_stress = pytestconfig.getoption("--stress")
    return lambda loop: loop.stress if is_stress else loop.usual
