"""A node that calls methods of objects that come as pickles."""

from __future__ import annotations

import base64
from typing import Any

from remotemedia import _pickle
from remotemedia.core.node import Node
from remotemedia.nodes._shapes import SerializedClassExecutorError as SerializedClassExecutorError
from remotemedia.nodes._shapes import SerializedClassExecutorInput as SerializedClassExecutorInput
from remotemedia.nodes._shapes import (
    SerializedClassExecutorOutput as SerializedClassExecutorOutput,
)


class SerializedClassExecutorNode(Node):
    """Calls a method of an object, and returns its result with the changed object.

    Takes `{"serialized_object", "method_name", "method_args", "method_kwargs"}`; the object is a
    pickle (cloudpickle) in base64. Returns `{"result", "updated_serialized_object",
    "processed_by"}`. Loading a pickle runs code with your rights, in the node's worker. Items may
    be any objects, so a node of your own is simpler.
    """

    def process(self, data: Any, /) -> dict[str, Any]:
        """Call the method that an item names.

        Raises:
            TypeError: the item is no such dict, or the attribute cannot be called.
            ValueError: the pickle cannot be loaded.
            AttributeError: the object has no such method.
        """
        if not isinstance(data, dict) or not {"serialized_object", "method_name"} <= data.keys():
            raise TypeError(
                "SerializedClassExecutorNode takes a dict with serialized_object and method_name, "
                f"not {data!r:.80}"
            )
        try:
            target = _pickle.loads(base64.b64decode(data["serialized_object"]))
        except Exception as problem:
            raise ValueError(f"the object cannot be loaded: {problem}") from problem
        method = getattr(target, data["method_name"])
        if not callable(method):
            raise TypeError(f"{data['method_name']!r} cannot be called")
        result = method(*(data.get("method_args") or ()), **(data.get("method_kwargs") or {}))
        return {
            "result": result,
            "updated_serialized_object": base64.b64encode(_pickle.dumps(target)).decode(),
            "processed_by": f"{type(self).__name__}[{self.name}]",
        }

    def get_security_info(self) -> dict[str, Any]:
        """How objects travel, and a warning."""
        return {
            "security_level": "none: loading a pickle runs code with your rights in a worker",
            "serialization_method": "cloudpickle",
            "warning": "load only pickles that you trust",
        }


__all__ = ["SerializedClassExecutorNode"]
