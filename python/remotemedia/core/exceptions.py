"""All exception classes of RemoteMedia.

`RemoteMediaError` is their base class. Each class also derives from the builtin exception that a
caller would expect, has its data as attributes, and can be pickled.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Unpack

from remotemedia.core.crash import Crash, Known
from remotemedia.core.error import RemoteMediaError as RemoteMediaError
from remotemedia.core.error import Where


class _Remote(Where, total=False):
    remote_type: str | None
    remote_message: str | None
    remote_traceback: str | None
    partial_results: list[Any] | None
    limit: str | None
    module: str | None
    root_package: str | None
    import_reason: str | None
    module_path: str | None
    suggestion: str | None
    tries: int


class PipelineError(RemoteMediaError):
    """A pipeline was used in a way that is not allowed, or not at this time."""


class RunCancelled(PipelineError):
    """The run or the session was cancelled before it had finished."""


class ConfigurationError(RemoteMediaError, ValueError):
    """A parameter, an option or the configuration is invalid."""


class ManifestError(RemoteMediaError, ValueError):
    """The manifest is not valid JSON or does not match the schema.

    Attributes:
        problems: a line for each problem, with its JSON path.
    """

    def __init__(
        self,
        message: str = "",
        *,
        problems: list[str] | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, **where)
        self.problems: list[str] = list(problems or ())


class GraphError(ManifestError, PipelineError):
    """The nodes and connections do not form a graph that can run."""


class CycleError(GraphError):
    """The connections form a cycle.

    Attributes:
        nodes: ids of the nodes in the cycle, in the order of the connections.
    """

    def __init__(
        self,
        message: str = "",
        *,
        nodes: list[str] | None = None,
        problems: list[str] | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, problems=problems, **where)
        self.nodes: list[str] = list(nodes or ())


class NodeNotFoundError(RemoteMediaError, KeyError, ValueError):
    """No node type has this name, or the Python class cannot be found.

    Attributes:
        node_type: the unknown name.
        nearest: the most similar known name, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        node_type: str | None = None,
        nearest: str | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, **where)
        self.node_type = node_type
        self.nearest = nearest


class MarshalingError(RemoteMediaError, TypeError):
    """A value cannot be sent to another process.

    Attributes:
        path: the part of the value, such as `item["frames"][3]` or `self.model.lock`.
        type_name: qualified name of that part's type.
        names_runtime_hint: whether the message recommends another `runtime_hint`.
    """

    names_runtime_hint = False

    def __init__(
        self,
        message: str = "",
        *,
        path: str | None = None,
        type_name: str | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, **where)
        self.path = path
        self.type_name = type_name


class SerializationError(MarshalingError):
    """A node cannot be described by a manifest."""


class NodeError(RemoteMediaError, RuntimeError):
    """A node failed while it was made, initialised, called, flushed or cleaned up.

    `__cause__` is the node's exception, if this process has loaded its class, without attributes
    that are no plain data. Python prints the node's traceback below the caller's.

    Attributes:
        remote_type: qualified name of the exception's type, bare for builtins; or None.
        remote_message: its message; or None.
        remote_traceback: traceback in the worker, as text with source lines; or None.
        partial_results: the outputs that the run had made before the error.
        limit: name of the limit that explains the failure, such as "memory"; or None.
        module: name of the missing module, if an import failed; else None, as those that follow.
        root_package: the package of that module.
        import_reason: "c_extension", "stdlib_missing", "not_installed", "blocked" or "unsupported".
        module_path: path of a C extension that was found but cannot be loaded.
        suggestion: what the user can do.
        tries: number of tries, of which this was the last.
    """

    def __init__(
        self,
        message: str = "",
        *,
        node_id: str | None = None,
        operation: str | None = None,
        remote_type: str | None = None,
        remote_message: str | None = None,
        remote_traceback: str | None = None,
        partial_results: list[Any] | None = None,
        limit: str | None = None,
        module: str | None = None,
        root_package: str | None = None,
        import_reason: str | None = None,
        module_path: str | None = None,
        suggestion: str | None = None,
        tries: int = 1,
    ) -> None:
        super().__init__(message, node_id=node_id, operation=operation)
        self.limit = limit
        self.tries = tries
        self.module = module
        self.root_package = root_package
        self.import_reason = import_reason
        self.module_path = module_path
        self.suggestion = suggestion
        self.remote_type = remote_type
        self.remote_message = remote_message
        self.remote_traceback = remote_traceback
        self.partial_results: Any = list(partial_results or ())
        if remote_traceback:
            self.add_note(f"\nIn the worker:\n{remote_traceback.rstrip()}")


class NodeClassNotFound(NodeError, NodeNotFoundError):
    """A worker cannot find the module or class of a node.

    Attributes:
        node_type: always None; the message names module and class.
        nearest: the most similar known name, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        nearest: str | None = None,
        **remote: Unpack[_Remote],
    ) -> None:
        super().__init__(message, **remote)
        self.nearest = nearest


class NodeMarshalingError(NodeError, MarshalingError):
    """An output of a node cannot be sent to another process.

    Attributes:
        path: the part of the output, such as `output['kept'][0]`.
        type_name: qualified name of that part's type.
    """

    def __init__(
        self,
        message: str = "",
        *,
        path: str | None = None,
        type_name: str | None = None,
        **remote: Unpack[_Remote],
    ) -> None:
        super().__init__(message, **remote)
        self.path = path
        self.type_name = type_name


class Overloaded(PipelineError):
    """All workers are in use, and the caller did not want to wait (`wait=False`)."""


class TransientError(Exception):
    """Raise it in a node for a failure that may pass by itself: it is tried again (`retry`)."""


class NodeSkipped(NodeError):
    """A node failed for too many items in a row, and is skipped for a while (see `Node.breaker`).

    Attributes:
        causes: the first errors of that row, a line each; at most five.
        pause_ms: how long the node is skipped after its last failure, in milliseconds.
    """

    def __init__(
        self,
        message: str = "",
        *,
        causes: list[str] | None = None,
        pause_ms: int | None = None,
        **where: Unpack[_Remote],
    ) -> None:
        super().__init__(message, **where)
        self.causes: list[str] = list(causes or ())
        self.pause_ms = pause_ms


class NodeTimeout(NodeError):
    """A node exceeded its `timeout_ms` or `deadline_ms`. Its worker is replaced, and ended in the
    background.

    Attributes:
        timeout_ms: the exceeded limit, in milliseconds.
    """

    def __init__(
        self,
        message: str = "",
        *,
        timeout_ms: int | None = None,
        **where: Unpack[_Remote],
    ) -> None:
        super().__init__(message, **where)
        self.timeout_ms = timeout_ms


class WorkerCrashed(NodeError, Crash):
    """The worker process died while it ran a node. The next run gets a fresh worker.

    The message is one line; facts, stacks and stderr are notes, which Python prints below it. The
    logger `remotemedia.crashes` gets all of it as one JSON object, at level INFO. What is unknown
    is None.

    Neither signal nor exit code is known if this program ignores SIGCHLD, or if other code of this
    program has waited for the worker process.

    Attributes:
        verdict: why the worker ended: "crashed" (native code did what is not allowed), "aborted"
            (native code called `abort`), "out_of_memory" (memory ran out, or a limit refused it),
            "killed" (a signal came from outside), "killed_or_out_of_memory" (the kernel does not
            say which), "exited", "disconnected" (it closed its connection) or "unknown".
        what_next: what happens next, and what the user can do.
        call: which call of the node's `process` it was, from 1 on in each worker and session; None
            in other operations.
        worker_pid: process id of the worker.
        signal: name of the signal that ended the worker, such as "SIGSEGV", or None.
        exit_code: exit code of the worker if it exited by itself, or None.
        core_dumped: whether the kernel wrote a core dump.
        library: file name of the library or program whose code crashed or called `abort`.
        killed_by: process id of the process that sent the signal.
        fault_code: the kernel's name for what the instruction could not do, such as "SEGV_MAPERR".
        fault_address: the address that it could not use.
        c_stack: the calls of native code at the time of death, innermost first; empty if unknown.
        python_stack: the Python stack at the time of death, innermost call first, or None.
        stderr_tail: the last lines that the worker wrote to stderr.
        also_lost: ids of the other nodes of the session whose state was lost with the worker.
        uptime: how long the worker existed, in seconds.
        calls_of_worker: calls of nodes that had begun in the worker, in all its sessions.
        calls_of_session: those in the session that it died in.
        peak_memory_bytes: peak resident memory of the worker, or None if unknown.
        array_private_bytes: private memory in the node's numpy arrays, or None.
        array_shared_bytes: shared memory in them, or None.
        memory_limit_bytes: the most memory that the worker may have, or None without a limit.
        tries: number of tries, of which this was the last.
    """

    def __init__(
        self,
        message: str = "",
        *,
        node_id: str | None = None,
        operation: str | None = None,
        facts: Iterable[str] = (),
        **known: Unpack[Known],
    ) -> None:
        super().__init__(message, node_id=node_id, operation=operation)
        self.take(known)
        for section in self.sections(facts):
            self.add_note(section)


class LimitExceeded(WorkerCrashed):
    """The worker of a node used more than its limits allow, and was killed.

    Attributes:
        verdict: always "limit_exceeded".
        limit: name of the limit, as in `[limits]` of the configuration, such as "memory_hard".
        used: what was measured, in bytes, milliseconds or processes.
        allowed: the value of the limit, in the same unit.
    """

    verdict = "limit_exceeded"

    def __init__(
        self,
        message: str = "",
        *,
        limit: str | None = None,
        used: int | None = None,
        allowed: int | None = None,
        **crash: Any,
    ) -> None:
        super().__init__(message, **crash)
        self.limit = limit
        self.used = used
        self.allowed = allowed


class WorkerStartError(RemoteMediaError, RuntimeError):
    """No worker process could be started: the interpreter or the package in it is missing.

    Attributes:
        python: path of the interpreter.
        stderr_tail: the last lines that the process wrote to stderr.
    """

    def __init__(
        self,
        message: str = "",
        *,
        python: str | None = None,
        stderr_tail: str = "",
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, **where)
        self.python = python
        self.stderr_tail = stderr_tail
        if stderr_tail.strip():
            self.add_note(f"\nstderr of the process:\n{stderr_tail.rstrip()}")


class RemoteExecutionError(RemoteMediaError, RuntimeError):
    """A call to another machine failed.

    Attributes:
        remote_traceback: the traceback on the other machine, as text, or None.
    """

    def __init__(
        self,
        message: str = "",
        remote_traceback: str | None = None,
        **where: Unpack[Where],
    ) -> None:
        super().__init__(message, **where)
        self.remote_traceback = remote_traceback
        if remote_traceback:
            self.add_note(f"\nTraceback on the other machine:\n{remote_traceback.rstrip()}")


class WebRTCError(RemoteMediaError, RuntimeError):
    """A WebRTC connection failed."""
