"""Opens portable pickles: defines what came as source, refuses what holds code.

The functions here are called by pickles, in the order in which the writer put them.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from remotemedia import _sources
from remotemedia._portable.imports import (
    Partial,
    flags_of,
    import_module,
    named_as_needed,
)
from remotemedia._tokens import registry

PREFIX = b"RMP1"
PROTOCOL = 5
"""Pickle protocol of everything that travels."""
VALUE, UNITS, SHIPMENT = b"v", b"u", b"s"
"""What follows the prefix: an object; definitions and an object; the same for a session's nodes."""
IMPORTED = "import "
"""Begins the label of a module that is imported, not made from source."""

_REFUSED_MODULES = ("cloudpickle", "dill", "marshal", "code", "codeop", "remotemedia._by_value")
_REFUSED_NAMES = frozenset({"CodeType", "FunctionType", "LambdaType", "CellType"})
Place = tuple[str, str, int, str, Sequence[str]]
"""A module's label, the file, the first line there, the text, and the file's future features."""


class Unpickler(pickle.Unpickler):
    """Opens references and data. Code of another interpreter is refused, not tried."""

    def find_class(self, module: str, name: str) -> Any:
        """The object of this name.

        Raises:
            pickle.UnpicklingError: it makes functions of bytecode.
            ImportError: its module, or what its definition needs, is not here.
        """
        is_code = module.startswith(_REFUSED_MODULES) and module.split(".")[0] in {
            refused.split(".")[0] for refused in _REFUSED_MODULES
        }
        if is_code or (module == "types" and name in _REFUSED_NAMES):
            raise pickle.UnpicklingError(
                f"refused: the pickle holds code ({module}.{name}), which only the interpreter "
                "that wrote it can run"
            )
        try:
            if module not in sys.modules:
                import_module(module)
            return super().find_class(module, name)
        except ImportError as error:
            raise named_as_needed(error, module, name) from error


class _Opening:
    """What is being opened.

    Attributes:
        is_shipment: a session's shipment: only its tokens are known to everybody.
        works_for: the places of the nodes that need what is being made, as far as that is known.
        new: what has been bound or made since the pickle began: names by module, and tokens.
    """

    is_shipment = False
    works_for: Sequence[int] = ()
    new: ClassVar[set[object]] = set()


def loads(data: bytes, buffers: Sequence[Any] = ()) -> Any:
    """The object in a portable pickle; `buffers` are the memory of the arrays that it leaves out.

    Raises:
        pickle.UnpicklingError: it holds code, or is damaged.
    """
    start = len(PREFIX) + 1
    kind, body = data[len(PREFIX) : start], io.BytesIO(memoryview(data)[start:])
    if kind == VALUE:
        return Unpickler(body).load()
    outer, _Opening.is_shipment = _Opening.is_shipment, kind == SHIPMENT
    if kind == SHIPMENT:
        _Opening.works_for = ()
    if not registry.is_worker:
        registry.stand_ins.clear()  # names of an earlier answer may have other values now
    try:
        _, opened = Unpickler(body, buffers=buffers).load()
    finally:
        _Opening.is_shipment = outer
        _Opening.new.clear()
    return opened


class Call:
    """A call that opening the pickle makes."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def work_for(nodes: Sequence[int]) -> None:
    """What follows in the pickle is made for these nodes of the shipment."""
    _Opening.works_for = nodes


def worked_for() -> Sequence[int]:
    """The nodes that the last call of a shipment was for: when it failed, they cannot be made."""
    return _Opening.works_for


def node_of(_work: None, node: Any) -> Any:
    """A node of a shipment, behind the note that it is the one that follows."""
    return node


def namespace_of(label: str) -> dict[str, Any]:
    """The names of a module: of a stand-in, or of one that is imported."""
    if label.startswith(IMPORTED):
        return vars(import_module(label.removeprefix(IMPORTED)))
    module = registry.stand_ins.get(label)
    if module is None:
        name = label.partition("#")[0]
        module = registry.stand_ins[label] = types.ModuleType(name)
        if name == label and registry.is_worker:
            sys.modules.setdefault(name, module)
    return vars(module)


def open_space(label: str, attributes: dict[str, Any]) -> None:
    """Gives a stand-in the attributes that its code may ask for, such as `__file__`."""
    namespace = namespace_of(label)
    for name, value in attributes.items():
        if namespace.get(name) is None:
            namespace[name] = value


def bind(label: str, name: str, value: Any) -> None:
    """Sets a value of a module, unless it has one: it may have changed here."""
    namespace = namespace_of(label)
    if name not in namespace:
        namespace[name] = value
        _Opening.new.add((label, name))


def restore(label: str, name: str, data: bytes) -> None:
    """Gives a name its value at the sender's: the definitions that have changed it since `bind`
    had changed it there, too.
    """
    if (label, name) not in _Opening.new:
        return
    namespace, value = namespace_of(label), Unpickler(io.BytesIO(data)).load()
    known = namespace[name]
    if type(known) is not type(value):
        namespace[name] = value
    elif isinstance(known, list):  # a definition may have taken hold of it
        known[:] = value
    elif isinstance(known, (dict, set)):
        known.clear()
        known.update(value)
    elif hasattr(known, "__dict__") and not isinstance(known, (type, types.FunctionType)):
        vars(known).clear()
        vars(known).update(vars(value))
    else:
        namespace[name] = value


def make(
    places: Sequence[Place],
    name: str,
    qualname: str,
    token: str | None,
    cells: dict[str, types.CellType] | None,
    _before: Sequence[None],
) -> Any:
    """What statements of a module define under a name.

    Args:
        places: the statements.
        name: the name.
        qualname: its qualified name.
        token: the token of a class or function.
        cells: for a class inside a function: the variables of that.
        _before: what had to be bound.
    """
    namespace = namespace_of(places[0][0])
    known = registry.find(token) if token is not None else namespace.get(name)
    if known is not None:
        return known
    if cells is not None:
        made = _inner(places[0], cells)()
        made.__qualname__ = qualname
        # Its methods say where they stood, as they do at the sender's.
        for value in vars(made).values():
            if isinstance(value, types.FunctionType):
                value.__qualname__ = f"{qualname}.{value.__name__}"
        if registry.is_worker:
            registry.places[id(made)] = made, places[0]
    else:
        outside = namespace.get(name)
        for place in places:
            _run(place, namespace)
        made = namespace[name]
        if token is not None:  # the name may stand for something else: `bind` knows
            namespace.pop(name) if outside is None else namespace.update({name: outside})
    if token is not None:
        _claim(token, made)
    return made


def _run(place: Place, names: dict[str, Any]) -> None:
    """Runs source of a module; what it defines is put under `names`."""
    label, filename, first, text, features = place
    source, flags = remember(filename, first, text), flags_of(features)
    exec(compile(source, filename, "exec", flags, dont_inherit=True), namespace_of(label), names)


def fill_cells(_made: Any, contents: Sequence[tuple[types.CellType, Any]]) -> None:
    """Gives variables of an enclosing function their values, which may refer to what uses them."""
    for cell, value in contents:
        cell.cell_contents = value


def fill(made: Any, token: str, attributes: dict[str, Any]) -> None:
    """Gives a new class the attributes that its statement has not given it so; `...` is none."""
    for name, value in attributes.items() if token in _Opening.new else ():
        known = vars(made).get(name, ...)
        if value is ...:
            if known is not ...:
                delattr(made, name)
        elif type(known) is not type(value) or not bool(known == value):
            setattr(made, name, value)


def nested(outer: Any, path: str, token: str) -> Any:
    """A class or function inside a class."""
    for part in path.split("."):
        outer = getattr(outer, part)
    _claim(token, outer)
    return outer


def make_function(
    place: Place,
    qualname: str,
    token: str | None,
    cells: dict[str, types.CellType],
    is_plain: bool,
) -> Any:
    """A function over the variables that it used; `is_plain`: nothing was evaluated around it."""
    known = registry.find(token) if token is not None else None
    if known is not None:
        return known
    function: Any
    if is_plain:
        scratch: dict[str, Any] = {}
        _run(place, scratch)
        (function,) = scratch.values()
    else:
        function = _inner(place, cells)
    function.__qualname__ = qualname
    function.__module__ = str(function.__globals__.get("__name__"))
    if registry.is_worker:
        registry.places[id(function.__code__)] = function.__code__, place
    if token is not None:
        _claim(token, function)
    return function


def fill_function(function: Any, state: tuple[Any, ...]) -> None:
    """What a function refers to, which may refer to it."""
    contents, own, attributes = state
    for name, value in own.items():
        setattr(function, name, value)
    function.__dict__.update(attributes)
    fill_cells(function, contents)


def empty_cell() -> types.CellType:
    """A variable of an enclosing function; its value follows."""
    return types.CellType()


def _inner(place: Place, cells: dict[str, types.CellType]) -> types.FunctionType:
    """A function without what was evaluated around it (defaults, decorators), or what makes a
    class, inside a function that has the variables.
    """
    import ast  # not at the start of every worker

    label, filename, first, text, features = place
    inner = node_of_text(remember(filename, first, text), filename)
    name = getattr(inner, "name", "_lambda")
    # The class hides the name of a function from its body, as a module does.
    scope = f"class ____: pass\n return ____.__dict__[{name!r}]"
    if isinstance(inner, ast.ClassDef):
        scope = f"def _made(): return {name}\n return _made"
    else:
        arguments = inner.args
        arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
        arguments.kw_defaults = [d and ast.Constant(None) for d in arguments.kw_defaults]
        inner.decorator_list = []
    if isinstance(inner, ast.Lambda):
        inner = ast.Assign([ast.Name(name, ast.Store())], inner)
    tree = ast.parse(f"def _outer({', '.join(cells)}):\n {scope}")
    tree.body[0].body[0].body.insert(0, inner)  # type: ignore[attr-defined]  # of the scope
    tree, flags = ast.fix_missing_locations(tree), flags_of(features)
    namespace, scratch = namespace_of(label), dict[str, Any]()
    exec(compile(tree, filename, "exec", flags, dont_inherit=True), namespace, scratch)
    made: types.FunctionType = scratch["_outer"](*cells)
    if label.startswith(IMPORTED):
        _have(label, made.__code__)
    # So that it shares the variables with what else uses them.
    closure = tuple(cells[variable] for variable in made.__code__.co_freevars) or None
    function = types.FunctionType(made.__code__, namespace, made.__name__, None, closure)
    function.__annotations__ = made.__annotations__
    return function


def node_of_text(text: str, filename: str = "") -> Any:
    """The definition or lambda that a text of its own consists of."""
    import ast

    found: Any = ast.parse(f"if 1:\n{text}" if text[:1] in " \t" else text, filename).body[0]
    while isinstance(found, ast.If):  # the indentation's
        found = found.body[0]
    return found.value if isinstance(found, ast.Expr) else found


def _have(label: str, code: types.CodeType) -> None:
    """Defines what code looks up in a module that is here in part."""
    module = import_module(label.removeprefix(IMPORTED))
    if isinstance(module, Partial):
        for name in code.co_names:
            getattr(module, name, None)
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                _have(label, inner)


def _claim(token: str, shared: Any) -> None:
    """Notes an object under its token."""
    _Opening.new.add(token)
    if registry.find(token) is None:
        (registry.receive if _Opening.is_shipment else registry.enter)(token, shared)
    if registry.is_worker:
        registry.kept.append(shared)


def remember(filename: str, first: int, text: str) -> str:
    """The text at its own lines, and in `linecache`, so that tracebacks show them."""
    source = text
    if text[:1] in " \t":
        first, source = first - 1, f"if 1:\n{text}"
    lines = source.splitlines(keepends=True)
    # The caller has the file or cell itself.
    _sources.enter_part(filename, first, lines, replace=registry.is_worker)
    return "\n" * (first - 1) + source


def open_array(
    dtype: str, shape: tuple[int, ...], data: Any, sample_rate: int | None = None
) -> Any:
    """An array as this interpreter has them: of numpy, else a view. `data` are its bytes, or the
    memory itself, that of an array of bytes.
    """
    try:
        import numpy as np
    except ImportError:
        from remotemedia import _audio

        return _audio.restore(memoryview(data), dtype, shape, sample_rate)
    memory = bytearray(data) if isinstance(data, bytes) else data
    return np.frombuffer(memory, dtype=np.dtype(dtype)).reshape(shape)


def open_scalar(kind: str, value: Any) -> Any:
    """A number of numpy's, or the plain number where there is no numpy."""
    try:
        import numpy as np
    except ImportError:
        return value
    return np.dtype(kind).type(value)


def open_path(kind: str, text: str) -> Any:
    """A path: its class has another home in some versions of Python."""
    import pathlib

    return getattr(pathlib, kind)(text)
