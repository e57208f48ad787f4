"""Pickles that any interpreter may open: no code inside, but source where it is needed.

What the other side can import travels by reference. Classes and functions that it cannot travel as
the lines that define them, with what these refer to in their module, and no more: the caller's
script never runs again. Values of a module travel as they are now. What cannot be expressed so is
an error that names it and the way out.

`source` and `names` read source, `plan` decides what goes along and in which order, `parts` and
`inner` say how, `writing` pickles. The other side is `opening`, with `values`; it imports by
`imports`, and what a module gives whose import fails is in `partial`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remotemedia._lazy import lazy_attributes

if TYPE_CHECKING:
    from remotemedia._portable.plan import UnportableError
    from remotemedia._portable.writing import PortableShipment, dump_into, dumps

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "remotemedia._portable.plan": ("UnportableError",),
        "remotemedia._portable.writing": ("PortableShipment", "dump_into", "dumps"),
    },
)

__all__ = ["PortableShipment", "UnportableError", "dump_into", "dumps"]
