# Variables are put in by guest.go. What differs between two looks by nature (numbers of mounts, sockets and pipes, of
# processes, this look's own process) is left out. Few processes, as they take long in an emulated machine.
sed -E 's/^[0-9]+ [0-9]+ [0-9:]+ /mount /' /proc/${pid}/mountinfo
find ${guest}/sys/fs/cgroup -type d -path '*/${cgroup}/*'
find ${guest}/run -xdev ! -path '*/interop/rootfs/*' ! -path '*/infra/rootfs/*' ! -path '*/watcher/rootfs/*'
agent=$(readlink /proc/${pid}/exe) || exit 1
cd /proc
for status in $(grep -lE "^(Tgid|PPid):	${pid}$" [0-9]*/status 2>/dev/null); do
	process=${status%/status}
	if [ $process/exe -ef "$agent" ] || [ $process/exe -ef ${pid}/exe ]; then
		ls -l $process/fd | sed -E 's/:\[[0-9]+\]$//; s/^.* -> /open /; s/\/proc\/[0-9]+\//\/proc\/N\//; /^total/d'
	fi
done
exit 0
