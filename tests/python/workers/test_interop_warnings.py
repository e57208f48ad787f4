"""Warnings of nodes under the filters of the caller."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import worker_programs
from remotemedia import Node, NodeError, Pipeline, Runtime

ONE = "[workers]\nmax = 1\n[rustpython]\nmax = 1\n"


@pytest.fixture(scope="module", params=["cpython", "rustpython"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    with worker_programs.runtime(request.param, ONE) as made:
        yield made


class Special(UserWarning):
    pass


class Warns(Node):
    def process(self, data: Any, /) -> Any:
        warnings.warn("old", DeprecationWarning, stacklevel=1)
        warnings.warn(f"of {data}", stacklevel=1)
        return data


class WarnsSpecially(Node):
    def process(self, data: Any, /) -> Any:
        warnings.warn("special", Special, stacklevel=1)
        return data

    def cleanup(self) -> None:
        warnings.warn("at the end", Special, stacklevel=1)


class Hears(Node):
    """Has filters of its own."""

    def process(self, data: Any, /) -> Any:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            warnings.warn("own", stacklevel=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                warnings.warn("an error here", stacklevel=1)
            except UserWarning as error:
                return [str(one.message) for one in seen], str(error)
        return None


class WarnsAndFails(Node):
    def process(self, data: Any, /) -> Any:
        warnings.warn("before", stacklevel=1)
        raise KeyError(data)


def test_warnings_reach_the_filters_of_the_caller(runtime: Runtime) -> None:
    # spec: IOP-23
    for _ in range(2):
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            assert Pipeline(Warns(), runtime=runtime).run([1, 2]) == [1, 2]
        told = [(str(one.message), one.category, one.filename) for one in seen]
        old, first, second = (
            ("old", DeprecationWarning),
            ("of 1", UserWarning),
            ("of 2", UserWarning),
        )
        assert told == [(*one, __file__) for one in (old, first, old, second)]
        lines = Path(__file__).read_text().splitlines()
        assert all("warnings.warn(" in lines[one.lineno - 1] for one in seen)


def test_pytest_sees_them_by_category(runtime: Runtime, capfd: pytest.CaptureFixture[str]) -> None:
    # spec: IOP-23
    with pytest.warns(Special, match="special"), pytest.warns(Special, match="at the end"):
        assert Pipeline(WarnsSpecially(), runtime=runtime).run(1) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Pipeline(WarnsSpecially(), runtime=runtime).run(1)
    assert capfd.readouterr().err == ""


def test_a_filter_for_a_module_applies(runtime: Runtime) -> None:
    # spec: IOP-23
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=DeprecationWarning, module=__name__)
        Pipeline(Warns(), runtime=runtime).run(1)
    assert [str(one.message) for one in seen] == ["old"]


def test_the_default_shows_each_place_once(runtime: Runtime) -> None:
    # spec: IOP-23
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("default")
        for _ in range(2):
            Pipeline(WarnsSpecially(), runtime=runtime).run([1, 2, 3])
    assert [str(one.message) for one in seen] == ["special", "at the end"]


def test_a_filter_makes_them_errors_of_the_call(runtime: Runtime) -> None:
    # spec: IOP-23
    pipeline = Pipeline(Warns(), runtime=runtime)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            with pytest.raises(DeprecationWarning, match="old") as caught:
                pipeline.run(1)
            assert caught.value.partial_results == [1]  # type: ignore[attr-defined]
        with Pipeline(Warns(), runtime=runtime).session() as session:
            with pytest.raises(DeprecationWarning, match="old"):
                session.process(1)
            warnings.simplefilter("ignore")
            assert session.process(2) == [2]
        with pytest.raises(NodeError) as failed:
            Pipeline(WarnsAndFails(), runtime=runtime).run(1)
        assert not isinstance(failed.value, Warning)
        assert Pipeline(Hears(), runtime=runtime).run(1)


def test_filters_of_a_node_are_its_own(runtime: Runtime) -> None:
    # spec: IOP-23
    assert Pipeline(Hears(), runtime=runtime).run(1) == (["own"], "an error here")
