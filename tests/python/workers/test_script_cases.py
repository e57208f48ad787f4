"""Scripts that users have written, each in one warm worker: two runs with another pipeline in between."""

# ruff: noqa: E501  (sources stand here as text)
from __future__ import annotations

from pathlib import Path

import pytest

from programs_of_users import script
from worker_programs import PROGRAMS

each = pytest.mark.parametrize("program", PROGRAMS)

PHASE = """
class Phase(Node):
    def __init__(self):
        super().__init__()
        self.state = "idle"
        self.logger = "other.log"
    def process(self, x):
        was, self.state = self.state, "talking"
        return was, self.logger
@dataclass
class Settings(Node):
    state: Any = None
    logger: Any = None
    def process(self, x): return self.state, self.logger
"""


@each
def test_attributes_named_state_and_logger_travel(tmp_path: Path, program: str) -> None:
    # spec: IOP-20
    main = """
phase = Phase()
print(Pipeline(phase, runtime=runtime).run(1))
print(Pipeline(Other(), runtime=runtime).run(1), phase.state)
print(Pipeline(phase, runtime=runtime).run(1))
print(twice(lambda: Settings({"n": 0}, "other"), 1, runtime))
"""
    assert script(tmp_path, program, PHASE, main) == [
        "('idle', 'other.log')",
        "-1 talking",
        "('talking', 'other.log')",
        "[({'n': 0}, 'other'), ({'n': 0}, 'other')]",
    ]


CLAIMED = """
NAMES = ["name", "config", "state", "logger", "timeout_ms", "deadline_ms", "retry", "retry_on",
    "breaker", "on_open", "stateless", "checkpoint_every", "standby", "isolated", "limits", "join",
    "runtime_hint", "is_streaming", "is_source", "is_sink", "is_remote", "enable_state",
    "_session_id", "_state_ttl", "_max_sessions", "_transient", "remote_config", "dependencies"]
class Holds(Node):
    def __init__(self, name, value):
        super().__init__()
        self.held = name
        setattr(self, name, value)
    def process(self, x):
        return repr(getattr(self, self.held))
def outcome(name, value):
    node = Holds(name, value)
    try:
        made = Pipeline(node, runtime=runtime).run(1)
    except (RemoteMediaError, ValueError, TypeError) as refused:
        return "refused" if name in str(refused) or "remote" in str(refused) or "source" in str(refused) else str(refused)
    return "kept" if made == repr(value) == repr(getattr(node, name)) else f"{made} for {value!r}"
"""


@each
def test_what_is_assigned_to_a_name_of_the_base_class_is_kept_or_refused(
    tmp_path: Path, program: str
) -> None:
    # spec: IOP-20
    main = """
for value in ("a text", {"a": 1}, [1, 2], 2.5, True, None, (1, 2)):
    for name in NAMES:
        told = "kept" if (name, value) == ("is_source", True) else outcome(name, value)
        if told not in ("kept", "refused"):
            print(name, repr(value), told)
print("done")
"""
    assert script(tmp_path, program, CLAIMED, main) == ["done"]


def test_is_initialized_is_refused_in_words(tmp_path: Path) -> None:
    source = """
class Sets(Node):
    def __init__(self):
        super().__init__()
        self.is_initialized = False
    def process(self, x): return x
"""
    main = """
try: Sets()
except AttributeError as refused: print("is_initialized" in str(refused))
"""
    assert script(tmp_path, "cpython", source, main) == ["True"]


CHILD = """
@dataclass
class Item:
    n: int
class Counts(Node):
    def __init__(self):
        super().__init__()
        self.seen = []
    def process(self, item):
        self.seen.append(type(item).__name__)
        return Item(item.n + 1)
def child(n):
    with Runtime(CONFIG) as runtime:
        results = []
        for _ in range(2):
            node = Counts()
            out = Pipeline(node, runtime=runtime).run(Item(n))
            assert Pipeline(Other(), runtime=runtime).run(1) == -1
            results.append((type(out) is Item, out.n, node.seen))
        return results
def tell(queue, n): queue.put(child(n))
"""


@each
@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_nodes_of_a_script_run_in_children_of_the_caller(
    tmp_path: Path, program: str, method: str
) -> None:
    main = f"""
context = mp.get_context({method!r})
queue = context.Queue()
process = context.Process(target=tell, args=(queue, 1))
process.start()
print(queue.get())
process.join()
with context.Pool(1) as pool: print(pool.map(child, [5]))
with ProcessPoolExecutor(1, mp_context=context) as pool: print(list(pool.map(child, [7])))
"""
    runs = "[(True, {0}, ['Item']), (True, {0}, ['Item'])]"
    assert script(tmp_path, program, CHILD, main) == [
        runs.format(2),
        f"[{runs.format(6)}]",
        f"[{runs.format(8)}]",
    ]


NESTED = """
GAIN = 3
@dataclass
class Item:
    n: int
def scaled(n): return n * GAIN
class Inner(Node):
    def process(self, item): return Item(scaled(item.n))
class Middle(Node):
    def process(self, item):
        inner = Pipeline(Inner(), name="inner")
        with inner.session() as session:
            (first,) = session.process(item)
        second = inner.run(item)
        assert isinstance(first, Item) and isinstance(second, Item)
        return first, second
class Outer(Node):
    def process(self, item): return Pipeline(Middle()).run(item)
"""


def test_nodes_run_pipelines_of_classes_of_the_script(tmp_path: Path) -> None:
    # spec: IOP-19
    main = """
print(twice(Middle, Item(2), runtime))
print(twice(Outer, Item(2), runtime))
print([type(x) is Item for run in twice(Middle, Item(2), runtime) for x in run])
"""
    inner = "(Item(n=6), Item(n=6))"
    assert script(tmp_path, "cpython", NESTED, main) == [f"[{inner}, {inner}]"] * 2 + [
        "[True, True, True, True]"
    ]


SELF = """
from abc import ABC, abstractmethod
class Step(Node):
    instances = []
    _it = None
    def __init__(self, level=1):
        super().__init__()
        self.level = level
        Step.instances.append(self)
    def process(self, x): return x + self.level, len(Step.instances), Step.DEFAULT.level, type(Step.DEFAULT) is Step
Step.DEFAULT = Step(7)
class Single(Node):
    _it = None
    @classmethod
    def get(cls):
        cls._it = cls._it or cls()
        return cls._it
    def process(self, x): return x, Single._it is not None
class Shape(ABC):
    @abstractmethod
    def area(self): ...
class Square(Shape):
    unit = None
    def area(self): return 4
Square.unit = Square()
class Uses(Node):
    def process(self, x):
        try: Shape()
        except TypeError: return Square.unit.area(), "abstract"
"""


@each
def test_node_classes_hold_instances_of_themselves(tmp_path: Path, program: str) -> None:
    # spec: IOP-19
    main = """
first, second = twice(lambda: Step(2), 1, runtime)
print(first[0], first[2:], second[0], second[2:])
print(twice(Single.get, 1, runtime))
print(twice(Uses, 1, runtime))
"""
    assert script(tmp_path, program, SELF, main) == [
        "3 (7, True) 3 (7, True)",
        "[(1, True), (1, True)]",
        "[(4, 'abstract'), (4, 'abstract')]",
    ]


POOLS = """
BASE = 100
@dataclass
class Point:
    x: int
    def moved(self): return Point(self.x + 1)
def square(n): return n * n + BASE
def moved(point): return point.moved()
def start(n):
    global STARTED
    STARTED = n
def started(_): return STARTED
def put(queue, value): queue.put(Point(value))
class Pools(Node):
    def process(self, method):
        context = mp.get_context(method)
        with context.Pool(2) as pool:
            squares = pool.map(square, [1, 2, 3])
            points = pool.map(moved, [Point(1)])
            partials = pool.map(partial(max, key=square), [[1, 2]])
        with ProcessPoolExecutor(1, mp_context=context, initializer=start, initargs=(5,)) as pool:
            set_up = list(pool.map(started, [0])) if method != "x" else None
        queue = context.Queue()
        process = context.Process(target=put, args=(queue, 9))
        process.start()
        told = queue.get()
        process.join()
        return squares, points, partials, set_up, told, [type(p) is Point for p in (*points, told)]
"""


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_process_pools_of_nodes_run_functions_of_the_script(tmp_path: Path, method: str) -> None:
    main = f"for made in twice(Pools, {method!r}, runtime): print(made)"
    made = "([101, 104, 109], [Point(x=2)], [2], [5], Point(x=9), [True, True])"
    assert script(tmp_path, "cpython", POOLS, main) == [made, made]


PROXIES = """
class Answers:
    "Answers for every attribute, as proxies and mocks do."
    def __init__(self, answer): self.__dict__["answer"] = answer
    def __getattr__(self, name):
        if name.startswith("__"): raise AttributeError(name)
        return self.answer
    def process(self, x): return x + 1
class Delegates:
    def __init__(self, inner): self.inner = inner
    def __getattr__(self, name):
        if name.startswith("__") or name == "inner": raise AttributeError(name)
        return getattr(self.inner, name)
class Inner:
    def initialize(self): self.ready = 10
    def process(self, x): return x + self.ready
    def flush(self): return "end"
def call(*args): return "called"
"""


@each
@pytest.mark.parametrize("answer", ["call", "'text'", "True", "1", "None", "{'a': 1}"])
def test_nodes_that_answer_for_every_attribute_are_plain_nodes(
    tmp_path: Path, program: str, answer: str
) -> None:
    main = f"""
print(twice(lambda: Answers({answer}), 1, runtime))
print(twice(lambda: Delegates(Inner()), 1, runtime))
pipeline = Pipeline(Answers({answer}))
print(pipeline.get_config()["node_count"], len(pipeline.export_definition()["nodes"]), [p.runtime for p in pipeline.explain()])
"""
    printed = script(tmp_path, program, PROXIES, main)
    assert printed[:2] == ["[2, 2]", "[[11, 'end'], [11, 'end']]"]
    assert printed[2].startswith("1 1 ")


PICKLED = """
class Gain(Node):
    def __init__(self, by):
        super().__init__()
        self.by = by
    def process(self, x): return x * self.by
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_pipelines_are_pickled_and_run_elsewhere(tmp_path: Path, method: str) -> None:
    main = f"""
import copy, pickle
pipeline = Pipeline(Gain(2), Gain(3), name="p", runtime=runtime)
print(pipeline.run(1))
again = pickle.loads(pickle.dumps(pipeline))
print(again.name, again.run(1), len(again), copy.deepcopy(pipeline).run(1))
with mp.get_context({method!r}).Pool(2) as pool: print(pool.map(pipeline.run, [1, 2, 3]))
"""
    assert script(tmp_path, "cpython", PICKLED, main) == ["6", "p 6 2 6", "[6, 12, 18]"]


@pytest.mark.parametrize("value", ["inf", "-inf", "nan"])
def test_parameters_that_json_cannot_write(tmp_path: Path, value: str) -> None:
    # F22: of a Python node any value, of a native one what Python would give, or a clear refusal.
    source = "from remotemedia import AddNode, MultiplyNode, AudioResampleNode\n" + PICKLED
    main = f"""
value = float({value!r})
print(twice(lambda: Gain(value), 2, runtime))
for make in (AddNode, MultiplyNode):
    try: print(Pipeline(make(value)).run(2))
    except ValueError as refused: print(refused)
    except TypeError as refused: print(refused)
"""
    printed = script(tmp_path, "cpython", source, main)
    assert printed[0] == f"[{float(value) * 2}, {float(value) * 2}]"
    for line in printed[1:]:
        assert line == str(float(value)) or "finite" in line
