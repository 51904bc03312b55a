#!/bin/sh
# Makes .venv with everything that the demo, the tests and the checks need; does nothing when it is there already.
#
#   sh scripts/setup.sh [--oracles-optional]
#
# PYTHON     the interpreter to use (3.11 or 3.12)
# PIP_FLAGS  passed to pip, e.g. "--extra-index-url https://download.pytorch.org/whl/cpu" for torch without CUDA
#
# learn2learn and higher (the `oracles`) have a step of their own, because learn2learn needs special flags and a C
# compiler. With --oracles-optional a failure of that step is a warning; the next call tries again.
set -eu
cd "$(dirname "$0")/.."

here=$(pwd -P)
stamp=.venv/.installed
oracles_stamp=.venv/.installed-oracles

say() { printf '%s\n' "metanas: $*" >&2; }
fail() { say "$*"; exit 1; }

# A stamp is good if it was written in this folder (a virtual environment cannot be moved), after the last change of
# the files that say what to install.
is_current() {
    [ -f "$1" ] && [ "$(cat "$1")" = "$here" ] && [ -z "$(find pyproject.toml constraints.txt -newer "$1")" ]
}

is_supported() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null
}

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_supported "$PYTHON" || fail "PYTHON=$PYTHON is not Python 3.11 or 3.12; name one that is."
        echo "$PYTHON"
        return
    fi
    for name in python3 python3.12 python3.11; do
        if is_supported "$name"; then
            echo "$name"
            return
        fi
    done
    fail "needs Python 3.11 or 3.12, found $(python3 --version 2>&1 || echo none); install one, or name it: PYTHON=/path/to/python3.12"
}

# A .venv is of use if it is whole and was made in this folder; scripts in it begin with its absolute path.
is_usable() {
    is_supported .venv/bin/python && grep -qF "$here/.venv/" .venv/bin/pip 2>/dev/null
}

make_venv() {
    python=$(find_python) || exit 1
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "python3 -m venv is missing; on Debian and Ubuntu: apt-get install python3-venv"
    "$python" -m venv --clear .venv
}

# Modules are compiled when they are first imported: most of what is installed never is, and it would take a minute.
pip_install() {
    progress=on
    [ -t 1 ] || progress=off
    # PIP_FLAGS is a list of words, so it is not quoted.
    # shellcheck disable=SC2086
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --progress-bar "$progress" \
        --no-compile -c constraints.txt ${PIP_FLAGS:-} "$@"
}

install_project() {
    rm -f "$stamp" "$oracles_stamp"
    say "setting up .venv, once; this takes a minute or two"
    is_usable || make_venv
    pip_install pip
    # The build constraints pin the tools for packages that come as source; each is built in an environment of its own.
    pip_install --build-constraint constraints.txt --editable '.[test,dev]' ||
        fail "pip could not install the packages (see above); run the same command again to go on"
    echo "$here" >"$stamp"
}

install_oracles() {
    # The C sources that learn2learn 0.2.0 ships do not compile since Python 3.11 (learnables/learn2learn#413): Cython
    # has to write them anew, and it does so only for `build_ext`.
    CYTHON_FORCE_REGEN=1 pip_install --build-constraint constraints.txt learn2learn higher \
        --config-settings="--build-option=build_ext" || return 1
    echo "$here" >"$oracles_stamp"
}

is_current "$stamp" || install_project
if ! is_current "$oracles_stamp" && ! install_oracles; then
    hint="learn2learn could not be built; it needs a C compiler and Python's headers (Debian: apt-get install gcc python3-dev)"
    [ "${1:-}" = --oracles-optional ] || fail "$hint"
    say "$hint; going on without it"
fi
