"""The command `remotemedia doctor`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence

from remotemedia.doctor import kernel, limits, software
from remotemedia.doctor.cgroups import Cgroups
from remotemedia.doctor.finding import NOTE, OK, PROBLEM, Finding

FIT, HAS_PROBLEMS = 0, 1
READER_GONE = 128 + signal.SIGPIPE
"""The exit code of a program that was ended by SIGPIPE."""

_INTERPRETERS = ("cpython", "rustpython")
_SECONDS = 120.0
_MARKS = {OK: "ok     ", NOTE: "note   ", PROBLEM: "PROBLEM"}
_DESCRIPTION = """\
Check whether this machine can run pipelines, and what to do where it cannot.
With --chaos: have nodes misbehave in every way at every moment, check that each
gives the documented outcome and harms nothing else, and that nothing is left
behind."""
_EPILOG = """\
exit codes:
  0  no problems; with --chaos: every cell as expected, and nothing left behind
  1  problems
  2  the arguments are wrong
"""


def main(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    # What is strange about settings is among the findings.
    warnings.simplefilter("ignore", RuntimeWarning)
    warnings.simplefilter("ignore", FutureWarning)
    given = _parser().parse_args(arguments)
    _end_in_order()
    try:
        code = _chaos(given) if given.chaos else _examine(given)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return READER_GONE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "remotemedia doctor",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--chaos", action="store_true", help="run the matrix of misbehaviours")
    chaos = parser.add_argument_group("with --chaos")
    chaos.add_argument(
        "--runtime",
        choices=(*_INTERPRETERS, "both"),
        default=None,
        help="interpreter of the workers; by default each that is found",
    )
    chaos.add_argument(
        "--seconds",
        type=float,
        default=_SECONDS,
        help="begin no cell after this time; by default %(default)g",
    )
    chaos.add_argument("--moment", action="append", help="run only this one; may be repeated")
    chaos.add_argument("--misbehaviour", action="append", help="the same")
    return parser


def _end_in_order() -> None:
    """Have Ctrl-C and SIGTERM raise, so that temporary files go."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _examine(given: argparse.Namespace) -> int:
    found = []
    for finding in _findings():
        found.append(finding)
        if not given.json:
            print(_line(finding), flush=True)  # noqa: T201
    problems = sum(finding.level == PROBLEM for finding in found)
    notes = sum(finding.level == NOTE for finding in found)
    if given.json:
        shown = {"problems": problems, "findings": [finding.as_json() for finding in found]}
        print(json.dumps(shown, indent=2))  # noqa: T201
    else:
        print(f"{len(found)} findings: {problems} problems, {notes} notes")  # noqa: T201
    return HAS_PROBLEMS if problems else FIT


def _findings() -> Iterator[Finding]:
    cgroups = Cgroups()
    yield from software.findings()
    yield from limits.findings(cgroups)
    yield from kernel.findings(cgroups)
    if software.has_native():
        from remotemedia.doctor import selftest

        yield from selftest.findings(_available())


def _available() -> list[str]:
    return [name for name in _INTERPRETERS if name == "cpython" or software.find_rustpython()]


def _line(finding: Finding) -> str:
    text = finding.text.replace("\n", "\n" + 9 * " ")
    advice = f"\n{'':8} what to do: {finding.advice}" if finding.advice else ""
    return f"{_MARKS[finding.level]}  {finding.name}: {text}{advice}"


def _chaos(given: argparse.Namespace) -> int:
    from remotemedia.doctor.chaos import report

    if given.runtime is None:
        interpreters = _available()
    else:
        interpreters = list(_INTERPRETERS) if given.runtime == "both" else [given.runtime]
    return report.run(
        interpreters,
        moments=given.moment,
        misbehaviours=given.misbehaviour,
        seconds=given.seconds,
        as_json=given.json,
    )


__all__ = ["main"]
