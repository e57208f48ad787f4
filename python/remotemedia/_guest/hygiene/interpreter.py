"""Rows for process-wide state of the interpreter: limits, hooks, finders, builtins and the like."""

from __future__ import annotations

import builtins
import faulthandler
import gc
import operator
import sys
import threading
from collections.abc import Callable
from typing import Any

from remotemedia._guest import breakpoints, interrupts
from remotemedia._guest.hygiene.row import Row, attributes, of_module

_STREAMS = ("stdin", "stdout", "stderr", "__stdin__", "__stdout__", "__stderr__")
_SET_BY_SESSIONS = (*_STREAMS, "argv")
"""Attributes of `sys` that have a row of their own, or are set when a session opens."""
_MAIN = ("__main__", "__mp_main__")
"""Names of stand-ins for the caller's script, which each session makes."""
_BOTH = ("numpy",)
"""Modules that workers import as they do those of the standard library."""


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
        # Before the finders, whose lists may have been replaced.
        Row("attributes of sys", _attributes_of_sys, _put_back_attributes_of_sys),
        Row("hooks of generators and coroutines", _coroutine_hooks, _put_back_coroutine_hooks),
        Row("warnoptions", lambda: [*sys.warnoptions], _put_back_warnoptions),
        _StandardModules().row(),
        Row("breakpoints", None, breakpoints.forget),
        attributes("threading.excepthook", threading, ("excepthook", "__excepthook__")),
        Row(
            "name of the thread", lambda: _main.name, lambda before: setattr(_main, "name", before)
        ),
        Row("garbage collector", _collector, _put_back_collector),
        Row("faulthandler", None, watch_for_crashes),
        Row("import finders", _finders, _put_back_finders, _has_own_finders),
        Row("builtins", _builtins, _put_back_builtins),
    ]
    if hasattr(sys, "monitoring"):  # since Python 3.12
        found.append(Row("sys.monitoring", _monitoring_tools, _free_monitoring_tools))
    return found


_main = threading.main_thread()


def _attributes_of_sys() -> dict[str, Any]:
    """What `sys` holds. Its lists and dicts are the same objects for the life of the process, and
    their contents have rows of their own.
    """
    found = dict(vars(sys))
    for name in _SET_BY_SESSIONS:
        found.pop(name, None)
    return found


def _put_back_attributes_of_sys(before: dict[str, Any]) -> None:
    now = vars(sys)
    for name in now.keys() - before.keys() - {*_SET_BY_SESSIONS}:
        del now[name]
    now.update(before)


def _coroutine_hooks() -> tuple[Any, ...]:
    dlopen_flags = getattr(sys, "getdlopenflags", None)
    return (
        *sys.get_asyncgen_hooks(),
        sys.get_coroutine_origin_tracking_depth(),
        None if dlopen_flags is None else dlopen_flags(),
    )


def _put_back_coroutine_hooks(before: tuple[Any, ...]) -> None:
    first_iteration, finalizer, depth, dlopen_flags = before
    sys.set_asyncgen_hooks(first_iteration, finalizer)
    sys.set_coroutine_origin_tracking_depth(depth)
    if dlopen_flags is not None:
        sys.setdlopenflags(dlopen_flags)


def _put_back_warnoptions(before: list[str]) -> None:
    sys.warnoptions[:] = before


_Modules = tuple[tuple[str, ...], tuple[Any, ...], list[str]]
"""Names of modules, the modules, and names of stand-ins."""


class _StandardModules:
    """The entries of `sys.modules` for modules of the standard library and numpy, and the names of
    entries that stand in for one of them. Other entries are not compared: touching every module
    would write to the memory that forked workers share.
    """

    def __init__(self) -> None:
        self._modules = sys.modules
        self._count = 0
        self._names: tuple[str, ...] = ()
        self._get: Callable[[dict[str, Any]], tuple[Any, ...]] = lambda _: ()
        self._stand_ins: list[str] = []

    def row(self) -> Row:
        return Row("modules of the standard library", self._take, self._put_back, self._is_same)

    def _take(self) -> _Modules:
        found = self._modules
        if len(found) != self._count:
            names = [name for name in [*found] if _is_standard(name)]
            self._stand_ins = [name for name in names if _stands_in(found[name])]
            self._names = tuple(name for name in names if name not in self._stand_ins)
            self._get = operator.itemgetter(*self._names)
            self._count = len(found)
        return self._names, self._get(found), self._stand_ins

    @staticmethod
    def _is_same(now: _Modules, before: _Modules) -> bool:
        if now == before:
            return True
        modules = dict(zip(*now[:2], strict=True))
        return now[2] == before[2] and all(
            modules.get(name) is module for name, module in zip(*before[:2], strict=True)
        )

    def _put_back(self, before: _Modules) -> None:
        names, modules, allowed = before
        for name in self._stand_ins:
            if name not in allowed:
                self._modules.pop(name, None)
        self._modules.update(zip(names, modules, strict=True))
        self._count = 0


def _is_standard(name: str) -> bool:
    root = name.partition(".")[0]
    return root not in _MAIN and (root in sys.stdlib_module_names or root in _BOTH)


def _stands_in(module: Any) -> bool:
    """Whether this cannot be a module that was imported: an object that a node has put into
    `sys.modules`, or None, which makes an import fail.
    """
    return getattr(module, "__spec__", None) is None


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
