#!/usr/bin/env bash
# All tests, and all checks but the lints of the RustPython worker; CI runs this. What is compiled is
# compiled in the background, while tests wait for processes: the wheel first, then as tests need it.
source "$(dirname "$0")/steps.sh"
rm -f "$kept"

begin 'RustPython worker' scripts/rustpython.sh
step 'Rust format' rust_format || true
if step 'wheel and environment' scripts/install.sh test tests/python/requirements.txt; then
    begin 'Rust builds' rust_builds
    begin 'memory checks' scripts/memory.sh
    python_checks
    # Tests of README, examples and all Python code, with the installed wheel.
    step 'pytest' python_tests_side_by_side side-by-side 'not alone and not rustpython' || true
    finish 'Rust builds' || true
    step 'Rust tests' rust_tests || true
    step 'Rust doc tests' cargo test --locked --workspace --exclude benches --doc --quiet || true
    begin 'Rust lints' rust_lints
    finish 'RustPython worker' && step 'RustPython wheel' scripts/rustpython.sh test || true
    step 'pytest on RustPython' python_tests_side_by_side rustpython 'not alone and rustpython' || true
    finish 'Rust lints' || true
    finish 'memory checks' || true
    step 'pytest, one by one' python_tests alone -m alone tests/python || true
    step 'pytest, again' python_tests_again || true
else
    finish 'RustPython worker' || true
fi
conclude
