#!/usr/bin/env bash
# rustpython.sh [VENV]: builds the program of RustPython workers, and installs it into the virtual
# environment .venvs/VENV if VENV is given. It is built only when its sources have changed.
# WHEEL_PROFILE=release builds it as users get it, in about ten minutes.
source "$(dirname "$0")/common.sh"
check_tools

manifest=worker-shim/rustpython/Cargo.toml
target=target/rustpython
profile=${WHEEL_PROFILE:-dev}

# With two versions of this crate there are two integer types, and the compiler's errors do not show
# the reason.
count=$(grep --count '^name = "malachite-bigint"$' "${manifest%.toml}.lock")
[[ $count == 1 ]] || fail "${manifest%.toml}.lock has $count versions of malachite-bigint, not one: see $manifest"

if command -v pkg-config >/dev/null && ! pkg-config --exists libffi; then
    fail "libffi is needed to build RustPython (Debian: libffi-dev)"
fi

folder=$target/${profile/#dev/debug}
program=$folder/remotemedia-rustpython
current=$(digest Cargo.toml ipc-protocol worker-shim python/remotemedia)
if [[ $(cat "$folder/.digest" 2>/dev/null) != "$current" || ! -x $program ]]; then
    rm -f "$folder/.digest"
    # --ignore-rust-version is explained in the manifest.
    cargo build --locked --profile "$profile" --ignore-rust-version --manifest-path "$manifest" --target-dir "$target"
    printf '%s\n' "$current" >"$folder/.digest"
fi
(($#)) || exit 0

venv=.venvs/$1
stamp=$(sha256sum <"$program")
[[ $(cat "$venv/.rustpython" 2>/dev/null) == "$stamp" && -x $venv/bin/remotemedia-rustpython ]] && exit 0
make_tools
rm -rf target/wheels/rustpython
"$tools/bin/maturin" build --locked --ignore-rust-version --profile "$profile" --manifest-path "$manifest" \
    --target-dir "$target" --auditwheel skip --compression-method stored --out target/wheels/rustpython
pip "$venv" --force-reinstall --no-deps target/wheels/rustpython/*.whl
printf '%s\n' "$stamp" >"$venv/.rustpython"
