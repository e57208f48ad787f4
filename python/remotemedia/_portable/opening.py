"""Loads portable pickles: defines classes and functions from source, and refuses bytecode.

A pickle calls the functions of this module, in the order in which the writer has put the calls.
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
"""Pickle protocol of all pickles between processes."""
VALUE, UNITS, SHIPMENT = b"v", b"u", b"s"
"""Kind of a pickle, after the prefix: an object; definitions and an object; a session's nodes."""
IMPORTED = "import "
"""Prefix of the label of a module that is imported, not made from source."""

_REFUSED_MODULES = ("cloudpickle", "dill", "marshal", "code", "codeop", "remotemedia._by_value")
_REFUSED_NAMES = frozenset({"CodeType", "FunctionType", "LambdaType", "CellType"})
SourceText = tuple[str, str, int, str, Sequence[str]]
"""Source text with its place: the module's label, the file name, the number of the text's first
line, the text, and the file's `from __future__` features."""


class Unpickler(pickle.Unpickler):
    """Loads references and data, and refuses bytecode of another interpreter."""

    def find_class(self, module: str, name: str) -> Any:
        """The object with this name.

        Raises:
            pickle.UnpicklingError: the object would make functions from bytecode.
            ImportError: its module, or a module that its definition needs, is missing here.
        """
        is_code = module.startswith(_REFUSED_MODULES) and module.split(".")[0] in {
            refused.split(".")[0] for refused in _REFUSED_MODULES
        }
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
        new: what this pickle has bound or made so far: (label, name) pairs, and tokens.
    """

    is_shipment = False
    works_for: Sequence[int] = ()
    new: ClassVar[set[object]] = set()


def loads(data: bytes, buffers: Sequence[Any] = ()) -> Any:
    """Load a portable pickle; `buffers` are the memory of the arrays that were left out of it.

    Raises:
        pickle.UnpicklingError: the pickle contains bytecode, or is damaged.
    """
    start = len(PREFIX) + 1
    kind, body = data[len(PREFIX) : start], io.BytesIO(memoryview(data)[start:])
    if kind == VALUE:
        return Unpickler(body).load()
    outer, _Opening.is_shipment = _Opening.is_shipment, kind == SHIPMENT
    if kind == SHIPMENT:
        _Opening.works_for = ()
    if not registry.is_worker:
        registry.stand_ins.clear()  # an earlier result may have had other values for these names
    try:
        _, opened = Unpickler(body, buffers=buffers).load()
    finally:
        _Opening.is_shipment = outer
        _Opening.new.clear()
    return opened


class Call:
    """Pickles as a call: loading the pickle calls the function with these arguments."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._call = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._call


def work_for(nodes: Sequence[int]) -> None:
    """Note that the next part of the pickle is made for these nodes of the shipment."""
    _Opening.works_for = nodes


def worked_for() -> Sequence[int]:
    """The nodes that the last `work_for` named; if the shipment failed, they are the cause."""
    return _Opening.works_for


def node_of(_work: None, node: Any) -> Any:
    """Return the node; `_work` is there only because its call has to be loaded first."""
    return node


def namespace_of(label: str) -> dict[str, Any]:
    """The namespace of an imported module, or of a stand-in: a new module, filled by `bind`."""
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
    """Set attributes such as `__file__` of the stand-in (see `namespace_of`) for a module."""
    namespace = namespace_of(label)
    for name, value in attributes.items():
        if namespace.get(name) is None:
            namespace[name] = value


def bind(label: str, name: str, value: Any) -> None:
    """Bind a name of a module, unless it is bound already: its value may have changed here."""
    namespace = namespace_of(label)
    if name not in namespace:
        namespace[name] = value
        _Opening.new.add((label, name))


def restore(label: str, name: str, data: bytes) -> None:
    """Set a name to the sender's value again, since definitions that ran after `bind` have changed
    it. At the sender they had run before.
    """
    if (label, name) not in _Opening.new:
        return
    namespace, value = namespace_of(label), Unpickler(io.BytesIO(data)).load()
    known = namespace[name]
    if type(known) is not type(value):
        namespace[name] = value
    elif isinstance(known, list):  # changed in place, since a definition may refer to it
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
    places: Sequence[SourceText],
    name: str,
    qualname: str,
    token: str | None,
    cells: dict[str, types.CellType] | None,
    _before: Sequence[None],
) -> Any:
    """Run statements of a module and return the object that they define.

    Args:
        places: the statements.
        name: name of the object.
        qualname: qualified name of the object.
        token: token of a class or function.
        cells: for a class inside a function, the variables of that function.
        _before: results of the calls that have bound the names which the statements read.
    """
    namespace = namespace_of(places[0][0])
    known = registry.find(token) if token is not None else namespace.get(name)
    if known is not None:
        return known
    if cells is not None:
        made = _inner(places[0], cells)()
        made.__qualname__ = qualname
        # Methods get the same qualified names as at the sender.
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
        if token is not None:  # leave it to `bind` which object the name stands for
            namespace.pop(name) if outside is None else namespace.update({name: outside})
    if token is not None:
        _claim(token, made)
    return made


def _run(place: SourceText, names: dict[str, Any]) -> None:
    """Run source text of a module; the names that it defines are put into `names`."""
    label, filename, first, text, features = place
    source, flags = remember(filename, first, text), flags_of(features)
    exec(compile(source, filename, "exec", flags, dont_inherit=True), namespace_of(label), names)


def fill_cells(_made: Any, contents: Sequence[tuple[types.CellType, Any]]) -> None:
    """Set variables of an enclosing function. Done last, as values may refer to their users."""
    for cell, value in contents:
        cell.cell_contents = value


def fill(made: Any, token: str, attributes: dict[str, Any]) -> None:
    """Set attributes of a new class that its statement has not made; `...` deletes one."""
    for name, value in attributes.items() if token in _Opening.new else ():
        known = vars(made).get(name, ...)
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
    place: SourceText,
    qualname: str,
    token: str | None,
    cells: dict[str, types.CellType],
    is_plain: bool,
) -> Any:
    """Make a function over variables `cells`; `is_plain`: no variables, defaults or decorators."""
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
    """Set attributes and variables of a function. Done last, as values may refer to it."""
    contents, own, attributes = state
    for name, value in own.items():
        setattr(function, name, value)
    function.__dict__.update(attributes)
    fill_cells(function, contents)


def empty_cell() -> types.CellType:
    """Make a variable of an enclosing function; its value is set later."""
    return types.CellType()


def _inner(place: SourceText, cells: dict[str, types.CellType]) -> types.FunctionType:
    """Define a function without defaults and decorators, or a function that makes a class, inside a
    function that has the variables `cells`.
    """
    import ast  # imported late, to keep the start of workers fast

    label, filename, first, text, features = place
    inner = node_of_text(remember(filename, first, text), filename)
    name = getattr(inner, "name", "_lambda")
    # A function in a class body looks its own name up in the module, as it did at the sender.
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
    # Uses the given cells, so that all functions with a common variable share it.
    closure = tuple(cells[variable] for variable in made.__code__.co_freevars) or None
    function = types.FunctionType(made.__code__, namespace, made.__name__, None, closure)
    function.__annotations__ = made.__annotations__
    return function


def node_of_text(text: str, filename: str = "") -> Any:
    """Parse a text that consists of one definition or lambda."""
    import ast

    found: Any = ast.parse(f"if 1:\n{text}" if text[:1] in " \t" else text, filename).body[0]
    while isinstance(found, ast.If):  # the `if` that was added for the indentation
        found = found.body[0]
    return found.value if isinstance(found, ast.Expr) else found


def _have(label: str, code: types.CodeType) -> None:
    """Define the names that code looks up in a module of which only parts are defined."""
    module = import_module(label.removeprefix(IMPORTED))
    if isinstance(module, Partial):
        for name in code.co_names:
            getattr(module, name, None)
        for inner in code.co_consts:
            if isinstance(inner, types.CodeType):
                _have(label, inner)


def _claim(token: str, shared: Any) -> None:
    """Note an object under its token."""
    _Opening.new.add(token)
    if registry.find(token) is None:
        (registry.receive if _Opening.is_shipment else registry.enter)(token, shared)
    if registry.is_worker:
        registry.kept.append(shared)


def remember(filename: str, first: int, text: str) -> str:
    """Enter the text in `linecache` for tracebacks; return it shifted to its line numbers."""
    source = text
    if text[:1] in " \t":
        first, source = first - 1, f"if 1:\n{text}"
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
