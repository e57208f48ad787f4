"""The code that calls nodes in a worker, the same for every interpreter. It uses only the standard
library.

The session loop around it (messages, credit, order) is native. It makes one `Guest` and steps the
calls of its stages. `calling` and `streams` call a node, `loading` makes one, and `state` finds the
attributes that are sent back when a session closes.
"""

from __future__ import annotations

from remotemedia._guest.faults import Fault
from remotemedia._guest.session import DONE, LAST, OUTPUT, Guest

__all__ = ["DONE", "LAST", "OUTPUT", "Fault", "Guest"]
