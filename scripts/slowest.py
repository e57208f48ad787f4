"""Prints the ten slowest tests of some JUnit reports."""

import sys
from pathlib import Path
from xml.etree import ElementTree

COUNT = 10


def slowest(reports: list[str]) -> list[tuple[float, str]]:
    """Seconds and names of the slowest tests, the slowest first."""
    tests = []
    for report in reports:
        for case in ElementTree.fromstring(Path(report).read_bytes()).iter("testcase"):
            name = f"{case.get('classname', '')}::{case.get('name', '')}"
            tests.append((float(case.get("time", "0")), name))
    return sorted(tests, reverse=True)[:COUNT]


if __name__ == "__main__":
    for seconds, name in slowest(sys.argv[1:]):
        print(f"{seconds:7.1f} s  {name}")
