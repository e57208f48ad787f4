"""Objects without a wire form of their own travel pickled, and those that cannot are named."""

from __future__ import annotations

import enum
import socket
import threading
from collections import Counter as Tally
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import UUID

import pytest

from e2e_nodes import (
    Apply,
    Colour,
    Identity,
    Money,
    Pair,
    Point,
    Segment,
    Tell,
    run_script,
)
from naming import shown
from remotemedia import MarshalingError, Pipeline, RemoteMediaError


class Level(enum.IntEnum):
    LOW = 1


OBJECTS = [
    Point(1.5, -0.0, ["a", "b"], Point(2, 3)),
    [Point(1, 2), {"nested": Point(3, 4)}],
    [{"id": 1, "tags": ("x",)}, {"id": 2, "tags": ()}],
    Colour.RED,
    Level.LOW,
    Segment(10, 20),
    Pair("left", {"right": Segment(1, 2)}),
    OrderedDict([("z", 1), ("a", OrderedDict(b=2))]),
    defaultdict(list, {"k": [1]}),
    Tally("aab"),
    deque([1, 2], maxlen=3),
    Money(12),
    {Money(1): Money(2)},
    {Segment(1, 2)},
    complex(1, -2),
    bytearray(b"abc"),
    range(1, 9, 2),
    slice(1, None, 2),
    Decimal("1.10"),
    Fraction(1, 3),
    datetime(2024, 2, 29, 12, tzinfo=UTC) + timedelta(microseconds=1),
    PurePosixPath("/a/b"),
    UUID(int=5),
    ValueError("as a value", 3),
    Ellipsis,
    int,
    len,
]


@pytest.mark.parametrize("value", OBJECTS, ids=shown(30))
def test_objects_keep_their_type(value: Any) -> None:
    # spec: IOP-06, IOP-19
    back, told = Pipeline([Identity()]).run([value]), Pipeline([Tell()]).run([value])
    assert type(back) is type(value)
    if isinstance(value, BaseException):
        assert back.args == value.args
    else:
        assert back == value
    assert told == (f"{type(value).__module__}.{type(value).__qualname__}", repr(value))


def test_both_sides_have_the_same_class() -> None:
    # spec: IOP-06, IOP-19
    def look(point: Any) -> Any:
        assert isinstance(point, Point)
        assert isinstance(point.inner, Point)
        return Point(point.x + point.inner.x, point.y, [type(point.tags).__name__])

    back = Pipeline([Apply(look)]).run(Point(1, 2, ["t"], Point(10, 20)))
    assert isinstance(back, Point)
    assert back == Point(11, 2, ["list"])


def test_a_class_that_a_function_made() -> None:
    # spec: IOP-19, IOP-21
    class Local:
        def __init__(self, value: int) -> None:
            self.value = value

        def doubled(self) -> int:
            return 2 * self.value

    def look(item: Any) -> Any:
        assert isinstance(item, Local)
        return [item.doubled(), Local(item.value + 1)]

    doubled, new = Pipeline([Apply(look)]).run(Local(4))
    assert doubled == 8
    assert isinstance(new, Local)
    assert new.value == 5


def test_classes_of_a_script(tmp_path: Path) -> None:
    # spec: IOP-06, IOP-19
    printed = run_script(
        tmp_path,
        """
        import collections, dataclasses, enum, os
        from remotemedia import Node, Pipeline

        @dataclasses.dataclass
        class Word:
            text: str
            parts: list

        class Kind(enum.Enum):
            NOUN = "n"

        Span = collections.namedtuple("Span", "start end")

        class Plain:
            def __init__(self, **values):
                self.__dict__.update(values)

        def helper(word):
            return Word(word.text.upper(), [Kind.NOUN, *word.parts])

        class Shout(Node):
            def process(self, data):
                assert isinstance(data["word"], Word) and isinstance(data["kind"], Kind)
                assert isinstance(data["span"], Span) and isinstance(data["plain"], Plain)
                assert data["kind"] is Kind.NOUN
                return helper(data["word"]), data["kind"], Span(*data["span"]), data["plain"]

        print("started")
        item = {"word": Word("hi", [1]), "kind": Kind.NOUN, "span": Span(1, 2), "plain": Plain(a=3)}
        for _ in range(2):
            word, kind, span, plain = Pipeline([Shout()]).run(item)
            assert type(word) is Word and word == Word("HI", [Kind.NOUN, 1]), word
            assert kind is Kind.NOUN and type(span) is Span and type(plain) is Plain
            print(word.text, plain.a)
        """,
    )
    # The script ran once: no worker executed it again.
    assert printed == "started\nHI 3\nHI 3\n"


def lock() -> Any:
    return threading.Lock()


def generator() -> Any:
    return (number for number in range(3))


UNSERIALISABLE: list[tuple[Callable[[], Any], str]] = [
    (lock, "_thread.lock"),
    (generator, "generator"),
    (lambda: socket.socket(), "socket.socket"),
]


@pytest.mark.parametrize(("make", "type_name"), UNSERIALISABLE)
def test_an_input_that_cannot_travel(make: Callable[[], Any], type_name: str) -> None:
    # spec: IOP-07
    value = make()
    with Pipeline([Identity(name="first")]).session() as session:
        for item, path in (
            (value, "input"),
            ({"a": [0, value]}, "input['a'][1]"),
            ((1, {"k": {2: value}}), "input[1]['k'][2]"),
            (Point(1, 2, value), "input.tags"),
        ):
            with pytest.raises(MarshalingError) as caught:
                session.process(item)
            error = caught.value
            assert isinstance(error, TypeError)
            assert (error.path, error.type_name) == (path, type_name)
            assert path in str(error)
            assert type_name in str(error)
            assert session.process("next") == ["next"]
    with pytest.raises(MarshalingError) as caught:
        Pipeline([Identity()]).run([1, {"bad": value}, 3])
    assert (caught.value.path or "").endswith("['bad']")
    if isinstance(value, socket.socket):
        value.close()


@pytest.mark.parametrize(("make", "type_name"), UNSERIALISABLE[:2])
def test_an_output_that_cannot_travel(make: Callable[[], Any], type_name: str) -> None:
    # spec: IOP-07
    def answer(item: Any) -> Any:
        return {"kept": [make()]} if item == "bad" else item

    with Pipeline([Apply(answer, name="maker")]).session() as session:
        with pytest.raises(RemoteMediaError) as caught:
            session.process("bad")
        error = caught.value
        assert isinstance(error, MarshalingError)
        assert error.node_id == "maker_0"
        assert (error.path, error.type_name) == ("output['kept'][0]", type_name)
        assert "maker_0" in str(error)
        assert type_name in str(error)
        assert session.process("next") == ["next"]


def test_an_attribute_of_a_node_that_cannot_travel() -> None:
    # spec: IOP-07
    node = Identity(name="holder")
    node.config["deep"] = {"lock": threading.Lock()}
    with pytest.raises(MarshalingError, match=r"initialize\(\)") as caught:
        Pipeline([node]).run(1)
    assert caught.value.node_id == "holder_0"
    assert caught.value.path == "self.config['deep']['lock']"


def test_what_only_unpickling_finds_out() -> None:
    # spec: IOP-07
    class Trap:
        def __reduce__(self) -> Any:
            return int, ("no number",)

    with Pipeline([Identity(name="trapped")]).session() as session:
        with pytest.raises(RemoteMediaError, match="no number") as caught:
            session.process([Trap()])
        assert caught.value.node_id == "trapped_0"
        assert session.process("next") == ["next"]


class Made:
    """Its `__new__` takes arguments that are not kept."""

    seen = 0

    def __new__(cls, first: int, *, second: int) -> Made:
        made = super().__new__(cls)
        made.sum = first + second  # type: ignore[attr-defined]
        return made

    def __init__(self, first: int, *, second: int) -> None:
        self.difference = first - second

    def process(self, data: Any) -> Any:
        self.seen += 1
        return data, self.sum, self.difference, self.seen  # type: ignore[attr-defined]


class Labelled(str):
    """A text with a label."""

    label: str

    def __new__(cls, text: str, label: str) -> Labelled:
        made = super().__new__(cls, text)
        made.label = label
        return made


class Rows(list[Any]):
    """A list that is made with a width."""

    def __new__(cls, width: int) -> Rows:
        return super().__new__(cls)

    def __init__(self, width: int) -> None:
        super().__init__([0] * width)


@pytest.mark.parametrize("interpreter", ["cpython", "rustpython"])
def test_objects_whose_new_takes_arguments(interpreter: str) -> None:
    """spec: IOP-06, IOP-19"""
    node = Made(3, second=1)
    pipeline = Pipeline(node, runtime=interpreter)
    assert pipeline.run("x") == ("x", 4, 2, 1)
    assert pipeline.run("x") == ("x", 4, 2, 2)
    with Pipeline(lambda item: item, runtime=interpreter).session() as session:
        (text, rows, made) = session.process([Labelled("a", "b"), Rows(3), Made(3, second=1)])[0]
    assert (type(text), text, text.label) == (Labelled, "a", "b")
    assert (type(rows), rows, type(made), made.sum) == (Rows, [0, 0, 0], Made, 4)
