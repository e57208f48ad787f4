#!/usr/bin/env python3
"""Prints comments and error texts picked at random, for a reader who does not know the code.

    scripts/sample.py [SEED] [--comments 40] [--errors 20]

The same seed picks the same texts of the same sources. Tests are left out.
"""

import argparse
import ast
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHORTEST_COMMENT = 25
"""In characters; shorter comments have little that could be misunderstood."""
RUST_COMMENT = re.compile(r"(?:^[ \t]*//[/!]?(?: .*|)\n)+", re.MULTILINE)
PYTHON_COMMENT = re.compile(r"(?:^[ \t]*# .*\n)+", re.MULTILINE)
RUST_TEXT = r'("(?:[^"\\]|\\.)*")'
RUST_ERROR = re.compile(rf"#\[error\(\s*{RUST_TEXT}|Error::\w+\(format!\(\s*{RUST_TEXT}")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)

Text = tuple[str, str]
"""Place of a text (file and line), and the text."""


def sources(suffix: str) -> Iterator[Path]:
    """The product's source files with this suffix."""
    listed = subprocess.run(
        ["git", "ls-files", f"*{suffix}"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    for line in listed.stdout.splitlines():
        if not re.search(r"(^|/)(tests?|benches|vectors|fuzz)(/|\.)", line):
            yield ROOT / line


def place(path: Path, text: str, start: int) -> str:
    """The file and the line of a position in its text."""
    return f"{path.relative_to(ROOT)}:{text.count(chr(10), 0, start) + 1}"


def comments() -> Iterator[Text]:
    """Comment blocks and docstrings, with the line of code that they describe."""
    for path in sources(".rs"):
        text = path.read_text()
        for match in RUST_COMMENT.finditer(text):
            below = text[match.end() :].partition("\n")[0]
            yield place(path, text, match.start()), match.group() + below
    for path in sources(".py"):
        text = path.read_text()
        for match in PYTHON_COMMENT.finditer(text):
            below = text[match.end() :].partition("\n")[0]
            yield place(path, text, match.start()), match.group() + below
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, DOCUMENTED) and (said := ast.get_docstring(node)):
                above = "" if isinstance(node, ast.Module) else text.splitlines()[node.lineno - 1]
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", f"{above}\n{said}"


def errors() -> Iterator[Text]:
    """Texts of errors, but those that are made of one word or of another text."""
    for path in sources(".rs"):
        text = path.read_text()
        for match in RUST_ERROR.finditer(text):
            said = match.group(1) or match.group(2)
            if " " in said:
                yield place(path, text, match.start()), said
    for path in sources(".py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                said = ast.unparse(node.exc.args[0])
                if " " in said:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", said


def show(title: str, texts: list[Text], count: int, chance: random.Random) -> None:
    """Prints some of the texts."""
    for number, (where, said) in enumerate(chance.sample(texts, min(count, len(texts))), 1):
        print(f"== {title} {number}: {where}\n{said.strip()}\n")


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seed", nargs="?", type=int, default=1)
    parser.add_argument("--comments", type=int, default=40)
    parser.add_argument("--errors", type=int, default=20)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    long_enough = [text for text in comments() if len(text[1].strip()) > SHORTEST_COMMENT]
    show("comment", long_enough, args.comments, chance)
    show("error", list(errors()), args.errors, chance)


if __name__ == "__main__":
    main()
