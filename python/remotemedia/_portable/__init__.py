"""Pickles that any interpreter may open: no code inside, but source where it is needed.

What the other side can import travels by reference. Classes and functions that it cannot travel as
the lines that define them, with what these refer to in their module, and no more: the caller's
script never runs again. Values of a module travel as they are now. What cannot be expressed so is
an error that names it and the way out.

`source` reads source, `spaces` finds it, `parts` says what goes along and how it is written,
`writing` pickles. The other side is `opening`; `imports` also gives what can be made of a module
whose import fails.
"""
