"""The command line `remotemedia runs`: looks at runs in a database and changes their course.

`list`, `show` and `watch` read, also while a runner uses the database. `retry`, `cancel`, `fork`
and `prune` write, so they want it for themselves; the next runner on the database carries out what
they have noted.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from remotemedia._load import native
from remotemedia.core.error import RemoteMediaError
from remotemedia.workflows import facts
from remotemedia.workflows.runner import Runner
from remotemedia.workflows.timeline import clock, timeline, took

REFRESH = 0.5
"""How often `watch` looks again, in seconds."""


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code: 0, 1 if it failed, 2 for wrong arguments."""
    options = _parser().parse_args(arguments)
    verb: Callable[[argparse.Namespace], int] = options.verb
    try:
        return verb(options)
    except (RemoteMediaError, ValueError) as problem:
        print(f"remotemedia runs: {problem}", file=sys.stderr)  # noqa: T201  # the command line
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="remotemedia runs", description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, function: Callable[[Any], int], text: str, run: bool) -> Any:
        made = verbs.add_parser(name, help=text, description=text)
        made.add_argument("database", help="URL of the database, or path of a SQLite file")
        if run:
            made.add_argument("run", help="id of the run")
        made.set_defaults(verb=function)
        return made

    listed = verb("list", _list, "list runs, the last ones first", False)
    listed.add_argument("--workflow", help="only those of this workflow")
    listed.add_argument(
        "--status", help="only those that are running, completed, failed, cancelled"
    )
    listed.add_argument("--limit", type=int, default=50, help="at most this many (default: 50)")
    verb("show", _show, "show a run with its steps and attempts", True)
    verb("watch", _watch, "show a run until it ends", True)
    retry = verb("retry", _retry, "let a run go on that has failed or was cancelled", True)
    retry.add_argument("--from", dest="step", help="run this task again, and all that follow it")
    verb("cancel", _cancel, "stop a run", True)
    fork = verb("fork", _fork, "begin a run with what another one has done before a task", True)
    fork.add_argument("step", help="the first task that runs again")
    fork.add_argument("--id", help="id of the new run")
    prune = verb("prune", _prune, "remove runs that have ended", False)
    prune.add_argument("--days", type=float, default=30, help="ended longer ago (default: 30)")
    return parser


def _say(text: str = "") -> None:
    print(text)  # noqa: T201  # the command line


def _list(options: argparse.Namespace) -> int:
    rows = native().look_at_runs(
        options.database, None, options.workflow, options.status, options.limit
    )
    for row in rows:
        info = facts.run_info(row)
        why = f"  {info.failure}" if info.failure else ""
        _say(f"{info.id}  {info.workflow}  {info.status}  {clock(info.created)}  {took(info)}{why}")
    return 0


def _show(options: argparse.Namespace) -> int:
    (row,) = _looked_up(options)
    _say(timeline(row))
    return 0


def _looked_up(options: argparse.Namespace) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = native().look_at_runs(options.database, options.run)
    if not rows:
        raise ValueError(f"there is no run {options.run!r}")
    return rows


def _watch(options: argparse.Namespace) -> int:
    pause = threading.Event()
    shown = ""
    while True:
        (row,) = _looked_up(options)
        text = timeline(row)
        if text != shown:
            _say(text + "\n")
            shown = text
        if row["status"] != "running":
            return 0 if row["status"] == "completed" else 1
        pause.wait(REFRESH)


def _retry(options: argparse.Namespace) -> int:
    with Runner(options.database, workers=0) as runner:
        runner.get(options.run).retry(options.step)
    _say(f"{options.run} goes on with the next runner on this database")
    return 0


def _cancel(options: argparse.Namespace) -> int:
    with Runner(options.database, workers=0) as runner:
        runner.get(options.run).cancel()
        runner.get(options.run).wait()
    _say(f"{options.run} is cancelled")
    return 0


def _fork(options: argparse.Namespace) -> int:
    with Runner(options.database, workers=0) as runner:
        run = runner.get(options.run).fork(options.step, id=options.id)
    _say(f"{run.id} begins with the next runner on this database")
    return 0


def _prune(options: argparse.Namespace) -> int:
    with Runner(options.database, workers=0) as runner:
        count = runner.prune(timedelta(days=options.days))
    _say(f"{count} runs are removed")
    return 0


__all__ = ["REFRESH", "main"]
