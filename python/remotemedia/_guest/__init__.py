"""What calls nodes in a worker, whatever interpreter it hosts. Standard library only.

The session loop around it (messages, credit, order) is native; it makes one `Guest` and steps the
calls of its stages. How a node is called is in `calling` and `streams`, how it is made in
`loading`, what goes back when a session closes in `state`.
"""

from __future__ import annotations

from remotemedia._guest.faults import Fault
from remotemedia._guest.session import DONE, LAST, OUTPUT, Guest

__all__ = ["DONE", "LAST", "OUTPUT", "Fault", "Guest"]
