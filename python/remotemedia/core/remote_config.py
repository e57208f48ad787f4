"""The address of another machine for a node. It is checked, but remote execution is not
available.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from remotemedia.core.exceptions import ConfigurationError, RemoteMediaError


@dataclass
class RemoteExecutorConfig:
    """Address of a remote executor.

    Args:
        host: name or address.
        port: 1 to 65535.
        protocol: "grpc" or "http".
        auth_token: token to send with each call.
        timeout: seconds until a call fails.
        max_retries: how often a failed call is repeated.
        ssl_enabled: whether the connection is encrypted.
        pip_packages: packages that the node needs on the other machine.

    Raises:
        ConfigurationError: protocol, port or timeout is invalid.
    """

    host: str
    port: int
    protocol: str = "grpc"
    auth_token: str | None = None
    timeout: float = 30.0
    max_retries: int = 3
    ssl_enabled: bool = True
    pip_packages: list[str] | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.protocol not in ("grpc", "http"):
            raise ConfigurationError(f'protocol must be "grpc" or "http", not {self.protocol!r}')
        if not 1 <= self.port <= 65535:
            raise ConfigurationError(f"port must be 1 to 65535, not {self.port}")
        if self.timeout <= 0:
            raise ConfigurationError(f"timeout must be positive (seconds), not {self.timeout}")

    def __call__(self, node: Any, **kwargs: Any) -> Any:
        """Not available: raises RemoteMediaError."""
        raise RemoteMediaError(
            "remote execution is not supported: add the node itself to the pipeline instead",
            operation="plan",
        )


__all__ = ["RemoteExecutorConfig"]
