"""The expected outcome of every misbehaviour at every moment, on both interpreters.

The letters:

- R: the run gives the right result.
- E: a `NodeError` with the node's exception, or with what was wrong.
- M: a `NodeMarshalingError`: a value could not be pickled or opened.
- C: a `WorkerCrashed`, with signal or exit code.
- T: a `NodeTimeout`.

Several letters: each is right. What happens without builtins differs between versions of Python.
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
                   import construct unpickle initialize input first later between await result idle checkpoint restore flush cleanup save
raises             E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
raises-base        E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
raises-interrupt   E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
raises-stop        E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
raises-unprintable E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
sys-exit           E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
recursion          E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
memory             E      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
exits-0            C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
exits-3            C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
segfault           C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
abort              C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
sigkill            C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
sigterm            C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
c-stack            C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
execs              C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
sleeps             T      T         T        T          T     T     T     T       T     T      R    T          T       T     T       T
spins              T      T         T        T          T     T     T     T       T     T      R    T          T       T     T       T
stubborn           T      T         T        T          T     T     T     T       T     T      R    T          T       T     T       T
holds-gil          T      T         T        T          T     T     T     T       T     T      T    T          T       T     T       T
regex              T      T         T        T          T     T     T     T       T     T      T    T          T       T     T       T
deaf               T      T         T        T          T     T     T     T       T     T      R    T          T       T     T       T
stops              T      T         T        T          T     T     T     T       T     T      T    T          T       T     T       T
forks              R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
program            R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
daemon             R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
thread             R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
closes-stdin       R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
closes-link        C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
closes-all         C      C         C        C          C     C     C     C       C     C      C    R          C       C     C       C
garbage            E      E         E        E          E     E     E     E       E     E      E    R          E       E     E       E
floods             R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
descriptors        R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
streams            R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
surroundings       R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
folder             R      R         R        R          R     R     R     R       R     R      R    R          R       R     R       R
builtins           REM    REM       REM      REM        REM   REM   REM   REM     REMT  REM    REM  REM        REM     REM   REM     REM
"""  # noqa: E501

_RUSTPYTHON = """
                   import construct unpickle initialize input first later between await result idle checkpoint restore flush cleanup save
memory             EC     EC        EC       EC         MC    EC    EC    EC      EC    MC     RC   R          EC      EC    EC      RC
c-stack            EC     EC        EC       EC         MC    EC    EC    EC      EC    MC     RC   R          EC      EC    EC      RC
holds-gil          T      T         T        T          T     T     T     T       T     T      R    T          T       T     T       T
regex              T      T         T        T          T     T     T     T       T     T      R    T          T       T     T       T
forks              R      E         E        E          M     E     E     E       E     M      R    R          E       E     E       R
"""  # noqa: E501
REASONS = {
    "memory": "an allocation that fails in native code ends the process",
    "c-stack": "its compiler bounds the depth of expressions; the native stack is not reached by "
    "every build",
    "holds-gil": "no lock is held by native code, so other threads run",
    "regex": "no lock is held by native code, so other threads run",
    "forks": "the worker refuses os.fork with an ImportError; a module that raises it while it is "
    "imported is taken apart",
}
"""Why RustPython differs, for each misbehaviour of which it does."""


def _cells(grid: str) -> dict[str, dict[str, str]]:
    head, *lines = (line.split() for line in grid.strip().splitlines())
    return {name: dict(zip(head, letters, strict=True)) for name, *letters in lines}


_ALL = _cells(_GRID)
_OF = {"cpython": _ALL, "rustpython": {**_ALL, **_cells(_RUSTPYTHON)}}
NAMES: tuple[str, ...] = tuple(_ALL)
"""Names of the misbehaviours."""
MOMENTS: tuple[str, ...] = tuple(_ALL[NAMES[0]])
"""Names of the moments, in the order in which a session comes to them."""


def expected(interpreter: str, moment: str, misbehaviour: str) -> str:
    """The letters of a cell, each of which is right."""
    return _OF[interpreter][misbehaviour][moment]


__all__ = [
    "CRASH",
    "ERROR",
    "LETTERS",
    "MARSHAL",
    "MOMENTS",
    "NAMES",
    "REASONS",
    "RESULT",
    "TIMEOUT",
    "expected",
]
