"""The node of the dora dataflow that calls the other one, in turns that `with_dora` orders."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import os
import sys
from multiprocessing.connection import Client
from pathlib import Path

import pyarrow
from dora import Node

sys.path.insert(0, str(Path(__file__).parents[1]))

from common import Array, distinct_inputs
from turns import turn

from candidates.face import plus_one

node = Node()


def call(x: Array) -> Array:
    """`send_output`, then `next` until the answer is there."""
    node.send_output("x", pyarrow.array(x))
    event = node.next(timeout=20.0)
    if event is None or event["type"] != "INPUT":
        raise RuntimeError(f"instead of an answer: {event}")
    y: Array = event["value"].to_numpy()
    return y


inputs = distinct_inputs(int(os.environ["PEERS_SAMPLES"]))
expected = [plus_one(x) for x in inputs]
with Client(os.environ["PEERS_ADDRESS"], "AF_UNIX") as orders:
    while True:
        try:
            seconds = orders.recv()
        except EOFError:
            break
        try:
            orders.send(turn(call, inputs, expected, seconds))
        except Exception as error:
            orders.send(str(error))
