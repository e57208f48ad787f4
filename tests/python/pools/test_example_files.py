"""Every file in config/examples is loaded and runs a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from pool_nodes import Small
from remotemedia import Pipeline, Runtime

EXAMPLES = sorted((Path(__file__).parents[3] / "config" / "examples").glob("*.toml"))


@pytest.mark.rustpython
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_its_pools(path: Path) -> None:
    """spec: CARD-09"""
    with Runtime(path) as runtime:
        names = [pool["name"] for pool in runtime.pools() if pool["name"] != "rustpython"]
        for name in names:
            wanted = None if name == "cpython" else name
            assert Pipeline(Small(), pool=wanted, runtime=runtime).run(3).endswith("python 3")
        used = [pool["name"] for pool in runtime.pools() if pool["workers"]]
        assert used == names


def test_the_guide_for_operators_names_every_example() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "operators.md").read_text()
    assert [path.name for path in EXAMPLES if f"`{path.name}`" not in guide] == []
    assert len(EXAMPLES) >= 4
