"""`remotemedia compat FILE`: shows which nodes of a file work on CPython and on RustPython.

`nodes` finds the classes of a file, `probe` loads them in workers of both interpreters, `command`
prints the results.
"""
