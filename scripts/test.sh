#!/usr/bin/env bash
# All tests, and all checks but the lints of the RustPython worker; CI runs this. Steps that compute
# and steps that mostly wait run in parallel.
source "$(dirname "$0")/steps.sh"

# The longest build. The steps meanwhile do not use a second processor all the time.
begin 'RustPython worker' scripts/rustpython.sh
step 'Rust format' rust_format || true
step 'Rust lints' rust_lints || true
step 'Rust tests' rust_tests || true
step 'Rust doc tests' cargo test --locked --workspace --exclude benches --doc --quiet || true
if step 'wheel and environment' scripts/install.sh test tests/python/requirements.txt; then
    python_checks
    finish 'RustPython worker' && step 'RustPython wheel' scripts/rustpython.sh test || true
    # Tests of README, examples and all Python code, with the installed wheel.
    step 'pytest, one by one' python_tests alone -m alone tests/python || true
    begin 'memory checks' scripts/memory.sh
    step 'pytest' python_tests_side_by_side || true
    finish 'memory checks' || true
else
    finish 'RustPython worker' || true
fi
conclude
