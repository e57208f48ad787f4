"""The class `Runtime`, for worker pools with a configuration of their own, and the functions of
`remotemedia_runtime`.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from remotemedia._lazy import lazy_attributes
from remotemedia._load import native
from remotemedia.core.exceptions import ConfigurationError

if TYPE_CHECKING:
    from remotemedia._native import Runtime as NativeRuntime
    from remotemedia._native import get_available_nodes as get_available_nodes
    from remotemedia._native import get_node_metadata as get_node_metadata
    from remotemedia.runtime.functions import execute_pipeline as execute_pipeline
    from remotemedia.runtime.functions import (
        execute_pipeline_with_input as execute_pipeline_with_input,
    )
    from remotemedia.runtime.functions import get_metrics as get_metrics
    from remotemedia.runtime.functions import validate_manifest as validate_manifest

__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "remotemedia._native": ("__version__", "get_available_nodes", "get_node_metadata"),
        "remotemedia.runtime.detection": ("get_runtime_version", "is_available"),
        "remotemedia.runtime.functions": (
            "execute_pipeline",
            "execute_pipeline_with_input",
            "get_metrics",
            "validate_manifest",
        ),
    },
)


class Runtime:
    """Worker pools with their configuration.

    A pipeline uses the default runtime of the process unless another is passed to it::

        with Runtime("runtime.toml") as runtime:
            Pipeline(node, runtime=runtime).run(data)

    Single settings are keyword arguments, section by section, and stronger than all others::

        Runtime(workers={"max": 8}, calls={"timeout": timedelta(seconds=5)})

    docs/configuration.md lists where else settings come from, and all keys.

    Args:
        config: path of a TOML file, or TOML text (recognised by a newline or `=`). None: the file
            that `REMOTEMEDIA_CONFIG` names, if any.
        settings: sections with their keys, with values as in TOML; durations may be `timedelta`.

    Raises:
        ConfigurationError: a key is unknown, a value is wrong, or the file cannot be read.
    """

    def __init__(
        self, config: str | os.PathLike[str] | None = None, **settings: Mapping[str, object]
    ) -> None:
        with _refusing_surrogates():
            self._native: NativeRuntime = native().Runtime(**_sources(config, settings))

    @property
    def native(self) -> NativeRuntime:
        """The native runtime that this object wraps."""
        return self._native

    def workers(self) -> list[dict[str, Any]]:
        """The worker processes, each as a dict with `pid`, `runtime`, `state` and `sessions`."""
        return self._native.workers()

    def pools(self) -> list[dict[str, Any]]:
        """The pools of workers, each as a dict.

        Its keys: `name`; `runtime`, the interpreter; `min` and `max`; `is_drained` and
        `is_removed`; `workers`, each with `pid`, `state`, `interpreter`, `sessions`, `age` in
        seconds and `memory`, the resident bytes; `waiting`, for how many seconds each waiting
        session has waited, the next one first; `limits`, those of each worker; `warm_hits`,
        `spare_hits` and `misses`, how often a session found a worker that had served before, found
        one that was started ahead, or had to wait for one, by reason; `last_death`, the last worker
        that was not asked to end, with `pid`, `signal`, `exit_code` and `ago` in seconds, or None.
        """
        pools: list[dict[str, Any]] = json.loads(self._native.pools())
        return pools

    def recycle(self, pool: str) -> None:
        """Replace the workers of a pool: idle ones now, others when their sessions end.

        Raises:
            ConfigurationError: there is no such pool.
        """
        self._native.recycle(pool)

    def drain(self, pool: str) -> None:
        """Have a pool refuse new sessions, with `Overloaded`; those that are open go on.

        Raises:
            ConfigurationError: there is no such pool.
        """
        self._native.drain(pool)

    def resume(self, pool: str) -> None:
        """Have a drained pool take sessions again.

        Raises:
            ConfigurationError: there is no such pool.
        """
        self._native.resume(pool)

    def reconfigure(
        self, config: str | os.PathLike[str] | None = None, **settings: Mapping[str, object]
    ) -> dict[str, str]:
        """Change the configuration while the runtime runs, without losing an item.

        The arguments are those of `Runtime`. A path or text takes the place of the earlier one;
        settings are added to the earlier ones. All other sources are read again, so that a call
        without arguments follows changed files.

        Returns:
            The keys that have changed, each with when the new value counts: "at once", "next
            session", "next worker" (`recycle` replaces the workers) or "restart".

        Raises:
            ConfigurationError: as in `Runtime`; then nothing has changed.
        """
        with _refusing_surrogates():
            return dict(self._native.reconfigure(**_sources(config, settings)))

    def shutdown(self) -> None:
        """End all workers. Sessions that are still open fail.

        Idle workers end by themselves and run their `atexit` functions; this does not wait for
        them.
        """
        self._native.shutdown()

    def __enter__(self) -> Runtime:
        """Return the runtime itself."""
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Shut the runtime down."""
        self.shutdown()


def _sources(
    config: str | os.PathLike[str] | None, settings: Mapping[str, Mapping[str, object]]
) -> dict[str, Any]:
    """The arguments of the native runtime."""
    key = "config" if config is None or _is_toml(config) else "path"
    return {key: config, "settings": json.dumps(settings, default=_as_in_toml)}


@contextlib.contextmanager
def _refusing_surrogates() -> Iterator[None]:
    """Raise a ConfigurationError for a text that is not UTF-8."""
    try:
        yield
    except UnicodeEncodeError as error:
        part = error.object[error.start : error.end]
        raise ConfigurationError(
            f"the configuration must be UTF-8 text, but contains {part!r}; for a path that is not "
            "UTF-8, use a symbolic link to it"
        ) from None


def _as_in_toml(value: object) -> object:
    """Return a value of Python as it is written in TOML."""
    if isinstance(value, timedelta):
        return f"{round(value / timedelta(microseconds=1))} us"
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise ConfigurationError(
        f"a {type(value).__name__} is no value of a setting: use text, numbers, True and False, "
        "lists, dicts, paths and timedelta"
    )


def _is_toml(config: str | os.PathLike[str]) -> bool:
    if not isinstance(config, str):
        return False
    return not config.strip() or "\n" in config or "=" in config


__all__ = ["Runtime"]
