"""What runs on CPython and on RustPython, shown by running it.

`cases` holds the programs that show it, `measure` runs them on an interpreter, `page` makes
`docs/compatibility.md` of what is recorded with them. `scan`, `classify` and `nodes` judge
somebody's own nodes; `command` is `remotemedia compat`.
"""
