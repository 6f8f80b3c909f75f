# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Starts and stops real store servers for tests/stores/*.sh.  Sourced:
#
#	. tests/stores/lib.bash
#	stores_begin versitygw pyroscope    # programs it needs; without one of them: exit 77 with the reason
#	store_start pyroscope v1            # sets STORE_URL STORE_PORT STORE_PID STORE_DIR; fails the test if it cannot
#	...
#	stores_end                          # the counts; the script's exit code
#
# Servers listen on 127.0.0.1 only, on ports that were free, each in a directory of its own ($STORE_DIR: log, run,
# pid), and are gone when the script ends, however it ends.  Several of one kind, and several scripts, may run at
# once.  No test waits for time to pass: `until_true SECONDS COMMAND...` waits for a condition, with a limit.
#
#	versitygw [FLAG...]     S3; key testkey, secret testsecret; data below $STORE_DIR/data, a directory a bucket
#	profefe                 http://.../api/0/
#	parca                   gRPC-Web and REST
#	pyroscope v1|v2         with either of its storages; profiles of any age are taken

B=${B:-build}
PGO=${PGO:-$PWD/$B/pgo}
STORES=$PWD/tests/stores
good=0 bad=0
stores_pids=()

stores_begin() {
	local name path
	for name in curl python3; do
		command -v "$name" >/dev/null || {
			echo "$name is not installed"
			exit 77
		}
	done
	for name in "$@"; do
		path=$("$STORES/build.sh" --path "$name") || {
			echo "$path"
			exit 77
		}
		printf -v "PROGRAM_$name" %s "$path"
	done
	T=$(mktemp -d) || exit 1
	trap stores_gone EXIT
	trap 'exit 130' INT TERM HUP
	# Nothing of the user's own decides what is fetched.
	export HOME=$T
	unset "${!AWS_@}" "${!PGO_FETCH_@}" http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
}

stores_gone() {
	local pid
	for pid in "${stores_pids[@]}"; do
		kill "$pid" 2>/dev/null
	done
	for pid in "${stores_pids[@]}"; do
		until_true 2 store_is_gone "$pid" || kill -9 "$pid" 2>/dev/null
	done
	rm -rf "$T"
}

stores_end() {
	echo "$good checks passed, $bad failed"
	[ "$bad" = 0 ] && [ "$good" -gt 0 ]
}

# ------------------------------------------------------------------ checks

ok() {
	good=$((good + 1))
}

no() {
	bad=$((bad + 1))
	echo "FAIL: $*"
	[ ! -s "$T/out" ] || sed 's/^/      /' "$T/out" | tail -n 20
}

# expect CODE REGEX COMMAND...: exit code, and a regular expression in what is said ('' = anything); $T/out keeps it
expect() {
	local code=$1 text=$2 got=0
	shift 2
	timeout 300 "$@" >"$T/out" 2>&1 </dev/null || got=$?
	if [ "$got" = "$code" ] && { [ -z "$text" ] || grep -qE -- "$text" "$T/out"; }; then
		ok
	else
		no "exit code $got, wanted $code and '$text': $*"
	fi
}

# same WHAT GOT WANTED
same() {
	if [ "$2" = "$3" ]; then
		ok
	else
		no "$1: $2, wanted $3"
	fi
}

# until_true SECONDS COMMAND...: 0 as soon as it succeeds, 1 after that time
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -le "$end" ] || return 1
		sleep 0.05
	done
}

# ------------------------------------------------------------------ servers

# free_ports N: below those that the system hands out, so that no client of anybody's gets one in the meantime
free_ports() {
	python3 - "$1" <<-'PY'
		import random, socket, sys
		held = []
		while len(held) < int(sys.argv[1]):
		    s = socket.socket()
		    try:
		        s.bind(("127.0.0.1", random.randrange(10240, 32000)))
		        held.append(s)
		    except OSError:
		        pass
		print(*(s.getsockname()[1] for s in held))
	PY
}

# Every server's command line, in `command`, from its directory, ports and the flags given to store_start; the
# path that answers 200 when it is ready, in `ready`.
store_command_versitygw() {
	mkdir -p "$dir/data" || return 1
	ready=/health
	command=("$PROGRAM_versitygw" --health /health --access testkey --secret testsecret --port "127.0.0.1:$1"
		--access-log "$dir/access.log" "${flags[@]}" posix "$dir/data")
}

store_command_profefe() {
	ready=/api/0/version
	command=("$PROGRAM_profefe" -addr "127.0.0.1:$1" -badger.dir "$dir/badger" "${flags[@]}")
}

# The last flag keeps it from asking a public server for debug information.
store_command_parca() {
	ready=/ready
	printf 'object_storage:\n  bucket:\n    type: FILESYSTEM\n    config:\n      directory: %s/bucket\n' "$dir" >"$dir/parca.yaml"
	command=("$PROGRAM_parca" "--http-address=127.0.0.1:$1" "--config-path=$dir/parca.yaml"
		--debuginfod-upstream-servers=127.0.0.1:9 "${flags[@]}")
}

# Ready only when all its parts are; they find each other over the ports given here.
store_command_pyroscope() {
	local a=127.0.0.1 storage=${flags[0]-v1} f
	ready=/ready
	command=(env)
	[ "$storage" = v1 ] || command+=(PYROSCOPE_V2=1)
	command+=("$PROGRAM_pyroscope" -target=all -config.show_banner=false -self-profiling.disable-push=true
		-usage-stats.enabled=false -validation.reject-older-than=0 -ingester.min-ready-duration=0s
		"-server.http-listen-address=$a" "-server.http-listen-port=$1"
		"-server.grpc-listen-address=$a" "-server.grpc-listen-port=$2"
		"-memberlist.bind-addr=$a" "-memberlist.advertise-addr=$a" "-memberlist.bind-port=$3"
			"-memberlist.advertise-port=$3")
	for f in ingester.lifecycler.addr distributor.ring.instance-addr compactor.ring.instance-addr \
		query-frontend.instance-addr query-scheduler.ring.instance-addr store-gateway.sharding-ring.instance-addr \
		overrides-exporter.ring.instance-addr; do
		command+=("-$f=$a")
	done
	if [ "$storage" != v1 ]; then
		# Without the first two it keeps to the older storage, and says nothing.
		command+=(-write-path=segment-writer -enable-query-backend=true -storage.backend=filesystem
			"-storage.filesystem.dir=$dir/shared" "-segment-writer.lifecycler.addr=$a"
			-segment-writer.min-ready-duration=0s -metastore.min-ready-duration=0s
			"-metastore.address=$a:$2" "-query-backend.address=$a:$2"
			"-metastore.raft.bind-address=$a:$4" "-metastore.raft.advertise-address=$a:$4" "-metastore.raft.server-id=$a:$4")
	fi
	command+=("${flags[@]:1}")
}

# store_start NAME [FLAG...]
store_start() {
	local name=$1 flags=("${@:2}") try dir command ready ports
	for try in 1 2 3 4 5; do
		dir=$(mktemp -d "$T/$name.XXXXXX") || break
		read -r -a ports < <(free_ports 4)
		"store_command_$name" "${ports[@]}" || break
		{
			# shellcheck disable=SC2016 # for the file
			echo 'cd "$(dirname "$0")" || exit'
			printf 'exec'
			printf ' %q' "${command[@]}"
			echo
		} >"$dir/run"
		echo "http://127.0.0.1:${ports[0]}$ready" >"$dir/ready"
		# shellcheck disable=SC2034 # for the caller
		STORE_DIR=$dir STORE_PORT=${ports[0]} STORE_URL=http://127.0.0.1:${ports[0]}
		store_again "$dir" && return 0
	done
	echo "FAIL: $name does not start ($try times); the end of what it says:"
	tail -n 20 "$dir/log"
	exit 1
}

# store_again DIR: starts the server of that directory, with its data, on the port it had; sets STORE_PID
store_again() {
	local ready
	ready=$(cat "$1/ready")
	bash "$1/run" >>"$1/log" 2>&1 </dev/null &
	STORE_PID=$!
	stores_pids+=("$STORE_PID")
	disown "$STORE_PID" # bash has nothing to say when it ends
	echo "$STORE_PID" >"$1/pid"
	until_true 60 store_answers "$STORE_PID" "$ready" && ! store_is_gone "$STORE_PID"
}

# Ready, or gone, which is no reason to wait any longer.
store_answers() {
	store_is_gone "$1" || curl -sf -m 5 -o /dev/null "$2"
}

store_is_gone() {
	case $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) in
	'' | Z*) return 0 ;;
	esac
	return 1
}

# store_stop PID [SIGNAL]: returns when it is gone
store_stop() {
	kill "-${2:-TERM}" "$1" 2>/dev/null
	until_true 20 store_is_gone "$1" || {
		kill -9 "$1" 2>/dev/null
		until_true 5 store_is_gone "$1"
	}
}
