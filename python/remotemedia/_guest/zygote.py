"""The zygote: a process that has imported what workers need, and forks them on request.

It runs no node and has one thread, so that each child is a process like any other. `serve` returns
in the children. The messages are described in `orchestrator/src/worker/zygote/message.rs`.
"""

from __future__ import annotations

import _socket
import contextlib
import gc
import importlib
import os
import sys
import threading
from collections.abc import Iterable

from remotemedia._guest import injected, modules, resolution, surroundings
from remotemedia._guest.hygiene import system

FORMAT = 2
"""Of the messages; `message.rs` has it too."""

_HYGIENE = ("interpreter", "libraries", "loggers", "streams", "system")
_OWN = ("process", "session", *(f"hygiene.{name}" for name in _HYGIENE))
_LONGEST_REQUEST = 1 << 18
_CLOSE_ON_EXEC = 0x40000000  # MSG_CMSG_CLOEXEC, which `_socket` names only in some versions
_INT_BYTES = 4
_GIVEN = 4


class _Files:
    """What a loaded module depends on: a zygote forks no worker once it has changed."""

    def __init__(self) -> None:
        self.modules = modules.LoadedModules()
        folders = [e for e in sys.path if e.endswith(("site-packages", "dist-packages"))]
        # A package that is installed, or removed, changes its folder.
        self._folders = {folder: _changed_at(folder) for folder in folders}

    def note(self) -> None:
        """Record the loaded modules."""
        self.modules.note()
        self.modules.take_fresh()

    def changed(self) -> str | None:
        """A file or folder that is not as it was, or None."""
        for folder, before in self._folders.items():
            if _changed_at(folder) != before:
                return folder
        return self.modules.changed()


def serve(version: str) -> tuple[str, int]:
    """Serve the orchestrator at descriptor 0 until it closes the connection.

    Args:
        version: of the package.

    Returns:
        In each forked worker, the number of the descriptor of its flight recorder, and the process
        id of the orchestrator.

    Raises:
        SystemExit: in the zygote, when the connection has closed.
    """
    for name in _OWN:
        importlib.import_module(f"remotemedia._guest.{name}")
    system.load()
    link = _socket.socket(fileno=os.dup(0))
    _say(link, f"zygote {FORMAT} {version}")
    files = _Files()
    orchestrator = os.getppid()
    while True:
        request, given = _next(link)
        word, *words = request.split()
        if word == "import":
            _import_all(link, words)
            files.note()
            resolution.at_start = resolution.LoadedFrom()
            resolution.at_start.remember(sys.path)
            modules.at_start = files.modules
            surroundings.caller = lambda: orchestrator
            sys.stdout.flush()  # what was printed is not to be printed by each child
            sys.stderr.flush()
            gc.collect()  # all is old then, and young collections of the children leave it alone
            _say(link, "ready")
        elif word == "reap":
            _reap(link, int(words[0]))
        elif word == "fork":
            child = _fork(link, files, given)
            if child == 0:
                return _become_worker(link, given, int(words[0])), orchestrator
            for descriptor in given:
                os.close(descriptor)
        else:
            sys.exit(f"{word} is no request to a zygote")


def _say(link: _socket.socket, text: str, descriptor: int | None = None) -> None:
    rights: list[tuple[int, int, bytes]] = []
    if descriptor is not None:
        number = descriptor.to_bytes(_INT_BYTES, sys.byteorder)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, number)]
    link.sendmsg([text.encode(errors="replace")[:4000]], rights)


def _next(link: _socket.socket) -> tuple[str, list[int]]:
    space = _socket.CMSG_SPACE(_GIVEN * _INT_BYTES)
    packet, rights, _, _ = link.recvmsg(_LONGEST_REQUEST, space, _CLOSE_ON_EXEC)
    if not packet:
        # Its workers go on, and what they need of it they have.
        os._exit(0)
    numbers = b"".join(data for _, _, data in rights)
    places = range(0, len(numbers), _INT_BYTES)
    given = [int.from_bytes(numbers[at : at + _INT_BYTES], sys.byteorder) for at in places]
    return packet.decode(), given


def _import_all(link: _socket.socket, names: Iterable[str]) -> None:
    """Import modules. One that leaves something behind that a fork would share or lose ends this
    process: nothing undoes an import.
    """
    injected.install(os.environ.get("REMOTEMEDIA_INJECT_MODULES", ""))
    own, path = _descriptors(), list(sys.path)
    for name in names:
        if name in sys.modules:
            continue
        try:
            importlib.import_module(name)
        except BaseException:  # a worker that needs it reports why
            continue
        left = _left(own)
        if left:
            _say(link, f"left {name} {left}")
            os._exit(0)
    sys.path[:] = path


def _left(own: set[int]) -> str:
    """What imports have left in this process beside modules and files, in words; empty if none."""
    found = []
    _settle()
    if (threads := _thread_count()) > 1:
        found.append(f"{threads - 1} threads")
    if _has_children():
        found.append("child processes")
    for descriptor in _descriptors() - own:
        with contextlib.suppress(OSError):  # the one that listed them
            target = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115
            if not target.startswith("/") or target.startswith("/memfd:"):
                found.append(target.partition(":")[0].lstrip("/"))
    return ", ".join(found)


def _thread_count() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208


def _descriptors() -> set[int]:
    return {int(name) for name in os.listdir("/proc/self/fd")}  # noqa: PTH208


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _settle() -> None:
    """Have libraries end their threads that do so before a fork, as OpenBLAS does."""
    if _thread_count() == 1:
        return
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    # The kernel forgets a thread a moment after it has been joined.
    for _ in range(1000):
        if _thread_count() == 1:
            return
        os.sched_yield()


def _fork(link: _socket.socket, files: _Files, given: list[int]) -> int:
    """Fork a worker, and say so. Returns 0 in the child."""
    changed = files.changed()
    if changed is not None:
        _say(link, f"stale {changed}")
        return -1
    if len(given) != _GIVEN:
        _say(link, f"failed {len(given)} descriptors came")
        return -1
    if _thread_count() > 1:
        _say(link, "failed it has several threads")
        return -1
    try:
        child = os.fork()
    except OSError as problem:
        _say(link, f"failed {problem}")
        return -1
    if child != 0:
        with contextlib.suppress(OSError):
            os.setpgid(child, child)
        try:
            pidfd = os.pidfd_open(child)
        except OSError as problem:
            os.kill(child, 9)
            os.waitpid(child, 0)
            _say(link, f"failed {problem}")
            return -1
        _say(link, f"forked {child}", pidfd)
        os.close(pidfd)
    return child


def _become_worker(link: _socket.socket, given: list[int], mark: int) -> str:
    """Make the forked child what a process is that was started as a worker.

    Args:
        link: of the zygote.
        given: descriptors.
        mark: see `ipc-protocol/src/kin.rs`.
    """
    link.close()
    os.setpgid(0, 0)
    system.set_mark(mark)
    for place, descriptor in enumerate(given[:3]):
        os.dup2(descriptor, place)
        os.close(descriptor)
    del sys.orig_argv[-1]  # "zygote"
    threading.main_thread()._set_native_id()  # type: ignore[attr-defined]  # Python keeps the old one
    random = sys.modules.get("numpy.random")
    if random is not None:  # `random` reseeds itself
        random.seed([*os.urandom(16)])
    return str(given[3])


def _reap(link: _socket.socket, child: int) -> None:
    try:
        _, status, usage = os.wait4(child, 0)
    except ChildProcessError:
        _say(link, f"lost {child}")
        return
    if os.WIFSIGNALED(status):
        word = "core" if os.WCOREDUMP(status) else "signal"
        _say(link, f"{word} {child} {os.WTERMSIG(status)} {usage.ru_maxrss}")
    else:
        _say(link, f"code {child} {os.WEXITSTATUS(status)} {usage.ru_maxrss}")


def _changed_at(folder: str) -> int | None:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116
    except OSError:
        return None


__all__ = ["FORMAT", "serve"]
