"""Opens portable pickles: defines what came as source, refuses what holds code.

The functions here are called by pickles, in the order in which the writer put them.
"""

from __future__ import annotations

import io
import pickle
import sys
import types
from collections.abc import Sequence
from typing import Any, ClassVar

from remotemedia import _sources
from remotemedia._deferred import Deferred, Unread, demand, imported_or_deferred, leave_out
from remotemedia._tokens import registry

PREFIX = b"RMP1"
PROTOCOL = 5
"""Pickle protocol of everything that travels."""
VALUE, UNITS, SHIPMENT = b"v", b"u", b"s"
"""What follows the prefix: an object; definitions and an object; the same for a session's nodes."""

_REFUSED_MODULES = ("cloudpickle", "dill", "marshal", "code", "codeop", "remotemedia._by_value")
_REFUSED_NAMES = frozenset({"CodeType", "FunctionType", "LambdaType", "CellType"})


class Unpickler(pickle.Unpickler):
    """Opens references and data. Code of another interpreter is refused, not tried."""

    def find_class(self, module: str, name: str) -> Any:
        """The object of this name.

        Raises:
            pickle.UnpicklingError: it makes functions of bytecode.
            ImportError: its module, or what its definition needs, is not here; but among what is
                defined for nodes it fails where it is used.
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
            found = super().find_class(module, name)
            demand(found, f"{module}.{name}")
        except ImportError as error:
            if not _Opening.is_defining:
                raise
            return Deferred(error, module, name)
        return found


class _Opening:
    """What is being opened.

    Attributes:
        is_shipment: a session's shipment: only its tokens are known to everybody.
        is_defining: the names of modules are made, and no nodes yet.
        works_for: the places of the nodes that need what is being made, as far as that is known.
        defined: what statements have just bound, by module and name.
    """

    is_shipment = False
    is_defining = False
    works_for: Sequence[int] = ()
    defined: ClassVar[set[tuple[str, str]]] = set()


def loads(data: bytes) -> Any:
    """The object in a portable pickle.

    Raises:
        pickle.UnpicklingError: it holds code, or is damaged.
    """
    start = len(PREFIX) + 1
    kind, body = data[len(PREFIX) : start], io.BytesIO(memoryview(data)[start:])
    if kind == VALUE:
        return Unpickler(body).load()
    outer, _Opening.is_shipment = _Opening.is_shipment, kind == SHIPMENT
    if kind == SHIPMENT:
        _Opening.works_for, _Opening.is_defining = (), True
    try:
        _, opened = Unpickler(body).load()
    finally:
        _Opening.is_shipment, _Opening.is_defining = outer, False
        _Opening.defined.clear()
    return opened


def work_for(nodes: Sequence[int]) -> None:
    """What follows in the pickle is made for these nodes of the shipment."""
    _Opening.works_for = nodes


def end_definitions() -> None:
    """What follows in the pickle are the nodes."""
    _Opening.is_defining = False


def worked_for() -> Sequence[int]:
    """The nodes that the last step of a shipment was for: when it failed, they cannot be made."""
    return _Opening.works_for


def node_of(_work: None, node: Any) -> Any:
    """A node of a shipment, behind the note that it is the one that follows."""
    return node


def stand_in(label: str) -> types.ModuleType:
    """The module in whose place source of the module `label` runs."""
    module = registry.stand_ins.get(label)
    if module is None:
        name = label.partition("#")[0]
        module = registry.stand_ins[label] = types.ModuleType(name)
        if name == label and registry.is_worker:
            sys.modules.setdefault(name, module)
    return module


def named(label: str, name: str) -> Any:
    """What stands under a name in a module."""
    return vars(stand_in(label))[name]


def open_space(label: str, attributes: dict[str, Any]) -> None:
    """Gives a stand-in the attributes that its code may ask for, such as `__file__`."""
    namespace = vars(stand_in(label))
    for name, value in attributes.items():
        if namespace.get(name) is None:
            namespace[name] = value


def bind(label: str, name: str, value: Any) -> None:
    """Sets a value of a module, unless it has one: it may have changed here."""
    namespace = vars(stand_in(label))
    if name not in namespace:
        namespace[name] = value
        _Opening.defined.add((label, name))


def bind_import(
    label: str,
    name: str,
    module: str,
    attribute: str | None,
    is_read: bool,
    further: Sequence[tuple[str, bool]] = (),
) -> None:
    """Sets an imported name of a module; what is missing raises where it is used.

    With `is_read` False, only annotations use it. `further` are modules below it, and whether they
    are meant to be there in any case.
    """
    namespace = vars(stand_in(label))
    if name not in namespace or (is_read and isinstance(namespace[name], Unread)):
        namespace[name] = imported_or_deferred(module, attribute) if is_read else Unread()
    for below, is_certain in further if is_read else ():
        found = imported_or_deferred(below)
        if is_certain and type(found) is Deferred:
            namespace[name] = found


def define(
    label: str,
    filename: str,
    first: int,
    text: str,
    features: Sequence[str],
    claims: Sequence[tuple[str, str]],
    names: Sequence[str],
    patches: dict[str, dict[str, Any]],
) -> None:
    """Runs statements of a module, and notes what they define under its tokens.

    Args:
        label: the module.
        filename: where the text stood.
        first: its first line there.
        text: the statements.
        features: what the file asks for by `from __future__ import`.
        claims: tokens and qualified names.
        names: what the statements bind.
        patches: by class, attributes that had another value than the text says.
    """
    namespace = vars(stand_in(label))
    if not claims and all(name in namespace for name in names):
        return
    wanted = [(token, name) for token, name in claims if registry.find(token) is None]
    if claims and len(wanted) < len(claims):
        # A part of it is known, so it has run; what is new is found through that part.
        for token, name in wanted:
            claim(token, _known(claims, name) or _at(namespace, name))
        return
    source = remember(filename, first, text)
    flags = compile_flags(features)
    try:
        exec(compile(source, filename, "exec", flags, dont_inherit=True), namespace)
    except ImportError as error:
        # Whoever uses a value that cannot be made here fails; a class is used by its objects.
        if claims or not leave_out(namespace, error, names, ()):
            raise
        return
    _Opening.defined.update((label, name) for name in names)
    for name in names:
        namespace.setdefault(name, None)  # a statement without a name has run, too
    for name, values in patches.items():
        for attribute, value in values.items():
            setattr(_at(namespace, name), attribute, value)
    for token, name in wanted:
        claim(token, _at(namespace, name))


def define_tuple(
    label: str,
    name: str,
    title: str,
    fields: Sequence[str],
    defaults: dict[str, Any],
    claims: Sequence[tuple[str, str]],
) -> None:
    """A named tuple class, made of its parts."""
    import collections

    namespace = vars(stand_in(label))
    if any(registry.find(token) is not None for token, _ in claims):
        return
    make: Any = collections.namedtuple
    made = make(title, fields, defaults=list(defaults.values()))
    made.__module__ = label.partition("#")[0]
    namespace[name] = made
    for token, _ in claims:
        claim(token, made)


def claim(token: str, shared: Any) -> None:
    """Notes an object under its token."""
    if registry.find(token) is None:
        (registry.receive if _Opening.is_shipment else registry.enter)(token, shared)
    if registry.is_worker:
        registry.kept.append(shared)


def patch(shared: Any, attribute: str, value: Any) -> None:
    """Sets a function that was put on a class after its definition."""
    setattr(shared, attribute, value)


def settle(label: str, name: str, value: Any, contents: Any = None) -> None:
    """Gives a name that has just been bound its value at the sender's: what ran here meanwhile ran
    there, too. `contents` are those of a table.
    """
    if (label, name) not in _Opening.defined:
        return
    namespace = vars(stand_in(label))
    begun, namespace[name] = namespace[name], value
    if contents is None:
        return
    for table in (value, begun) if type(begun) is type(value) else (value,):
        table.clear()  # some definition may have taken hold of the one that was there
        (table.extend if isinstance(table, list) else table.update)(contents)


def settle_attribute(label: str, shared: Any, name: str, value: Any) -> None:
    """The same for an attribute of a class."""
    if (label, shared.__qualname__.partition(".")[0]) in _Opening.defined:
        setattr(shared, name, value)


def _known(claims: Sequence[tuple[str, str]], name: str) -> Any:
    for token, outer in claims:
        found = registry.find(token)
        if found is not None and name.startswith(f"{outer}."):
            return _at(vars(found), name.removeprefix(f"{outer}."))
    return None


def _at(namespace: Any, path: str) -> Any:
    first, *rest = path.split(".")
    found = namespace[first]
    for part in rest:
        found = getattr(found, part)
    return found


def remember(filename: str, first: int, text: str) -> str:
    """The text at its own lines, and in `linecache`, so that tracebacks show them."""
    source = text
    if text[:1] in " \t":
        first, source = first - 1, f"if 1:\n{text}"
    lines = source.splitlines(keepends=True)
    # A worker ships what it received by the same lines; the caller has the file or cell itself.
    _sources.enter_part(filename, first, lines, replace=registry.is_worker)
    return "\n" * (first - 1) + source


def compile_flags(features: Sequence[str]) -> int:
    """The compiler's flags for `from __future__ import`."""
    if not features:
        return 0
    import __future__

    flags = 0
    for feature in features:
        flags |= getattr(__future__, feature).compiler_flag
    return flags


def empty_cell() -> types.CellType:
    """A variable of an enclosing function; its value follows."""
    return types.CellType()


def make_function(
    place: tuple[str, str, int, str, Sequence[str]],
    name: str,
    qualname: str,
    cells: dict[str, types.CellType],
) -> Any:
    """A function that stood inside another one, or a lambda, over the variables that it used."""
    label, filename, first, text, features = place
    scratch: dict[str, Any] = {}
    namespace = vars(stand_in(label))
    code = compile(remember(filename, first, text), filename, "exec", compile_flags(features), True)
    exec(code, namespace, scratch)
    made = scratch["_remotemedia_make"](*cells) if cells else scratch[name]
    closure = tuple(cells[variable] for variable in made.__code__.co_freevars)
    function = types.FunctionType(made.__code__, namespace, made.__name__, None, closure or None)
    function.__qualname__ = qualname
    function.__module__ = label.partition("#")[0]
    return function


def fill_function(function: Any, state: tuple[Any, ...]) -> None:
    """What a function refers to, which may refer to it."""
    contents, function.__defaults__, function.__kwdefaults__, attributes = state
    function.__dict__.update(attributes)
    fill_cells(contents)


def fill_cells(contents: Sequence[tuple[types.CellType, Any]]) -> None:
    """The values of variables."""
    for cell, value in contents:
        cell.cell_contents = value


def define_local(
    place: tuple[str, str, int, str, Sequence[str]],
    token: str,
    qualname: str,
    variables: dict[str, Any],
) -> None:
    """A class that stood inside a function, with the variables that it used."""
    if registry.find(token) is not None:
        return
    label, filename, first, text, features = place
    scratch: dict[str, Any] = {}
    namespace = vars(stand_in(label))
    code = compile(remember(filename, first, text), filename, "exec", compile_flags(features), True)
    exec(code, namespace, scratch)
    name = qualname.rpartition(".")[2]
    made = scratch["_remotemedia_make"](**variables) if variables else scratch[name]
    made.__qualname__ = qualname
    # Its methods say where they stood, as they do at the caller's.
    for value in vars(made).values():
        if isinstance(value, types.FunctionType):
            value.__qualname__ = f"{qualname}.{value.__name__}"
    claim(token, made)
