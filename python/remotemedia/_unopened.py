"""Finds the part of a pickle at which opening it fails.

Unpickling says only what was raised. The pickle is opened once more, by the unpickler in Python,
which counts instructions. Then its instructions are read again, without executing them, to see of
what the one that failed makes a part.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Callable, Sequence
from typing import Any

from remotemedia import _pickle

Finder = Callable[[str, str], Any]
"""Returns the object with a module and a name, for instance `find_class` of an unpickler."""


class Part:
    """An object in a pickle, which is not made.

    Attributes:
        value: of a text or number, its value.
        parts: the parts of the object: step of the path, and object.
    """

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.parts: list[tuple[str, Part]] = []
        self.length = 0

    def add(self, step: str, part: Part) -> None:
        """Add a part."""
        self.parts.append((step, part))

    def append(self, parts: Sequence[Part]) -> None:
        """Add elements."""
        for part in parts:
            self.add(f"[{self.length}]", part)
            self.length += 1

    def set(self, entries: Sequence[Part]) -> None:
        """Add keys and values, which alternate."""
        for key, value in zip(entries[::2], entries[1::2], strict=True):
            self.add(" key" if key.value is None else f" key {key.value!r}", key)
            self.add(f"[{key.value!r}]", value)

    def build(self, state: Part) -> None:
        """Set attributes. The state is a dict, or a tuple of dicts."""
        dicts = [part for _, part in state.parts] if state.length else [state]
        for each in dicts:
            for step, part in each.parts:
                name = step[2:-2] if step.startswith("['") else ""
                self.add(f".{name}" if name.isidentifier() else step, part)
        self.add("", state)


def part_of_shipment(data: bytes, buffers: Sequence[Any] = ()) -> tuple[int | None, str]:
    """The part of a session's shipment (`_pickle.Shipment`) that this worker could not open.

    Returns:
        The index of the node, if it is known, and the part as `self.a[3].b` or `module.Class.a`;
        empty if it is not found.
    """
    if data.startswith(_pickle.PORTABLE):
        from remotemedia._portable import opening

        start = len(_pickle.PORTABLE) + 1
        finder = opening.Unpickler(io.BytesIO()).find_class
        steps = steps_to_failure(data[start:], buffers, finder) or []
        # Before each node stands the call that says which one follows.
        return _of_node(steps, int(steps[1][1:-1]) // 2, 2) if steps[:1] == ["[0]"] else (None, "")
    from remotemedia._definitions import Bundle

    bundle, pickled = Bundle.split(data)
    steps = steps_to_failure(bundle) or [] if bundle else []
    steps = steps or steps_to_failure(pickled, buffers) or []
    if steps[:2] == ["[0]", "[0]"]:
        return _of_node(steps, int(steps[2][1:-1]), 3)
    for place, step in enumerate(steps):
        if step.count(":") == 2:  # the token of a class or function
            module, name, _ = step[2:-2].split(":")
            return None, "".join([f"{module}.{name}", *steps[place + 1 :]])
    return None, ""


def _of_node(steps: list[str], index: int, start: int) -> tuple[int, str]:
    return index, "".join(["self", *steps[start:]])


def steps_to_failure(
    data: bytes, buffers: Sequence[Any] = (), finder: Finder | None = None
) -> list[str] | None:
    """The steps from the whole object to the part that cannot be opened, such as `["[0]", ".a"]`.
    None if opening the pickle works now, or if the part is not found.
    """
    try:
        failed = _count(data, buffers, finder)
        return None if failed is None else _steps(*_parts(data, failed))
    except Exception:  # an unusual pickle; the error then names no part
        return None


def _count(data: bytes, buffers: Sequence[Any], finder: Finder | None) -> int | None:
    """The number of the instruction that fails."""
    unpickler: Any = pickle._Unpickler(io.BytesIO(data), buffers=buffers)
    if finder is not None:
        unpickler.find_class = finder
    counting = _Counting(unpickler.dispatch)
    unpickler.dispatch = counting
    try:
        unpickler.load()
    except BaseException:  # the one that is looked for
        return counting.number
    return None


class _Counting:
    def __init__(self, dispatch: Any) -> None:
        self._dispatch = dispatch
        self.number = -1

    def __getitem__(self, instruction: int) -> Any:
        self.number += 1
        return self._dispatch[instruction]


def _parts(data: bytes, failed: int) -> tuple[Part, Part]:
    """The whole object, and what the instruction with this number makes or changes."""
    reader = _Reader()
    culprit = None
    for number, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        if opcode.name == "STOP":
            break
        reader.read(opcode, argument)
        if number == failed:
            culprit = reader.stack[-1]
    if culprit is None:
        raise ValueError("no such instruction")
    return reader.stack[-1], culprit


def _steps(root: Part, culprit: Part) -> list[str] | None:
    """The shortest way from an object to its part."""
    ways: dict[int, tuple[Part, str] | None] = {id(root): None}
    waiting = [root]
    for one in waiting:
        for step, part in one.parts:
            if id(part) not in ways:
                ways[id(part)] = one, step
                waiting.append(part)
    if id(culprit) not in ways:
        return None
    steps: list[str] = []
    while (way := ways[id(culprit)]) is not None:
        culprit, step = way
        steps.append(step)
    return [step for step in reversed(steps) if step]


class _Reader:
    """Follows the instructions of a pickle with `Part` for each object."""

    def __init__(self) -> None:
        self.stack: list[Part] = []
        self._marks: list[list[Part]] = []
        self._memo: dict[int, Part] = {}

    def read(self, opcode: Any, argument: Any) -> None:
        """Follow one instruction."""
        name = opcode.name
        if name in _MEMO:
            self._memo[len(self._memo) if argument is None else argument] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self._memo[argument])
        elif name == "MARK":
            self._marks.append(self.stack)
            self.stack = []
        elif name in _OF_MARK:
            parts, self.stack = self.stack, self._marks.pop()
            self._end(name, parts)
        elif name in _CHANGES:
            count = _CHANGES[name]
            parts = self.stack[-count:]
            del self.stack[-count:]
            self._change(name, parts)
        elif name in _MAKES:
            count = _MAKES[name]
            made = Part()
            for part in self.stack[-count:]:
                _contain(made, part, name)
            del self.stack[-count:]
            self.stack.append(made)
        elif name == "POP":
            _set_by_call(self.stack.pop())
        elif opcode.stack_after:
            self.stack.append(Part(argument))

    def _end(self, name: str, parts: list[Part]) -> None:
        if name in ("TUPLE", "FROZENSET"):
            self.stack.append(Part())
        self._change(name, parts)

    def _change(self, name: str, parts: list[Part]) -> None:
        if name == "BUILD":
            self.stack[-1].build(parts[0])
        elif name.startswith("SETITEM"):
            self.stack[-1].set(parts)
        elif name != "POP_MARK":
            self.stack[-1].append(parts)


def _set_by_call(call: Part) -> None:
    """Add the state that a function has set on an object, whose result is not used."""
    arguments = call.parts[-1][1].parts if call.parts else []
    if len(arguments) == 2:
        (_, changed), (_, state) = arguments
        changed.build(state)


def _contain(made: Part, part: Part, name: str) -> None:
    if name.startswith("TUPLE"):
        made.append([part])
    else:
        made.add("", part)


_MEMO = ("MEMOIZE", "BINPUT", "LONG_BINPUT")
_OF_MARK = ("APPENDS", "SETITEMS", "ADDITEMS", "TUPLE", "FROZENSET", "POP_MARK")
_CHANGES = {"APPEND": 1, "SETITEM": 2, "BUILD": 1}
_MAKES = {
    "TUPLE1": 1,
    "TUPLE2": 2,
    "TUPLE3": 3,
    "REDUCE": 2,
    "NEWOBJ": 2,
    "NEWOBJ_EX": 3,
    "STACK_GLOBAL": 2,
    "BINPERSID": 1,
    "READONLY_BUFFER": 1,
}
"""How many objects of the stack an instruction replaces by one."""

__all__ = ["steps_to_failure"]
