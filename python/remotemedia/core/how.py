"""How a pipeline runs: the keyword arguments that runs, sessions and streams have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from remotemedia._load import native

if TYPE_CHECKING:
    from remotemedia._native import Runtime
    from remotemedia.core import capturing


class How(TypedDict, total=False):
    """See `Pipeline.run`."""

    runtime: str | None
    fallback: bool | None
    wait: bool
    debug: bool | None
    capture: capturing.Option


def checked(how: Any) -> dict[str, Any]:
    """The arguments, unless one is wrong.

    Raises:
        TypeError: an argument is not known.
        ConfigurationError: the interpreter is not known.
    """
    unknown = sorted(how.keys() - How.__annotations__.keys())
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    if how.get("runtime") is not None:
        known(how["runtime"])
    return {**how}


def known(interpreter: str) -> str:
    """Check the name of an interpreter and return it.

    Raises:
        ConfigurationError: the name is unknown; the message lists the known names.
    """
    native().check_runtime(interpreter)
    return interpreter


def is_debugged(debug: bool | None) -> bool:
    """Whether crossings are logged; None leaves that to REMOTEMEDIA_DEBUG."""
    is_it: bool = native().is_debugging() if debug is None else debug
    return is_it


def opener(runtime: Runtime, debug: bool) -> Any:
    """The function that opens a session on a runtime."""
    if not debug:
        return runtime.open
    from remotemedia.core import debugging

    return debugging.opener(runtime.open)


def captures(option: capturing.Option, nodes: dict[str, Any]) -> capturing.Captures | None:
    """The captures of a session with these nodes, by id; see `capturing.captures`."""
    if option is None:
        return None
    from remotemedia.core import capturing

    return capturing.captures(option, nodes)


__all__ = ["How", "captures", "checked", "is_debugged", "known", "opener"]
