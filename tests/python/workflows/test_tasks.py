"""What a task finds in its context, and what it may do there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from remotemedia.workflows import Runner, Workflow, task


@pytest.fixture
def runner() -> Iterator[Runner]:
    with Runner("sqlite://:memory:", workers=1) as runner:
        yield runner


GIVEN: dict[str, Any] = {
    "flag": 1,
    "off": False,
    "zero": 0.0,
    "text": "a",
    "small": np.ones(3),
    "large": np.ones((100, 200)),
    "strided": np.asfortranarray(np.ones((2, 3))),
    "dates": np.zeros(2, dtype="M8[s]"),
    "nested": {"list": [1, {"array": np.zeros(2)}]},
    "set": {1, 2},
    "huge": 10**6000,
    "same": [1.5, float("nan"), {"a": (None, b"x")}],
}


def test_every_edit_of_the_context_is_kept(runner: Runner) -> None:
    # spec: CLO-03
    @task
    def edits(context: dict[str, Any]) -> None:
        context["flag"] = True
        context["off"] = 0
        context["zero"] = -0.0
        context["small"] *= 2
        context["large"][-1, -1] = 5
        context["strided"][1, 2] = 7
        context["dates"][1] = np.datetime64(9, "s")
        context["nested"]["list"][1]["array"][0] = 3
        context["set"].add(3)
        context["huge"] += 1
        context["new"] = None

    @task(after=[edits])
    def sees(context: dict[str, Any]) -> Any:
        return repr([type(context["flag"]), context["off"], context["zero"]])

    result = runner.submit(Workflow("edits", [edits, sees]), GIVEN).result(60).checked()
    kept = result.outputs["edits"]
    assert kept.keys() == GIVEN.keys() - {"text", "same"} | {"new"}
    assert result.outputs["sees"] == "[<class 'bool'>, 0, -0.0]"
    assert kept["small"].tolist() == [2, 2, 2]
    assert (kept["large"][-1, -1], kept["strided"][1, 2]) == (5, 7)
    assert kept["dates"][1] == np.datetime64(9, "s")
    assert kept["nested"]["list"][1]["array"].tolist() == [3, 0]
    assert (kept["set"], kept["huge"]) == ({1, 2, 3}, GIVEN["huge"] + 1)


def test_a_context_that_is_only_read_is_not_kept_again(runner: Runner) -> None:
    # spec: CLO-03
    @task
    def reads(context: dict[str, Any], ctx: Any) -> None:
        context["same"] = [1.5, context["same"][1], {"a": (None, b"x")}]
        context["small"] = context["small"].copy()
        assert len(ctx["large"]) == 100

    result = runner.submit(Workflow("reads", [reads]), GIVEN).result(60).checked()
    assert result.outputs["reads"] == {}


def test_an_edit_that_cannot_be_kept_is_named(runner: Runner) -> None:
    # spec: CLO-03
    @task
    def edits(context: dict[str, Any]) -> None:
        context["text"] = [object()]

    failure = runner.submit(Workflow("edits", [edits]), GIVEN).result(60).failure
    assert failure is not None
    assert failure.kind == "not_kept"
    assert failure.message.startswith("result.text[0] is of type object")
