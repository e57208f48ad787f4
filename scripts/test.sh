#!/usr/bin/env bash
# Every test, and every check but the lints of the RustPython worker: what CI runs. Steps that compute
# and steps that mostly wait run beside each other.
source "$(dirname "$0")/steps.sh"

# The longest build. What is compiled meanwhile needs no second processor all the time.
begin 'RustPython worker' scripts/rustpython.sh
step 'Rust format' rust_format || true
step 'Rust lints' rust_lints || true
step 'Rust tests' rust_tests || true
step 'Rust doc tests' cargo test --locked --workspace --doc --quiet || true
if step 'wheel and environment' scripts/install.sh test tests/python/requirements.txt; then
    python_checks
    finish 'RustPython worker' && step 'RustPython wheel' scripts/rustpython.sh test || true
    # README, examples and everything else in Python, against the installed wheel. The tests wait for
    # processes for most of their time, so there are more of them at once than processors.
    begin 'memory checks' scripts/memory.sh
    step 'pytest' python_tests side-by-side -m 'not alone' --numprocesses 4 --dist worksteal tests/python || true
    finish 'memory checks' || true
    step 'pytest, one by one' python_tests alone -m alone tests/python || true
else
    finish 'RustPython worker' || true
fi
conclude
