"""Conditions on values, with everything that a value may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from remotemedia.workflows import Condition, Runner, Workflow, WorkflowError, task, value

ODD = (1 << 53) + 1
"""The smallest integer that no float is."""


@task
def made() -> Any:
    return {
        "float": 0.7,
        "double": np.float64(0.7),
        "single": np.float32(0.7),
        "half": np.float16(-1.5),
        "count": np.int64(3),
        "byte": np.uint8(200),
        "unsigned": np.uint64((1 << 64) - 1),
        "truth": np.bool_(True),
        "word": np.str_("loud"),
        "swapped": np.array(7, dtype=">i4"),
        "large": 10**23,
        "edge": 1 << 63,
        "odd": ODD,
        "infinite": float("inf"),
        "nan": float("nan"),
        "levels": np.array([0.25, np.float64(0.5)]),
        "rows": np.arange(6, dtype=np.int16).reshape(2, 3),
        "set": {1, 2},
        "pair": (1, 2),
        "text": "abc",
        "nothing": None,
        "by_number": {7: "seven"},
        "sound": (np.zeros((1, 100_000), dtype=np.float32), 16_000),
    }


TRUE: list[str | Condition] = [
    "made.float > 0.5",
    "made.double == 0.7",
    "0.5 < made.single",
    "made.half == -1.5",
    "made.count == 3",
    "made.count in [1, 2, 3]",
    "made.byte >= 200",
    "made.unsigned == 18446744073709551615",
    "made.unsigned > 9223372036854775807",
    "made.truth == True",
    "made.word == 'loud'",
    "made.word < 'm'",
    "made.swapped == 7",
    f"made.large == {10**23}",
    f"made.large != {10**23 + 1}",
    "made.large > 5",
    "made.large < 1e24",
    f"made.edge == {1 << 63}",
    f"made.odd != {ODD - 1}",
    f"made.odd > {float(ODD - 1)}",
    "made.infinite > 1e308",
    "not made.nan < 1",
    "made.nan != 1",
    "made.levels[1] == 0.5",
    "made.levels contains 0.25",
    "made.rows[1][-1] == 5",
    "made.rows contains 4",
    "made.set contains 1",
    "made.set == {2, 1}",
    "3 not in made.set",
    "made.pair == [1, 2]",
    "made.text contains 'b' and made.text[0] == 'a'",
    "made.nothing == None",
    "made.by_number[7] == 'seven'",
    "made.sound[1] == 16000",
    "'abcd' contains made.text",
    "not made.text == 5",
    "not made.there_is_none > 5",
    value("made", "float") > np.float64(0.5),
    value("made", "float") == 0.7,
    value("made", "count") < float("inf"),
    value("made", "count").is_in({3, 4}),
    value("made", "large").is_in([10**23]),
    value("made", "word").contains(np.str_("ou")),
]


@pytest.fixture
def runner() -> Iterator[Runner]:
    with Runner("sqlite://:memory:", workers=1) as runner:
        yield runner


def test_values_of_all_types_compare_as_in_python(runner: Runner) -> None:
    # spec: CLO-13
    tests = [task(name=f"t{n}", after=[made], when=when)(lambda: 1) for n, when in enumerate(TRUE)]
    result = runner.submit(Workflow("true", [made, *tests])).result(60).checked()
    skipped = [when for n, when in enumerate(TRUE) if f"t{n}" not in result.outputs]
    assert skipped == []


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("made.text > 5", "of type str"),
        ("made.nothing < 1", "of type None"),
        ("made.set > 1", "of type set"),
        ("made.count contains 3", "of numpy's type <i8"),
        ('made.count in "abc"', "of numpy's type <i8"),
        ("made.levels == 0.5", "a numpy array of type <f8 and shape [2]"),
        ("made.sound[0][0][0] > 0", "an array, bytes or a text of 64 KiB or more"),
    ],
)
def test_what_cannot_be_compared_fails_the_task(runner: Runner, when: str, found: str) -> None:
    # spec: CLO-13
    tested = task(name="tested", after=[made], when=when)(lambda: 1)
    run = runner.submit(Workflow("wrong", [made, tested]))
    failure = run.result(60).failure
    assert failure is not None
    assert (failure.task, failure.type_name) == ("tested", "TypeError")
    assert failure.message.startswith(f"its condition '{when}' cannot be tested")
    assert found in failure.message
    assert run.attempts()[-1].step == "made", "no worker was needed for that"


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("made.x in 5", "tests `in` with a list, dict or text, not 5"),
        ("made.x > [1]", "tests `>` with a number or text"),
        ("made.x == b'a'", "compares with numbers, texts"),
        ("made.x is None", "have no `is`; write =="),
        ("made.x contains", "is no expression"),
        ("made.x == made.y", "'made.y' in the condition .* cannot be tested"),
        (lambda: value("made") > object(), "compares with numbers, texts"),
        (lambda: value("made", 1 << 70) > 1, "keys and indices"),
        (lambda: value("made")[1.5] > 1, "keys and indices"),  # type: ignore[index]
    ],
)
def test_constants_are_checked_when_the_workflow_is_made(when: Any, words: str) -> None:
    # spec: CLO-11
    def make() -> Workflow:
        form = when if isinstance(when, str) else when()
        return Workflow("w", [made, task(after=[made], when=form)(lambda: 1)])

    with pytest.raises(WorkflowError, match=words):
        make()


def test_contains_is_also_a_name() -> None:
    # spec: CLO-13
    contains = task(name="contains")(lambda: [1])
    both = task(name="both", when="contains contains 1 and (contains == [1])")(lambda: 1)
    with Runner("sqlite://:memory:", workers=1) as runner:
        assert runner.submit(Workflow("w", [contains, both])).result(60).outputs["both"] == 1
