"""The class `Runtime`, for worker pools with a configuration of their own."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any

from remotemedia._load import native
from remotemedia.core.exceptions import ConfigurationError

if TYPE_CHECKING:
    from remotemedia._native import Runtime as NativeRuntime


class Runtime:
    """Worker pools with their configuration.

    A pipeline uses the default runtime of the process unless another is passed to it::

        with Runtime("runtime.toml") as runtime:
            Pipeline(node, runtime=runtime).run(data)

    Args:
        config: path of a TOML file, or TOML text (recognised by a newline or `=`). None or an empty
            text: the defaults.

    Raises:
        ConfigurationError: a key is unknown, a value is wrong, or the file cannot be read.
    """

    def __init__(self, config: str | os.PathLike[str] | None = None) -> None:
        key = "config" if config is None or _is_toml(config) else "path"
        try:
            self._native: NativeRuntime = native().Runtime(**{key: config})
        except UnicodeEncodeError as error:
            part = error.object[error.start : error.end]
            raise ConfigurationError(
                f"the configuration must be UTF-8 text, but contains {part!r}; for a path that is "
                "not UTF-8, use a symbolic link to it"
            ) from None

    @property
    def native(self) -> NativeRuntime:
        """The native runtime that this object wraps."""
        return self._native

    def workers(self) -> list[dict[str, Any]]:
        """The worker processes, each as a dict with `pid`, `runtime`, `state` and `sessions`."""
        return self._native.workers()

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


def _is_toml(config: str | os.PathLike[str]) -> bool:
    if not isinstance(config, str):
        return False
    return not config.strip() or "\n" in config or "=" in config


__all__ = ["Runtime"]
