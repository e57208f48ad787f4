"""Pickles with bytecode, for interpreters of the same implementation and minor version.

Objects that a worker can import travel by reference. Other classes and functions travel by value
(cloudpickle): those of ``__main__``, notebooks, ``exec`` and modules that a worker cannot find.
They are shipped once for a session, in the one pickle of its nodes, each with a token.

Callers of :func:`loads` must have checked that the writer was such an interpreter.
"""

from __future__ import annotations

import functools
import io
import pickle
import sys
import threading
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import cloudpickle

from remotemedia import _main_module, _skeletons, _sources, _unmade, _views
from remotemedia._definitions import Bundle, Definitions
from remotemedia._importable import is_importable
from remotemedia._tokens import (
    MAIN,
    Numbers,
    Shared,
    numbered,
    registry,
    resolve,
    travels_by_name,
)
from remotemedia._unpicklable import culprit

if TYPE_CHECKING:
    from remotemedia._pickle import LeftArrays, Writable

PROTOCOL = 5
"""Pickle protocol of all pickles between processes."""

_lock = threading.RLock()


def dumps(
    value: object, shipped: frozenset[str] | None = None, numbers: Numbers | None = None
) -> bytes:
    """Pickle an item for receivers that know the tokens ``shipped``; None stands for the caller of
    this worker, which knows what it has sent. With ``numbers``, see ``_pickle.dumps_state``.

    Raises:
        UnpicklableError: The object cannot be pickled; the error names the part at fault.
    """
    file = io.BytesIO()
    try:
        with _lock:
            pickler = Pickler(file, shipped)
            pickler.numbers = numbers or {}
            pickler.dump(value)
            if numbers is not None and (views := _views.views_of(pickler.arrays)):
                file = io.BytesIO()
                pickler = Pickler(file, shipped)
                pickler.numbers, pickler.views = numbers, views
                pickler.dump(value)
    except BaseException as error:  # a `__reduce__` can raise any exception, even SystemExit
        raise culprit(value, error, _problem) from error
    return file.getvalue()


def dump_into(
    file: Writable, value: object, foresee: Callable[[int], None], numbers: Numbers
) -> Callable[[], list[object]]:
    """Pickle piece by piece; see ``_pickle.dump_into``."""
    with _lock:
        pickler = Pickler(file, None, foresee=foresee)
        pickler.numbers = numbers
        pickler.dump(value)
    return pickler.members


def loads(data: bytes) -> object:
    """Load a pickle that a process of the same session and kind has written."""
    return pickle.loads(data)


def open_nodes(data: bytes, buffers: Sequence[Any]) -> Any:
    """Load the pickle of ``dump_nodes``; returns its nodes, log levels, and kind of items."""
    for classes in ("_DYNAMIC_CLASS_TRACKER_BY_ID", "_DYNAMIC_CLASS_TRACKER_BY_CLASS"):
        # Otherwise cloudpickle returns the class of an earlier session, with the attributes that
        # were set on it.
        getattr(cloudpickle.cloudpickle, classes, {}).clear()
    bundle, pickled = Bundle.split(data)
    if bundle:
        _load_bundle(bundle)
    nodes, log_levels, portable_items, of_main = _load_bundle(pickled, buffers)
    if registry.is_worker:
        _main_module.enter(of_main)
    return nodes, log_levels, portable_items


def dump_nodes(
    nodes: Sequence[object],
    log_levels: Mapping[str, int],
    portable_items: bool,
    keep_in: LeftArrays | None,
    definitions: tuple[Definitions, Sequence[Shared]] | None = None,
) -> tuple[bytes, frozenset[str]]:
    """Pickle the node objects of a session with everything that they need.

    Args:
        nodes: the node objects.
        log_levels: see `_pickle.Shipment`.
        portable_items: see `_pickle.Shipment`.
        keep_in: takes large arrays out of the pickle.
        definitions: what is kept of earlier pickles, and the classes and functions of these nodes.

    Returns:
        The pickle, and the tokens of the classes and functions in it.

    Raises:
        UnpicklableError: A node cannot be pickled; the path begins with its index.
    """
    parts = list(nodes), dict(log_levels), portable_items
    try:
        kept = _in_bundle(parts, keep_in, *definitions) if definitions is not None else None
        if kept is not None:
            return kept
        data, shipped = _dump_bundle(
            parts, keep_in, of_main=lambda p: _main_module.Attributes(p.main_names, _problem)
        )
    except BaseException as error:  # as above
        raise culprit(list(nodes), error, _problem) from error
    return data, frozenset(shipped)


def _in_bundle(
    parts: Any, keep_in: LeftArrays | None, definitions: Definitions, roots: Sequence[Shared]
) -> tuple[bytes, frozenset[str]] | None:
    """The same with a bundle; None if there is none with all code of the nodes."""
    bundle = definitions.bundle(roots, _dump_bundle)
    if bundle is None:
        return None
    try:
        data, _ = _dump_bundle(
            parts, keep_in, bundle.tokens, _WithoutCode, lambda _: _main_module.always()
        )
    except _FurtherCodeError:
        definitions.give_up()
        if keep_in is not None:
            keep_in.arrays.clear()
        return None
    return bundle.before(data), bundle.tokens


def holds_code(data: bytes) -> bool:
    """Whether another interpreter might be unable to load this pickle; true in case of doubt."""
    return b"cloudpickle" in data or b"_by_value" in data


class Pickler(cloudpickle.Pickler):
    """Decides for each object whether it travels by reference, by token or by value.

    Attributes:
        numbers: objects that the receiver has, with their numbers.
        views: arrays that are pickled as views of others.
        arrays: the arrays that were met.
        main_names: the names that the met code may look up in the main module.
        sources: source text of code without a file, by file name.
    """

    def __init__(
        self,
        file: Writable,
        shipped: frozenset[str] | None,
        collected: dict[str, Shared] | None = None,
        foresee: Callable[[int], None] | None = None,
        keep_in: Callable[[pickle.PickleBuffer], bool] | None = None,
    ) -> None:
        super().__init__(file, protocol=PROTOCOL, buffer_callback=keep_in)
        self._foresee = foresee
        self._shipped = shipped
        self._collected = collected
        self.numbers: Numbers = {}
        self.views: Mapping[int, _views.View] = {}
        self.arrays: list[Any] = []
        self.main_names: set[str] = set()
        self.sources: dict[str, str] = {}
        self._cells: dict[int, _skeletons.EmptyCell] = {}

    def members(self) -> list[object]:
        """The objects that were met, and the variables of functions."""
        return [
            *(met for _, met in self.memo.copy().values()),
            *(empty.cell for empty in self._cells.values()),
        ]

    def _function_getnewargs(self, func: types.FunctionType) -> Any:
        """Like cloudpickle's method, but functions with a common variable still share it later."""
        self.main_names |= _main_module.names_in(func.__code__)
        *arguments, closure = super()._function_getnewargs(func)
        if func.__closure__ is not None:
            # The cells' contents are part of the function's state, as they may refer to it.
            closure = tuple(
                self._cells.setdefault(id(cell), _skeletons.EmptyCell(cell))
                for cell in func.__closure__
            )
        return (*arguments, closure)

    def reducer_override(self, obj: Any) -> Any:
        if id(obj) in self.numbers:
            return numbered, (self.numbers[id(obj)],)
        if isinstance(obj, (type, types.FunctionType)):
            if _travels_by_value(obj):
                reference = self._by_value(obj)
                if reference is not None:
                    return reference
        elif self._foresee is not None and isinstance(size := getattr(obj, "nbytes", None), int):
            self._foresee(size)
        elif _views.is_array(obj):
            view = self.views.get(id(obj))
            if view is not None:
                return _views.reduced(obj, view)
            self.arrays.append(obj)
        elif isinstance(obj, _Cached):
            function: Any = obj.__wrapped__
            if _travels_by_value(function):
                return _cached, (function, obj.cache_parameters())
        elif isinstance(obj, types.CodeType):
            return _sources.reduce_code(obj, self.dispatch_table[types.CodeType])
        elif isinstance(obj, types.ModuleType):
            _by_value_unless_importable(obj.__name__)
            return NotImplemented
        elif (made_bare := _unmade.reduction(obj)) is not None:
            return made_bare
        reduced = super().reducer_override(obj)
        if isinstance(obj, type):
            return _skeletons.reduction(obj, reduced, _travels_by_value)
        return reduced

    def _by_value(self, shared: Shared) -> tuple[Any, ...] | None:
        """A reference to ``shared`` if the receiver knows it; ``None`` to pickle it by value."""
        if isinstance(shared, types.FunctionType):
            self._note_source(shared)
        token = registry.token_of(shared)
        if token is not None and self._is_known(token):
            return resolve, (token,)
        if self._collected is not None:
            if isinstance(shared, type) or "<" not in shared.__qualname__:
                self._collected[registry.issue(shared)] = shared
            return None
        if isinstance(shared, type):
            receiver = "caller" if self._shipped is None else "worker"
            return receive, bundle_of(shared, receiver)
        return None

    def _is_known(self, token: str) -> bool:
        if self._shipped is None:
            return registry.is_known_to_caller(token)
        return token in self._shipped

    def _note_source(self, function: types.FunctionType) -> None:
        """Keep the source of code without a file (notebook cells), for tracebacks."""
        name = function.__code__.co_filename
        if name not in self.sources and (text := _sources.text_of(function)) is not None:
            self.sources[name] = text


class _FurtherCodeError(Exception):
    pass


class _WithoutCode(Pickler):
    """For objects whose code the receiver has: raises `_FurtherCodeError` for other code, which
    would not share the variables of its module with that.
    """

    def _by_value(self, shared: Shared) -> tuple[Any, ...] | None:
        reference = super()._by_value(shared)
        if reference is None:
            raise _FurtherCodeError
        return reference


set_function_state: Any = cloudpickle.cloudpickle._function_setstate
_Cached = type(functools.lru_cache(len))


def _cached(function: Any, parameters: dict[str, Any]) -> Any:
    """Make a function with an empty cache; cloudpickle would pickle such a function by name
    only.
    """
    return functools.lru_cache(**parameters)(function)


def _dump_bundle(
    objects: Any,
    keep_in: LeftArrays | None = None,
    known: frozenset[str] | None = frozenset(),
    kind: type[Pickler] = Pickler,
    of_main: Callable[[Pickler], object] | None = None,
) -> tuple[bytes, dict[str, Shared]]:
    """Pickle ``objects`` together with every class and function that they need by value, except
    those that the receiver knows; for `known` see `dumps`. What `of_main` gives follows the
    objects: in a shipment, attributes of the main module.
    """
    views: Mapping[int, _views.View] = {}
    with _lock:
        while True:
            file, collected = io.BytesIO(), dict[str, Shared]()
            pickler = kind(file, known, collected, keep_in=keep_in)
            pickler.views = views
            # The order matters: the dicts fill while the objects before them are pickled.
            main = [] if of_main is None else [of_main(pickler)]
            pickler.dump(((*objects, *main), collected, pickler.sources))
            if views or not (views := _views.views_of(pickler.arrays)):
                return file.getvalue(), collected
            if keep_in is not None:
                keep_in.arrays.clear()  # the second pickle has them again


def _load_bundle(data: bytes, buffers: Sequence[Any] = ()) -> Any:
    objects, shared_by_token, sources = pickle.loads(data, buffers=buffers)
    _sources.enter(sources, replace=registry.is_worker)
    main = sys.modules.get("__main__")
    for token, shared in shared_by_token.items():
        if registry.find(token) is None:
            registry.receive(token, shared)
        if not registry.is_worker:
            continue
        registry.kept.append(shared)
        module, name, _ = token.split(":")
        # cloudpickle does not keep the qualified name of a class, which tracebacks show.
        shared.__qualname__ = name
        if module in MAIN and name.isidentifier():
            setattr(main, name, shared)
    return objects


def bundle_of(shared: Shared, receiver: str, kind: type[Pickler] = Pickler) -> tuple[str, bytes]:
    """The token of a class or function, and a bundle: a pickle of it with the classes and functions
    that it needs. Each has one bundle for each kind of receiver, made on first use.
    """
    token = registry.issue(shared)
    bundle = registry.bundle(token, receiver)
    if bundle is None:
        known = None if receiver == "caller" else frozenset[str]()
        bundle = _dump_bundle([shared], known=known, kind=kind)[0]
        registry.keep_bundle(token, receiver, bundle)
    return token, bundle


def receive(token: str, bundle: bytes) -> Shared:
    """Return what has this token. If the process does not have it yet, load it from `bundle`,
    the pickle that `bundle_of` has made.
    """
    shared = registry.find(token)
    if shared is None:
        (shared,) = _load_bundle(bundle)
        # Loading may have entered another copy of the class under this token; keep that one.
        shared = registry.find(token) or shared
    return shared


def _travels_by_value(shared: Shared) -> bool:
    """Whether a class or function cannot be found by name in another process."""
    if travels_by_name(shared):
        return False
    name = getattr(shared, "__module__", None)
    if isinstance(name, str):
        _by_value_unless_importable(name)
    return True


def _by_value_unless_importable(name: str) -> bool:
    """Have cloudpickle send a module by value if another process cannot import it."""
    # cloudpickle does so by itself, but not for `__mp_main__` of a process of multiprocessing.
    if name == "__main__":
        return False
    module = sys.modules.get(name)
    if module is None or is_importable(name, module):
        return False
    cloudpickle.register_pickle_by_value(module)
    return True


def _problem(part: object) -> BaseException | None:
    try:
        with _lock:
            Pickler(io.BytesIO(), None).dump(part)
    except BaseException as error:
        return error
    return None
