#!/bin/sh
# Sets up .venv where that is missing, then runs `metanas demo` with the arguments given here.
set -eu
sh "$(dirname "$0")/setup.sh" --oracles-optional
cd "$(dirname "$0")/.."
# Set in many container images; with it every call compiles torch anew, ten seconds long.
unset PYTHONDONTWRITEBYTECODE
exec .venv/bin/metanas demo "$@"
