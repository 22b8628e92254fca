#!/bin/sh
# Make .venv with the first Python that is new enough, or say in one sentence what is missing.
#
# PYTHON=/path/to/python3 names another one. A .venv that already works is kept as it is.
set -eu

oldest="3.11"

fail() {
    printf 'makeway: %s\n' "$1" >&2
    exit 1
}

new_enough() {
    "$1" -c 'import sys; raise SystemExit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

makes_venvs() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

# The interpreter to use: the one named by PYTHON, else the first on the path that will do.
find_python() {
    if [ -n "${PYTHON:-}" ]; then
        new_enough "$PYTHON" ||
            fail "PYTHON=$PYTHON is not Python $oldest or newer ($(version_of "$PYTHON" || echo "it does not run"))"
        echo "$PYTHON"
        return
    fi
    fallback=""
    for name in python3.11 python3.12 python3.13 python3.14 python3 python; do
        if new_enough "$name"; then
            if makes_venvs "$name"; then
                echo "$name"
                return
            fi
            fallback="${fallback:-$name}"
        fi
    done
    [ -n "$fallback" ] ||
        fail "Python $oldest or newer is needed, and python3 here is $(version_of python3 || echo "missing"); PYTHON=/path/to/python3 names another one"
    echo "$fallback"
}

# Debian keeps venv apart from Python; root may simply install it.
add_venv_module() {
    package="python$(version_of "$1")-venv"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing $package …"
        export DEBIAN_FRONTEND=noninteractive
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$package"; } \
            >/dev/null 2>&1 || true
    fi
    makes_venvs "$1" ||
        fail "$1 cannot make virtual environments: install $package (on Debian: apt-get install $package) and run make again"
}

if [ -x .venv/bin/python ] && new_enough .venv/bin/python && .venv/bin/python -c 'import pip' 2>/dev/null; then
    exit 0
fi
python=$(find_python)
makes_venvs "$python" || add_venv_module "$python"
echo "making .venv with $python ($(version_of "$python")) …"
"$python" -m venv --clear .venv || fail "$python -m venv .venv failed; its own words stand above"
