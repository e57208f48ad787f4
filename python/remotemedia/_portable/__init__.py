"""Portable pickles, which any interpreter can load: they contain source text instead of bytecode.

A class or function that the receiver can import travels by reference. Any other travels as the
source lines that define it, together with the names of its module that those lines use, but no
more: the caller's script never runs again. Values of a module travel as they are now. For an object
that cannot travel like this there is an error that names the object and a workaround.

`source` reads source texts, `spaces` finds them and checks what definitions read, and `writing`
pickles. `opening` loads the pickles. `imports` imports modules for the receiver, also parts of a
module whose own import fails there.
"""
