"""A node that runs Python code that comes with its items."""

from __future__ import annotations

import builtins
import importlib
from collections.abc import Sequence
from typing import Any

from remotemedia.core.node import Node
from remotemedia.nodes._shapes import CodeExecutorError as CodeExecutorError
from remotemedia.nodes._shapes import CodeExecutorInput as CodeExecutorInput
from remotemedia.nodes._shapes import CodeExecutorOutput as CodeExecutorOutput

# What the code may call without importing it. This is for short code, it is no protection.
_BUILTINS = [
    "abs",
    "bool",
    "dict",
    "enumerate",
    "float",
    "getattr",
    "hasattr",
    "int",
    "isinstance",
    "len",
    "list",
    "max",
    "min",
    "ord",
    "chr",
    "print",
    "range",
    "reversed",
    "round",
    "set",
    "setattr",
    "sorted",
    "str",
    "sum",
    "tuple",
    "zip",
]
_MODULES = ("math", "json", "base64")


class CodeExecutorNode(Node):
    """Runs code, and returns what the code has assigned to `result`.

    Takes `{"code", "input"}`; both have defaults. The code finds the input as `input_data`. Returns
    `{"executed_code", "input", "result", "processed_by", "node_config"}`. The code runs with your
    rights, in the node's worker: run only code that you trust.

    Args:
        code: the code for items without one.
        input_data: the input for items without one.
        enable_safe_imports: gives the code the modules math, json and base64.
        enable_pickle: gives it pickle, too.
        enable_cloudpickle: gives it cloudpickle, too.
        allowed_modules: further modules that it gets.
        **kwargs: see `Node`.
    """

    def __init__(
        self,
        code: str | None = None,
        input_data: Any = None,
        enable_safe_imports: bool = False,
        enable_pickle: bool = False,
        enable_cloudpickle: bool = False,
        allowed_modules: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.code = code
        self.input_data = input_data
        self.enable_safe_imports = enable_safe_imports
        self.enable_pickle = enable_pickle
        self.enable_cloudpickle = enable_cloudpickle
        self.allowed_modules = list(allowed_modules or ())

    def process(self, data: Any = None, /) -> dict[str, Any]:
        """Run the code of an item.

        Raises:
            TypeError: the item is no dict, or there is no code.
        """
        given = {} if data is None else data
        if not isinstance(given, dict):
            raise TypeError(f'CodeExecutorNode takes {{"code", "input"}}, not {data!r:.80}')
        code = given.get("code", self.code)
        value = given.get("input", self.input_data)
        if not isinstance(code, str):
            raise TypeError("CodeExecutorNode got no code: give it in the item or as code=")
        names: dict[str, Any] = {"__builtins__": {n: getattr(builtins, n) for n in _BUILTINS}}
        names.update({name: importlib.import_module(name) for name in self._modules()})
        names["input_data"] = value
        exec(code, names)
        return {
            "executed_code": code,
            "input": value,
            "result": names.get("result", "No result variable set"),
            "processed_by": f"{type(self).__name__}[{self.name}]",
            "node_config": dict(self.config),
        }

    def _modules(self) -> list[str]:
        if not self.enable_safe_imports:
            return []
        asked = {"pickle": self.enable_pickle, "cloudpickle": self.enable_cloudpickle}
        return [*_MODULES, *(name for name, is_on in asked.items() if is_on), *self.allowed_modules]

    def get_security_info(self) -> dict[str, Any]:
        """The settings, and a warning."""
        return {
            "security_level": "none: the code runs with your rights in a worker process",
            "safe_imports_enabled": self.enable_safe_imports,
            "pickle_enabled": self.enable_pickle,
            "cloudpickle_enabled": self.enable_cloudpickle,
            "allowed_modules": self.allowed_modules,
            "warning": "run only code that you trust",
        }


__all__ = ["CodeExecutorNode"]
