"""`__main__` in a worker, as in the caller's program."""

from __future__ import annotations

from pathlib import Path

import pytest

from programs_of_users import script
from worker_programs import PROGRAMS

MAIN = '''"""What the script does."""
import __main__
RATE, DEPTH, OTHER = 16000, [24], "not said"
LOCK = threading.Lock()
def by_name(x):
    import __main__
    assert not hasattr(__main__, "".join(["OTH", "ER"]))
    return __main__.RATE, __main__.DEPTH, getattr(__main__, "UNKNOWN", "none")
def about(x):
    main = sys.modules["__main__"]
    return main.__file__, getattr(main, "RATE"), main.__name__
class Reads(Node):
    def process(self, x):
        return __main__.__file__, __main__.by_name(x)[0], __main__.__name__
class Pool(Node):
    """Its children do not run the script."""
    def process(self, x):
        import __main__, os
        with ProcessPoolExecutor(1, mp_context=mp.get_context(x)) as pool:
            return os.path.basename(__main__.__file__), list(pool.map(by_two, [1, 2]))
def by_two(x): return 2 * x
'''


@pytest.mark.parametrize("program", PROGRAMS)
def test_main_has_the_file_and_the_variables_that_nodes_name(program: str, tmp_path: Path) -> None:
    # spec: IOP-19
    main = """
assert twice(lambda: by_name, 1, runtime) == [(16000, [24], "none")] * 2
for kind in (lambda: about, Reads):
    assert twice(kind, 1, runtime) == [(__file__, 16000, "__main__")] * 2
RATE = 8000
assert twice(lambda: about, 1, runtime) == [(__file__, 8000, "__main__")] * 2
"""
    script(tmp_path, program, MAIN, main)


def test_main_has_the_docstring_of_the_script(tmp_path: Path) -> None:
    # spec: IOP-19
    main = """
def doc(x):
    import __main__
    return __main__.__doc__
__doc__ = "What it does."
print(twice(lambda: doc, 1, runtime))
__doc__ = None
print(twice(lambda: doc, 1, runtime))
"""
    assert script(tmp_path, "cpython", "", main) == [
        "['What it does.', 'What it does.']",
        "[None, None]",
    ]


@pytest.mark.parametrize("method", ["spawn", "forkserver", "fork"])
def test_children_of_a_node_do_not_run_the_script(method: str, tmp_path: Path) -> None:
    # spec: IOP-19
    source = MAIN + "\nif __name__ != '__main__': raise SystemExit('run again')\n"
    main = f"print(twice(Pool, {method!r}, runtime))"
    assert script(tmp_path, "cpython", source, main) == [str([("script.py", [2, 4])] * 2)]
