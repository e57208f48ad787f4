"""Shapes of node code: what each gives, and which interpreter runs it when RustPython is asked for.

`NODE` of each source is the node. In "script" and "notebook" it stands in `__main__`; in "module",
"test file" and "package" in a module that a worker can import.
"""

# ruff: noqa: E501  (sources stand here as text)
from __future__ import annotations

from typing import Any, NamedTuple

NUMPY = "'numpy' is a C extension"


class Shape(NamedTuple):
    """One shape: where its source stands, what it gives for `item`, where it runs and, when it
    moves, a part of the sentence that says why.
    """

    name: str
    place: str
    source: str
    wanted: Any
    runs_on: str = "rustpython"
    because: str = ""
    item: Any = 2


def _on(place: str) -> Any:
    def shape(name: str, source: str, wanted: Any, *rest: Any, **more: Any) -> Shape:
        return Shape(name, place, source, wanted, *rest, **more)

    return shape


script, module, test_file, notebook = map(_on, ("script", "module", "test file", "notebook"))

HOLDS = """
class Holds(Node):
    def __init__(self, held):
        super().__init__()
        self.held = held
    def process(self, data): return self.held(data)
"""
TAKES = """
class Takes(Node):
    def process(self, data): return data(3)
NODE = Takes()
"""

SHAPES = [
    script("plain", "class N(Node):\n    def process(self, data): return data + 1\nNODE = N()", 3),
    script(
        "function in an attribute", f"{HOLDS}\ndef double(x): return 2 * x\nNODE = Holds(double)", 4
    ),
    script("lambda in an attribute", f"{HOLDS}\nF = 3\nNODE = Holds(lambda x: x * F)", 6),
    script(
        "closure in an attribute",
        f"{HOLDS}\ndef make(n):\n    def add(x): return x + n\n    return add\nNODE = Holds(make(5))",
        7,
    ),
    script(
        "closure that changes its variable",
        f"""{HOLDS}
def counter():
    total = 0
    def add(x):
        nonlocal total
        total += x
        return total
    return add
NODE = Holds(counter())
""",
        2,
    ),
    script("function as item", f"def triple(x): return 3 * x\n{TAKES}\nITEM = triple", 9),
    script("lambda as item", f"{TAKES}\nITEM = lambda x: x + 4", 7),
    script(
        "closure as item",
        f"def make(n):\n    return lambda x: x ** n\n{TAKES}\nITEM = make(2)",
        9,
    ),
    script(
        "partial as item",
        f"import functools\ndef add(a, b): return a + b\n{TAKES}\nITEM = functools.partial(add, 5)",
        8,
    ),
    script(
        "bound method as item",
        f"class Adder:\n    by = 6\n    def add(self, x): return x + self.by\n{TAKES}\nITEM = Adder().add",
        9,
    ),
    script(
        "function as result",
        """
def double(x): return 2 * x
class Gives(Node):
    def process(self, data): return [double, double(data)]
NODE = Gives()
RESULT = lambda out: [out[0] is double, out[1]]
""",
        [True, 4],
    ),
    script(
        "class made in a function",
        """
def make(offset):
    class Local(Node):
        def process(self, data): return data + offset
    return Local()
NODE = make(40)
""",
        42,
    ),
    script(
        "class made in a function, of a base made there",
        """
def make(offset):
    class Base(Node):
        def shift(self, x): return x + offset
    class Local(Base):
        def process(self, data): return self.shift(data) * factor
    factor = 10
    return Local()
NODE = make(1)
""",
        30,
    ),
    script(
        "dataclass made in a function",
        """
from dataclasses import dataclass
def make():
    @dataclass
    class Pair:
        a: int
        b: int = 5
    class Local(Node):
        def process(self, data): return Pair(data).b + data
    return Local()
NODE = make()
""",
        7,
    ),
    script(
        "decorated method",
        """
import functools
def logged(function):
    @functools.wraps(function)
    def wrapper(self, *args):
        self.calls.append(function.__name__)
        return [function(self, *args), self.calls]
    return wrapper
class N(Node):
    def __init__(self):
        super().__init__()
        self.calls = []
    @logged
    def process(self, data): return data
NODE = N()
""",
        [2, ["process"]],
    ),
    script(
        "decorated class",
        """
def named(cls):
    cls.title = cls.__name__.upper()
    return cls
@named
class Amp(Node):
    def process(self, data): return self.title
NODE = Amp()
""",
        "AMP",
    ),
    script(
        "decorator with parameters",
        """
def times(n):
    def decorate(function):
        def wrapper(*args): return function(*args) * n
        return wrapper
    return decorate
@times(4)
def value(x): return x
class N(Node):
    def process(self, data): return value(data)
NODE = N()
""",
        8,
    ),
    script(
        "property, static and class methods",
        """
class N(Node):
    level = 3
    @property
    def double(self): return self.level * 2
    @staticmethod
    def inc(x): return x + 1
    @classmethod
    def name_of(cls): return cls.__name__
    def process(self, data): return [self.double, self.inc(data), self.name_of()]
NODE = N()
""",
        [6, 3, "N"],
    ),
    script(
        "dataclass as item",
        """
from dataclasses import dataclass, field
@dataclass(frozen=True, slots=True)
class Point:
    x: int
    tags: list[str] = field(default_factory=list)
class N(Node):
    def process(self, data): return [isinstance(data, Point), Point(data.x + 1)]
NODE = N()
ITEM = Point(1)
RESULT = lambda out: [out[0], out[1] == Point(2)]
""",
        [True, True],
    ),
    script(
        "dataclass that is a node",
        """
from dataclasses import dataclass
@dataclass
class Gain:
    factor: float = 2.0
    def process(self, data): return data * self.factor
NODE = Gain(4.0)
""",
        8.0,
    ),
    script(
        "enum, flags and named tuples",
        """
import enum
from collections import namedtuple
from typing import NamedTuple
class Colour(enum.Enum):
    RED = 1
Pair = namedtuple("Pair", "a b")
class Row(NamedTuple):
    x: int = 7
class N(Node):
    def process(self, data): return [data is Colour.RED, Pair(1, 2), Row().x]
NODE = N()
ITEM = Colour.RED
""",
        [True, (1, 2), 7],
    ),
    script(
        "base classes of the script",
        """
import abc
class Base(Node, abc.ABC):
    @abc.abstractmethod
    def by(self): ...
    def process(self, data): return data + self.by()
class Mixin:
    def by(self): return super().by() + 1
class Impl(Base):
    def by(self): return 10
class N(Mixin, Impl): pass
NODE = N()
""",
        13,
    ),
    script(
        "constants, lists and tables of the script",
        """
FACTOR = 2
FACTOR += 1
LIMITS = {"low": [1, 2]}
SEEN = []
class N(Node):
    def process(self, data):
        SEEN.append(data)
        return [FACTOR, LIMITS["low"], SEEN]
NODE = N()
""",
        [3, [1, 2], [2]],
    ),
    script(
        "helpers that call each other",
        """
def even(n): return n == 0 or odd(n - 1)
def odd(n): return n > 0 and even(n - 1)
class N(Node):
    def process(self, data): return [even(data), odd(data)]
NODE = N()
""",
        [True, False],
    ),
    script(
        "a class that speaks of itself",
        """
class Tree:
    def __init__(self, depth): self.child = Tree(depth - 1) if depth else None
    def depth(self): return 1 + self.child.depth() if self.child else 0
class N(Node):
    def process(self, data): return Tree(data).depth()
NODE = N()
""",
        2,
    ),
    script(
        "generator with state",
        """
class N(Node):
    def __init__(self):
        super().__init__()
        self.seen = 0
    def process(self, data):
        for _ in range(data):
            self.seen += 1
            yield self.seen
NODE = N()
RESULT = list
""",
        [1, 2],
    ),
    script(
        "async node",
        """
import asyncio
class N(Node):
    async def process(self, data):
        await asyncio.sleep(0)
        return data * 2
NODE = N()
""",
        4,
    ),
    script(
        "async generator node",
        """
class N(Node):
    async def process(self, data):
        for k in range(data): yield k
NODE = N()
RESULT = list
""",
        [0, 1],
    ),
    script(
        "cached function",
        """
import functools
@functools.lru_cache
def slow(x): return x * 7
class N(Node):
    def process(self, data): return [slow(data), slow(data)]
NODE = N()
""",
        [14, 14],
    ),
    script(
        "single dispatch",
        """
import functools
@functools.singledispatch
def told(x): return "any"
@told.register
def _(x: int): return "int"
class N(Node):
    def process(self, data): return [told(data), told("a")]
NODE = N()
""",
        ["int", "any"],
    ),
    script(
        "lock of the script",
        """
import threading
LOCK = threading.Lock()
class N(Node):
    def process(self, data):
        with LOCK: return data
NODE = N()
""",
        2,
    ),
    script(
        "registry filled by a decorator",
        """
BY_NAME = {}
def register(function):
    BY_NAME[function.__name__] = function
    return function
@register
def double(x): return 2 * x
class N(Node):
    def process(self, data): return [BY_NAME["double"](data), len(BY_NAME)]
NODE = N()
""",
        [4, 1],
    ),
    script(
        "registry object with methods as decorators",
        """
from collections import defaultdict
class Registry:
    def __init__(self, name):
        self.name, self.found = name, {}
    def enter(self, function):
        self.found[function.__name__] = function
        return function
REGISTRY = Registry("all")
BY_LENGTH = defaultdict(list)
@REGISTRY.enter
def double(x): return 2 * x
@REGISTRY.enter
def half(x): return x / 2
def grouped(function):
    BY_LENGTH[len(function.__name__)].append(function)
    return function
@grouped
def third(x): return x / 3
class N(Node):
    def process(self, data):
        return [REGISTRY.found["double"](data), sorted(REGISTRY.found), len(BY_LENGTH[5]), third(3)]
NODE = N()
""",
        [4, ["double", "half"], 1, 1.0],
    ),
    script(
        "missing import, used in annotations only",
        """
import numpy as np
import numpy.typing as npt
class N(Node):
    def process(self, data: np.ndarray | None) -> npt.NDArray[np.float32]: return data
NODE = N()
""",
        2,
    ),
    script(
        "missing import, used by another node",
        """
import numpy as np
class Other(Node):
    def process(self, data): return np.sum(data)
class N(Node):
    def process(self, data): return data
NODE = N()
""",
        2,
    ),
    script(
        "missing import, used",
        """
import numpy as np
class N(Node):
    def process(self, data): return int(np.arange(data + 2).sum())
NODE = N()
""",
        6,
        "cpython",
        NUMPY,
    ),
    script(
        "missing import, used in a function",
        """
class N(Node):
    def process(self, data):
        import numpy as np
        return int(np.arange(data + 2).sum())
NODE = N()
""",
        6,
        "cpython",
        NUMPY,
    ),
    script(
        "missing import in a try",
        """
try:
    import numpy as np
except ImportError:
    np = None
class N(Node):
    def process(self, data): return [np is None, data]
NODE = N()
""",
        [True, 2],
    ),
    script(
        "star import of a missing package, not used",
        "from numpy import *\nclass N(Node):\n    def process(self, data): return [data, len('ab')]\nNODE = N()",
        [2, 2],
    ),
    script(
        "name looked up by text",
        "class N(Node):\n    def process(self, data): return eval('data + 5')\nNODE = N()",
        7,
        "cpython",
        "by text",
    ),
    notebook(
        "redefined in a later cell",
        [
            "def old(x): return 'first'\n",
            "class N(Node):\n    def process(self, data): return [old(data), LIMIT]\n",
            "def old(x): return 'second'\nLIMIT = 3\nNODE = N()\n",
        ],
        ["second", 3],
    ),
    notebook(
        "class and lambda of a notebook",
        [
            f"{HOLDS}\n",
            "import math\nscale = lambda x: math.floor(x * 2.6)\n",
            "NODE = Holds(scale)\n",
        ],
        5,
    ),
    module(
        "module: plain",
        "class N(Node):\n    def process(self, data): return data + 1\nNODE = N()",
        3,
    ),
    module(
        "module: missing import, used by another node",
        """
import numpy as np
TABLE = np.zeros(3)
GAIN = 4
def scale(x): return x * GAIN
class Other(Node):
    window = np.hanning(8)
    def process(self, data): return len(self.window)
class N(Node):
    def process(self, data): return scale(data)
NODE = N()
""",
        8,
    ),
    module(
        "module: missing import, used",
        """
import numpy as np
TABLE = np.ones(3)
class N(Node):
    def process(self, data): return int(TABLE.sum()) + data
NODE = N()
""",
        5,
        "cpython",
        NUMPY,
    ),
    module(
        "module: registry beside a missing import",
        """
import numpy as np
BY_NAME = {}
def register(function):
    BY_NAME[function.__name__] = function
    return function
@register
def double(x): return 2 * x
class N(Node):
    def process(self, data): return [BY_NAME["double"](data), len(BY_NAME)]
NODE = N()
""",
        [4, 1],
    ),
    module(
        "module: registry that needs the missing import",
        """
import numpy as np
TABLE = {}
TABLE["window"] = np.ones(3)
class N(Node):
    def process(self, data): return len(TABLE) + data
NODE = N()
""",
        3,
        "cpython",
        NUMPY,
    ),
    module(
        "module: star of a missing package, nothing of it used",
        "from numpy import *\nclass N(Node):\n    def process(self, data): return data\nNODE = N()",
        2,
    ),
    module(
        "module: star of a missing package that may bring a name",
        """
from numpy import *
class N(Node):
    def process(self, data): return int(sum([data, data]))
NODE = N()
""",
        4,
        "cpython",
        NUMPY,
    ),
    module(
        "module: looked up by text beside a missing import",
        """
import numpy as np
median = 5
class N(Node):
    def process(self, data): return globals()["median"] + data
NODE = N()
""",
        7,
        "cpython",
        "is a C extension",
    ),
    module(
        "module: what swallows the missing import",
        """
import numpy as np
class N(Node):
    def process(self, data):
        try: return int(np.arange(data + 2).sum())
        except Exception: return "swallowed"
NODE = N()
""",
        6,
        "cpython",
        NUMPY,
    ),
    test_file(
        "test file: numpy on top, a pure node",
        """
import numpy as np
import pytest
@pytest.mark.parametrize("x", [1])
def test_sum(x): assert np.sum([x]) == 1
class N(Node):
    def process(self, data): return data + 1
NODE = N()
""",
        3,
    ),
    Shape(
        "package: helpers that import numpy on top",
        "package",
        """
from .helpers import double
from . import helpers
class N(Node):
    def process(self, data): return [double(data), helpers.GAIN]
NODE = N()
""",
        [4, 7],
    ),
    Shape(
        "package: a helper that uses numpy",
        "package",
        """
from . import helpers
class N(Node):
    def process(self, data): return helpers.total(data)
NODE = N()
""",
        6,
        "cpython",
        NUMPY,
    ),
    Shape(
        "array through a dataclass",
        "script",
        """
from dataclasses import dataclass
import numpy as np
@dataclass
class Frame:
    samples: np.ndarray
    rate: int
class N(Node):
    def process(self, data): return [data.rate, int(data.samples.sum())]
NODE = N()
ITEM = Frame(np.arange(4, dtype=np.int16), 8000)
""",
        [8000, 6],
    ),
]

HELPERS = """
import numpy as np
GAIN = 7
def double(x): return 2 * x
def total(x): return int(np.arange(x + 2).sum())
"""
