"""Builds the wheel with maturin and passes cargo the options that `rustpython/Cargo.toml` explains;
maturin's settings in `pyproject.toml` have no key for them.
"""

import os

os.environ["MATURIN_PEP517_ARGS"] = "--ignore-rust-version --locked"

from maturin import *  # noqa: E402, F403  (maturin reads the variable when it builds)
