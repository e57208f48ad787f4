"""The command `remotemedia replay FILE`: runs a captured item again, in this process.

See `core/capturing.py` for the file. A capture holds code, which this command runs.
"""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from remotemedia import _pickle
from remotemedia._text import described
from remotemedia.core.capturing import BEFORE, MAGIC
from remotemedia.core.in_process import Repeated

ENDED_WELL, FAILED, BAD_INPUT = 0, 1, 2

_EPILOG = """\
exit codes:
  0  the call ended well this time
  1  the node failed, or the debugger was left
  2  the file cannot be read, or what it holds cannot be loaded
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        head, pickle = read(given.file)
    except (OSError, ValueError) as error:
        return _fail(f"{given.file}: {error}")
    print(told(head))  # noqa: T201
    if given.show:
        return ENDED_WELL
    try:
        node, item, state = load(head, pickle)
    except Exception as error:
        return _fail(f"{given.file}: what it holds cannot be loaded: {described(error)}")
    if head.get("is_native"):
        call = Repeated.of_native(node, head["node_id"], state[BEFORE])
    else:
        initializes = head["operation"] == "initialize"
        needs_initialize = bool(head["left"]) and not initializes
        call = Repeated(node, head["node_id"], state, needs_initialize=needs_initialize)
    run = _under_pdb if given.pdb else _run
    return run(call, head["operation"], item)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "remotemedia replay",
        description="Run the failing item of a capture again, in this process. A capture holds "
        "code, as a script does: replay only files that you trust.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="a capture")
    parser.add_argument("--pdb", action="store_true", help="under pdb: it stops in `process`")
    parser.add_argument("--show", action="store_true", help="only show what was captured")
    return parser


def read(path: Path) -> tuple[dict[str, Any], bytes]:
    """The head of a capture, and its pickle, which is not loaded.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no capture.
    """
    data = path.read_bytes()
    if not data.startswith(MAGIC):
        raise ValueError("this is no capture: it was not written by `capture=` of a pipeline")
    line, _, pickle = data[len(MAGIC) :].partition(b"\n")
    head: dict[str, Any] = json.loads(line)
    return head, pickle


def load(head: dict[str, Any], pickle: bytes) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The node as its program has made it, the item (empty for a source and for a flush), and the
    node's attributes before the call. Imports come from the program's path.

    Raises:
        ValueError: another version of Python has made the capture; its bytecode would crash this.
        Exception: what loading its objects raises.
    """
    own = "{}.{}".format(*sys.version_info)
    if head["python"] != own:
        raise ValueError(f"it was made by Python {head['python']}, and this is Python {own}")
    sys.path[:] = [*head["sys_path"], *(path for path in sys.path if path not in head["sys_path"])]
    sys.argv[:] = head["argv"]
    node, item, state = _pickle.open_kept(pickle)
    return node, item, state


def told(head: dict[str, Any]) -> str:
    """What was captured, in a few lines."""
    error = head["error"]
    lines = [
        f"{head['operation']} of node {head['node_id']} ({head['class']}), {head['time']}",
        f"it had failed with {error['type']}: {error['message']}",
    ]
    what = "what it keeps of the" if head.get("is_native") else "its attribute"
    for name, reason in head["left"].items():
        lines.append(f"{what} {name} is not in the capture: {reason}")
    return "\n".join(lines)


def _run(call: Repeated, operation: str, item: tuple[Any, ...]) -> int:
    try:
        outputs = call.outputs(operation, item)
    except Exception:
        import traceback

        traceback.print_exc()
        return FAILED
    _print_outputs(outputs)
    return ENDED_WELL


def _print_outputs(outputs: list[Any]) -> None:
    print(f"it ended well, with {len(outputs)} outputs")  # noqa: T201
    for output in outputs:
        print(f"  {output!r}")  # noqa: T201


def _under_pdb(call: Repeated, operation: str, item: tuple[Any, ...]) -> int:
    import pdb

    debugger = pdb.Pdb()
    place = _first_line(call.node)
    if place is not None:
        debugger.set_break(*place)
    debugger.rcLines.append("continue")  # up to `process`
    try:
        outputs = debugger.runcall(call.outputs, operation, item)
    except Exception as error:
        import traceback

        traceback.print_exc()
        pdb.post_mortem(error.__traceback__)
        return FAILED
    if outputs is None:  # the user has left the debugger
        return FAILED
    _print_outputs(outputs)
    return ENDED_WELL


def _first_line(node: Any) -> tuple[str, int] | None:
    """File and number of the first line in the body of `process`, or of a node's function."""
    function = inspect.unwrap(getattr(node, "function", None) or node.process)
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    if code is None:
        return None
    lines = sorted({line for _, _, line in code.co_lines() if line and line > code.co_firstlineno})
    return code.co_filename, lines[0] if lines else code.co_firstlineno


def _fail(text: str) -> int:
    print(f"error: {text}", file=sys.stderr)  # noqa: T201
    return BAD_INPUT


__all__ = ["load", "main", "read", "told"]
