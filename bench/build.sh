# Sourced by the scripts beside it, at the top of the tree: builds what they need, and sees that what they start ends with them.

# A script that is killed runs no trap: tests/keeper.py ends what it started. What runs without Python starts nothing that outlives it.
if command -v python3 >/dev/null; then
    FRESHET_RUNS=$(python3 tests/keeper.py $$)
    export FRESHET_RUNS
fi

# Builds these targets of the release preset; what the compiler said is shown where it fails.
bench_build() {
    tests/packages --build-only
    mkdir -p build/logs
    if ! { cmake --preset release && cmake --build --preset release -j "$(nproc)" --target "$@"; } \
        >build/logs/bench-build.log 2>&1; then
        tail -n 40 build/logs/bench-build.log
        exit 1
    fi
}

# The Python that has the peers, at build/venv-bench/bin/python: made anew where bench/requirements.txt has changed.
bench_python() {
    if ! cmp -s bench/requirements.txt build/venv-bench/requirements.txt; then
        python3 -m venv build/venv-bench
        build/venv-bench/bin/pip install --quiet -r bench/requirements.txt
        cp bench/requirements.txt build/venv-bench/requirements.txt
    fi
}
