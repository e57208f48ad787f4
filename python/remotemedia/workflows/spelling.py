"""The operator `contains` in the text of a condition, which Python does not have."""

from __future__ import annotations

import io
import keyword
import tokenize

_CONTAINS = "contains"
_VALUES = frozenset({"None", "True", "False"})


def with_contains(text: str) -> str:
    """The text with `is` in place of each operator `contains`; all else keeps its place in it.

    Python has no operator between two values that are written side by side, so one in between is
    always the operator. Conditions have no `is` of their own.

    Raises:
        SyntaxError: it has one, or cannot be taken apart.
    """
    lines = text.splitlines(keepends=True)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, IndentationError):
        return text  # the parser says what is wrong
    for before, token, after in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if token.type != tokenize.NAME:
            continue
        if token.string == "is":
            raise SyntaxError("conditions have no `is`; write ==")
        if token.string == _CONTAINS and _ends_value(before) and _begins_value(after):
            row, (begin, end) = token.start[0] - 1, (token.start[1], token.end[1])
            line = lines[row]
            lines[row] = line[:begin] + "is".ljust(len(_CONTAINS)) + line[end:]
    return "".join(lines)


def _ends_value(token: tokenize.TokenInfo) -> bool:
    if token.type == tokenize.NAME:
        return not keyword.iskeyword(token.string) or token.string in _VALUES
    return token.type in (tokenize.NUMBER, tokenize.STRING) or token.string in (")", "]", "}")


def _begins_value(token: tokenize.TokenInfo) -> bool:
    if token.type == tokenize.NAME:
        return not keyword.iskeyword(token.string) or token.string in _VALUES
    is_constant = token.type in (tokenize.NUMBER, tokenize.STRING)
    return is_constant or token.string in ("(", "[", "{", "-", "+")


__all__ = ["with_contains"]
