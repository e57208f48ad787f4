"""RemoteMedia: a pipeline of one Python node, held open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from common import Array

import remotemedia
from candidates.face import Call, Unavailable
from remotemedia import Node, Pipeline, Runtime


class PlusOne(Node):
    """The work, as a node."""

    def process(self, data: Array) -> Array:
        """A fresh array."""
        return data + 1


@contextmanager
def session(_example: Array) -> Iterator[Call]:
    """`session.process(x)`, with the defaults of every setting."""
    with Runtime() as runtime:
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
