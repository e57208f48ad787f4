"""Builds the wheel with maturin, and with an argument of cargo that maturin's settings have no key
for: parts of RustPython ask for a newer compiler than they need (`rustpython/Cargo.toml`).
"""

import os

os.environ["MATURIN_PEP517_ARGS"] = "--ignore-rust-version --locked"

from maturin import *  # noqa: E402, F403  (it reads the variable when it builds)
