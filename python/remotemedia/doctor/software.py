"""What is installed and configured: versions, Pythons, packages, configuration, environment."""

from __future__ import annotations

import difflib
import importlib.metadata
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator

import remotemedia
from remotemedia._load import native
from remotemedia.core.exceptions import ConfigurationError, RemoteMediaError, WorkerStartError
from remotemedia.doctor.finding import Finding, note, ok, problem

_LEAST_NUMPY = (1, 26)
_REINSTALL = f"install the package into this interpreter: {sys.executable} -m pip install ./python"
_TESTED = ("Linux", "x86_64")
_VERSION_SECONDS = 20
_VARIABLES = (
    "REMOTEMEDIA_CONFIG",
    "REMOTEMEDIA_DEBUG",
    "REMOTEMEDIA_ENABLE_FALLBACK",
    "REMOTEMEDIA_PYTHON_RUNTIME",
    "REMOTEMEDIA_RUSTPYTHON",
    "REMOTEMEDIA_SYSTEM_CONFIG",
)
"""Variables that do not belong to one key of the configuration."""
_PRELOADED = ("LD_PRELOAD", "PYTHONHOME", "PYTHONMALLOC")
"""Variables of others that change how workers start."""


def findings() -> Iterator[Finding]:
    """Everything in the order in which it matters."""
    yield _version()
    yield _interpreter()
    yield _platform()
    yield _package("numpy", "nodes cannot take or return arrays", _LEAST_NUMPY)
    yield _package("cloudpickle", "classes of scripts and notebooks cannot be nodes", (3,))
    yield _rustpython()
    yield _configuration()
    yield from _environment()


def has_native() -> bool:
    """Whether the native module can be loaded; without it nothing runs."""
    try:
        native()
    except ImportError:
        return False
    return True


def find_rustpython() -> str | None:
    """Path of the program of RustPython workers, or None."""
    try:
        found: str = native().find_rustpython(sys.executable)
    except (ImportError, RemoteMediaError):
        return None
    return found


def _version() -> Finding:
    own = remotemedia.__version__
    try:
        module = native()
    except ImportError as error:
        text = f"remotemedia {own} without its native module: {error.__cause__ or error}"
        return problem("version", text, _REINSTALL)
    if module.__version__ != own:
        text = f"the package is {own}, its native module {module.__version__}: {module.__file__}"
        return problem("version", text, f"two installations are mixed; {_REINSTALL}")
    return ok("version", f"remotemedia {own}, native module {module.__file__}")


def _interpreter() -> Finding:
    name = f"{platform.python_implementation()} {platform.python_version()}"
    if not sys.executable:
        advice = "set sys.executable to the path of an interpreter before the first pipeline"
        return problem("interpreter", f"{name}, embedded: its path is unknown", advice)
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        advice = "use a build with the GIL"
        return problem("interpreter", f"{name} at {sys.executable}, free-threaded", advice)
    return ok("interpreter", f"{name} at {sys.executable}")


def _platform() -> Finding:
    system = (platform.system(), platform.machine())
    text = f"{' '.join(system)}, kernel {platform.release()}"
    if system == _TESTED:
        return ok("platform", text)
    return note("platform", text, f"the tests run on {' '.join(_TESTED)} only; run doctor --chaos")


def _package(name: str, loss: str, least: tuple[int, ...]) -> Finding:
    install = f"{sys.executable} -m pip install {name!r}"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return note(name, f"not installed: {loss}", install)
    parts = tuple(int(part) for part in version.split(".")[: len(least)] if part.isdigit())
    if parts < least:
        wanted = ".".join(map(str, least))
        return problem(name, f"{version}, older than {wanted}", f"{install} --upgrade")
    return ok(name, version)


def _rustpython() -> Finding:
    name = "RustPython"
    try:
        program: str = native().find_rustpython(sys.executable)
    except ImportError:
        return note(name, "not looked for without the native module", _REINSTALL)
    except WorkerStartError as error:
        is_chosen = os.environ.get("REMOTEMEDIA_PYTHON_RUNTIME") == "rustpython"
        make = problem if is_chosen else note
        text = next(iter(str(error).splitlines()), "")
        return make(name, f"not found: {text}", "pip install ./worker-shim, if you want to use it")
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            text=True,
            timeout=_VERSION_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        advice = "build it for this machine: pip install --force-reinstall ./worker-shim"
        return problem(name, f"{program} does not start: {error}", advice)
    text = f"{done.stdout.strip()} at {program}"
    if remotemedia.__version__ not in done.stdout.split():
        advice = "install the one of this version: pip install --force-reinstall ./worker-shim"
        return problem(name, f"{text}, but the package is {remotemedia.__version__}", advice)
    return ok(name, text)


def _configuration() -> Finding:
    name = "configuration"
    file = os.environ.get("REMOTEMEDIA_CONFIG")
    where = f"{file} (REMOTEMEDIA_CONFIG)" if file else "no file is named"
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", FutureWarning)
            native().Runtime().shutdown()
    except ImportError:
        return note(name, f"{where}; not checked without the native module", _REINSTALL)
    except ConfigurationError as error:
        return problem(name, str(error), "correct the file; docs/configuration.md lists all keys")
    renamed = [str(warning.message) for warning in told if warning.category is FutureWarning]
    if renamed:
        return note(name, "; ".join(renamed), "use the new names")
    return ok(name, where)


def _of_keys() -> list[str]:
    """Return the variables that set a key of the configuration each."""
    try:
        names: list[str] = native().setting_variables()
    except ImportError:
        return []
    return names


def _environment() -> Iterator[Finding]:
    name = "environment"
    own = {key: value for key, value in os.environ.items() if key.startswith("REMOTEMEDIA_")}
    unknown = sorted(own.keys() - set(_VARIABLES) - set(_of_keys()))
    for key in unknown:
        near = difflib.get_close_matches(key, _VARIABLES, n=1)
        meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(_VARIABLES)}"
        yield note(name, f"{key} is set and has no effect", meant)
    try:
        native().check_runtime(own.get("REMOTEMEDIA_PYTHON_RUNTIME") or "auto")
    except ImportError:
        pass
    except ConfigurationError as error:
        yield problem(name, str(error), "correct or unset REMOTEMEDIA_PYTHON_RUNTIME")
    for key in _PRELOADED:
        if os.environ.get(key):
            text = f"{key}={os.environ[key]} changes how workers start"
            yield note(name, text, f"if workers do not start, unset {key}")
    shown = ", ".join(f"{key}={own[key]}" for key in sorted(own.keys() - set(unknown)))
    yield ok(name, shown or "no variable of RemoteMedia is set")


__all__ = ["find_rustpython", "findings", "has_native"]
