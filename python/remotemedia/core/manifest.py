"""Describes nodes as entries of a manifest (schema v1).

It only reads attributes, so it works for `Node` subclasses and for any other object with a
`process` method. The orchestrator validates the manifest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any

from remotemedia._attributes import attribute_of, has_really
from remotemedia.core.exceptions import ConfigurationError, SerializationError

VERSION = "v1"
# Values of `runtime_hint` that select the Python class of a node which also exists as a native
# node.
_PYTHON_HINTS = frozenset(
    {"cpython", "python", "rustpython", "rust_python", "cpython_wasm", "wasm"}
)
# The orchestrator knows classes below this package by their bare names.
_SDK_NODES = "remotemedia.nodes."
_UNSAFE_IN_ID = re.compile(r"[^a-zA-Z0-9_-]+")


def name_of(node: Any) -> str:
    """The node's attribute `name` if it is a text, otherwise its class name."""
    name = attribute_of(node, "name")
    return name if isinstance(name, str) and name else type(node).__name__


def safe_id(name: str) -> str:
    """`name` with an underscore in place of each character that is not allowed in ids."""
    return _UNSAFE_IN_ID.sub("_", name)


def class_path(node: Any) -> str:
    """The path `package.module:Class` of the node's class, or the path of its function."""
    function = attribute_of(node, "function_path")
    if isinstance(function, str):
        return function
    return f"{type(node).__module__}:{type(node).__qualname__}"


def runs_natively(node: Any) -> bool:
    """Whether the node runs as a native node: its own class, not a base, has one, and neither
    `runtime_hint` nor a `process` set on the object requires Python.
    """
    return (
        "native_type" in vars(type(node))
        and str(attribute_of(node, "runtime_hint", "auto")).lower() not in _PYTHON_HINTS
        and "process" not in getattr(node, "__dict__", {})
    )


def flag_of(node: Any, name: str) -> bool:
    """Whether an attribute is exactly True. Some objects, such as mocks, have every attribute."""
    return attribute_of(node, name, False) is True


def is_source(node: Any) -> bool:
    """Whether the node produces items without input."""
    if flag_of(node, "is_source"):
        return True
    import inspect  # imported late: see `Node.logger`

    process = getattr(node, "process", None)
    if not (inspect.isgeneratorfunction(process) or inspect.isasyncgenfunction(process)):
        return False
    required = (
        p
        for p in inspect.signature(process).parameters.values()
        if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    )
    return next(required, None) is None


def has_own_flush(node: Any) -> bool:
    """Whether a node of Python code gives more after its last item."""
    from remotemedia.core.node import Node

    own = getattr(type(node), "flush", None)
    return callable(own) and own is not Node.flush and not runs_natively(node)


def has_checkpoint(node: Any) -> bool:
    """Whether the node may get items again, by which its state is restored."""
    entry = getattr(node, "manifest_entry", None)
    if isinstance(entry, dict):
        return ":" in str(entry.get("node_type"))  # a class that only the worker imports
    return callable(getattr(type(node), "checkpoint", None))


def constructor_params(node: Any) -> dict[str, Any]:
    """The arguments to make such a node again.

    They are `node.config` and every attribute with the name of a constructor parameter, except
    those with a manifest field of their own (name, timeout, ...).
    """
    import inspect

    from remotemedia.core.node import RUNTIME_KEYWORDS, Node

    config = attribute_of(node, "config")
    params = dict(config) if isinstance(config, dict) else {}
    own = set(inspect.signature(Node.__init__).parameters) | set(RUNTIME_KEYWORDS)
    for name, taken in inspect.signature(type(node).__init__).parameters.items():
        if taken.kind in (taken.VAR_POSITIONAL, taken.VAR_KEYWORD):
            continue
        if name not in own and name not in params and has_really(node, name):
            params[name] = getattr(node, name)
    return params


def node_entry(
    node: Any, node_id: str | None = None, *, include_capabilities: bool = True
) -> dict[str, Any]:
    """The node as a manifest entry with its parameters, which any program can run.

    Raises:
        SerializationError: a parameter cannot be written as JSON.
    """
    from remotemedia.core.manifest_node import ManifestNode

    if isinstance(node, ManifestNode):
        own = node.manifest_entry
        check_json(node, node_id or node.name, node.config)
        return {**own, "id": node_id or own.get("id") or safe_id(name_of(node))}
    node_id = node_id or safe_id(name_of(node))
    extract = getattr(type(node), "_extract_params", None)
    params = constructor_params(node) if extract is None else extract(node)
    check_json(node, node_id, params)
    entry = {"id": node_id, "node_type": _type_name(node), "params": params}
    entry.update(options_of(node))
    config = attribute_of(node, "remote_config")
    host, port = getattr(config, "host", None), getattr(config, "port", None)
    if isinstance(host, str) and isinstance(port, int):
        entry["host"] = f"{host}:{port}"
    get_capabilities = getattr(type(node), "get_capabilities", None)
    capabilities = (
        get_capabilities(node) if include_capabilities and get_capabilities is not None else None
    )
    if capabilities:
        entry["capabilities"] = capabilities
    return entry


def _type_name(node: Any) -> str:
    """The node type for a manifest: a name that the orchestrator knows, or the class's path."""
    if "native_type" in vars(type(node)):
        native_type: str = type(node).native_type
        return native_type
    module = type(node).__module__
    if module.startswith(_SDK_NODES):
        from remotemedia.nodes import HOMES

        if any(type(node).__name__ in names for names in HOMES.values()):
            return type(node).__name__
    return class_path(node)


def run_entry(node: Any, node_id: str, instance: int | None) -> dict[str, Any]:
    """The node as an entry of a run's manifest.

    Args:
        node: the node.
        node_id: id of the node in the graph.
        instance: index among the node objects that are pickled for the run; None if the entry alone
            describes the node.
    """
    if instance is None:
        return node_entry(node, node_id)
    entry = {"id": node_id, "node_type": class_path(node), "params": {}, "instance": instance}
    entry.update(options_of(node))
    if is_source(node):
        entry["is_source"] = True
    return entry


def options_of(node: Any) -> dict[str, Any]:
    """The manifest fields for attributes such as `timeout_ms` that differ from their defaults."""
    flags: dict[str, Any] = {}
    for name, default in (
        ("is_streaming", False),
        ("is_source", False),
        ("isolated", False),
        ("replicas", 1),
        ("replicas_ordered", True),
        ("join", "interleave"),
        ("runtime_hint", "auto"),
        ("timeout_ms", None),
        ("deadline_ms", None),
        ("retry", None),
        ("breaker", None),
        ("on_open", None),
        ("stateless", False),
        ("checkpoint_every", None),
        ("standby", None),
    ):
        value = attribute_of(node, name, default)
        # A method of this name is the node's own.
        if callable(value) or value is default:
            continue
        if value is not None and not isinstance(value, bool | int | float | str):
            raise ConfigurationError(
                f"{name} of node {name_of(node)!r} is an option of RemoteMedia and cannot be of "
                f"type {type(value).__name__}: give your attribute another name"
            )
        # A value of a wrong type is included, so that the check of the manifest reports it. JSON
        # has no NaN and infinity; as text they make it report them.
        is_number = not isinstance(value, float) or math.isfinite(value)
        if value != default:
            flags[name] = value if is_number else str(value)
    # Nodes may have an attribute of this name for purposes of their own.
    limits = attribute_of(node, "limits")
    if isinstance(limits, dict) and limits:
        flags["limits"] = limits
    pool = attribute_of(node, "pool")
    if isinstance(pool, str) and pool:
        flags["pool"] = pool
    named = attribute_of(node, "retry_on", ())
    names = [_exception_name(kind) for kind in _listed(named)]
    if names:
        flags["retry_on"] = names
    return flags


def _listed(kinds: Any) -> Iterable[Any]:
    """One exception or several, as a sequence of them."""
    return kinds if isinstance(kinds, (tuple, list, set, frozenset)) else (kinds,)


def _exception_name(kind: Any) -> Any:
    """The name of an exception's type. Other values are left to the check of the manifest."""
    if not isinstance(kind, type):
        return kind
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"


def check_json(node: Any, node_id: str, params: dict[str, Any]) -> None:
    """Check that parameters can be written as JSON.

    Raises:
        SerializationError: a parameter cannot be written as JSON, for instance NaN.
    """
    import json

    for name, value in params.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as problem:
            raise SerializationError(
                f"parameter {name!r} of {type(node).__name__} cannot be written as JSON "
                f"({problem}). Manifests and native nodes take plain, finite values only; a Python "
                "node object may have any.",
                node_id=node_id,
                operation="serialize",
                path=f"params.{name}",
                type_name=f"{type(value).__module__}.{type(value).__qualname__}",
            ) from problem


__all__ = [
    "VERSION",
    "check_json",
    "class_path",
    "constructor_params",
    "flag_of",
    "is_source",
    "name_of",
    "node_entry",
    "options_of",
    "run_entry",
    "runs_natively",
    "safe_id",
]
