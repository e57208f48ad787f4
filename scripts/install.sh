#!/usr/bin/env bash
# install.sh VENV [REQUIREMENTS]: makes the virtual environment .venvs/VENV with the wheel in it.
# The wheel is built and installed only when its sources have changed.
source "$(dirname "$0")/common.sh"
check_tools

venv=.venvs/$1
requirements=${2:-}
profile=${WHEEL_PROFILE:-dev}
wheels=target/wheels/$profile

current=$(digest Cargo.toml Cargo.lock ipc-protocol nodes orchestrator durable worker-shim python config)
if [[ $(cat "$wheels/.digest" 2>/dev/null) != "$current" ]]; then
    printf 'building the wheel (profile %s)\n' "$profile"
    make_tools
    rm -rf "$wheels"
    "$tools/bin/maturin" build --locked --profile "$profile" --manifest-path python/Cargo.toml \
        --interpreter "$PYTHON" --auditwheel skip --compression-method stored --out "$wheels"
    printf '%s\n' "$current" >"$wheels/.digest"
fi

stamp="$profile $current $(cat ${requirements:+"$requirements"} /dev/null | sha256sum)"
if [[ $(cat "$venv/.stamp" 2>/dev/null) != "$stamp" ]]; then
    new_venv "$venv"
    rm -f "$venv/.stamp"
    pip "$venv" ${requirements:+-r "$requirements"} "$wheels"/*.whl
    # The version does not change with the sources, so pip would keep an older wheel.
    pip "$venv" --force-reinstall --no-deps "$wheels"/*.whl
    printf '%s\n' "$stamp" >"$venv/.stamp"
fi
