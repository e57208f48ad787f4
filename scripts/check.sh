#!/usr/bin/env bash
# Quick checks of a change, in a few minutes: format, lints, types, unit tests.
source "$(dirname "$0")/steps.sh"

# Tests that start few workers, and none of RustPython, whose program may not be built yet.
unit_tests=(tests/python/sdk/test_sdk_{errors,node,pipeline,run,state}.py tests/python/workers/test_{guest,pickle}.py)

step 'Rust format' rust_format || true
step 'Rust lints' rust_lints || true
step 'RustPython lints' rustpython_lints || true
step 'Rust unit tests' rust_tests unit || true
if step 'wheel and environment' scripts/install.sh test tests/python/requirements.txt; then
    python_checks
    step 'Python unit tests' python_tests unit --quiet -k 'not rustpython' "${unit_tests[@]}" || true
fi
conclude
