"""Makes node classes known by a name: those of a file, or one that the program already has."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from remotemedia.core import documents, registered
from remotemedia.core.node import Node
from remotemedia.nodes.registration import streaming_node

_loaded: dict[str, dict[str, Any]] = {}


def register_python_node(
    file_path: str,
    *,
    node_type: str | None = None,
    node_class: str | None = None,
    **about: Any,
) -> dict[str, Any]:
    """Run a Python file, and make its node classes known.

    Args:
        file_path: path of the file.
        node_type: the name, if the file has one class; by default the class name.
        node_class: register only the class of this name.
        **about: `multi_output`, `category`, `description`, `accepts`, `produces`.

    Returns:
        By name, what `register_node_class` returns.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no Python file, or has no such class.
    """
    path = Path(file_path).resolve()
    module = _module_of(path)
    classes = {
        value.__name__: value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and (issubclass(value, Node) or callable(getattr(value, "process", None)))
    }
    if node_class is not None:
        if node_class not in classes:
            known = ", ".join(classes) or "none"
            raise ValueError(f"{path} has no node class {node_class!r}; it has: {known}")
        classes = {node_class: classes[node_class]}
    if not classes:
        raise ValueError(f"no node class found in {path}: a class with a process method")
    made = {}
    for cls in classes.values():
        info = register_node_class(cls, node_type=node_type if len(classes) == 1 else None, **about)
        info["file_path"] = str(path)
        made[info["node_type"]] = info
    return made


def _module_of(path: Path) -> ModuleType:
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if path.suffix != ".py":
        raise ValueError(f"nodes are loaded from files whose names end in .py, not from {path}")
    name = f"_remotemedia_node_{path.stem}_{abs(hash(str(path))):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded", path=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def register_node_class(
    cls: type,
    *,
    node_type: str | None = None,
    multi_output: bool = False,
    category: str | None = None,
    description: str | None = None,
    accepts: list[str] | None = None,
    produces: list[str] | None = None,
) -> dict[str, Any]:
    """Make a class known by `node_type`, by default its own name. Returns what is known about it.

    Raises:
        TypeError: it is no node class.
    """
    if not isinstance(cls, type) or not callable(getattr(cls, "process", None)):
        raise TypeError(f"{cls!r} is no node class: it has no process method")
    name = node_type or cls.__name__
    info = {
        "node_type": name,
        "python_class": f"{cls.__module__}.{cls.__name__}",
        "class": cls,
        "file_path": None,
        "multi_output": multi_output,
        "category": category,
        "description": description or cls.__doc__,
        "accepts": list(accepts or ()),
        "produces": list(produces or ()),
    }
    streaming_node(
        name,
        multi_output=multi_output,
        category=category,
        description=description,
        accepts=accepts,
        produces=produces,
    )(cls)
    _loaded[name] = info
    return info


def register_python_nodes_from_config(config_path: str) -> dict[str, Any]:
    """Register the files that a JSON or YAML file lists under `python_nodes`, each as a path
    relative to it, or as a dict with `path` and the arguments of `register_python_node`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is neither JSON nor YAML.
    """
    path = Path(config_path)
    if path.suffix in (".yaml", ".yml"):
        config = documents.read_yaml(path)
    elif path.suffix == ".json":
        config = json.loads(path.read_text(encoding="utf-8"))
    else:
        raise ValueError(f"the configuration must be .json, .yaml or .yml: {path}")
    made: dict[str, Any] = {}
    for entry in config.get("python_nodes", []):
        about = {"path": entry} if isinstance(entry, str) else dict(entry)
        file = path.parent / about.pop("path")
        made.update(register_python_node(str(file), **about))
    return made


def get_loaded_nodes() -> dict[str, dict[str, Any]]:
    """What is known about each class that was registered here, by name."""
    return dict(_loaded)


def get_node_class(node_type: str) -> type | None:
    """The class that was registered here under a name, or None."""
    info = _loaded.get(node_type)
    return None if info is None else info["class"]


def clear_loaded_nodes() -> None:
    """Forget the classes that were registered here."""
    for name in _loaded:
        registered.classes.pop(name, None)
    _loaded.clear()


__all__ = [
    "clear_loaded_nodes",
    "get_loaded_nodes",
    "get_node_class",
    "register_node_class",
    "register_python_node",
    "register_python_nodes_from_config",
]
