"""The node of the dora dataflow that does the work."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import pyarrow
from dora import Node

node = Node()
for event in node:
    if event["type"] == "INPUT":
        node.send_output("y", pyarrow.array(event["value"].to_numpy() + 1))
    elif event["type"] == "STOP":
        break
