# shellcheck shell=bash disable=SC2154,SC2034 # the other files use and set variables too
# The frame of a demonstration: named steps, what they showed, and a clean end whatever happens.
#
# demo_begin first; then `step NAME` before each step, `shown TEXT` for what it proved, `fail TEXT` to end the run.
# Any command that fails ends it too. Processes are in `pids` and namespaces in `namespaces` from birth to end.

work=          # private directory of this run
current_step='' # for the report of a failure
failure=''
results=()
pids=()
namespaces=()
watched_logs=() # shown when a step fails

say() {
	printf '   %s\n' "$*"
}

# Output of a command, indented.
show() {
	sed 's/^/   | /'
}

step() {
	current_step=$1
	printf '\n== %s\n' "$1"
}

shown() {
	results+=("$1")
	say "ok: $1"
}

fail() {
	failure=$1
	exit 1
}

demo_begin() {
	# A trap runs with the redirections of the function that it interrupts; the report must not go there.
	exec 3>&2
	work=$(mktemp -d "${TMPDIR:-/tmp}/culvert-demo.XXXXXX")
	trap demo_end EXIT
	trap 'failure=interrupted; exit 130' INT
	trap 'failure=terminated; exit 143' TERM HUP
}

# Run in the background, with its output in files: its process is in `started`.
start() { # name of its .out and .log, command...
	local name=$1
	shift
	"$@" >"$work/$name.out" 2>"$work/$name.log" 3>&- &
	started=$!
	pids+=("$started")
	watched_logs+=("$work/$name.log")
}

# Wait until the log of a process that was started says that it is ready.
await() { # name, process, pattern
	local tries
	for ((tries = 0; tries < 150; tries++)); do
		if grep -qs "$3" "$work/$1.log" "$work/$1.out"; then
			return
		fi
		kill -0 "$2" 2>/dev/null || fail "$1 ended instead of getting ready"
		sleep 0.1
	done
	fail "$1 is not ready after 15 s"
}

# End a process that was started: its exit code is in `exit_code`.
finish() { # name, process
	local tries=0
	kill -TERM "$2" 2>/dev/null || true
	while kill -0 "$2" 2>/dev/null; do
		((++tries < 150)) || fail "$1 does not stop within 15 s of SIGTERM"
		sleep 0.1
	done
	reap "$2"
}

reap() { # process
	local pid rest=()
	exit_code=0
	wait "$1" || exit_code=$?
	for pid in "${pids[@]}"; do
		[ "$pid" = "$1" ] || rest+=("$pid")
	done
	pids=("${rest[@]}")
}

report_failure() {
	local log
	printf '\nFAILED in step "%s"%s\n' "$current_step" "${failure:+: $failure}"
	for log in "${watched_logs[@]}"; do
		[ -s "$log" ] || continue
		printf -- '--- end of %s\n' "$(basename "$log")"
		tail -n 12 "$log"
	done
}

demo_end() {
	local status=$? pid name
	trap - EXIT
	trap '' INT TERM HUP
	set +e
	[ $status -eq 0 ] || report_failure >&3 2>&3
	for pid in "${pids[@]}"; do
		kill -TERM "$pid" 2>/dev/null
	done
	# A daemon that hangs must not keep its namespace alive.
	for pid in "${pids[@]}"; do
		timeout 5 tail --pid="$pid" -s 0.1 -f /dev/null || kill -KILL "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	done
	for name in "${namespaces[@]}"; do
		ip netns del "$name"
	done
	if $keep; then
		echo "kept: $work"
	else
		rm -rf "$work"
	fi
	exit $status
}

demo_summary() {
	printf '\n== what was shown\n'
	printf '   %s\n' "${results[@]}"
}
