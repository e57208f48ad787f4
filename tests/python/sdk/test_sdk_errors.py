"""The exceptions: their builtin kinds, their texts, their way through a pickle."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import pytest

import remotemedia
from remotemedia.core import exceptions

FIELDS: dict[str, dict[str, Any]] = {
    "ManifestError": {"problems": ["nodes[0].id: missing"]},
    "GraphError": {"problems": ["two"], "node_id": "n"},
    "CycleError": {"nodes": ["a", "b"]},
    "NodeNotFoundError": {"node_type": "VDNode", "nearest": "VADNode"},
    "MarshalingError": {"path": "item[0]", "type_name": "_thread.lock"},
    "NodeError": {"remote_type": "ValueError", "remote_traceback": "Traceback ..."},
    "NodeTimeout": {"timeout_ms": 100, "node_id": "n"},
    "WorkerCrashed": {
        "signal": "SIGSEGV",
        "exit_code": None,
        "stderr_tail": "Segmentation fault",
        "also_lost": ["b"],
        "worker_pid": 7,
        "python_stack": "File ...",
        "peak_memory_bytes": 1,
        "verdict": "crashed",
        "c_stack": [("/usr/lib/libc.so.6", "memcpy", 4), (None, None, 16)],
    },
    "LimitExceeded": {
        "limit": "memory_hard",
        "used": 2,
        "allowed": 1,
        "python_stack": "File ...",
        "worker_pid": 7,
    },
    "WorkerStartError": {"python": "/nowhere", "stderr_tail": "x"},
    "RemoteExecutionError": {"remote_traceback": "Traceback ..."},
}
ALL = sorted(
    name
    for name, value in vars(exceptions).items()
    if isinstance(value, type) and issubclass(value, exceptions.RemoteMediaError)
)


@pytest.mark.parametrize("name", ALL)
def test_every_error_survives_a_pickle(name: str) -> None:
    cls = getattr(exceptions, name)
    fields = {"operation": "process", **FIELDS.get(name, {})}
    error = cls("it broke", **fields)
    error.add_note("seen by the caller")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is cls
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    for field, value in fields.items():
        assert getattr(copy, field) == value


@pytest.mark.parametrize("name", ALL)
def test_every_error_is_importable_from_the_top(name: str) -> None:
    assert getattr(remotemedia, name) is getattr(exceptions, name)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("ManifestError", [ValueError]),  # spec: FFI-07
        ("GraphError", [ValueError]),  # spec: FFI-08
        ("CycleError", [ValueError]),  # spec: FFI-09
        ("NodeNotFoundError", [KeyError, ValueError]),  # spec: FFI-10
        ("NodeError", [RuntimeError]),  # spec: FFI-11
        ("WorkerCrashed", [RuntimeError]),
        ("NodeTimeout", [RuntimeError]),
        ("LimitExceeded", [RuntimeError]),
        ("MarshalingError", [TypeError]),  # spec: FFI-13
        ("ConfigurationError", [ValueError]),
    ],
)
def test_errors_are_the_builtin_that_callers_expect(name: str, kinds: list[type]) -> None:
    assert all(issubclass(getattr(exceptions, name), kind) for kind in kinds)


def test_the_text_names_node_and_operation_once() -> None:
    # spec: FFI-14
    error = exceptions.NodeError("division by zero", node_id="calc_0", operation="process")
    assert str(error) == "node 'calc_0', process: division by zero"
    told = exceptions.NodeError("node 'calc_0' failed", node_id="calc_0", operation="process")
    told._names_node = True
    assert str(told) == "node 'calc_0' failed"
    # An id that happens to be a word of the message does not count as named.
    assert str(exceptions.NodeError("a wall", node_id="a")) == "node 'a': a wall"


def test_a_key_error_is_not_shown_in_quotes() -> None:
    assert str(exceptions.NodeNotFoundError("unknown type 'x'")) == "unknown type 'x'"


def test_an_uncaught_node_error_prints_the_traceback_of_the_worker() -> None:
    # spec: FFI-12
    remote = 'Traceback (most recent call last):\n  File "my.py", line 3, in process\nValueError: 3'
    error = exceptions.NodeError("ValueError: 3", node_id="n", remote_traceback=remote)
    assert 'File "my.py", line 3' in "".join(traceback.format_exception(error))
    copy = pickle.loads(pickle.dumps(error))
    assert "".join(traceback.format_exception(copy)).count('File "my.py", line 3') == 1
