"""Runs cases on an interpreter, all in one process, and returns what each one showed.

When a case ends the process (by a crash, an abort, or by never ending), only that case is blamed:
the cases after it run in a new process.
"""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.cases import Case, Target

# Longest time for all cases of one process; the case that runs then counts as one without an end.
DEADLINE_S = 120.0
# What a case shows when a module is not there, or cannot be.
GONE = ("raises ModuleNotFoundError", "raises ImportError")
_RUNNER = Path(__file__).with_name("runner.py")


@dataclass(frozen=True)
class Outcome:
    """What one case showed on one interpreter.

    `shows` is the repr of its result, `raises TypeError`, `killed by SIGSEGV`, `exit status 101` or
    `does not end`. `missing` is the module that was not found, `message` the text of the error.
    """

    shows: str
    missing: str | None = None
    message: str = ""


@dataclass(frozen=True)
class Measured:
    """The outcomes of one interpreter, by the cases' ids."""

    target: Target
    version: str
    outcomes: dict[str, Outcome]

    def surprises(self, among: Iterable[Case]) -> list[str]:
        """A line for each case that did not show what is recorded for this interpreter."""
        lines = []
        for case in among:
            expected, got = case.expected(self.target), self.outcomes[case.id]
            if got.shows != expected and not self._is_not_built(case):
                said = f" ({got.message})" if got.message else ""
                lines.append(f"{case.id}\n  recorded: {expected}\n  shown:    {got.shows}{said}")
        return lines

    def _is_not_built(self, case: Case) -> bool:
        """Whether this build of CPython left the module out that the case is about."""
        missing = self.outcomes[case.id].missing
        optional = self.target.implementation == "cpython" and case.needs is not None
        return optional and missing in (case.needs, case.module)


class Unusable(Exception):
    """A program that does not run Python scripts; the text is its error output."""


def measure(
    program: Sequence[str], todo: Sequence[Case], deadline_s: float = DEADLINE_S
) -> Measured:
    """Run `todo` with `program`, a command that takes a script.

    Raises:
        Unusable: `program` cannot be started, or ran not even the first case.
    """
    left, outcomes, head = list(todo), dict[str, Outcome](), dict[str, Any]()
    while left:
        lines, ending = _one_process(program, left, deadline_s)
        if not lines:
            raise Unusable(f"{' '.join(program)}: {ending}")
        head = lines[0]
        outcomes.update((line["id"], _outcome(line)) for line in lines if "id" in line)
        if "end" not in lines[-1]:
            # The last one begun, or the last one done when the process died after it.
            blamed = lines[-1].get("begin") or lines[-1]["id"]
            outcomes[blamed] = Outcome(ending)
        left = [case for case in left if case.id not in outcomes]
    major, minor = head["version"].split(".")[:2]
    target = Target(head["implementation"], (int(major), int(minor)))
    return Measured(target, head["version"], outcomes)


def _one_process(
    program: Sequence[str], todo: Sequence[Case], deadline_s: float
) -> tuple[list[dict[str, Any]], str]:
    """The lines that the runner wrote, and how its process ended."""
    with tempfile.TemporaryDirectory() as folder:
        cases, results = Path(folder, "cases.json"), Path(folder, "results.jsonl")
        table = [
            {"id": case.id, "module": f"case_{number}", "code": case.code}
            for number, case in enumerate(todo)
        ]
        cases.write_text(json.dumps(table), encoding="utf-8")
        try:
            ended = subprocess.run(
                [*program, str(_RUNNER), str(cases), str(results)],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                check=False,
                timeout=deadline_s,
            )
            ending = _ending(ended.returncode)
            said = ended.stderr.decode(errors="replace").strip()
        except subprocess.TimeoutExpired:
            ending, said = "does not end", ""
        except OSError as error:
            return [], str(error)
        if not results.exists():
            return [], said or ending
        text = results.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()], ending


def _ending(code: int) -> str:
    # A shell script in between adds 128 to the signal.
    number = -code if code < 0 else code - 128
    try:
        return f"killed by {signal.Signals(number).name}"
    except ValueError:
        return f"exit status {code}"


def _outcome(line: dict[str, Any]) -> Outcome:
    if "gives" in line:
        return Outcome(line["gives"])
    said = line["message"].strip().splitlines()
    first = said[0] if said else ""
    return Outcome(f"raises {line['raises']}", line["missing"], first)


__all__ = ["GONE", "Measured", "Outcome", "Unusable", "measure"]
