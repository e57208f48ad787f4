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
from remotemedia._portable.imports import import_module, imported, may_be_tried, named_as_needed
from remotemedia._tokens import registry

PREFIX = b"RMP1"
PROTOCOL = 5
"""Pickle protocol of everything that travels."""
VALUE, UNITS, SHIPMENT = b"v", b"u", b"s"
"""What follows the prefix: an object; definitions and an object; the same for a session's nodes."""

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
        defined: what statements have just bound, by module and name.
        lacks_annotations: something that annotations name is not here, so they stay unread.
    """

    is_shipment = False
    lacks_annotations = False
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
        _Opening.works_for = ()
    _Opening.lacks_annotations = False
    if not registry.is_worker:
        registry.stand_ins.clear()  # names of an earlier answer may have other values now
    try:
        _, opened = Unpickler(body).load()
    finally:
        _Opening.is_shipment = outer
        _Opening.defined.clear()
    return opened


def work_for(nodes: Sequence[int]) -> None:
    """What follows in the pickle is made for these nodes of the shipment."""
    _Opening.works_for = nodes


def worked_for() -> Sequence[int]:
    """The nodes that the last call of a shipment was for: when it failed, they cannot be made."""
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


def bind_optional(label: str, name: str, data: bytes) -> None:
    """Sets a value that only annotations name, where it can be had."""
    try:
        bind(label, name, Unpickler(io.BytesIO(data)).load())
    except Exception:  # nothing needs it
        _Opening.lacks_annotations = True


def settle(label: str, name: str, value: Any, contents: Any, is_new: bool) -> None:
    """Gives a name its value at the sender's: what ran here meanwhile ran there, too.

    Args:
        label: the module.
        name: the name.
        value: the value.
        contents: of a table: what is in it.
        is_new: the value is bound here, if nothing is yet.
    """
    namespace = vars(stand_in(label))
    if (label, name) not in _Opening.defined and (name in namespace or not is_new):
        return  # it may have changed here since an earlier object
    begun, namespace[name] = namespace.get(name), value
    _Opening.defined.add((label, name))
    tables: list[Any] = [value, begun] if contents is not None else []
    for table in tables:
        if type(table) is type(contents):  # some definition may have taken hold of the first one
            table.clear()
            (table.extend if isinstance(table, list) else table.update)(contents)


def set_attribute(label: str, shared: Any, name: str, value: Any) -> None:
    """The same for an attribute of a class."""
    if (label, shared.__qualname__.partition(".")[0]) in _Opening.defined:
        setattr(shared, name, value)


def delete_attributes(label: str, shared: Any, names: Sequence[str]) -> None:
    """Takes attributes from a class that its statement gives, and that are gone at the sender's."""
    if (label, shared.__qualname__.partition(".")[0]) in _Opening.defined:
        for name in names:
            if name in vars(shared):
                delattr(shared, name)


def bind_import(
    label: str,
    name: str,
    module: str,
    attribute: str | None,
    below: Sequence[str],
    uses: Sequence[str],
    is_required: bool,
) -> None:
    """Sets an imported name of a module.

    Args:
        label: the module.
        name: what it is called there.
        module: what to import.
        attribute: the name in it; None for the module itself.
        below: modules below it to import too.
        uses: what code takes from it by a dot.
        is_required: False where only annotations name it.

    Raises:
        ImportError: it is not here, and code needs it.
    """
    namespace = vars(stand_in(label))
    try:
        if not is_required and not may_be_tried(module):
            raise ImportError(module)
        if name not in namespace:
            namespace[name] = imported(module, attribute)
        for further in below:
            import_module(further)
        for use in uses if attribute is None else ():
            getattr(namespace[name], use, None)  # of a module that is here in part
    except ImportError:
        if is_required:
            raise
        _Opening.lacks_annotations = True


def define(
    label: str,
    filename: str,
    first: int,
    text: str,
    features: Sequence[str],
    claims: Sequence[tuple[str, str]],
    names: Sequence[str],
    is_required: bool,
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
        is_required: False where only annotations name it.
    """
    namespace = vars(stand_in(label))
    for token, name in claims:
        known = registry.find(token)
        if known is not None and "." not in name:
            namespace.setdefault(name, known)
    if names and all(name in namespace for name in names):
        _claim_all(namespace, claims)
        return
    source = remember(filename, first, text)
    unread = ["annotations"] if _Opening.lacks_annotations else []
    try:
        flags = compile_flags([*features, *unread])
        exec(compile(source, filename, "exec", flags, dont_inherit=True), namespace)
        _claim_all(namespace, claims)
    except Exception:
        if is_required:
            raise
        _Opening.lacks_annotations = True
        return
    _Opening.defined.update((label, name) for name in names)
    for name in names:
        namespace.setdefault(name, None)  # a statement without a name has run, too


def _claim_all(namespace: dict[str, Any], claims: Sequence[tuple[str, str]]) -> None:
    for token, path in claims:
        first, *rest = path.split(".")
        found = namespace[first]
        for part in rest:
            found = getattr(found, part)
        claim(token, found)


def claim(token: str, shared: Any) -> None:
    """Notes an object under its token."""
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
    # A worker ships what it received by the same lines; the caller has the file or cell itself.
    _sources.enter_part(filename, first, lines, replace=registry.is_worker)
    return "\n" * (first - 1) + source


def compile_flags(features: Sequence[str]) -> int:
    """The compiler's flags for `from __future__ import`."""
    import __future__

    flags = 0
    for feature in features:
        flags |= getattr(__future__, feature).compiler_flag
    return flags


def empty_cell() -> types.CellType:
    """A variable of an enclosing function; its value follows."""
    return types.CellType()


def make_function(place: Place, qualname: str, cells: dict[str, types.CellType]) -> Any:
    """A function that stood inside another one, or a lambda, over the variables that it used."""
    made = _inner(place, list(cells))(*cells)
    closure = tuple(cells[variable] for variable in made.__code__.co_freevars)
    namespace = vars(stand_in(place[0]))
    function = types.FunctionType(made.__code__, namespace, made.__name__, None, closure or None)
    function.__qualname__ = qualname
    function.__module__ = place[0].partition("#")[0]
    return function


def fill_function(function: Any, state: tuple[Any, ...]) -> None:
    """What a function refers to, which may refer to it."""
    contents, function.__defaults__, function.__kwdefaults__, attributes = state
    function.__dict__.update(attributes)
    for cell, value in contents:
        cell.cell_contents = value


def define_local(place: Place, token: str, qualname: str, variables: dict[str, Any]) -> None:
    """A class that stood inside a function, with the variables that it used."""
    if registry.find(token) is not None:
        return
    made = _inner(place, list(variables))(**variables)
    made.__qualname__ = qualname
    # Its methods say where they stood, as they do at the caller's.
    for value in vars(made).values():
        if isinstance(value, types.FunctionType):
            value.__qualname__ = f"{qualname}.{value.__name__}"
    claim(token, made)


def _inner(place: Place, variables: Sequence[str]) -> Any:
    """A function of some variables that makes what the text defines: a function without what was
    evaluated around it (defaults, decorators, annotations), or a class.
    """
    import ast  # few sessions need it

    label, filename, first, text, features = place
    tree = ast.parse(remember(filename, first, text), filename)
    found: Any = tree.body[0]
    while isinstance(found, ast.If):  # the indentation's
        found = found.body[0]
    is_lambda = isinstance(found, ast.Expr)
    inner: Any = found.value if is_lambda else found
    if not isinstance(inner, ast.ClassDef):
        arguments = inner.args
        arguments.defaults = [ast.Constant(None) for _ in arguments.defaults]
        arguments.kw_defaults = [d and ast.Constant(None) for d in arguments.kw_defaults]
        inner.decorator_list, inner.returns = [], None
        for argument in (part for part in ast.walk(arguments) if isinstance(part, ast.arg)):
            argument.annotation = None
    head = ast.parse(f"def made({', '.join(variables)}): pass")
    maker: Any = head.body[0]
    if is_lambda:
        maker.body = [ast.Return(inner)]
    else:
        maker.body = [inner, ast.Return(ast.Name(inner.name, ast.Load()))]
    for node in (maker, maker.body[-1], maker.body[-1].value):
        ast.copy_location(node, found)
    code = compile(ast.fix_missing_locations(head), filename, "exec", compile_flags(features), True)
    scratch: dict[str, Any] = {}
    exec(code, vars(stand_in(label)), scratch)
    return scratch["made"]
