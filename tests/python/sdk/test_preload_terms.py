"""`preload` in a map: in the pool, with the interpreter and the deadline of its node."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import pytest

from remotemedia import Node, NodeTimeout, Pipeline, Runtime

POOLS = '[pools.gpu]\nnodes = ["*:Model"]\nenvironment = { DEVICE = "0" }\n'


class Model(Node):
    def preload(self) -> None:
        self.made = (os.environ.get("DEVICE"), sys.implementation.name)

    def process(self, _item: Any) -> Any:
        return self.made


class Hangs(Node):
    def preload(self) -> None:
        time.sleep(60)

    def process(self, item: Any) -> Any:
        return item


def test_in_the_pool_that_names_its_class() -> None:
    """spec: CARD-09"""
    with Runtime(POOLS) as runtime:
        pipeline = Pipeline(Model(), runtime=runtime)
        for _ in range(2):
            assert pipeline.run(1) == ("0", "cpython")
            assert list(pipeline.map([1])) == [("0", "cpython")]


@pytest.mark.rustpython
@pytest.mark.parametrize("where", ["node", "pipeline"])
def test_on_its_interpreter(where: str) -> None:
    """spec: CARD-07"""
    if where == "node":
        pipeline = Pipeline(Model(runtime_hint="rustpython"))
    else:
        pipeline = Pipeline(Model(), runtime="rustpython")
    assert list(pipeline.map([1])) == [pipeline.run(1)] == [(None, "rustpython")]


def test_by_its_deadline() -> None:
    """spec: CARD-08"""
    pipeline = Pipeline(Hangs(timeout_ms=300))
    with pytest.raises(NodeTimeout, match="300 ms"):
        list(pipeline.map([1]))
