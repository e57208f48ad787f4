"""What runs on CPython and on RustPython, shown by running it.

`cases` reads the programs that show it, `measure` runs them on an interpreter, `page` makes
`docs/compatibility.md` of what is recorded with them.
"""
