"""The README's code runs as it stands there, and prints what it says.

A ```python block is a script of its own; a ```text block behind it is its output, where `…` stands
for anything. A ```sh block runs in an empty folder that holds `speech.flac`.
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from places import REPOSITORY

RECORDING = REPOSITORY / "examples" / "recordings" / "speech_48k.flac"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block with the text block that follows it, if one does."""

    language: str
    code: str
    output: str | None
    line: int


def _blocks() -> list[Block]:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    found = [(m[1], m[2], text.count("\n", 0, m.start()) + 1) for m in FENCE.finditer(text)]
    outputs = [code if language == "text" else None for language, code, _ in found[1:]] + [None]
    return [
        Block(language, code, output, line)
        for (language, code, line), output in zip(found, outputs, strict=True)
    ]


BLOCKS = _blocks()
PYTHON = [block for block in BLOCKS if block.language == "python"]
SHELL = [block for block in BLOCKS if block.language == "sh"]


def _name(block: Block) -> str:
    return f"line_{block.line}"


def _environment() -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")])}


def _run(command: list[str], folder: Path, **more: str) -> str:
    environment = {**_environment(), **more}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_has_code_to_run() -> None:
    assert len(PYTHON) >= 3
    assert len(SHELL) >= 1
    assert {block.language for block in BLOCKS} <= {"python", "text", "sh"}


def test_the_first_screen_shows_a_node_in_fifteen_lines() -> None:
    lines = [line for line in PYTHON[0].code.splitlines() if line.strip()]
    assert len(lines) <= 15
    assert PYTHON[0].line < 15


@pytest.mark.parametrize("block", PYTHON, ids=_name)
def test_python_code_prints_what_it_says(block: Block, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(block.code, encoding="utf-8")
    printed = _run([sys.executable, str(script)], tmp_path)
    if block.output is not None:
        # Only the ellipsis is a wildcard: brackets, stars and question marks stand for themselves.
        pattern = re.sub(r"([\[*?])", r"[\1]", block.output).replace("…", "*")
        assert fnmatch.fnmatchcase(printed, pattern), printed


def test_arrays_without_copies_are_so_on_rustpython(tmp_path: Path) -> None:
    """spec: CARD-05"""
    (block,) = [block for block in PYTHON if "remotemedia.empty(" in block.code]
    script = tmp_path / "script.py"
    where = "print(*((node.runtime, node.fallback) for node in pipeline.explain()))"
    script.write_text(f"{block.code}{where}\n", encoding="utf-8")
    printed = _run([sys.executable, str(script)], tmp_path, REMOTEMEDIA_PYTHON_RUNTIME="rustpython")
    assert printed == f"{block.output}('rustpython', None)\n"


@pytest.mark.parametrize("block", SHELL, ids=_name)
def test_commands_run(block: Block, tmp_path: Path) -> None:
    shutil.copy(RECORDING, tmp_path / "speech.flac")
    printed = _run(["bash", "-euo", "pipefail", "-c", block.code], tmp_path)
    assert printed.strip()


def test_links_lead_somewhere() -> None:
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#:]+)\)", text)
    assert targets
    assert [target for target in targets if not (REPOSITORY / target).exists()] == []
