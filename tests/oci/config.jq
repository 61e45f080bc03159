# The config.json that the tests change: a shell's container with namespaces of its own.
{
	ociVersion: "1.2.0",
	process: {
		user: {uid: 0, gid: 0}, args: ["sleep", "1000000"], cwd: "/",
		env: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
		capabilities: (["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL", "CAP_SETGID", "CAP_SETUID"] |
			{bounding: ., effective: ., permitted: .})
	},
	root: {path: $root},
	hostname: "box",
	mounts: [
		{destination: "/proc", type: "proc", source: "proc"},
		{destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "mode=755"]},
		{destination: "/dev/pts", type: "devpts", source: "devpts", options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]},
		{destination: "/dev/shm", type: "tmpfs", source: "shm", options: ["nosuid", "noexec", "nodev", "mode=1777"]},
		{destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid", "nodev", "mode=1777"]}
	],
	linux: {
		cgroupsPath: $cgroup,
		namespaces: [{type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}, {type: "network"}]
	}
}
