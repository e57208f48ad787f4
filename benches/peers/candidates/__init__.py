"""Every way to have `y = x + 1` done by another process; `ALL` lists them in the table's order.

A candidate is a context manager: entering starts its process, what it gives is called once for each
array, and leaving ends everything that was started, also after an error.
"""

from __future__ import annotations

from candidates import (
    by_hand,
    floor,
    with_dora,
    with_iceoryx2,
    with_pools,
    with_ray,
    with_remotemedia,
    with_zmq,
)
from candidates.face import Candidate

ALL: tuple[Candidate, ...] = (
    Candidate("echo", "socketpair echo of 3,840 bytes, Python", floor.echo, expected=floor.frame),
    Candidate("c-echo", "socketpair echo of 3,840 bytes, C", floor.c_echo, times_itself=True),
    Candidate("in-process", "in process, no isolation", floor.in_process),
    Candidate("pipe", "hand-made: Pipe and SharedMemory", by_hand.pipe),
    Candidate("remotemedia", "RemoteMedia", with_remotemedia.session),
    Candidate(
        "remotemedia-shared",
        "RemoteMedia, input in shared memory",
        with_remotemedia.session,
        prepare=with_remotemedia.shared,
    ),
    Candidate("remotemedia-asleep", "RemoteMedia, never awake", with_remotemedia.asleep),
    Candidate("iceoryx2", "iceoryx2", with_iceoryx2.publish_subscribe),
    Candidate("zmq", "pyzmq, PAIR over ipc://", with_zmq.pair),
    Candidate("executor", "ProcessPoolExecutor", with_pools.executor),
    Candidate("loky", "loky", with_pools.loky),
    Candidate("dora", "dora-rs", with_dora.dataflow, daemon=True, times_itself=True),
    Candidate("ray", "Ray", with_ray.actor, daemon=True),
)

__all__ = ["ALL", "Candidate"]
