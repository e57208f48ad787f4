"""`python -m remotemedia.cli`: the same as `python -m remotemedia`, kept for old scripts."""

import sys

from remotemedia.__main__ import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
