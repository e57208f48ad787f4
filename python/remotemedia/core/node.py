"""`Node`: the base class of Python nodes.

A subclass needs only `process`. It need not call `super().__init__()`, because every attribute that
RemoteMedia reads has a default on the class. `remotemedia._guest` calls nodes in workers;
`remotemedia.core.manifest` writes them as manifest entries.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from functools import cached_property
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from remotemedia._lazy import lazy_attributes

if TYPE_CHECKING:
    import logging
    from datetime import timedelta

    from remotemedia.core.remote_config import RemoteExecutorConfig as RemoteExecutorConfig
    from remotemedia.core.state import SessionState, StateManager

# The original SDK defines these in this module.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "remotemedia.core.state": ("SessionState", "StateManager"),
        "remotemedia.core.remote_config": ("RemoteExecutorConfig",),
    },
)

# Keyword arguments of `Node` that set the attribute of the same name.
RUNTIME_KEYWORDS = (
    "is_streaming",
    "is_source",
    "isolated",
    "replicas",
    "replicas_ordered",
    "join",
    "limits",
    "pool",
    "runtime_hint",
    "timeout_ms",
    "deadline_ms",
    "retry",
    "retry_on",
    "breaker",
    "on_open",
    "stateless",
    "checkpoint_every",
    "standby",
)
_METADATA_KEYS = ("session_id", "metadata", "user_name", "timestamp")
_CO_COROUTINE = 0x80


class _Done:
    """An awaitable that does nothing, for `await super().initialize()`."""

    def __await__(self) -> Generator[None, None, None]:
        yield from ()


def _done_for_coroutines() -> Any:
    """An awaitable that does nothing if the method was called by a coroutine function, else None.

    A subclass may override `initialize` and `cleanup` with coroutine functions that await the
    methods of the base class. Any other caller must get None, because an awaitable would need an
    event loop.
    """
    caller = sys._getframe(2)
    return _Done() if caller.f_code.co_flags & _CO_COROUTINE else None


class Node(ABC):
    """One step of a pipeline, written in Python.

    Args:
        name: the node's name; by default the class name.
        enable_state: whether `state` keeps values per session id; by default as the class says,
            else True.
        state_ttl: how long the state of a session id lives after its last access (default 24
            hours).
        max_sessions: how many session ids have state at the same time.
        **kwargs: those with the name of an attribute in `RUNTIME_KEYWORDS` set it; all others go
            into `config`, over a dict `config` of the class.

    A subclass may have two more methods, so that its state outlives its worker: `checkpoint()`
    returns the state as any object that can be pickled, and `restore(state)` takes it over, in a
    fresh node after `initialize` or in place of the node's own. When the worker dies, the next one
    gets the last checkpoint, and the items since then again; outputs that the caller has already
    are dropped. See docs/failures.md.

    Attributes:
        timeout_ms: longest time for each call of `initialize`, `process`, `flush` and `cleanup`, in
            milliseconds; after that the worker is killed and replaced. None: no limit.
        deadline_ms: longest time for an item with all its tries, in milliseconds. None: no limit.
        retry: when a failed call is tried again. "auto": errors that may pass by themselves
            (ConnectionError, TimeoutError, InterruptedError, BlockingIOError, `TransientError`),
            in runs. True: in sessions too; and after a deadline or the death of the worker, if all
            nodes in that worker are `stateless`. False: never. None: as `[calls] retry` says. A
            node that has given outputs for the item is not called again.
        retry_on: further exceptions that may pass by themselves: classes, or their names.
        breaker: number of failed items in a row after which the node is skipped for a while; 0:
            never. None: as `[calls] breaker` says.
        on_open: what happens to the items of a skipped node: "error", "drop" (it gives nothing for
            them) or "pass" (they are passed on). None: as `[calls] on_open` says.
        stateless: True says that the node keeps nothing from one item to the next.
        checkpoint_every: number of items after which the state of a node with the methods
            `checkpoint` and `restore` is saved. None: as `[calls] checkpoint_every` says.
        standby: 1 keeps a second worker with the last checkpoint of such a node, which takes over
            when the first one dies. None: as `[calls] standby` says.
        isolated: True gives the node a worker process of its own.
        replicas: number of workers that run the node side by side, each its own items. It must keep
            nothing from one item to the next; its attributes are not written back. Where the pool
            has fewer free workers, it is fewer. See docs/batches.md.
        replicas_ordered: whether their outputs go on in the order of the items; False: as they
            come.
        limits: what that worker may use, such as `{"memory_hard": "2 GB", "cpu_time": "5 s"}`: the
            names of `[limits]` in the configuration, except those of messages. Only for an isolated
            node, or one with replicas.
        pool: name of the pool that its worker comes from, a section `[pools.NAME]` of the
            configuration. None: that of the pipeline, else that of its interpreter.
        join: for several predecessors: "interleave" calls the node for each item that arrives,
            "zip" for each tuple with one item from each predecessor.
        runtime_hint: "auto", "cpython", "rustpython" or "native", or an older name of one of them.
        is_streaming: `process` is called once, with an iterator over all items. It must be a
            generator, or an async generator, which gets an async iterator.
        is_source: `process` is called without an item and produces the pipeline's items.
    """

    timeout_ms: int | None = None
    deadline_ms: int | None = None
    retry: bool | Literal["auto"] | None = None
    retry_on: Sequence[type[BaseException] | str] = ()
    breaker: int | None = None
    on_open: Literal["error", "drop", "pass"] | None = None
    stateless: bool = False
    checkpoint_every: int | None = None
    standby: int | None = None
    isolated: bool = False
    replicas: int = 1
    replicas_ordered: bool = True
    limits: dict[str, Any] | None = None
    pool: str | None = None
    join: Literal["interleave", "zip"] = "interleave"
    runtime_hint: str = "auto"
    is_streaming: bool = False
    is_source: bool = False
    is_sink: bool = False
    is_remote: bool = False
    enable_state: bool = True
    # Attributes that are not pickled, beside those that `leaves_behind` names.
    _transient: ClassVar[frozenset[str]] = frozenset()
    _is_initialized: bool = False
    _session_id: str | None = None
    _state_ttl: timedelta | None = None
    _max_sessions: int | None = None

    def __init__(
        self,
        name: str | None = None,
        enable_state: bool | None = None,
        state_ttl: timedelta | None = None,
        max_sessions: int | None = None,
        **kwargs: Any,
    ) -> None:
        if name is not None:
            self.name = name
        if enable_state is not None:
            self.enable_state = enable_state
        self._state_ttl = state_ttl
        self._max_sessions = max_sessions
        for keyword in RUNTIME_KEYWORDS:
            if keyword in kwargs:
                setattr(self, keyword, kwargs.pop(keyword))
        self._take_config(kwargs)

    def _take_config(self, keywords: dict[str, Any]) -> None:
        """Set `config`. A class may have one of its own, which stays unless there are keywords."""
        own = getattr(type(self), "config", None)
        if own is Node.config or own is None:
            self.config = keywords
        elif isinstance(own, dict):
            self.config = {**own, **keywords}
        elif keywords:
            raise TypeError(
                f"{type(self).__name__} has a `config` of its own, which is no dict: there is no "
                f"place for the keyword arguments {', '.join(map(repr, keywords))}"
            )

    # Defaults that depend on the instance. They work without `__init__`; assigning replaces them.

    @cached_property
    def name(self) -> str:
        """The node's name."""
        return type(self).__name__

    @cached_property
    def config(self) -> dict[str, Any]:
        """The other keyword arguments of the constructor."""
        return {}

    @cached_property
    def logger(self) -> logging.Logger:
        """The logger of the class; records from a worker reach the caller's `logging`."""
        import logging  # imported late, as is all that is not needed before a worker starts

        return logging.getLogger(_logger_name(self))

    @cached_property
    def state(self) -> StateManager | None:
        """Values kept per session id; None if `enable_state` is False."""
        if not self.enable_state:
            return None
        from remotemedia.core.state import StateManager

        made = StateManager(self._state_ttl, self._max_sessions)
        made.is_default = True
        return made

    @property
    def is_initialized(self) -> bool:
        """Whether `initialize` has run and `cleanup` has not."""
        return self._is_initialized

    def initialize(self) -> Any:
        """Called once in the worker before the first item. May be a coroutine function."""
        self._is_initialized = True
        return _done_for_coroutines()

    def cleanup(self) -> Any:
        """Called once in the worker after the last item. May be a coroutine function."""
        self._is_initialized = False
        return _done_for_coroutines()

    @abstractmethod
    def process(self, data: Any, /) -> Any:
        """Process one item and return the output.

        May be a plain function, a coroutine function, a generator or an async generator. Returning
        None drops the item; each value that a generator yields is an output.
        """

    def flush(self) -> Any:
        """Return what is left after the last item, or None. Has the same forms as `process`.

        A node that has no `flush` of its own once it is initialized is not called.
        """
        return None

    # State per session id.

    def set_session_id(self, session_id: str | None) -> None:
        """Set the default session id of `get_session_state`."""
        self._session_id = session_id

    def get_session_id(self) -> str | None:
        """The session id that was set last, or None."""
        return self._session_id

    def get_session_state(self, session_id: str | None = None) -> SessionState | None:
        """The state of a session id, by default the one set last; None without state or id."""
        session_id = session_id or self._session_id
        if self.state is None or session_id is None:
            return None
        return self.state.get_or_create_session(session_id)

    def extract_session_id(self, data: Any) -> str | None:
        """The `session_id` in the metadata of an item, or in the item itself if it is a dict."""
        _, metadata = self.split_data_metadata(data)
        if metadata is None and isinstance(data, dict):
            metadata = data
        session_id = (metadata or {}).get("session_id")
        return session_id if isinstance(session_id, str) else None

    def split_data_metadata(self, data: Any) -> tuple[Any, dict[str, Any] | None]:
        """Split an item into `(data, metadata)`.

        The last element of a tuple is metadata if it is a dict with a key `session_id`, `metadata`,
        `user_name` or `timestamp`. If one element remains, it is returned without the tuple.
        """
        if not (isinstance(data, tuple) and len(data) > 1 and isinstance(data[-1], dict)):
            return data, None
        if not any(key in data[-1] for key in _METADATA_KEYS):
            return data, None
        rest = data[:-1]
        return (rest[0] if len(rest) == 1 else rest), data[-1]

    def merge_data_metadata(self, data: Any, metadata: dict[str, Any] | None) -> Any:
        """The inverse of `split_data_metadata`."""
        if metadata is None:
            return data
        return (*data, metadata) if isinstance(data, tuple) else (data, metadata)

    # Descriptions.

    def get_config(self) -> dict[str, Any]:
        """Returns `{"name", "class", "config"}` of the node."""
        config = dict(self.config) if isinstance(self.config, dict) else self.config
        return {"name": self.name, "class": type(self).__name__, "config": config}

    def get_capabilities(self) -> dict[str, Any] | None:
        """The node's needs, such as `{"cpu": {"cores": 2}, "memory_gb": 1.0}`, or None."""
        return None

    def to_manifest(self, include_capabilities: bool = True) -> dict[str, Any]:
        """The node as an entry of a manifest's `nodes`.

        Raises:
            SerializationError: a parameter cannot be written as JSON.
        """
        from remotemedia.core.manifest import node_entry

        return node_entry(self, include_capabilities=include_capabilities)

    def _extract_params(self) -> dict[str, Any]:
        """The arguments to make the node again: `config`, and attributes with parameter names."""
        from remotemedia.core.manifest import constructor_params

        return constructor_params(self)

    def __getstate__(self) -> dict[str, Any]:
        """All attributes except those that the base class makes by itself."""
        state: Any = super().__getstate__()
        in_dict, in_slots = state if isinstance(state, tuple) else (state, None)
        attributes = {**(in_dict or {}), **(in_slots or {})}
        transient = type(self)._transient
        return {
            name: value
            for name, value in attributes.items()
            if name not in transient and not leaves_behind(self, name, value)
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the attributes, without calling `__init__` or `initialize`."""
        for name, value in state.items():
            if isinstance(getattr(type(self), name, None), MemberDescriptorType):
                object.__setattr__(self, name, value)
            else:
                vars(self)[name] = value

    def __repr__(self) -> str:
        """`ClassName(name='...')`."""
        return f"{type(self).__name__}(name={self.name!r})"


def leaves_behind(node: Any, name: str, value: Any) -> bool:
    """Whether the base class has made the value of an attribute by itself. Such a value stays in
    its process; what a program has assigned to the same name travels.
    """
    if not isinstance(node, Node):
        return False
    if name == "state":
        return getattr(value, "is_default", False) is True
    if name == "logger":
        import logging

        return value is logging.getLogger(_logger_name(node))
    return name == "_is_initialized" and isinstance(value, bool)


def _logger_name(node: Node) -> str:
    return f"{type(node).__module__}.{type(node).__qualname__}"


__all__ = ["RUNTIME_KEYWORDS", "Node", "leaves_behind"]
