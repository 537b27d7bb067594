# Sourced by the scripts beside it: builds, starts one server on a fresh data directory, stops what it started.
# Sets: work (a temporary directory), address (host:port of the running server). Another server than the one built: `binary` before server_start.

. bench/build.sh
bench_build freshet freshet-bench
work=$(mktemp -d)
server=
address=

server_stop() {
    [ -n "$server" ] || return 0
    kill -TERM "$server" 2>/dev/null || true
    wait "$server" || echo "the server ended with status $?" >&2
    server=
    rm -rf "$work/store"
}

server_settle() { # until the memory that the server makes present at its start is there
    while grep -qsx pool-stock /proc/"$server"/task/*/comm; do sleep 0.05; done
}

server_start() { # further arguments of `freshet serve`
    rm -rf "$work/store" "$work/ready" # the line of the one before is not for this one
    "${binary:-build/release/freshet}" serve --data "$work/store" --http 127.0.0.1:0 --pg 127.0.0.1:0 "$@" >"$work/ready" 2>"$work/log" &
    server=$!
    address=
    for _ in $(seq 200); do
        { read -r line <"$work/ready"; } 2>/dev/null || line=
        case "$line" in *" http="*) address=${line#*" http="} address=${address%% *}; server_settle; return 0 ;; esac
        sleep 0.05
    done
    cat "$work/log" >&2
    exit 1
}

bench_finish() {
    trap - EXIT
    server_stop
    rm -rf "$work"
}
trap bench_finish EXIT # SIGTERM runs it at once: a trap of its own would wait until what runs in front has ended
trap 'exit 130' INT
