"""Classes of scripts as workers make them: slots, registries of subclasses, metaclasses."""

# ruff: noqa: E501  (sources stand here as text)
from __future__ import annotations

from pathlib import Path

import pytest

from programs_of_users import script
from worker_programs import PROGRAMS

each = pytest.mark.parametrize("program", PROGRAMS)

SLOTS = """
import weakref
@dataclass(slots=True)
class Word: text: str = ""
@dataclass(slots=True)
class Longer(Word): more: str = ""
@dataclass(slots=True, frozen=True, weakref_slot=True)
class Frozen: a: int
class Open(Word): pass
class Plain:
    __slots__ = ("a", "__b", "unset")
    def __init__(self): self.a, self.__b = 1, 2
    def b(self): return self.__b
class One:
    "Slots as one name."
    __slots__ = "a"
class Documented:
    __slots__ = {"a": "what it is"}
class Custom:
    __slots__ = ("a", "b")
    def __getstate__(self): return self.a, self.b
    def __setstate__(self, state): self.a, self.b = state
class Make(Node):
    def process(self, x):
        opened, one, documented, custom = Open(x), One(), Documented(), Custom()
        opened.free = one.a = documented.a = custom.a = custom.b = 7
        weakref.ref(Frozen(1))
        return [Word(x), Longer(x, "m"), Frozen(3), opened, Plain(), one, documented, custom]
class Echo(Node):
    def process(self, x):
        for closed in (x[0], x[1], x[4], x[5]):
            try: closed.unknown = 1
            except AttributeError: pass
            else: raise SystemError(closed)
        return x
class Keeps(Node):
    def __init__(self): super().__init__(); self.last = Word("none"); self.pair = [Plain()]
    def process(self, x): self.last.text = x; self.pair[0].a = x; return x
def shown(items):
    word, longer, frozen, opened, plain, one, documented, custom = items
    assert [type(item) for item in items] == [Word, Longer, Frozen, Open, Plain, One, Documented, Custom]
    assert not hasattr(plain, "unset") and Documented.__slots__ == {"a": "what it is"}
    return word, longer, frozen, (opened.text, opened.free), (plain.a, plain.b()), one.a, documented.a, (custom.a, custom.b)
"""


@each
def test_slots_of_a_scripts_classes_travel_in_all_directions(program: str, tmp_path: Path) -> None:
    # spec: IOP-19, IOP-20
    main = """
expected = shown(Make().process("hi"))
for made in twice(Make, 'hi', runtime): assert shown(made) == expected
given = Make().process("hi")
for back in twice(Echo, [given], runtime): assert shown(back) == expected
keeps = Keeps()
for text in ("a", "b"):
    Pipeline(keeps, runtime=runtime).run(text)
    Pipeline(Other(), runtime=runtime).run(1)
    print(keeps.last, keeps.pair[0].a, keeps.pair[0].b())
"""
    assert script(tmp_path, program, SLOTS, main) == ["Word(text='a') a 2", "Word(text='b') b 2"]


REGISTRY = """
import abc
registry, names = {}, []
class Plugin:
    def __init_subclass__(cls, *, key=None, **more):
        super().__init_subclass__(**more)
        if cls.__name__ in registry: raise ValueError(f"duplicate plugin {cls.__name__}")
        registry[cls.__name__] = key
class Named:
    def __init_subclass__(cls): names.append(cls.__name__)
class Gain(Plugin, Node, key="g"):
    def process(self, x): return sorted(registry.items()), x
class Quiet(Gain):
    def process(self, x):
        class Inner(Plugin): pass
        return sorted(registry), x
class N(Named, Node):
    def process(self, x): return names
class Meta(type):
    known = []
    def __new__(meta, name, bases, own, tag=""):
        if name in meta.known: raise ValueError(f"duplicate {name}")
        meta.known.append(name)
        made = super().__new__(meta, name, bases, own)
        made.tag = tag
        return made
    def __init__(cls, name, bases, own, tag=""): super().__init__(name, bases, own)
class Counted(abc.ABCMeta):
    made = []
    def __init__(cls, name, bases, own):
        super().__init__(name, bases, own)
        Counted.made.append(name)
class Thing(metaclass=Meta, tag="t"):
    def told(self): return self.tag, Meta.known
class Above(metaclass=Counted):
    @abc.abstractmethod
    def told(self): ...
class Below(Above):
    def told(self): return Counted.made
class M(Node):
    def process(self, x): return Thing(), Below(), Thing().told(), Below().told()
"""


def test_a_class_registers_itself_once(tmp_path: Path) -> None:
    # spec: IOP-19
    main = """
for made in twice(Gain, 1, runtime): assert made == ([("Gain", "g"), ("Quiet", None)], 1), made
for made in twice(Quiet, 2, runtime): assert made == (["Gain", "Inner", "Quiet"], 2), made
for made in twice(N, 1, runtime): assert made == ["N"], made
for thing, below, told, seen in twice(M, 1, runtime):
    assert (type(thing), type(below)) == (Thing, Below)
    assert told == ("t", ["Thing"]) == thing.told() and seen == ["Above", "Below"] == below.told()
print(sorted(registry), names, Meta.known, Counted.made)
"""
    told = "['Gain', 'Quiet'] ['N'] ['Thing'] ['Above', 'Below']"
    assert script(tmp_path, "cpython", REGISTRY, main) == [told]


def test_a_class_of_a_script_enters_the_registry_of_a_module(tmp_path: Path) -> None:
    # spec: IOP-19
    module = """
registry = {}
class Plugin:
    def __init_subclass__(cls, *, key, **more):
        super().__init_subclass__(**more)
        if cls.__name__ in registry: raise ValueError(f"duplicate plugin {cls.__name__}")
        registry[cls.__name__] = key
class Lenient:
    seen = []
    def __init_subclass__(cls): Lenient.seen.append(cls.__name__)
"""
    (tmp_path / "plugins.py").write_text(module)
    source = """
import plugins
class Gain(plugins.Plugin, Node, key="g"):
    def process(self, x): return x
class Seen(plugins.Lenient, Node):
    def process(self, x): return "Seen" in plugins.Lenient.seen
"""
    main = "print(twice(Gain, 1, runtime), twice(Seen, 1, runtime))"
    assert script(tmp_path, "cpython", source, main) == ["[1, 1] [True, True]"]
