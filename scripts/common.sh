# Sourced by the scripts beside it: places, steps with their times, progress, locks.
#
# Long steps announce themselves, show progress while they run and say how long they took; everything they print goes
# to a log, shown when the step fails.

# shellcheck shell=bash
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/nacre
jobs=$(nproc)

# Parallel jobs of a make above us are not ours: a script decides for itself.
unset MAKEFLAGS MFLAGS MAKELEVEL
export LC_ALL=C

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

say()
{
	printf '%s\n' "$*" >&2
}

native_arch()
{
	uname -m
}

elapsed()
{
	local seconds=$(($(date +%s) - $1))

	if ((seconds >= 60)); then
		printf '%d min %02d s' $((seconds / 60)) $((seconds % 60))
	else
		printf '%d s' "$seconds"
	fi
}

# Shows how far a step is, once: COUNT of EXPECTED (0: not known).
show_progress()
{
	local name=$1 count=$2 expected=$3 width=30 filled bar

	((expected >= count)) || expected=$count
	if [[ ! -t 2 ]]; then
		say "  $name: $count${expected:+ of about $expected}"
		return
	fi
	filled=$((expected ? count * width / expected : 0))
	printf -v bar '%*s' "$filled" ''
	printf '\r  %s [%s%*s] %d/%d ' "$name" "${bar// /#}" $((width - filled)) '' "$count" "$expected" >&2
}

# step NAME LOG EXPECTED COMMAND...: runs COMMAND with its output in LOG. Progress is the lines of the log against
# EXPECTED (0 for steps without): a bar on a terminal, a line every 20 seconds elsewhere.
step()
{
	local name=$1 log=$2 expected=$3 started pid shown count status=0

	shift 3
	mkdir -p "$(dirname "$log")"
	say "$name ..."
	started=$(date +%s)
	shown=$started
	# In a process group of its own, so that an interrupt ends all of it.
	set -m
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	set +m
	# shellcheck disable=SC2064 # the pid of now
	trap "kill -- -$pid 2>/dev/null; exit 130" INT TERM HUP
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.5
		if [[ -t 2 ]] || (($(date +%s) - shown >= 20)); then
			((expected)) || continue
			count=$(wc -l <"$log")
			show_progress "$name" "$count" "$expected"
			shown=$(date +%s)
		fi
	done
	wait "$pid" || status=$?
	trap - INT TERM HUP
	if [[ -t 2 ]] && ((expected)); then
		printf '\r\033[K' >&2
	fi
	if ((status)); then
		say "$name failed; the last lines of $log:"
		tail -n 30 "$log" >&2
		return "$status"
	fi
	say "$name: done in $(elapsed "$started")"
}

# Holds a lock of the cache until the script ends, so that two builds at once don't make the same thing.
lock_cache()
{
	mkdir -p "$cache"
	exec 9>"$cache/$1.lock"
	if ! flock -n 9; then
		say "waiting for another build of $1 ..."
		flock 9
	fi
}

# A short hash of the standard input, for the keys of the caches.
hash_of()
{
	sha256sum | cut -c1-16
}

# gnu_triplet ARCH: the prefix of Debian's cross compilers and the name of its multiarch folders.
gnu_triplet()
{
	case $1 in
	x86_64) echo x86_64-linux-gnu ;;
	aarch64) echo aarch64-linux-gnu ;;
	riscv64) echo riscv64-linux-gnu ;;
	ppc64le) echo powerpc64le-linux-gnu ;;
	s390x) echo s390x-linux-gnu ;;
	*) die "unknown architecture $1 (x86_64, aarch64, riscv64, ppc64le, s390x)" ;;
	esac
}

# compiler_prefix ARCH: empty for the machine's own architecture.
compiler_prefix()
{
	[[ $1 == "$(native_arch)" ]] || echo "$(gnu_triplet "$1")-"
}

# source_versions PACKAGE...: the names with the versions of the unpacked sources, for the keys of the caches.
source_versions()
{
	local package

	for package in "$@"; do
		readlink "$cache/source/$package"
	done
}
