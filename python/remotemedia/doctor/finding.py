"""What the doctor finds."""

from __future__ import annotations

from dataclasses import asdict, dataclass

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at, in a few words.
        level: `OK`; `NOTE`: works, with a restriction or a surprise; `PROBLEM`: does not work.
        text: what was found.
        advice: what to do about it; empty where the level is `OK`.
    """

    name: str
    level: str
    text: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """The finding as data for JSON."""
        return asdict(self)


def ok(name: str, text: str) -> Finding:
    """A finding that needs nothing."""
    return Finding(name, OK, text)


def note(name: str, text: str, advice: str) -> Finding:
    """A finding to know about."""
    return Finding(name, NOTE, text, advice)


def problem(name: str, text: str, advice: str) -> Finding:
    """A finding that stops pipelines, or some of them."""
    return Finding(name, PROBLEM, text, advice)


__all__ = ["NOTE", "OK", "PROBLEM", "Finding", "note", "ok", "problem"]
