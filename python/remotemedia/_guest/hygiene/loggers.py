"""Rows for the state of `logging` and `warnings`."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from remotemedia._guest.hygiene.row import Row, attributes

_State = tuple[int, bool, bool, tuple[Any, ...], tuple[Any, ...]]

_MODULE = (
    "lastResort",
    "raiseExceptions",
    "_loggerClass",
    "_logRecordFactory",
    "root",
    "_srcfile",
    "logThreads",
    "logMultiprocessing",
    "logProcesses",
    "logAsyncioTasks",
)
_MANAGER = ("loggerClass", "logRecordFactory")
_LEVELS: Any = (vars(logging)["_levelToName"], vars(logging)["_nameToLevel"])
"""Both directions of the names of levels."""


def rows() -> list[Row]:
    """The rows of this module."""
    filters: Any = warnings.filters

    def put_back_filters(before: tuple[Any, ...]) -> None:
        # `catch_warnings` replaces the list, so put the original list object back.
        warnings.filters = filters
        warnings.resetwarnings()  # invalidates the modules' registries of shown warnings
        filters[:] = before

    return [
        Row("logging: captureWarnings", _captures, logging.captureWarnings),
        Row("logging: loggers", _loggers, _put_back_loggers),
        Row("logging: disable", lambda: logging.root.manager.disable, logging.disable),
        attributes("logging: defaults", logging, _MODULE),
        attributes("logging: defaults of its manager", logging.root.manager, _MANAGER),
        Row("logging: names of levels", lambda: [dict(each) for each in _LEVELS], _put_back_levels),
        attributes("warnings: hooks", warnings, ("showwarning", "formatwarning")),
        Row("warnings: filters", lambda: tuple(warnings.filters), put_back_filters),
    ]


def _put_back_levels(before: list[dict[Any, Any]]) -> None:
    for found, own in zip(_LEVELS, before, strict=True):
        found.clear()
        found.update(own)


def _captures() -> bool:
    return getattr(logging, "_warnings_showwarning", None) is not None


def _loggers() -> dict[logging.Logger, _State]:
    """The root logger, and all loggers whose settings differ from those of a new logger."""
    found: dict[logging.Logger, _State] = {logging.root: _state(logging.root)}
    for logger in [*logging.root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger) and (
            logger.level
            or logger.handlers
            or logger.filters
            or logger.disabled
            or not logger.propagate
        ):
            found[logger] = _state(logger)
    return found


def _state(logger: logging.Logger) -> _State:
    return (
        logger.level,
        logger.propagate,
        logger.disabled,
        tuple(logger.handlers),
        tuple(logger.filters),
    )


_FRESH: _State = (logging.NOTSET, True, False, (), ())


def _put_back_loggers(before: dict[logging.Logger, _State]) -> None:
    for logger in {*before, *_loggers()}:
        level, propagates, is_disabled, handlers, filters = before.get(logger, _FRESH)
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagates, is_disabled
        logger.handlers[:], logger.filters[:] = handlers, filters
