"""Portable pickles, which any interpreter can load: they contain source text instead of bytecode.

A class or function that the receiver can import travels by reference. Any other travels as data:
functions as their source lines, with the variables that they close over; classes as their bases and
attributes; and the names that their code looks up, with the values that they have now. No
definition of the caller's program runs again. For an object that cannot travel like this there is
an error that names the object and a workaround.

`source` reads source texts, `spaces` finds them, `described` says what a class consists of, and
`writing` pickles. `opening` loads the pickles. `imports` imports modules for the receiver, also
parts of a module whose own import fails there.
"""
