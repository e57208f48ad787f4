"""The expected outcome of every misbehaviour at every moment, on both interpreters.

The letters:

- R: the run gives the right result.
- E: a `NodeError` with the node's exception, or with what was wrong.
- M: a `NodeMarshalingError`: a value could not be pickled or opened.
- C: a `WorkerCrashed`, with signal or exit code.
- T: a `NodeTimeout`.

Two letters: either is right.
"""

from __future__ import annotations

RESULT, ERROR, MARSHAL, CRASH, TIMEOUT = "R", "E", "M", "C", "T"
LETTERS = {
    RESULT: "result",
    ERROR: "error",
    MARSHAL: "marshal",
    CRASH: "crash",
    TIMEOUT: "timeout",
}
"""Each letter in a word."""

_GRID = """
                   import construct restore initialize input first later between await result idle flush cleanup save
raises             E      E         E       E          M     E     E     E       E     M      R    E     E       R
raises-base        E      E         E       E          M     E     E     E       E     M      R    E     E       R
raises-interrupt   E      E         E       E          M     E     E     E       E     M      R    E     E       R
raises-stop        E      E         E       E          M     E     E     E       E     M      R    E     E       R
raises-unprintable E      E         E       E          M     E     E     E       E     M      R    E     E       R
sys-exit           E      E         E       E          M     E     E     E       E     M      R    E     E       R
recursion          E      E         E       E          M     E     E     E       E     M      R    E     E       R
memory             E      E         E       E          M     E     E     E       E     M      R    E     E       R
exits-0            C      C         C       C          C     C     C     C       C     C      C    C     C       C
exits-3            C      C         C       C          C     C     C     C       C     C      C    C     C       C
segfault           C      C         C       C          C     C     C     C       C     C      C    C     C       C
abort              C      C         C       C          C     C     C     C       C     C      C    C     C       C
sigkill            C      C         C       C          C     C     C     C       C     C      C    C     C       C
sigterm            C      C         C       C          C     C     C     C       C     C      C    C     C       C
c-stack            C      C         C       C          C     C     C     C       C     C      C    C     C       C
execs              C      C         C       C          C     C     C     C       C     C      C    C     C       C
sleeps             T      T         T       T          T     T     T     T       T     T      R    T     T       T
spins              T      T         T       T          T     T     T     T       T     T      R    T     T       T
stubborn           T      T         T       T          T     T     T     T       T     T      R    T     T       T
holds-gil          T      T         T       T          T     T     T     T       T     T      T    T     T       T
regex              T      T         T       T          T     T     T     T       T     T      T    T     T       T
deaf               T      T         T       T          T     T     T     T       T     T      R    T     T       T
stops              T      T         T       T          T     T     T     T       T     T      T    T     T       T
forks              R      R         R       R          R     R     R     R       R     R      R    R     R       R
program            R      R         R       R          R     R     R     R       R     R      R    R     R       R
daemon             R      R         R       R          R     R     R     R       R     R      R    R     R       R
thread             R      R         R       R          R     R     R     R       R     R      R    R     R       R
closes-stdin       R      R         R       R          R     R     R     R       R     R      R    R     R       R
closes-link        C      C         C       C          C     C     C     C       C     C      C    C     C       C
closes-all         C      C         C       C          C     C     C     C       C     C      C    C     C       C
garbage            E      E         E       E          E     E     E     E       E     E      E    E     E       E
floods             R      R         R       R          R     R     R     R       R     R      R    R     R       R
descriptors        R      R         R       R          R     R     R     R       R     R      R    R     R       R
streams            R      R         R       R          R     R     R     R       R     R      R    R     R       R
surroundings       R      R         R       R          R     R     R     R       R     R      R    R     R       R
folder             R      R         R       R          R     R     R     R       R     R      R    R     R       R
builtins           E      E         E       E          E     E     E     E       E     E      E    E     E       E
"""  # noqa: E501

_HEAD, *_LINES = (line.split() for line in _GRID.strip().splitlines())
MOMENTS: tuple[str, ...] = tuple(_HEAD)
"""Names of the moments, in the order in which a session comes to them."""
_CELLS: dict[str, dict[str, str]] = {
    name: dict(zip(_HEAD, letters, strict=True)) for name, *letters in _LINES
}
NAMES: tuple[str, ...] = tuple(_CELLS)
"""Names of the misbehaviours."""

_EVERY = "*"
_RUSTPYTHON: dict[tuple[str, str], tuple[str, str]] = {
    (_EVERY, "forks"): ("E", "the worker refuses os.fork: `_guest/policy.py`"),
}
"""Where RustPython differs: moment (`*` for all) and misbehaviour, letters, reason."""


def expected(interpreter: str, moment: str, misbehaviour: str) -> str:
    """The letters of a cell, each of which is right."""
    if interpreter == "rustpython":
        for place in ((moment, misbehaviour), (_EVERY, misbehaviour)):
            if place in _RUSTPYTHON:
                return _RUSTPYTHON[place][0]
    return _CELLS[misbehaviour][moment]


__all__ = [
    "CRASH",
    "ERROR",
    "LETTERS",
    "MARSHAL",
    "MOMENTS",
    "NAMES",
    "RESULT",
    "TIMEOUT",
    "expected",
]
