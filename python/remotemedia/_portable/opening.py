"""Loads portable pickles: makes classes and functions from source text, and refuses bytecode.

A pickle calls the functions of this module. `import_module` imports modules for received code, also
a module whose own import fails here: RustPython lacks modules that CPython has, and a module that
imports one of them at its top may define many names that do not need it.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from remotemedia import _sources
from remotemedia._portable.imports import Partial, flags_of, import_module, named_as_needed
from remotemedia._tokens import registry

PREFIX = b"RMP1"
PROTOCOL = 5
"""Pickle protocol of all pickles between processes."""
VALUE, SHIPMENT = b"v", b"s"
"""Kind of a pickle, after the prefix: an object, or the nodes of a session."""

_REFUSED_MODULES = ("cloudpickle", "dill", "marshal", "code", "codeop")
_REFUSED_NAMES = frozenset({"CodeType", "FunctionType", "LambdaType", "CellType"})
Place = tuple[str, int, str, Sequence[str]]
"""Source text with its place; see `source.Place`."""
Cells = dict[str, types.CellType]
Contents = Sequence[tuple[types.CellType, Any]]
"""Variables of enclosing functions, with their values."""


class Unpickler(pickle.Unpickler):
    """Loads references and data, and refuses bytecode of another interpreter."""

    def find_class(self, module: str, name: str) -> Any:
        """The object with this name.

        Raises:
            pickle.UnpicklingError: the object would make functions from bytecode.
            ImportError: its module, or a module that its definition needs, is missing here.
        """
        is_code = module.partition(".")[0] in _REFUSED_MODULES or module == "remotemedia._by_value"
        if is_code or (module == "types" and name in _REFUSED_NAMES):
            raise pickle.UnpicklingError(
                f"refused a pickle that contains bytecode ({module}.{name}), which only the "
                "interpreter that wrote it can run"
            )
        try:
            if module not in sys.modules:
                import_module(module)
            return super().find_class(module, name)
        except ImportError as error:
            raise named_as_needed(error, module, name) from error


class _Opening:
    """State while a pickle is being loaded.

    Attributes:
        is_shipment: whether it is a session's shipment, whose tokens all workers know.
        works_for: the indices of the nodes that need the current definition, as far as known.
        new: by `id`, the classes and functions that this pickle has made so far.
    """

    is_shipment = False
    works_for: Sequence[int] = ()
    new: ClassVar[dict[int, object]] = {}


def loads(data: bytes, buffers: Sequence[Any] = ()) -> Any:
    """Load a portable pickle; `buffers` are the memory of the arrays that were left out of it.

    Raises:
        pickle.UnpicklingError: the pickle contains bytecode, or is damaged.
    """
    start = len(PREFIX) + 1
    outer, _Opening.is_shipment = _Opening.is_shipment, data[len(PREFIX) : start] == SHIPMENT
    if _Opening.is_shipment:
        _Opening.works_for = ()
    if not registry.is_worker:
        registry.stand_ins.clear()  # an earlier result may have had other values for these names
    try:
        opened = Unpickler(io.BytesIO(memoryview(data)[start:]), buffers=buffers).load()
        if _Opening.is_shipment:
            marked, log_levels, is_portable, others = opened
            nodes = marked[1::2]
            for index, node in others:
                nodes[index] = node
            return nodes, log_levels, is_portable
        return opened
    finally:
        _Opening.is_shipment = outer
        _Opening.new.clear()


class Call:
    """Pickles as a call: loading the pickle calls the function with these arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


class Later:
    """Pickles as a call that is computed when the pickler reaches it."""

    def __init__(self, compute: Callable[[], Any]) -> None:
        self._compute = compute

    def __reduce__(self) -> Any:
        return self._compute()


def work_for(nodes: Sequence[int]) -> None:
    """Note that the next part of the pickle is made for these nodes of the shipment."""
    _Opening.works_for = nodes


def worked_for() -> Sequence[int]:
    """The nodes that the last `work_for` named; if the shipment failed, they are the cause."""
    return _Opening.works_for


def open_space(label: str, attributes: Mapping[str, str]) -> types.ModuleType:
    """The module that stands for one of the sender's modules, or for a namespace of `exec`."""
    module = registry.stand_ins.get(label)
    if module is None:
        name = label.partition("#")[0]
        module = registry.stand_ins[label] = types.ModuleType(name)
        if name == label and registry.is_worker:
            sys.modules.setdefault(name, module)
    for name, value in attributes.items():
        if getattr(module, name, None) is None:
            setattr(module, name, value)
    return module


def _bind(namespace: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Bind names of a module, unless they are bound already: values may have changed here."""
    for name, value in values.items():
        namespace.setdefault(name, value)


def run(
    module: types.ModuleType,
    place: Place,
    called: tuple[str, str, str | None],
    cells: Cells | None,
    contents: Contents,
    before: Mapping[str, Any],
) -> Any:
    """Run a statement of a module and return the object that it defines.

    Args:
        module: the module.
        place: the statement.
        called: name and qualified name of the object, and the token of a class or function.
        cells: for a class inside a function, the variables of that function.
        contents: values of those variables that the statement reads.
        before: names that the statement reads, with their values.
    """
    name, qualname, token = called
    known = registry.find(token) if token is not None else vars(module).get(name)
    if known is not None:
        return known
    _bind(vars(module), before)
    if cells is None:
        source, scratch = remember(place), dict[str, Any]()
        code = compile(source, place[0], "exec", flags_of(place[3]), dont_inherit=True)
        exec(code, vars(module), scratch)
        made = scratch[name]
    else:
        _fill(contents)
        made = _function(module, place, name, cells, None)()
        made.__qualname__ = qualname
        # Methods get the same qualified names as at the sender.
        for value in vars(made).values():
            if isinstance(value, types.FunctionType):
                value.__qualname__ = f"{qualname}.{value.__name__}"
        _note(made, place)
    _Opening.new[id(made)] = made
    if token is not None:
        _claim(token, made)
    return made


def set_state(made: Any, state: tuple[Any, ...]) -> None:
    """Bind the names that code of a new object looks up, and set its variables and attributes; an
    attribute `...` is deleted. Done last, as values may refer to the object.
    """
    module, names, contents, attributes = state
    _bind(vars(module), names)
    if id(made) not in _Opening.new:
        return
    _fill(contents)
    for name, value in attributes.items():
        known = getattr(made, "__dict__", {}).get(name, ...)
        if value is ...:
            if known is not ...:
                delattr(made, name)
        elif type(known) is not type(value) or not bool(known == value):
            setattr(made, name, value)


def nested(outer: Any, path: str, token: str) -> Any:
    """Return a class or function inside the class `outer`, and note its token."""
    for part in path.split("."):
        outer = getattr(outer, part)
    _claim(token, outer)
    return outer


def make_function(
    module: types.ModuleType,
    place: Place,
    called: tuple[str, str, str | None],
    cells: Cells,
    owner: str,
) -> Any:
    """Make a function over variables `cells`, without what `set_state` sets; `owner` is the class
    in which it stands, if that matters.
    """
    name, qualname, token = called
    known = registry.find(token) if token is not None else None
    if known is not None:
        return known
    function = _function(module, place, name, cells, owner)
    function.__qualname__ = qualname
    function.__module__ = str(function.__globals__.get("__name__"))
    _note(function.__code__, place)
    _Opening.new[id(function)] = function
    if token is not None:
        _claim(token, function)
    return function


def make_dispatch(token: str) -> Any:
    """Make a function of `functools.singledispatch` with which nothing is registered yet."""
    made = registry.find(token) or functools.singledispatch(make_dispatch)
    _claim(token, made)
    return made


def set_dispatch(made: Any, functions: Sequence[tuple[type, Any]]) -> None:
    """Register functions, by type, with what `make_dispatch` has made."""
    for kind, function in functions:
        made.register(kind, function)
    functools.update_wrapper(made, dict(functions)[object])


def empty_cell() -> types.CellType:
    """Make a variable of an enclosing function; its value is set later."""
    return types.CellType()


def _fill(contents: Contents) -> None:
    for cell, value in contents:
        cell.cell_contents = value


def _function(
    module: types.ModuleType, place: Place, name: str, cells: Cells, owner: str | None
) -> Any:
    """A function from its text, whose decorators and defaults do not run; if `owner` is None, a
    function that runs the statement of a class.
    """
    tree: Any = remember(place)
    path = [name]
    if cells or owner != "":
        import ast  # imported late, to keep the start of workers fast

        tree = ast.parse(tree)
        # A function in a class body looks its own name up in the module, as it did at the sender.
        scope, path = f"class ___{owner}:\n  pass", ["_outer", f"___{owner}", name]
        if owner is None:
            scope, path = f"def _made():\n  return {name}", ["_outer", "_made"]
        outer: Any = ast.parse(f"def _outer({', '.join(cells)}):\n {scope}")
        outer.body[0].body[0].body[:0] = tree.body
        tree = outer
    code: Any = compile(tree, place[0], "exec", flags_of(place[3]), dont_inherit=True)
    for part in path:
        inner = [one for one in code.co_consts if getattr(one, "co_name", None) == part]
        code = inner[-1]  # others are lambdas in the defaults of a lambda
    if isinstance(module, Partial):
        module.require(code)
    # Uses the given cells, so that all functions with a common variable share it.
    closure = tuple(cells[variable] for variable in code.co_freevars) or None
    return types.FunctionType(code, vars(module), name, None, closure)


def _note(made: object, place: Place) -> None:
    """Note in a worker from which source something was made, to send it on."""
    if registry.is_worker:
        registry.places[id(made)] = made, place


def _claim(token: str, shared: Any) -> None:
    """Note an object under its token."""
    if registry.find(token) is None:
        (registry.receive if _Opening.is_shipment else registry.enter)(token, shared)
    if registry.is_worker:
        registry.kept.append(shared)


def remember(place: Place) -> str:
    """Enter a text in `linecache` for tracebacks; return it shifted to its line numbers."""
    filename, first, source, _ = place
    if source[:1] in " \t":
        first, source = first - 1, f"if 1:\n{source}"
    lines = source.splitlines(keepends=True)
    # Only workers replace known lines; the caller has the file or notebook cell itself.
    _sources.enter_part(filename, first, lines, replace=registry.is_worker)
    return "\n" * (first - 1) + source


def open_array(
    dtype: str, shape: tuple[int, ...], data: Any, sample_rate: int | None = None
) -> Any:
    """Make an array: numpy's, or an `AudioView` without numpy. `data` is a copy of its bytes, or a
    byte array over its memory.
    """
    try:
        import numpy as np
    except ImportError:
        from remotemedia import _audio

        return _audio.restore(memoryview(data), dtype, shape, sample_rate)
    memory = bytearray(data) if isinstance(data, bytes) else data
    return np.frombuffer(memory, dtype=np.dtype(dtype)).reshape(shape)


def open_scalar(kind: str, value: Any) -> Any:
    """Make a number of numpy, or return the plain number without numpy."""
    try:
        import numpy as np
    except ImportError:
        return value
    return np.dtype(kind).type(value)


def open_path(kind: str, text: str) -> Any:
    """Make a path. By name, since some versions of Python define the class in another module."""
    import pathlib

    return getattr(pathlib, kind)(text)
