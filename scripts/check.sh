#!/usr/bin/env bash
# What is wrong with a change can mostly be told in a few minutes: format, lints, types, unit tests.
source "$(dirname "$0")/steps.sh"

# Tests that start hardly any worker, and none of RustPython, which may not have been built.
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
