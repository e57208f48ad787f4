"""Ray: an actor, arrays through its shared object store."""

# mypy: disable-error-code="import-not-found,import-untyped"
from __future__ import annotations

import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from common import Array

from candidates.face import Call


@contextmanager
def actor(_example: Array) -> Iterator[Call]:
    """`ray.get(actor.plus_one.remote(x))` on a cluster of this machine alone."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # Authentication stays on; with a token of our own, Ray does not write one into the home folder.
    if "RAY_AUTH_TOKEN_PATH" not in os.environ:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    folder = tempfile.mkdtemp(prefix="peers-")
    try:
        ray.init(
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            object_store_memory=512 * 1024 * 1024,
            _temp_dir=folder,
        )

        class PlusOne:
            def plus_one(self, x: Array) -> Array:
                return x + 1

        worker: Any = cast(Any, ray.remote(PlusOne)).remote()
        yield lambda x: ray.get(worker.plus_one.remote(x), timeout=60)
    finally:
        ray.shutdown()
        shutil.rmtree(folder, ignore_errors=True)
