"""Nodes of programs that stand in no file of their own, on RustPython."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PROGRAM = textwrap.dedent(
    """\
    import sys
    from remotemedia import Node, Pipeline
    def double(x):
        return FACTOR * x
    FACTOR = 2
    class Doubles(Node):
        def process(self, data):
            return [double(data), sys.implementation.name]
    def make(offset):
        class Adds(Node):
            def process(self, data):
                return [data + offset, sys.implementation.name]
        return Adds()
    class Bare:
        level = 3
    class Levels(Node):
        def process(self, data):
            return [data + Bare.level, sys.implementation.name]
    double(1)
    if __name__ == "__main__":
        for node in (Doubles(), make(5), Levels()):
            print(*Pipeline(node).run(4, runtime="rustpython", fallback=False))
    """
)
WANTED = ["8 rustpython", "9 rustpython", "7 rustpython"]


def lines(*arguments: str, given: str = "") -> list[str]:
    """What a program prints; its failure is the test's."""
    done = subprocess.run(
        [sys.executable, *arguments], input=given, capture_output=True, check=False, text=True
    )
    assert done.returncode == 0, done.stderr
    return [*done.stdout.splitlines(), *done.stderr.splitlines()]


def test_a_program_on_the_command_line_goes_as_source() -> None:
    # spec: IOP-19, IOP-39
    assert lines("-W", "ignore", "-c", PROGRAM, "-c", "argument") == WANTED


def test_what_a_console_keeps_goes_as_source(tmp_path: Path) -> None:
    # spec: IOP-19, IOP-24
    typed = PROGRAM.replace("Bare.level", "LEVEL").replace("class Bare:\n    level", "LEVEL")
    typed = typed.replace("\ndouble(1)", "\nx = double(1)")
    prompt = [f"{'...' if line[0] == ' ' else '>>>'} {line}" for line in typed.splitlines()]
    session = "\n".join([*prompt, *WANTED, ""])
    script = tmp_path / "session.py"
    script.write_text(
        "import doctest\n"
        f"asked = doctest.DocTestParser().get_doctest({session!r}, globals(), 'typed', None, 0)\n"
        "print(doctest.DocTestRunner().run(asked))\n"
    )
    (printed,) = lines(str(script))
    assert "failed=0" in printed, printed


EXECUTED = """\
import logging
from remotemedia import Node, Pipeline
logging.basicConfig(format="%(message)s")
exec('''
import sys
class Made(Node):
    def process(self, data):
        return [data, sys.implementation.name]
''')
print(*Pipeline(Made()).run(1, runtime="rustpython"))
try:
    Pipeline(Made()).run(1, runtime="rustpython", fallback=False)
except Exception as error:
    print(error)
"""


@pytest.mark.parametrize("way", ["file", "command", "pipe", "option"])
def test_what_leaves_no_source_stays_with_one_clear_reason(tmp_path: Path, way: str) -> None:
    # spec: IOP-39
    if way == "file":
        script = tmp_path / "script.py"
        script.write_text(EXECUTED)
        printed = lines(str(script))
    else:
        arguments = {"command": ["-c", EXECUTED], "option": [f"-c{EXECUTED}"], "pipe": []}[way]
        printed = lines(*arguments, given=EXECUTED)
    ran, refused, told = printed
    assert ran == "1 cpython"
    for text in (refused, told):
        assert "source of __main__.Made.process cannot be found" in text
        assert text.count("cannot") <= 1, text
        assert text.count("put it in a file") == 1, text
        assert text.count("runtime_hint") == 1, text
        assert ".." not in text, text
