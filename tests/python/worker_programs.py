"""The programs that workers can be, for tests of what they have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from remotemedia import Runtime
from remotemedia.core.caller import this_process

RUSTPYTHON = Path(sys.executable).with_name("remotemedia-rustpython")
PROGRAMS = {"cpython": Path(sys.executable), "rustpython": RUSTPYTHON}


def runtime(program: str, more: str = "") -> Runtime:
    """A runtime whose workers run this program, and no other."""
    chosen = f'[python]\nruntime = "{program}"\n[fallback]\nenabled = false\n'
    return Runtime(f"{chosen}{more}")


@contextmanager
def session(runtime: Runtime, *nodes: str, **options: Any) -> Iterator[Any]:
    """A session over a chain of classes, `module:Class` each, on the runtime's workers."""
    listed = [
        {"id": f"node{number}", "node_type": node, **options} for number, node in enumerate(nodes)
    ]
    edges = [{"from": f"node{n}", "to": f"node{n + 1}"} for n in range(len(nodes) - 1)]
    manifest = {"version": "v1", "nodes": listed, "connections": edges}
    opened = runtime.native.open(
        json.dumps(manifest),
        caller=this_process()._replace(sys_path=[str(Path(__file__).parent), *sys.path]),
    )
    try:
        yield opened
    finally:
        opened.close()
