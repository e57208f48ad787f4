"""Explains why a module could not be imported.

A finder at the end of `sys.meta_path` notes the names that no other finder found. It never raises,
so `try: import x` and probes of the import system work as usual. An ImportError is examined only
when a node raises it, together with its causes: packages wrap the error of their own C extension.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from remotemedia._guest.policy import WAY_OUT, Blocked
from remotemedia.audio import is_view

_EXTENSIONS = (".so", ".pyd")

# Packages that do not work without their C extension. The name is needed because some raise an
# error of their own, or have a Python file in place of the extension.
_NATIVE_NAMES = (
    "numpy scipy pandas torch torchaudio tensorflow jax jaxlib sklearn numba llvmlite cupy cv2 av "
    "pyarrow polars ray zmq grpc soxr samplerate soundfile sounddevice pyaudio webrtcvad "
    "pydantic_core rpds cryptography lxml PIL matplotlib h5py onnxruntime ctranslate2 cffi "
    "_cffi_backend uvloop orjson greenlet gevent psycopg2 regex tokenizers safetensors"
)
NATIVE_PACKAGES = frozenset(_NATIVE_NAMES.split())

# Standard library modules that this interpreter may lack, with advice on what to use instead.
_MISSING_STDLIB = {
    "ssl": "it has no TLS",
    "sqlite3": "it has no SQLite",
    "audioop": "removed in Python 3.13; use array, or AudioView's own operations",
    "tracemalloc": "use gc or resource",
    "cProfile": "use profile",
    "curses": "workers have no terminal",
    "tkinter": "workers have no display",
    "readline": "workers have no terminal",
    "imp": "removed in Python 3.12; use importlib",
    "distutils": "removed in Python 3.12; setuptools has it",
    "asynchat": "removed in Python 3.12; use asyncio",
    "asyncore": "removed in Python 3.12; use asyncio",
    "smtpd": "removed in Python 3.12",
    "cgi": "removed in Python 3.13",
    "pipes": "removed in Python 3.13; use subprocess",
    "sndhdr": "removed in Python 3.13",
    "telnetlib": "removed in Python 3.13",
}

# C extensions of the standard library, and the module that a user imports for each.
_PART_OF = {"_ssl": "ssl", "_sqlite3": "sqlite3", "_lsprof": "cProfile", "_curses": "curses"}
_PART_OF["_tkinter"] = "tkinter"

_PART_OF_NUMPY = (
    f"arrays are AudioViews here, which have a part of what numpy's arrays have; {WAY_OUT}"
)
_OWN_RUST_PART = "remotemedia._native"
_NATIVE_NODES_ELSEWHERE = (
    "RustPython workers carry no native nodes; the orchestrator runs the node natively unless it "
    f"is subclassed or hinted; {WAY_OUT}"
)
_IS_CPYTHON = sys.implementation.name == "cpython"


class Guard:
    """A finder behind all others that notes names which they have not found.

    Attributes:
        missing: for each name that was not found the searched path (None: `sys.path`).
        wanted: for each importing module the last name that was not found for it.
    """

    def __init__(self) -> None:
        self.missing: dict[str, list[str] | None] = {}
        self.wanted: dict[str, str] = {}

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> None:
        """Note the name, and return None."""
        self.missing[name] = list(path) if path is not None else None
        asking: Any = sys._getframe(1)
        while asking is not None and _is_of_import_system(asking.f_globals):
            asking = asking.f_back
        if asking is not None:
            self.wanted[str(asking.f_globals.get("__name__"))] = name


def _is_of_import_system(namespace: dict[str, Any]) -> bool:
    return str(namespace.get("__name__")).partition(".")[0] in ("importlib", "_frozen_importlib")


_guard = Guard()


def install() -> None:
    """Install a new `Guard`, which replaces an earlier one."""
    global _guard
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, Guard)]
    _guard = Guard()
    sys.meta_path.append(_guard)


def explain(error: BaseException) -> dict[str, Any] | None:
    """Explain an error that comes from a failed import.

    Returns:
        None if the error does not come from an import. Else a dict with `module`, `root_package`,
        `reason` ("c_extension", "stdlib_missing", "not_installed", "blocked" or "unsupported"),
        `path` (of a C extension that cannot be loaded, or ""), `suggestion`, `is_told` (the error's
        own message contains the suggestion) and `nearest` (the installed module that may be meant,
        or "").
    """
    first: BaseException | None = error
    seen: set[int] = set()  # `raise error from error` makes a circle
    while first is not None and not isinstance(first, ImportError):
        seen.add(id(first))
        first = None if id(first.__cause__) in seen else first.__cause__
    if first is None:
        return _of_part_of_numpy(error)
    failed = [e for e in _causes(first) if isinstance(e, ImportError)]
    found = [about for e in failed if (about := _explain_one(e)) is not None]
    if found and isinstance(error, Blocked):
        found[0]["is_told"] = True
    for reason in ("blocked", "c_extension", "stdlib_missing", "not_installed"):
        for about in found:
            if about["reason"] == reason:
                return about
    return None


def _of_part_of_numpy(error: BaseException) -> dict[str, Any] | None:
    """Explain an error of code that uses an `AudioView` like an array of numpy."""
    if _IS_CPYTHON:
        return None
    lacks = getattr(error, "remotemedia_lacks", None)  # set on exceptions that a view raises
    if lacks != "numpy" and not (isinstance(error, AttributeError) and is_view(error.obj)):
        return None
    return _about("numpy", "numpy", "unsupported", "", _PART_OF_NUMPY)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, its causes and contexts, and theirs."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        one = waiting.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [one.__cause__, one.__context__]


def _explain_one(error: ImportError) -> dict[str, Any] | None:
    module = error.name or _missed_by(error)
    if module is None:
        return None
    module = _PART_OF.get(module, module)
    root = module.partition(".")[0]
    if isinstance(error, Blocked):
        return _about(module, root, "blocked", "", error.instead)
    compiled = _compiled_file(module) or _compiled_part(module)
    if not _IS_CPYTHON and module == _OWN_RUST_PART:
        return _about(module, root, "c_extension", compiled, _NATIVE_NODES_ELSEWHERE)
    is_native = root in NATIVE_PACKAGES
    if not _IS_CPYTHON and (compiled or is_native):
        return _about(
            module,
            root,
            "c_extension",
            compiled,
            f"{root} needs a C extension, which this interpreter cannot load; {WAY_OUT}",
        )
    if not isinstance(error, ModuleNotFoundError):
        return None
    is_ours = root == module or not nearest_module(module)
    if root in _MISSING_STDLIB or (root in sys.stdlib_module_names and is_ours):
        instead = _MISSING_STDLIB.get(root, "it is not part of this interpreter")
        way = "" if _IS_CPYTHON else f"; {WAY_OUT}"
        return _about(module, root, "stdlib_missing", "", f"{instead}{way}")
    near = nearest_module(module)
    near = "" if near is None or near == module else near
    return {
        **_about(module, root, "not_installed", "", _advice(module, near)),
        "nearest": near,
    }


def _about(module: str, root: str, reason: str, path: str, suggestion: str) -> dict[str, Any]:
    return {
        "module": module,
        "root_package": root,
        "reason": reason,
        "path": path,
        "suggestion": suggestion,
        "is_told": False,
        "nearest": "",
    }


def _missed_by(error: ImportError) -> str | None:
    """The module that was probably missing for an error that names none: the native package to
    which the raising code belongs, or the last module that the code failed to import.
    """
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    raising = "" if last is None else str(last.tb_frame.f_globals.get("__name__"))
    root = raising.partition(".")[0]
    return root if root in NATIVE_PACKAGES else _guard.wanted.get(raising)


def _compiled_file(module: str) -> str:
    """Path of a C extension for this module in a folder that was searched, or ""."""
    tail = module.rpartition(".")[2]
    searched = _guard.missing.get(module)
    folders: list[str] = list(searched if searched is not None else sys.path)
    if searched is None and "." in module:
        parent = sys.modules.get(module.rpartition(".")[0])
        folders = list(getattr(parent, "__path__", ()))
    for folder in folders:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208  (workers start without pathlib)
        except OSError:
            continue
        for name in names:
            if name.startswith(f"{tail}.") and name.endswith(_EXTENSIONS):
                return f"{folder}/{name}"
    return ""


def _compiled_part(module: str) -> str:
    """Path of a C extension for a submodule of this package that no finder found, or ""."""
    parts = (name for name in list(_guard.missing) if name.startswith(f"{module}."))
    return next((file for name in parts if (file := _compiled_file(name))), "")


def _advice(module: str, near: str) -> str:
    meant = f"did you mean {near!r}? " if near else ""
    root = module.partition(".")[0]
    if root != module and root in sys.modules:
        return f"{meant}{root} has no such module"
    return f"{meant}the module is searched on the caller's sys.path: pip install {root} there"


def nearest_module(name: str) -> str | None:
    """The installed module whose name is most similar, or None if no name is similar."""
    import difflib  # imported late: only failures need it
    import pkgutil

    parent, _, last = name.rpartition(".")
    package = sys.modules.get(parent)
    path = getattr(package, "__path__", None) if parent else None
    if parent and path is None:
        return None
    try:
        siblings = {info.name for info in pkgutil.iter_modules(path)}
    except Exception:  # go on without suggestions
        siblings = set()
    if not parent:
        siblings |= {"numpy", "scipy", "pandas", "torch"}  # suggested even if not installed
    others = set() if parent else sys.stdlib_module_names - siblings
    near: list[str] = []
    for names in (siblings, others):  # installed packages first, then the standard library
        near += difflib.get_close_matches(last, sorted(names), n=1, cutoff=0.6)
    if not near:
        return None
    best = max(near, key=lambda name: difflib.SequenceMatcher(None, last, name).ratio())
    return f"{parent}.{best}" if parent else best
