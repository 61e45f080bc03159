package main

import (
	"os"
	"strings"
)

// What a Kata runtime sends for an ordinary container: an OCI specification like Docker's, without the namespaces and
// resources which such a runtime takes out (a network namespace, device rules).

type object = map[string]any

// The capabilities of a container by default, of Docker and containerd alike.
var capabilities = strings.Fields("CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_FSETID CAP_KILL " +
	"CAP_MKNOD CAP_NET_BIND_SERVICE CAP_NET_RAW CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_CHROOT")

var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

func mount(destination, kind, options string) object {
	return object{"destination": destination, "type": kind, "source": kind, "options": strings.Split(options, ",")}
}

func mounts() []object {
	return []object{
		mount("/proc", "proc", "nosuid,noexec,nodev"),
		mount("/dev", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"),
		mount("/dev/pts", "devpts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
		mount("/dev/shm", "tmpfs", "nosuid,noexec,nodev,mode=1777,size=65536k"),
		mount("/sys", "sysfs", "nosuid,noexec,nodev,ro"),
	}
}

func process(options *processOptions) object {
	env := environment
	if options.terminal {
		env = append(env[:len(env):len(env)], "TERM=xterm")
	}
	return object{
		"Terminal": options.terminal,
		"User":     object{"UID": 0, "GID": 0},
		"Args":     options.process,
		"Env":      env,
		"Cwd":      "/",
	}
}

// blockDriver is the agent's driver for a device by its path, or by its place on the PCI buses ("02/00").
func blockDriver(source string) string {
	if strings.HasPrefix(source, "/") {
		return "mmioblk"
	}
	return "blk"
}

// storages put a block device with erofs below an overlay, as `nacre run` does.
func storages(options *processOptions, root string) []object {
	if options.image == "" {
		return nil
	}
	image := "/run/kata-containers/" + options.id + "/image"
	return []object{
		{"driver": blockDriver(options.image), "source": options.image, "fstype": "erofs", "options": []string{"ro"}, "mount_point": image},
		{
			"driver": "overlayfs", "source": "overlay", "fstype": "overlay", "mount_point": root,
			"options": []string{"lowerdir=" + image, "io.katacontainers.fs-opt.overlay-rw"},
		},
	}
}

func containerRequest(options *processOptions) object {
	root := options.rootfs
	if options.image != "" {
		root = "/run/kata-containers/" + options.id + "/rootfs"
	}
	process := process(options)
	process["Capabilities"] = object{
		"Bounding": capabilities, "Effective": capabilities, "Permitted": capabilities,
	}
	return object{
		"container_id": options.id,
		"storages":     storages(options, root),
		"OCI": object{
			"Version":  "1.1.0",
			"Process":  process,
			"Root":     object{"Path": root},
			"Hostname": options.id,
			"Mounts":   mounts(),
			"Linux": object{
				"CgroupsPath": "/" + cgroupParent() + "/" + options.id,
				"Namespaces":  []object{{"Type": "mount"}, {"Type": "ipc"}, {"Type": "uts"}},
				"MaskedPaths": []string{
					"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
					"/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats",
					"/sys/firmware",
				},
				"ReadonlyPaths": []string{
					"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
				},
			},
		},
	}
}

// execRequest has no capabilities, as the Go runtime sends none: the process gets the container's.
func execRequest(options *processOptions) object {
	return object{"container_id": options.id, "exec_id": options.execID, "process": process(options)}
}

// cgroupParent is below which cgroup containers get theirs: on a shared machine each run of the tests has its own.
func cgroupParent() string {
	if name := os.Getenv("NACRE_TEST_CGROUP"); name != "" {
		return name
	}
	return "nacre-tests"
}
