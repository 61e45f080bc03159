# Variables are put in by guest.go. What differs between two looks by nature (numbers of mounts, sockets and pipes, of
# processes, this look's own process) is left out.
sed -E 's/^[0-9]+ [0-9]+ [0-9:]+ /mount /' /proc/${pid}/mountinfo | sort
find ${guest}/sys/fs/cgroup -type d -path '*/${cgroup}/*' | sed 's/^/cgroup /' | sort
find ${guest}/run -xdev | sed 's/^/file /' | sort
agent=$(readlink /proc/${pid}/exe)
for process in /proc/[0-9]*; do
	[ "$(readlink $process/exe)" = "$agent" ] || continue
	grep -qE "^(Tgid|PPid):	${pid}$" $process/status || continue
	for fd in $process/fd/*; do
		readlink $fd
	done | sed -E 's/:\[[0-9]+\]$//; s/^/open /; s/\/proc\/[0-9]+\//\/proc\/N\//'
done | sort
exit 0
