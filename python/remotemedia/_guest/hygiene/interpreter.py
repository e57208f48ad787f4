"""Rows for process-wide state of the interpreter: limits, hooks, finders, builtins and the like."""

from __future__ import annotations

import builtins
import faulthandler
import gc
import sys
import threading
from typing import Any

from remotemedia._guest import breakpoints, interrupts
from remotemedia._guest.hygiene.row import Row, attributes, of_module

_SYS_HOOKS = ("excepthook", "unraisablehook", "displayhook", "breakpointhook")
_SYS_SWITCHES = ("tracebacklimit", "dont_write_bytecode", "pycache_prefix")


def rows(recorder: int) -> list[Row]:
    """The rows of this module.

    Args:
        recorder: see `rows_of_worker`.
    """

    def watch_for_crashes(_before: None) -> None:
        faulthandler.enable(file=recorder)
        interrupts.record_stacks(recorder)
        faulthandler.cancel_dump_traceback_later()

    found = [
        # First, because a trace function slows down everything that follows.
        Row("trace and profile functions", _traces, _put_back_traces),
        of_module("tracemalloc", "tracemalloc", False, _is_tracing, _stop_tracing),
        Row("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
        Row(
            "digits of an int as text",
            lambda: sys.get_int_max_str_digits(),
            lambda before: sys.set_int_max_str_digits(before),
        ),
        Row("switch interval", sys.getswitchinterval, sys.setswitchinterval),
        Row("stack size of threads", threading.stack_size, threading.stack_size),
        attributes("hooks of sys", sys, _SYS_HOOKS),
        Row("breakpoints", None, breakpoints.forget),
        attributes("threading.excepthook", threading, ("excepthook",)),
        attributes("switches of sys", sys, _SYS_SWITCHES),
        Row("garbage collector", _collector, _put_back_collector),
        Row("faulthandler", None, watch_for_crashes),
        Row("import finders", _finders, _put_back_finders, _has_own_finders),
        Row("builtins", _builtins, _put_back_builtins),
    ]
    if hasattr(sys, "monitoring"):  # since Python 3.12
        found.append(Row("sys.monitoring", _monitoring_tools, _free_monitoring_tools))
    return found


def _traces() -> tuple[Any, ...]:
    return sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()


def _put_back_traces(before: tuple[Any, ...]) -> None:
    trace, profile, trace_of_threads, profile_of_threads = before
    sys.settrace(trace)
    sys.setprofile(profile)
    threading.settrace(trace_of_threads)
    threading.setprofile(profile_of_threads)


def _monitoring_tools() -> list[Any]:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    return [monitoring.get_tool(number) for number in range(6)]


def _free_monitoring_tools(before: list[Any]) -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined, unused-ignore]
    for number, tool in enumerate(before):
        if tool is None and monitoring.get_tool(number) is not None:
            monitoring.set_events(number, 0)
            monitoring.free_tool_id(number)


def _is_tracing(tracemalloc: Any) -> bool:
    return bool(tracemalloc.is_tracing())


def _stop_tracing(tracemalloc: Any, before: bool) -> None:
    if not before:
        tracemalloc.stop()


def _collector() -> tuple[Any, ...]:
    return gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.get_freeze_count(), *gc.callbacks


def _put_back_collector(before: tuple[Any, ...]) -> None:
    is_enabled, threshold, debug, frozen, *callbacks = before
    (gc.enable if is_enabled else gc.disable)()
    gc.set_threshold(*threshold)
    gc.set_debug(debug)
    if not frozen:
        gc.unfreeze()
    gc.callbacks[:] = callbacks


def _finders() -> tuple[list[Any], list[Any]]:
    return [*sys.meta_path], [*sys.path_hooks]


def _has_own_finders(now: tuple[list[Any], list[Any]], before: tuple[list[Any], list[Any]]) -> bool:
    """Whether the finders are those from before in the same order, apart from finders that stay."""
    return now == before or all(
        [each for each in found if each in own or not _stays(each)] == own
        for found, own in zip(now, before, strict=True)
    )


def _put_back_finders(before: tuple[list[Any], list[Any]]) -> None:
    lists: tuple[list[Any], list[Any]] = sys.meta_path, sys.path_hooks
    for found, own in zip(lists, before, strict=True):
        finders = list(own)
        for place, each in enumerate(found):
            if each not in own and _stays(each):
                finders.insert(place, each)
        found[:] = finders


def _stays(finder: Any) -> bool:
    """Whether a finder belongs to a loaded module. It must stay: the module installs its finder
    only once, when it is imported, and its further imports may need it.
    """
    name = getattr(finder, "__module__", None) or ""
    root = name.partition(".")[0]
    is_own = root == "remotemedia" or root in sys.stdlib_module_names
    return not is_own and hasattr(sys.modules.get(name), "__file__")


def _builtins() -> tuple[tuple[str, ...], tuple[Any, ...]]:
    # As tuples, because RustPython needs three times as long to copy and compare dicts.
    found = vars(builtins)
    return tuple(found), tuple(found.values())


def _put_back_builtins(before: tuple[tuple[str, ...], tuple[Any, ...]]) -> None:
    now, own = vars(builtins), dict(zip(*before, strict=True))
    for name in now.keys() - own.keys():
        del now[name]
    now.update(own)
