"""Rows for process-wide state of standard library modules and of numpy. A module that is not loaded
costs nothing.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from remotemedia._guest.hygiene.row import Row, of_module

_DECIMAL = {
    "prec": 28,
    "rounding": "ROUND_HALF_EVEN",
    "Emin": -999999,
    "Emax": 999999,
    "capitals": 1,
    "clamp": 0,
}
_DECIMAL_TRAPS = ("InvalidOperation", "DivisionByZero", "Overflow")

_NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
_NUMPY_PRINTS = {
    "edgeitems": 3,
    "threshold": 1000,
    "precision": 8,
    "suppress": False,
    "linewidth": 75,
    "nanstr": "nan",
    "infstr": "inf",
    "sign": "-",
    "formatter": None,
    "floatmode": "maxprec",
    "legacy": False,
    "override_repr": None,
}
_NUMPY_BUFFER = 8192
"""Elements in the buffer of ufuncs."""
_CSV_LIMIT = 128 << 10
"""Longest field, in characters."""

_DEFAULTS = (
    ("tempfile: names", "tempfile", "template", "tmp"),
    ("urllib opener", "urllib.request", "_opener", None),
    ("gettext domain", "gettext", "_current_domain", "messages"),
)
"""Rows for what functions of a module set for the whole process, or users by custom: name, module,
attribute and its value after the import."""


def rows() -> list[Row]:
    """The rows of this module."""
    found = [
        of_module("decimal", "decimal", None, _decimal, _put_back_decimal)._replace(
            is_same=_has_contexts
        ),
        of_module("random", "random", None, None, _seed_random),
        of_module(
            "numpy: bit generator", "numpy.random", "MT19937", _generator, _put_back_generator
        ),
        of_module("numpy.random", "numpy.random", None, None, _seed_numpy),
        of_module("numpy: buffer size", "numpy", _NUMPY_BUFFER, _buffer, _put_back_buffer),
        of_module("numpy: error state", "numpy", (_NUMPY_ERRORS, None), _errors, _put_back_errors),
        of_module("numpy: print options", "numpy", _NUMPY_PRINTS, _prints, _put_back_prints),
        Row("locale", _locale, _put_back_locale),
        of_module(
            "socket time-out",
            "socket",
            None,
            lambda socket: socket.getdefaulttimeout(),
            lambda socket, before: socket.setdefaulttimeout(before),
        ),
        # Also resets the folder that `tempfile` has chosen, since the next session's environment
        # may name another.
        of_module("tempfile", "tempfile", None, lambda module: module.tempdir, _put_back_folder),
        of_module("asyncio policy", "asyncio.events", None, _policy, _put_back_policy),
        of_module(
            "csv",
            "csv",
            _CSV_LIMIT,
            lambda csv: csv.field_size_limit(),
            lambda csv, before: csv.field_size_limit(before),
        ),
        of_module("ssl", "ssl", True, _verifies, _verify),
        *[_default(*each) for each in _DEFAULTS],
    ]
    if sys.implementation.name == "cpython":  # in other workers `policy` sets the start method
        name = "multiprocessing start method"
        found.append(of_module(name, "multiprocessing.context", None, _method, _put_back_method))
    return found


def _default(name: str, module: str, attribute: str, fresh: Any) -> Row:
    return of_module(
        name,
        module,
        fresh,
        lambda loaded: getattr(loaded, attribute, None),
        lambda loaded, before: setattr(loaded, attribute, before),
    )


def _verifies(ssl: Any) -> bool:
    """Whether HTTPS requests check certificates, as they do unless a node has switched that off."""
    return ssl._create_default_https_context is ssl.create_default_context


def _verify(ssl: Any, before: bool) -> None:
    if before:
        ssl._create_default_https_context = ssl.create_default_context


def _seed_random(random: Any, _before: None) -> None:
    """Seed at random, as in a fresh process. 16 bytes are read; `seed()` would read 2,496 bytes."""
    random.seed(int.from_bytes(os.urandom(16), "little"))


def _seed_numpy(random: Any, _before: None) -> None:
    """Seed at random with 16 bytes; `seed()` takes twenty times as long."""
    random.seed([*os.urandom(16)])


def _generator(random: Any) -> str:
    """The kind of bit generator behind the functions of `numpy.random`."""
    found = getattr(random, "get_bit_generator", None)
    return "MT19937" if found is None else type(found()).__name__


def _put_back_generator(random: Any, before: str) -> None:
    random.set_bit_generator(getattr(random, before)())


def _buffer(numpy: Any) -> int:
    return int(numpy.getbufsize())


def _put_back_buffer(numpy: Any, before: int) -> None:
    numpy.setbufsize(before)


def _decimal(decimal: Any) -> tuple[Any, ...]:
    return _context(decimal.getcontext()), _context(decimal.DefaultContext)


def _context(of: Any) -> tuple[Any, ...]:
    plain = of.prec, of.rounding, of.Emin, of.Emax, of.capitals, of.clamp
    return *plain, of.traps.copy(), of.flags.copy()


def _fresh_context(decimal: Any) -> tuple[Any, ...]:
    flags = dict.fromkeys(decimal.DefaultContext.flags, False)
    traps = {signal: signal.__name__ in _DECIMAL_TRAPS for signal in flags}
    return *_DECIMAL.values(), traps, flags


def _has_contexts(now: tuple[Any, ...], before: tuple[Any, ...] | None) -> bool:
    """Whether both contexts are as before, or as after the import if `before` is None."""
    if before is None:
        before = (_fresh_context(sys.modules["decimal"]),) * 2
    return now == before


def _put_back_decimal(decimal: Any, before: tuple[Any, ...] | None) -> None:
    if before is None:
        before = (_fresh_context(decimal),) * 2
    decimal.setcontext(decimal.Context())
    for context, wanted in zip((decimal.getcontext(), decimal.DefaultContext), before, strict=True):
        *values, traps, flags = wanted
        for name, value in zip(_DECIMAL, values, strict=True):
            setattr(context, name, value)
        context.traps.update(traps)
        context.flags.update(flags)


def _errors(numpy: Any) -> tuple[dict[str, str], Any]:
    return numpy.geterr(), numpy.geterrcall()


def _put_back_errors(numpy: Any, before: tuple[dict[str, str], Any]) -> None:
    errors, call = before
    numpy.seterrcall(call)
    numpy.seterr(**errors)


def _prints(numpy: Any) -> dict[str, Any]:
    options: dict[str, Any] = numpy.get_printoptions()
    return {name: options.get(name) for name in _NUMPY_PRINTS}


def _put_back_prints(numpy: Any, before: dict[str, Any]) -> None:
    known = numpy.get_printoptions()  # older versions have fewer
    numpy.set_printoptions(**{name: before[name] for name in before if name in known})


def _locale() -> str:
    import _locale

    return _locale.setlocale(_locale.LC_ALL, None)


def _put_back_locale(before: str) -> None:
    import _locale

    _locale.setlocale(_locale.LC_ALL, before)


def _put_back_folder(tempfile: Any, before: str | None) -> None:
    tempfile.tempdir = before


def _policy(events: Any) -> Any:
    """The event loop policy that a node has set, or to which it has given an event loop; None for
    one as `asyncio` makes it.
    """
    policy: Any = getattr(events, "_event_loop_policy", None)
    if type(policy).__module__ != "asyncio.unix_events":
        return policy
    own = policy._local
    has_been_set = getattr(own, "_loop", None) is not None or getattr(own, "_set_called", False)
    return policy if has_been_set else None


def _put_back_policy(events: Any, before: Any) -> None:
    events.set_event_loop_policy(before)


def _method(context: Any) -> Any:
    return context._default_context._actual_context


def _put_back_method(context: Any, before: Any) -> None:
    context._default_context._actual_context = before
