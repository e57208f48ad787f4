"""The first Python code that runs: makes the embedded package importable and prepares a worker."""

import _imp
import sys
from importlib._bootstrap_external import _LoaderBasics
from importlib.machinery import ModuleSpec

import _remotemedia_embedded as embedded

_ROOT = "<remotemedia-rustpython>/"


class EmbeddedPackage(_LoaderBasics):
    """Finds and loads the embedded modules of `remotemedia`. They take precedence over a copy on
    `sys.path`, which may be of another version.
    """

    def __init__(self):
        self._modules = {name: (path, is_package) for name, path, is_package in embedded.modules()}

    def find_spec(self, name, path=None, target=None):
        """The spec of an embedded module, or None for any other name."""
        if name not in self._modules:
            return None
        path, is_package = self._modules[name]
        spec = ModuleSpec(name, self, origin=_ROOT + path, is_package=is_package)
        spec.has_location = True
        if is_package:
            spec.submodule_search_locations.append(spec.origin.rpartition("/")[0])
        return spec

    def get_code(self, name):
        """The module's code, with the file name that tracebacks show."""
        code = embedded.code(name)
        _imp._fix_co_filename(code, _ROOT + self._modules[name][0])
        return code

    def get_source(self, name):
        """The module's source, for tracebacks and `inspect`."""
        return embedded.source(name)

    def is_package(self, name):
        """Whether the module is a package."""
        return self._modules[name][1]


def install(path):
    """Set `sys.path` and make the embedded package importable before everything on it."""
    sys.path[:] = path
    sys.meta_path.insert(0, EmbeddedPackage())


class Overdue(BaseException):
    """A call has exceeded its deadline. The exception ends the call, and then the worker ends."""


def prepare_worker(recorder):
    """Prepare this process as a worker: load the modules that every session needs, leave Ctrl-C to
    the orchestrator, and have crashes and missed deadlines write the Python stack.

    Args:
        recorder: descriptor of the flight recorder, or None.
    """
    import faulthandler
    import os
    import signal

    import _remotemedia_worker as worker
    from remotemedia._guest import process

    os.environ.pop("REMOTEMEDIA_BLACKBOX_FD", None)
    if worker.ignores_interrupts():
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # replaces the interpreter's own handler
    _start_programs_unblocked()
    attributes = worker.attributes, worker.put_back_attributes
    noted = process.prepare(recorder, worker.end_group, worker.glance, attributes)
    faulthandler.register(signal.SIGIO, file=noted, all_threads=False)
    # The flight recorder's byte 48 says that the stack is complete.
    signal.signal(signal.SIGPWR, lambda *_: _interrupt(lambda: os.pwrite(noted, b"\1", 48)))
    # Registered even if the policy forbids nodes to fork, since the configuration can allow it.
    os.register_at_fork(before=worker.before_fork, after_in_child=worker.after_fork_in_child)


def _start_programs_unblocked():
    """Start other programs with `SIGSTKFLT` unblocked. Here it is blocked for `deadline.rs`."""
    import os
    import posix
    import signal

    import _posixsubprocess

    own = [signal.SIGSTKFLT]

    def unblocked(start):
        def started(*arguments, **named):
            here = os.getpid()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, own)
            try:
                return start(*arguments, **named)
            finally:
                if os.getpid() == here:
                    signal.pthread_sigmask(signal.SIG_BLOCK, own)

        return started

    _posixsubprocess.fork_exec = unblocked(_posixsubprocess.fork_exec)
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp", "system"):
        if hasattr(posix, name):
            start = unblocked(getattr(posix, name))
            for module in (os, posix):
                setattr(module, name, start)


def _interrupt(note):
    try:
        note()
    except OSError:
        pass  # a node has closed the descriptor
    raise Overdue("this call has exceeded its deadline")
