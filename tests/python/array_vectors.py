"""Writes `array_vectors.jsonl`: expressions over arrays, each with the result that numpy gives.

    python tests/python/array_vectors.py

The first line holds the arrays, every further line an expression with one of

- `result`: dtype, shape and numbers of an array, a number, or a list of results. Sums and powers of
  floats are rounded by each implementation in its own way; such lines are `close`.
- `error`: the exception that numpy raises, and an `AudioView` too.
- `moves`: numpy has it and an `AudioView` has not: its error names the class, which moves the node.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from array_expressions import evaluated

TABLE = Path(__file__).with_suffix(".jsonl")

NUMERIC = {"b": "bool", "u": "uint8", "h": "int16", "i": "int32", "f": "float32", "d": "float64"}
"""The dtypes that views compute with, by the name of an array of them."""
PASSED = {
    "y": "int8",
    "q": "int64",
    "v": "uint16",
    "w": "uint32",
    "z": "uint64",
    "e": "float16",
    "g": "complex64",
    "c": "complex128",
}
"""Those that they only pass on."""
REDUCTIONS = ["sum", "mean", "min", "max", "any", "all"]
AXES = [
    "",
    "0",
    "axis=1, keepdims=True",
    "axis=-1",
    "(0, 1)",
    "(-1, 0), keepdims=True",
    "2",
    "(0, 0)",
]
INF, NAN = float("inf"), float("nan")

NUMBERS: dict[str, tuple[list[Any], list[Any]]] = {
    # Of shape (2, 3): the left operands, and the right ones.
    "b": ([1, 0, 1, 0, 1, 1], [0, 0, 1, 1, 1, 0]),
    "u": ([0, 1, 7, 200, 255, 3], [2, 0, 255, 100, 1, 7]),
    "h": ([0, -1, 7, 300, 32767, -32768], [3, 0, -2, 300, -1, 32767]),
    "i": ([0, -1, 7, 70_000, 2**31 - 1, -(2**31)], [3, 0, -2, 40_000, -1, 2**31 - 1]),
    "f": ([0.0, -1.5, 0.1, 1e30, NAN, -INF], [2.0, -0.0, 0.3, 1e30, -7.25, INF]),
    "d": ([0.0, -1.5, 0.1, 1e300, NAN, INF], [2.0, -0.0, 0.3, 1e300, -7.25, INF]),
}
ARITHMETIC = ["+", "-", "*", "/", "//", "%"]
COMPARED = ["<", "<=", "==", "!=", ">", ">="]
SCALARS = ["0", "1", "-3", "200", "70000", "1 << 40", "0.5", "-2.25", "1e300", "math.nan", "True"]

SUBSCRIPTS = """
1 ; -1 ; 1, 2 ; ... ; None ; :, 1 ; ::-1 ; :, ::2 ; ..., 0 ; 0, ..., None ; 1:1 ; 5: ; :, 2:0:-1
[1, 0] ; [0, -1, 1] ; :, [2, 0] ; ..., [3, 0, 3] ; 1, [2, 0] ; [1, 0], 0 ; 0, 1, [3, 1]
None, [1, 0] ; [[0, 1], [1, 0]] ; [] ; range(2) ; [True, False] ; M ; :, M[0, :, 0]
..., [True, False, False, True] ; 0, M[1] ; ~M ; array.array('i', [1, 0]) ; z[0, 0, 1::-1]
:, None, ::-1, [1]
"""
REFUSED_SUBSCRIPTS = (
    "2 ; -3 ; 0, 0, 0, 0 ; [2] ; [-3] ; [0.5] ; M[:, :2] ; ..., ... ; [[0], [1, 2]] ; ::0"
)

READ = """
s.T ; s.reshape(4, 6) ; s.reshape(-1) ; s.reshape((3, -1)) ; s.T.reshape(6, 4) ; s.ravel()
s.flatten() ; s.transpose(1, 0, 2) ; s.transpose() ; s.copy() ; s.shape ; s.ndim ; s.size
s.nbytes ; s.itemsize ; len(s) ; str(s.dtype) ; s.dtype.name ; s.dtype.kind ; s.dtype.itemsize
s.tolist() ; s.T.tobytes() ; s[1, 2, 3]
bytes(s[1]) ; s[1, 1].tolist() ; s[:, ::2, 0].tolist() ; copy.copy(s) ; copy.deepcopy([s])[0]
pickle.loads(pickle.dumps(s)) ; list(s[0, 0]) ; [row.shape for row in s] ; after(s, "m[0] = m[1]")
after(s, "m[..., 0] = m[..., 1]") ; audio.concatenate([s, s], 1) ; s.astype(s.dtype)
s.reshape(5, 5) ; s.transpose(0, 0, 1) ; s.transpose(0, 1)
"""

SEEN = """
memoryview(s).shape ; memoryview(s).strides ; memoryview(s.T[1]).strides ; memoryview(s[0]).nbytes
"""

EXPRESSIONS = """
x[x > 0.5] ; n[(n > 99) | (n < -9999) & (n != -1)] ; x[:, x[0] > 0] ; ~((x > 0.2) | (n > 0))
(x > 0) & (n < 9) ; after(x, "m[abs(m) < 0.5] = 0") ; after(x, "m[m > 0] *= 2")
after(x, "m[[0, 1]] = m[[1, 0]]") ; x[::-1] ; after(n, "m[:, ::2] = [[1], [2]]")
after(n, "m[0] = 7") ; after(n, "m[0, 1] = 2.9") ; after(x, "m[:, 1] = n[:, 0]")
after(x, "m[m > 2] = [1, 2]") ; after(n, "m[0] = 1 << 40") ; after(x, "m[0] = m[:, :2]")
after(n, "m[[0, 1]] = [[1]]") ; after(x, "m[1:, 1:] += m[:-1, :-1]")
after(x, "m[:, 1:] = m[:, :-1]") ; after(x.T, "m.fill(2)") ; after(n, "m[:] = x")
x[None, :, 0] * x[0][:, None] ; x + n[0] ; x[:, :1] * n ; x + n[:, :2] ; (x + 0)[:0]
x[:0] + n[:0] ; n[:, None] + x[None] ; x * 0.5 ; (x * 32767).astype("int16") ; n / 32768
n.astype("float32") / 32768 ; x - x.mean(axis=-1, keepdims=True)
(x * 40000).clip(-32000, 32000).astype("int16") ; x.clip(min=n[0, :1]) ; n.clip(0, 100)
n.clip(-40000, 40000) ; x.clip(None, 0.1) ; n.clip(0.5, 2.5) ; u.clip(3, 200) ; b.clip(False, True)
x.clip(0.5, x) ; n.clip(None, None) ; x ** 2 ; n ** 2 ; n ** 3 ; x ** 0.5 ; x ** -1 ; 2 ** u
n ** -1 ; u ** u ; i ** 2 ; n ** u ; (x ** 2).mean() ** 0.5 ; math.sqrt(abs(x.mean()))
math.log10(x[0].max()) ; int(n[0, 0]) ; float(x[1, 1]) ; float(x[:1, :1][0, 0]) ; int(n[0, 3:4][0])
statistics.median(x[0].tolist()) ; array.array("f", x[0].tolist()).tolist()
list(array.array("h", n[1])) ; struct.pack(f"<{n.shape[1]}h", *n[0]) ; written(n)
f"{x[0, 0]:.3f} {n[0, 1]:+d} {x.max():8.2e}" ; max(x[0]) ; min(n[1]) ; sum(n[0].tolist())
sorted(n[1]) ; [row.max() for row in x] ; list(reversed(n[0])) ; sum(x)
[[[a, b] for a, b in zip(*x)], list(enumerate(n[0, :3]))] ; (lambda left, right: left - right)(*x)
n[0, 3] in n ; 2.5 in x ; 7 in n[:0] ; x[1, 0] in x.T ; bool(n[0, :1] == n[0, :1]) ; bool(x > 0)
float(x) ; hash(x) ; n.dtype == "int16" ; n.dtype != "int8" ; n.dtype.kind in "iu"
n.astype(x.dtype) ; x.astype(float) ; n.astype(bool) ; n == 70000 ; n < 70000 ; 70000 > n ; u >= -1
u == 300 ; b == 1 ; b > 2 ; n + 70000 ; u - 1 ; u + -1 ; u * 256 ; True + u ; b + 0.5
audio.zeros((2, 3)) ; audio.zeros(4, "int16") ; audio.zeros(2, bool)
audio.empty((2, 5), "float64").shape ; audio.empty(3).nbytes
audio.from_samples(math.sin(2 * math.pi * t / 8) for t in range(16))
audio.from_samples([1, 2, 3], "int16") ; audio.from_samples(n[0], int)
audio.concatenate([x, x[:, :3]], axis=1) ; audio.concatenate([n, x])
audio.concatenate([n[0], n[1] > 0], -1) ; audio.concatenate([u, n[:, :3]])
audio.stack([x[0], n[0]]) ; audio.stack([x[0], x[1]], axis=1) ; audio.stack([n, n, n], axis=-1)
audio.stack([x[0], x]) ; audio.stack([]) ; audio.concatenate([]) ; audio.concatenate([x, n[0]])
audio.concatenate([x, x[:1]], 1) ; audio.concatenate([x], 2) ; x + "text" ; -b ; +b ; b - b
"""

MOVES = """
x.std() ; x.var(axis=0) ; x.prod() ; x.cumsum() ; x.argmax() ; n.argmin(axis=1) ; x @ x.T
x.dot(x[0]) ; x.round(2) ; x.real ; x.conj() ; x.squeeze() ; x.repeat(2) ; x.nonzero() ; x.flat
x.swapaxes(0, 1) ; x.view("int32") ; x.take([0]) ; x.strides ; n ^ n ; n << 1 ; n >> 2 ; n & 1
n | 1 ; ~n ; u & u ; b ^ b ; b + 1 ; b * 2 ; b // b ; b ** 2 ; b % b ; 1 - b ; q + 1 ; q * q
q.sum() ; q / 2 ; q > 0 ; -q ; abs(y) ; v + v ; w - 1 ; z * 2 ; e * 0.5 ; e + x[0, :1] ; g + g
c * 2 ; c == c ; q.astype("float64") ; n.astype("int64") ; x.astype(int) ; x.astype("float16")
x.astype(complex) ; n * 1j ; x + 1j ; e.mean() ; c.max() ; x.sum(dtype="float64")
x.mean(axis=0, dtype="float64") ; x.max(initial=0) ; x.copy(order="F") ; x.reshape(-1, order="F")
x.ravel("F") ; x.sum(where=x > 0) ; x.clip(0, 1, out=x.copy()) ; x + [1.0] * 20 ; [1.0] * 20 * x
x.astype("float64", order="F") ; x[[0, 1], [1, 0]] ; s[0, :, [1, 2]] ; after(e, "m[0] = 1.5")
after(c, "m[0] = 1j") ; after(c, "m.fill(2)") ; after(x, "m[0, :4] = q[0, 0]")
x.sum(0, None, None, True) ; after(n, "m <<= 1") ; after(x, "m[:, :3] = c[0, 0, :3].real")
audio.concatenate([n[0], q[0, 0]]) ; audio.concatenate([x[0], e[0, 0]])
"""


def cells(text: str) -> list[str]:
    """The expressions of a list with semicolons and line breaks between them."""
    return [cell.strip() for line in text.strip().splitlines() for cell in line.split(" ; ")]


def arrays() -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that expressions name."""
    made: dict[str, Any] = {}
    for name, kind in NUMERIC.items():
        left, right = NUMBERS[name]
        made[name] = np.array(left).astype(kind).reshape(2, 3)
        made[name.upper()] = np.array(right).astype(kind).reshape(2, 3)
    whole = np.arange(24).reshape(2, 3, 4)
    made |= {name: (whole % 7 - (kind[0] != "u") * 3).astype(kind) for name, kind in PASSED.items()}
    generator = np.random.default_rng(5)
    made["x"] = generator.uniform(-1, 1, (2, 20)).astype("float32")
    made["n"] = (made["x"] * 32_767).astype("int16")
    made["M"] = whole % 5 < 2
    made["s"] = whole.astype("int16")
    return made


Expression: TypeAlias = tuple[str, str, set[str]]
"""The text, the dtype of the array `s`, and words: `moves` where views have no such operation,
`numeric` where they have it for results of the six dtypes alone, `close` where results differ in
rounding."""


def of_operators() -> Iterator[Expression]:
    """Every operator between every two dtypes, and with numbers of Python."""
    for one, other in itertools.product(NUMERIC, NUMERIC):
        for operator in ARITHMETIC + COMPARED:
            yield f"{one} {operator} {other.upper()}", "int16", {"numeric"}
        for operator in ARITHMETIC:
            yield f'after({one}, "m {operator}= {other.upper()}")', "int16", set()
    for name, scalar in itertools.product(NUMERIC, SCALARS):
        for operator in ARITHMETIC + COMPARED:
            yield f"{name} {operator} ({scalar})", "int16", {"numeric"}
        for operator in ("-", "/", "//", "<"):
            yield f"({scalar}) {operator} {name}", "int16", {"numeric"}
    for name in NUMERIC:
        yield from ((f"{sign}({name})", "int16", set()) for sign in ("-", "+", "abs"))
        for masks in (f"{name} & {name.upper()}", f"{name} | {name.upper()}", f"~{name}"):
            yield masks, "int16", set() if name == "b" else {"moves"}
        source = name if name not in "fd" else f"abs({name.upper()}).clip(0, 100)"
        yield from ((f'{source}.astype("{kind}")', "int16", set()) for kind in NUMERIC.values())


def of_reductions() -> Iterator[Expression]:
    """Every reduction of every dtype along every axis."""
    for name, method in itertools.product(NUMERIC, REDUCTIONS):
        words = {"close"} if method in ("sum", "mean") else set()
        # Which of two zeros is the smaller one is left to the machine.
        tame = f"{name}.clip(-9, 9)" if words and name in "fd" else name
        for axis in AXES:
            yield f"{tame}.{method}({axis})", "int16", words
        yield f"{tame}[:, ::2].T.{method}()", "int16", words
        yield f"{name}[:0].{method}()", "int16", words
        yield f"{name}[:0].{method}(0)", "int16", words


def of_subscripts() -> Iterator[Expression]:
    """Every form of subscript, read and written, of several dtypes."""
    for kind in ("bool", "int16", "float32", "complex128"):
        for subscript in cells(SUBSCRIPTS):
            yield f"s[{subscript}]", kind, set()
            yield f'after(s, "m[{subscript}] = m[{subscript}][::-1]")', kind, set()
        for subscript in cells(REFUSED_SUBSCRIPTS):
            yield f"s[{subscript}]", kind, set()
            yield f'after(s, "m[{subscript}] = 0")', kind, set()


def expressions() -> Iterator[Expression]:
    """All of the table."""
    yield from of_operators()
    yield from of_reductions()
    yield from of_subscripts()
    for kind in ("bool", "float32", *PASSED.values()):
        yield from ((one, kind, set()) for one in cells(READ))
        # Python has no format for complex numbers in a `memoryview`.
        seen = [] if kind.startswith("complex") else cells(SEEN)
        yield from ((one, kind, set()) for one in seen)
    for one in cells(EXPRESSIONS):
        yield one, "int16", {"close"} if "**" in one or "mean" in one else set()
    yield from ((one, "int16", {"moves"}) for one in cells(MOVES))


def described(value: Any) -> Any:
    """A result as JSON: arrays with dtype and shape, numbers with their type."""
    if isinstance(value, np.ndarray):
        numbers = [described(one.item())[1] for one in value.ravel()]
        if value.dtype in (np.float16, np.float32):
            numbers = [float(str(one)) for one in value.ravel()]  # short, and the same when read
        return ["array", str(value.dtype), list(value.shape), numbers]
    if isinstance(value, np.generic):
        return described(value.item())
    if isinstance(value, list | tuple):
        return ["list", [described(one) for one in value]]
    if isinstance(value, complex):
        return ["complex", [value.real, value.imag]]
    if isinstance(value, bytes | bytearray):
        return ["bytes", value.hex()]
    return [type(value).__name__, value]


def outcome(found: Any, words: set[str]) -> dict[str, Any]:
    """What a line of the table says of numpy's result or error."""
    if found[0] == "error":
        return {"error": found[1]}
    value = found[1]
    is_other = isinstance(value, np.ndarray) and str(value.dtype) not in NUMERIC.values()
    if "moves" in words or ("numeric" in words and is_other):
        return {"moves": True}
    return {"result": described(value), **({"close": True} if "close" in words else {})}


def lines() -> Iterator[dict[str, Any]]:
    """The table."""
    known = arrays()
    yield {name: described(one) for name, one in known.items()}
    for expression, kind, words in expressions():
        known["s"] = arrays()["s"].astype(kind)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (found,) = evaluated(known, [expression])
        yield {"of": expression, "s": kind, **outcome(found, words)}


if __name__ == "__main__":
    rows = [json.dumps(line, separators=(",", ":")) for line in lines()]
    TABLE.write_text("\n".join(rows) + "\n", encoding="utf-8")
