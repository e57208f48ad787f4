"""Loads portable pickles: makes classes and functions from source text, and refuses bytecode.

A pickle calls the functions of this module. `import_module` imports modules for received code, also
a module whose own import fails here: RustPython lacks modules that CPython has, and a module that
imports one of them at its top may define many names that do not need it.
"""

from __future__ import annotations

import builtins
import collections
import functools
import io
import pickle
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from remotemedia import _skeletons, _sources
from remotemedia._portable.imports import flags_of, import_module, named_as_needed
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
"""Variables of enclosing functions."""
Called = tuple[str, str, str | None]
"""Name and qualified name of a class or function, and its token."""


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


def _bind(module: types.ModuleType, values: Mapping[str, Any]) -> None:
    """Bind names of a module, unless they are bound already: values may have changed here."""
    for name, value in values.items():
        vars(module).setdefault(name, value)


def make_function(
    module: types.ModuleType, place: Place, called: Called, cells: Cells, owner: str
) -> Any:
    """Make a function over variables `cells`, without what `set_function` sets; `owner` is the
    class in which it stands, if that matters.
    """
    name, qualname, token = called
    known = registry.find(token) if token is not None else None
    if known is not None:
        return known
    function = _function(module, place, name, cells, owner)
    function.__qualname__ = qualname
    function.__module__ = str(function.__globals__.get("__name__"))
    if registry.is_worker:  # noted to send it on
        registry.places[id(function.__code__)] = function.__code__, place
    return _made(token, function)


def set_function(made: Any, state: tuple[Any, ...]) -> None:
    """Bind the names that a new function looks up, and set its attributes. Done last, as their
    values may refer to the function. The state: its module; the names with their values, or only
    the names if the module is imported here; the module in which it has a name; its attributes.
    """
    module, names, home, attributes = state
    if isinstance(names, dict):
        _bind(module, names)
    else:
        for name in names:
            getattr(module, name, None)  # raises an ImportError if the module lacks the name
    if home is not None:
        _bind(home, {made.__name__: made})
    if id(made) in _Opening.new:
        for name, value in attributes.items():
            setattr(made, name, value)


def make_class(
    called: Called,
    made_by: tuple[Any, Any],
    bases: Sequence[Any],
    namespace: Mapping[str, Any],
    silent: Sequence[Any],
    members: Mapping[str, Any] | None,
    fields: tuple[Sequence[str], Sequence[Any]] | None,
) -> Any:
    """Make a class without what `set_class` sets.

    Args:
        called: its name, qualified name and token.
        made_by: as for `_skeletons.make`.
        bases: its bases.
        namespace: what it must have from the start.
        silent: as for `_skeletons.make`.
        members: for an enum the values of its members.
        fields: for a named tuple the names of its fields, and its last fields' defaults.
    """
    name, qualname, token = called
    known = registry.find(token) if token is not None else None
    if known is not None:
        return known
    if fields is not None:
        of_fields: Any = collections.namedtuple
        made = of_fields(name, fields[0], defaults=fields[1])
        made.__module__, made.__doc__ = namespace["__module__"], namespace["__doc__"]
    elif members is not None:
        metaclass, maker = made_by
        space = metaclass.__prepare__(name, tuple(bases))
        for key, value in {**namespace, **members}.items():
            space[key] = value
        made = maker.__new__(metaclass, name, tuple(bases), space)
    else:
        made = _skeletons.make(made_by, name, bases, namespace, silent)
    made.__qualname__ = qualname
    return _made(token, made)


def set_class(made: Any, state: tuple[Any, ...]) -> None:
    """Set the attributes of a new class. Done last, as their values may refer to the class. The
    state: the module in which it has a name; its attributes; for a dataclass its fields, its flags,
    and whether it has `__post_init__`; for an enum its members' own attributes.
    """
    home, attributes, generated, members = state
    if home is not None:
        _bind(home, {made.__name__: made})
    if id(made) not in _Opening.new:
        return
    for name, value in attributes.items():
        type.__setattr__(made, name, value)
    for name, own in members.items():
        vars(made[name]).update(own)
    if generated is not None:
        _generate(made, *generated)


def _generate(made: Any, fields: Mapping[str, Any], flags: dict[str, bool], is_post: bool) -> None:
    """Give a dataclass the methods that `dataclass` generates: it makes them for another class with
    the same fields.
    """
    import dataclasses  # imported late, to keep the start of workers fast

    space: dict[str, Any] = {
        name: dataclasses.field(**terms) for name, (_, terms) in fields.items()
    }
    space["__annotations__"] = {name: kind for name, (kind, _) in fields.items()}
    space["__module__"], space["__qualname__"] = made.__module__, made.__qualname__
    if is_post:
        space["__post_init__"] = None
    twin: Any = dataclasses.dataclass(**flags)(type(made.__name__, (), space))
    always = ("__dataclass_fields__", "__dataclass_params__")
    never = {"__dict__", "__weakref__", "__post_init__", *fields, *vars(made)}
    for name, value in vars(twin).items():
        if name not in never or name in always:
            for cell in getattr(value, "__closure__", None) or ():
                if cell.cell_contents is twin:
                    cell.cell_contents = made
            type.__setattr__(made, name, value)


def _made(token: str | None, made: Any) -> Any:
    """Note a new class or function, under its token if it has one."""
    _Opening.new[id(made)] = made
    if token is not None:
        (registry.receive if _Opening.is_shipment else registry.enter)(token, made)
        if registry.is_worker:
            registry.kept.append(made)
    return made


def run(
    module: types.ModuleType, place: Place, name: str, before: Mapping[str, Any], _after: Any
) -> Any:
    """Run an assignment of a module, which reads the names in `before`; returns what it assigns."""
    _bind(module, before)
    scratch: dict[str, Any] = {}
    code = compile(remember(place), place[0], "exec", flags_of(place[3]), dont_inherit=True)
    exec(code, vars(module), scratch)
    return scratch[name]


def make_dispatch(token: str | None) -> Any:
    """Make a function of `functools.singledispatch` with which nothing is registered yet."""
    known = registry.find(token) if token is not None else None
    return known or _made(token, functools.singledispatch(make_dispatch))


def set_dispatch(made: Any, functions: Sequence[tuple[type, Any]]) -> None:
    """Register functions, by type, with what `make_dispatch` has made."""
    for kind, function in functions:
        made.register(kind, function)
    functools.update_wrapper(made, dict(functions)[object])


def empty_cell() -> types.CellType:
    """Make a variable of an enclosing function; its value is set later."""
    return types.CellType()


def fill_cell(cell: types.CellType, content: tuple[Any, ...]) -> None:
    """Set such a variable, unless it has no value."""
    if content:
        cell.cell_contents = content[0]


def apply(
    function: Callable[..., Any], arguments: Sequence[Any], keywords: Mapping[str, Any] = {}
) -> Any:
    """Call what was itself made while the pickle is loaded, or with keywords."""
    return function(*arguments, **keywords)


def make_lock(is_recursive: bool) -> Any:
    """Make a lock."""
    import threading

    return threading.RLock() if is_recursive else threading.Lock()


def middle(_before: Any, value: Any, _after: Any) -> Any:
    """The second argument: the others are computed when it was written."""
    return value


def _function(
    module: types.ModuleType, place: Place, name: str, cells: Cells, owner: str
) -> types.FunctionType:
    """A function from its text, whose decorators and defaults do not run."""
    tree: Any = remember(place)
    path = [name]
    if cells or owner:
        import ast

        # A function in a class body looks its own name up in the module, as it did at the sender.
        outer: Any = ast.parse(f"def _outer({', '.join(cells)}):\n class ___{owner}:\n  pass")
        outer.body[0].body[0].body[:0] = ast.parse(tree).body
        tree, path = outer, ["_outer", f"___{owner}", name]
    code: Any = compile(tree, place[0], "exec", flags_of(place[3]), dont_inherit=True)
    for part in path:
        inner = [one for one in code.co_consts if getattr(one, "co_name", None) == part]
        code = inner[-1]  # others are lambdas in the defaults of a lambda
    vars(module).setdefault("__builtins__", builtins)
    # Uses the given cells, so that all functions with a common variable share it.
    closure = tuple(cells[variable] for variable in code.co_freevars) or None
    return types.FunctionType(code, vars(module), name, None, closure)


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
