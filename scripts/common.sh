# Sourced by the other scripts: changes to the repository's root, checks the required tools, finds
# the Python interpreter, computes digests of sources.
# shellcheck shell=bash

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

# at_least HAVE WANT: compares dotted versions.
at_least() {
    [[ $(printf '%s\n%s\n' "$2" "$1" | sort --version-sort | head -n 1) == "$2" ]]
}

# Runs each candidate: it may be a shim for a Python that is not installed.
find_python() {
    local candidate candidates=(python3.11 python3.12 python3.13 python3.14 python3)
    [[ -n ${PYTHON:-} ]] && candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            "$candidate" -c 'import os, sys; print(os.path.abspath(sys.executable))'
            return
        fi
    done
    fail "${PYTHON:+PYTHON=$PYTHON is not usable: }Python 3.11 or newer with venv and pip is needed (Debian: python3 python3-venv)"
}

check_tools() {
    local want have
    want=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
    command -v cargo >/dev/null && command -v rustc >/dev/null ||
        fail "cargo and rustc are not on PATH: install Rust $want or newer from https://rustup.rs"
    have=$(rustc --version | cut -d ' ' -f 2) || fail "rustc does not run: see above"
    at_least "${have%%-*}" "$want" || fail "Rust $want or newer is needed, rustc is $have: run rustup update"
    command -v "${CC:-cc}" >/dev/null || fail "a C compiler is needed to link (Debian: build-essential)"
    PYTHON=$(find_python)
    # The same interpreter for every build, so that pyo3 is built once; maturin sets the last variable
    # too.
    export PYTHON PYO3_PYTHON=$PYTHON PYO3_BUILD_EXTENSION_MODULE=1
}

# digest PATH...: prints a digest of the files below the paths, the compiler and the interpreter.
digest() {
    {
        "$PYTHON" -c 'import sys; print(sys.version, sys.executable)'
        rustc --version
        find "$@" \
            \( -name target -o -name __pycache__ -o -name '.*_cache' -o -name '*.so' -o -name fuzz \) -prune \
            -o -type f -print0 | LC_ALL=C sort --zero-terminated | xargs --null sha256sum
    } | sha256sum | cut -d ' ' -f 1
}

new_venv() {
    [[ -x $1/bin/python ]] && "$1/bin/python" -c '' 2>/dev/null && return
    rm -rf "$1"
    "$PYTHON" -m venv "$1"
}

pip() {
    "$1/bin/python" -m pip --quiet --disable-pip-version-check install "${@:2}"
}

# The virtual environment with maturin.
tools=.venvs/build

make_tools() {
    new_venv "$tools"
    pip "$tools" -r scripts/requirements-build.txt
}
