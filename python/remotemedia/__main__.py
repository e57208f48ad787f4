"""The command line: `python -m remotemedia` and the script `remotemedia`."""

from __future__ import annotations

import sys

from remotemedia._load import native


def main() -> int:
    """Run the command line and give its exit code."""
    code: int = native().cli(sys.argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
