"""RemoteMedia: a pipeline of one Python node, held open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from common import Array

import remotemedia
from candidates.face import Call, Unavailable
from remotemedia import Node, Pipeline, Runtime


class PlusOne(Node):
    """The work, as a node."""

    def process(self, data: Array) -> Array:
        """A fresh array."""
        return data + 1


def session(_example: Array) -> AbstractContextManager[Call]:
    """`session.process(x)`, with the defaults of every setting."""
    return _session("")


def asleep(_example: Array) -> AbstractContextManager[Call]:
    """The same, both ends asleep in every wait."""
    return _session("[calls]\nspin = 0\n")


@contextmanager
def _session(config: str) -> Iterator[Call]:
    with Runtime(config) as runtime:
        pipeline = Pipeline("plus one", runtime=runtime)
        pipeline.add_node(PlusOne())
        with pipeline.session() as opened:

            def call(x: Array) -> Array:
                outputs: list[Array] = opened.process(x)
                return outputs[0]

            yield call


def shared(inputs: list[Array]) -> list[Array]:
    """The inputs in memory that the worker can read in place."""
    share = getattr(remotemedia, "asarray_shared", None)
    if share is None:
        raise Unavailable("this version of remotemedia has no asarray_shared")
    return [share(x) for x in inputs]
