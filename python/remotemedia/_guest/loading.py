"""Makes node objects from imported classes and functions, and checks nodes of both origins."""

from __future__ import annotations

from typing import Any

from remotemedia import _pickle
from remotemedia._guest.faults import Fault
from remotemedia._guest.spec import SessionSpec
from remotemedia._portable.imports import import_module, named_as_needed
from remotemedia._signatures import signature as signature_of


def constructed(node_id: str, name: str, found: Any, params: dict[str, Any]) -> Any:
    """Make a node: an instance of the class `found`, constructed with `params`, or a node that
    calls the function `found` with `params` as keyword arguments. `name` is used in errors.

    Raises:
        Fault: the constructor raised, or `found` is neither a class nor a function.
    """
    try:
        if not callable(found):
            raise TypeError(f"{name} is neither a class nor a function but {type(found).__name__}")
        _check_arguments(found, params)
        node = found(**params) if isinstance(found, type) else _function_node(found, params)
    except BaseException as error:  # SystemExit and the like count as failures too
        raise Fault("construct", node_id, error) from None
    return checked(node_id, node)


def _function_node(function: Any, params: dict[str, Any]) -> Any:
    import functools

    from remotemedia.core.function import FunctionNode  # imported late: few sessions need it

    return FunctionNode(functools.partial(function, **params) if params else function)


def checked(node_id: str, node: Any) -> Any:
    """Return the node if it has a method `process`.

    Raises:
        Fault: it has none.
    """
    if not callable(getattr(node, "process", None)):
        kind = type(node)
        missing = TypeError(f"{kind.__module__}.{kind.__qualname__} has no method process(data)")
        raise Fault("construct", node_id, missing)
    return node


def find(node_id: str, module: str, name: str) -> Any:
    """Import `module` and return its class or function `name`.

    Raises:
        Fault: the module or name does not exist, or the module's own code raised.
    """
    try:
        found: Any = import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and (module == error.name or module.startswith(f"{error.name}.")):
            raise Fault("not found", node_id, error) from None
        raise Fault("load", node_id, error) from None
    except BaseException as error:  # the module's own code can raise any exception
        raise Fault("load", node_id, error) from None
    for part in name.split("."):
        try:
            has_part = hasattr(found, part)
        except ImportError as error:  # the definition of this name needs a missing module
            raise Fault("load", node_id, named_as_needed(error, module, name)) from error
        if not has_part:
            near = _nearest(part, [n for n in dir(found) if not n.startswith("_")])
            message = f"module {module!r} has no class or function {name!r}{_meant(near)}"
            raise Fault("not found", node_id, AttributeError(message), near)
        found = getattr(found, part)
    return found


def unopened(spec: SessionSpec, error: BaseException) -> Fault:
    """The fault for node objects that cannot be unpickled; it names the node and the part."""
    wanted = {node.instance: node.node_id for _, nodes in spec.stages for node in nodes}
    blamed = [wanted[place] for place in _pickle.unopened() if place in wanted]
    part = ""
    # What is missing says so by itself.
    if not isinstance(error, ImportError) and spec.instances is not None:
        from remotemedia._unopened import part_of_shipment  # imported late: only failures need it

        place, part = part_of_shipment(spec.instances, spec.buffers)
        blamed = [wanted[place]] if place in wanted else blamed
    if not blamed and len(wanted) == 1:
        blamed = list(wanted.values())
    fault = Fault("load", blamed[0] if blamed else "", error)
    if part:
        fault.message = f"{part} cannot be restored in the worker: {fault.message}"
    return fault


def _check_arguments(kind: Any, params: dict[str, Any]) -> None:
    """Raise TypeError for a parameter that the class or function does not have; it suggests the
    parameter with the nearest name.
    """
    try:
        signature = signature_of(kind)
    except (TypeError, ValueError):
        return
    known = signature.parameters
    if any(p.kind is p.VAR_KEYWORD for p in known.values()):
        return
    for name in params:
        if name not in known:
            near = _meant(_nearest(name, list(known)))
            takes = ", ".join(known) or "none"
            called = getattr(kind, "__qualname__", kind)
            raise TypeError(f"{called} has no parameter {name!r}{near} (it takes: {takes})")


def _nearest(name: str, known: list[str]) -> str | None:
    import difflib  # imported late: only failures need it

    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), None)


def _meant(near: str | None) -> str:
    return f"; did you mean {near!r}?" if near else ""
