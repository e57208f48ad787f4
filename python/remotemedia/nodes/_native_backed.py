"""Base class of SDK nodes that also exist as native nodes.

In a pipeline the native node runs inside the orchestrator. `process` here runs the same Rust code
in a worker; it is used by subclasses (`super().process(item)`) and with `runtime_hint="cpython"`.
"""

from __future__ import annotations

import difflib
import inspect
import json
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from remotemedia._load import native
from remotemedia.core.exceptions import ConfigurationError
from remotemedia.core.manifest import check_json
from remotemedia.core.node import RUNTIME_KEYWORDS, Node

if TYPE_CHECKING:
    from remotemedia._native import NativeNode

_NODE_KEYWORDS = {"name", "enable_state", "state_ttl", "max_sessions", *RUNTIME_KEYWORDS}


class NativeBackedNode(Node):
    """A node whose class has a native node. A subclass must set the attributes that `native_params`
    reads before it calls this constructor.

    Args:
        name: see `Node`.
        strict: False keeps unknown keywords in `config`, with a warning each.
        **kwargs: see `Node`.

    Raises:
        ConfigurationError: a keyword is unknown; the message names the most similar known one.
    """

    # The registered name of the native node. It applies only to the class that sets it: a subclass
    # has code of its own, so it runs in a worker.
    native_type: ClassVar[str]
    _transient: ClassVar[frozenset[str]] = Node._transient | {"_engine"}

    def __init__(self, name: str | None = None, *, strict: bool = True, **kwargs: Any) -> None:
        unknown = sorted(set(kwargs) - _NODE_KEYWORDS)
        if unknown and strict:
            raise ConfigurationError(_about_unknown(type(self), unknown))
        for keyword in unknown:
            from remotemedia.core.lenient import warn_once

            warn_once(_about_unknown(type(self), [keyword]))
        super().__init__(name, **kwargs)
        self.config = {**self.config, **self.native_params()}

    @abstractmethod
    def native_params(self) -> dict[str, Any]:
        """The parameters of the native node, by their canonical names."""

    def _extract_params(self) -> dict[str, Any]:
        return self.native_params()

    def process(self, data: Any, /) -> Any:
        """The native node's outputs for `data`: None, one output, or a generator of several."""
        return _as_outputs(self._native().process(data))

    def flush(self) -> Any:
        """The native node's outputs at the end of the input, in the form of `process`."""
        engine = vars(self).get("_engine")
        return _as_outputs(engine[1].flush()) if engine else None

    def _native(self) -> NativeNode:
        """The native node with the current parameters; made again if they have changed."""
        given = self.native_params()
        try:
            params = json.dumps(given, allow_nan=False)
        except (TypeError, ValueError):
            # Its error names the parameter.
            check_json(self, self.name, given)
            raise
        engine: tuple[str, NativeNode] | None = vars(self).get("_engine")
        if engine is None or engine[0] != params:
            _check_integers(self, given)
            engine = (params, native().NativeNode(self.native_type, params))
            self._engine = engine
        return engine[1]


def shown(value: Any) -> str:
    """The value in a message: short, whatever it is."""
    try:
        text = repr(value)
    except Exception:
        # An integer of more digits than Python writes, for instance.
        text = f"a value of type {type(value).__qualname__}"
    return text if len(text) <= 60 else f"{text[:60]}..."


def _check_integers(node: Node, params: Mapping[str, Any]) -> None:
    # As JSON a larger one would be rounded to a float.
    for name, value in params.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**64:
            raise ConfigurationError(
                f"parameter {name!r} of {type(node).__name__}: the integer does not fit 64 bits"
            )


def one_of(given: Mapping[str, Any], default: Any) -> Any:
    """The value of a parameter that has several names.

    Raises:
        ConfigurationError: two of the names have different values.
    """
    used = {name: value for name, value in given.items() if value is not None}
    if not used:
        return default
    values = list(used.values())
    if any(value != values[0] for value in values[1:]):
        told = ", ".join(f"{name}={shown(value)}" for name, value in used.items())
        raise ConfigurationError(f"{told} are spellings of one parameter: give one of them")
    return values[0]


def _about_unknown(cls: type[Node], unknown: Iterable[str]) -> str:
    signature = inspect.signature(cls.__init__).parameters.values()
    known = [p.name for p in signature if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)][1:]
    told = []
    for name in unknown:
        nearest = difflib.get_close_matches(name, {*known, *_NODE_KEYWORDS}, n=1, cutoff=0.5)
        told.append(f"{name!r}" + (f" (did you mean {nearest[0]!r}?)" if nearest else ""))
    return (
        f"{cls.__name__} has no parameter {', '.join(told)}; "
        f"its parameters: {', '.join(sorted({*known, 'name'}))}"
    )


def _as_outputs(outputs: list[Any]) -> Any:
    if len(outputs) <= 1:
        return outputs[0] if outputs else None
    return (output for output in outputs)


__all__ = ["NativeBackedNode", "one_of", "shown"]
