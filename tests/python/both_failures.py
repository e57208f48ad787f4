"""A node that fails in every way in which code can, on every interpreter of workers."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any


class Break:
    """Fails as it is told."""

    def process(self, data: str) -> Any:
        """Do what the text names."""
        return getattr(self, data)()

    def deep_recursion(self) -> Any:
        """Recursion without end."""
        return self.deep_recursion()

    def deep_keywords(self, **given: Any) -> Any:
        """Recursion through keyword arguments, which takes more of the native stack."""
        return self.deep_keywords(**given)

    def long_expression(self) -> Any:
        """What overflows the parser's stack."""
        return eval("1+" * 50_000 + "1")

    def nested_expression(self) -> Any:
        """The same with unary operators."""
        return eval("-" * 50_000 + "1")

    def endless_loop(self) -> Any:
        """Python code that never ends."""
        while True:
            pass

    def endless_native(self) -> Any:
        """One native call that takes hours."""
        return sum(range(10**12))

    def stubborn(self) -> Any:
        """Catches whatever should end it."""
        while True:
            try:
                self.endless_loop()
            except BaseException:
                continue

    def out_of_memory(self) -> Any:
        """More memory than there may be."""
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))
        hoard = []
        while True:
            hoard.append(bytearray(1 << 20))

    def exit_at_once(self) -> Any:
        """Leave without a word."""
        os._exit(7)

    def panic(self) -> Any:
        """Code whose names are missing: RustPython panics, CPython reads past their end."""
        eval(compile("missing", "names", "eval").replace(co_names=()))

    def abort(self) -> Any:
        """The way that an assertion of native code ends."""
        os.abort()

    def segfault(self) -> Any:
        """What broken native code does."""
        os.kill(os.getpid(), signal.SIGSEGV)

    def exit_politely(self) -> Any:
        """An exception, as any other."""
        raise SystemExit(3)

    def flood(self) -> Any:
        """Print without measure, then fail."""
        print_without_measure()
        raise ValueError("flooded")

    def flood_and_exit(self) -> Any:
        """Print without measure, then leave without a word."""
        print_without_measure()
        os._exit(7)


def print_without_measure() -> None:
    """More than anybody keeps, in each way: lines, a line without end, and past Python."""
    for stream in (sys.stdout, sys.stderr):
        for _ in range(2_000):
            print("x" * 100, file=stream)
        stream.write("y" * (3 << 19))
    for descriptor in (1, 2):
        for _ in range(40):
            os.write(descriptor, b"raw line\n" * 200)
        os.write(descriptor, b"z" * (3 << 19))


class Tidy:
    """Loops without end, and leaves a word when it is ended."""

    def process(self, data: str) -> None:
        """Write to the file of this name on the way out."""
        with open(data, "w") as left:
            try:
                while True:
                    pass
            finally:
                left.write("cleaned up")
