"""Metadata of a Python node class, in the same form as that of native nodes."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

_JSON_TYPES = {bool: "bool", int: "int", float: "float", str: "string"}


def describe(name: str, module: str, summary: str) -> dict[str, Any]:
    """Metadata of the class `name` in `module`.

    Returns:
        `name`, `version`, `summary`, `aliases`, `capabilities` and `parameters`: for each
        constructor parameter its `type` and `default`, as far as the signature has them.
    """
    import remotemedia

    found = getattr(importlib.import_module(module), name)
    return {
        "name": name,
        "version": remotemedia.__version__,
        "summary": summary,
        "aliases": [],
        "capabilities": [],
        "parameters": {
            parameter.name: _describe_parameter(parameter)
            for parameter in inspect.signature(found).parameters.values()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        },
    }


def _describe_parameter(parameter: inspect.Parameter) -> dict[str, Any]:
    default = None if parameter.default is parameter.empty else parameter.default
    named = str(parameter.annotation).removeprefix("<class '").removesuffix("'>")
    return {"type": _JSON_TYPES.get(type(default), named), "default": default}
