"""Functions as nodes: `FunctionNode` calls a function, or another callable, with each item."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable
from typing import Any, Literal

from remotemedia.core.exceptions import PipelineError, SerializationError
from remotemedia.core.node import RUNTIME_KEYWORDS, Node

_METHODS: tuple[type, ...] = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)


class FunctionNode(Node):
    """A node whose `process` is a function.

    `Pipeline(f)` and `add_node(f)` make such a node from any callable. Make it yourself to set
    options::

        Pipeline(read, FunctionNode(transcribe, timeout_ms=5000, isolated=True))

    The function is called in a worker process with one item, under the rules for `Node.process`:
    None drops the item, each value that a generator yields is an output, coroutines are awaited. A
    generator function without parameters is a source.

    Args:
        function: a function, lambda, method, `functools.partial`, or any other callable. It must be
            callable with one argument; bind others with `functools.partial` or a lambda.
        name: the node's name; by default the function's name.
        timeout_ms: see `Node`; the same for the other options.
        **options: further options of `Node`, such as `retry` and `deadline_ms`.

    Attributes:
        function: the function.

    Raises:
        PipelineError: the function cannot be called with one item.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        *,
        timeout_ms: int | None = None,
        isolated: bool = False,
        limits: dict[str, Any] | None = None,
        join: Literal["interleave", "zip"] = "interleave",
        runtime_hint: str = "auto",
        is_streaming: bool = False,
        is_source: bool = False,
        **options: Any,
    ) -> None:
        unknown = sorted(options.keys() - set(RUNTIME_KEYWORDS))
        if unknown:
            raise TypeError(f"FunctionNode has no option {unknown[0]!r}")
        if isinstance(function, staticmethod):
            function = function.__func__
        if not callable(function):
            raise PipelineError(f"{function!r} is not callable")
        super().__init__(
            _name_of(function) if name is None else name,
            timeout_ms=timeout_ms,
            isolated=isolated,
            limits=limits,
            join=join,
            runtime_hint=runtime_hint,
            is_streaming=is_streaming,
            is_source=is_source,
            **options,
        )
        self.function: Any = function
        _check_call(function, self.name, is_source)

    @property
    def process(self) -> Any:
        """The function itself, so that calling the node adds no cost."""
        function = self.function
        if type(function) is types.FunctionType or isinstance(function, (type, functools.partial)):
            return function
        # For an object whose class defines `__call__`: that method shows whether the call makes a
        # generator or a coroutine.
        is_object = isinstance(getattr(type(function), "__call__", None), types.FunctionType)  # noqa: B004
        return function.__call__ if is_object else function

    @property
    def function_path(self) -> str:
        """The name `package.module:function`, for manifests and messages."""
        function = _inner(self.function)
        if not hasattr(function, "__name__"):
            function = type(function)
        name = getattr(function, "__qualname__", function.__name__)
        return f"{_module_of(function)}:{name}"

    @property
    def code_owner(self) -> Any:
        """The function or class whose code runs when the node is called."""
        function = _inner(self.function)
        if isinstance(function, types.MethodType):
            owner = function.__self__
            return owner if isinstance(owner, type) else type(owner)
        has_home = isinstance(getattr(function, "__module__", None), str)
        return function if has_home and hasattr(function, "__name__") else type(function)

    def is_made_of(self, reference: Any) -> bool:
        """Whether `reference` is this node's function. Methods are compared by value, since Python
        makes a new method object at each access.
        """
        if isinstance(self.function, _METHODS) and isinstance(reference, _METHODS):
            return self.function == reference
        return self.function is reference

    def take_back(self, function: Any) -> None:
        """Apply the changes that a run has made to the caller's own object or variables.

        Args:
            function: the function as it came back from a worker.
        """
        ours, theirs = self.function, function
        if isinstance(ours, types.MethodType) and isinstance(theirs, types.MethodType):
            ours, theirs = ours.__self__, theirs.__self__
        if isinstance(ours, types.FunctionType) and isinstance(theirs, types.FunctionType):
            # Only variables change, not functions: a copy of a function would not see later changes
            # of its module.
            cells = zip(ours.__closure__ or (), theirs.__closure__ or (), strict=False)
            for cell, changed in cells:
                with contextlib.suppress(ValueError):  # the cell is empty
                    if not isinstance(changed.cell_contents, types.FunctionType):
                        cell.cell_contents = changed.cell_contents
        elif type(ours) is type(theirs) and hasattr(ours, "__dict__"):
            vars(ours).update(vars(theirs))
        else:
            self.function = function

    def _extract_params(self) -> dict[str, Any]:
        """The keywords of a `functools.partial`; an empty dict for any other function.

        Raises:
            SerializationError: the function cannot be found by its name.
        """
        function: Any = self.function
        keywords: dict[str, Any] = {}
        if isinstance(function, functools.partial) and not function.args:
            function, keywords = function.func, function.keywords
        module, _, name = self.function_path.partition(":")
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        is_class = isinstance(found, type)  # in a manifest, a class stands for a node class
        if is_class or not (found is function or FunctionNode.is_made_of(self, found)):
            raise SerializationError(
                f"the function of node {self.name!r} cannot be found by a name, so a manifest "
                "cannot describe it. Running the pipeline does not need that; for a manifest use a "
                "function that is defined at the top level of a module.",
                node_id=self.name,
                operation="serialize",
                path="function",
                type_name=f"{type(function).__module__}.{type(function).__qualname__}",
            )
        return keywords


def _inner(function: Any) -> Any:
    """The function inside a `functools.partial`, or the function itself."""
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _name_of(function: Any) -> str:
    function = _inner(function)
    name = getattr(function, "__name__", None)
    return name.strip("<>") if isinstance(name, str) and name else type(function).__name__


def _module_of(function: Any) -> str:
    module = getattr(function, "__module__", None)
    if isinstance(module, str):
        return module
    # This is a method of a built-in type, such as `str.upper`.
    owner = getattr(function, "__objclass__", None) or type(getattr(function, "__self__", function))
    return str(owner.__module__)


def _check_call(function: Any, name: str, is_source: bool) -> None:
    """Check by its signature that a function can be called with one item, or as a source.

    Raises:
        PipelineError: it cannot.
    """
    from remotemedia._signatures import signature  # imported late: see `Node.logger`

    takes_nothing = False
    try:
        bind = signature(function).bind
    except (TypeError, ValueError):  # no signature, for instance numpy's ufuncs before 2.4
        inputs = getattr(function, "nin", 1)
        if not isinstance(inputs, int) or inputs == 1:
            return
        problem = f"it takes {inputs} arrays"
    else:
        refused = _refusal(bind) if is_source else _refusal(bind, None)
        if refused is None:
            return
        problem = refused
        takes_nothing = _refusal(bind) is None
        if takes_nothing and _generates(function):
            return
    if is_source:
        raise PipelineError(
            f"{name}() cannot be a source, which is called without arguments: {problem}"
        )
    advice = "bind the others with functools.partial or a lambda"
    if takes_nothing:
        advice = "a source is a generator function, or FunctionNode(..., is_source=True)"
    raise PipelineError(
        f"{name}() cannot be a node: it is called with one item ({problem}); {advice}"
    )


def _refusal(bind: Callable[..., Any], *arguments: Any) -> str | None:
    """Why a function cannot be called with these arguments; None if it can."""
    try:
        bind(*arguments)
    except TypeError as problem:
        return str(problem)
    return None


def _generates(function: Any) -> bool:
    import inspect

    called = function if hasattr(_inner(function), "__name__") else function.__call__
    return inspect.isgeneratorfunction(called) or inspect.isasyncgenfunction(called)


__all__ = ["FunctionNode"]
