package main

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// What a case needs around it: a root for containers, and a look at the guest from outside of them.

// sharedFolder is where CopyFile puts things, whoever the agent is.
const sharedFolder = "/run/kata-containers/shared/containers/"

// sendRoot gives the agent the root for containers, once: by CopyFile, so that no agent needs any preparation.
func (conformance *conformance) sendRoot() error {
	if conformance.root != "" {
		return nil
	}
	client, err := conformance.settings.connect()
	if err != nil {
		return err
	}
	defer client.ttrpc.Close()
	root := sharedFolder + "interop/rootfs"
	err = filepath.WalkDir(conformance.rootfs, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(conformance.rootfs, path)
		return sendFile(client, path, filepath.Join(root, relative), entry)
	})
	if err == nil {
		err = makeMountPoints(client, root)
	}
	if err == nil {
		conformance.root = root
	}
	return err
}

// makeMountPoints: a folder and a file for what cases mount, as the agent's own would stay in the root.
func makeMountPoints(client *client, root string) error {
	for name, mode := range map[string]uint32{"data": syscall.S_IFDIR | 0o755, "file": syscall.S_IFREG | 0o644} {
		request, _ := json.Marshal(object{"path": root + "/" + name, "file_mode": mode, "dir_mode": 0o755})
		if _, err := client.call("CopyFile", string(request)); err != nil {
			return err
		}
	}
	return nil
}

func sendFile(client *client, path, to string, entry fs.DirEntry) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	var data []byte
	switch {
	case info.Mode().IsRegular():
		data, err = os.ReadFile(path)
	case info.Mode()&fs.ModeSymlink != 0:
		var target string
		target, err = os.Readlink(path)
		data = []byte(target)
	}
	if err != nil {
		return err
	}
	size := 0
	if info.Mode().IsRegular() {
		size = len(data)
	}
	for offset := 0; ; {
		part := data[offset:]
		if len(part) > 1<<20 {
			part = part[:1<<20]
		}
		request, _ := json.Marshal(object{
			"path": to, "file_mode": info.Sys().(*syscall.Stat_t).Mode, "dir_mode": 0o755, "file_size": size,
			"offset": offset, "data": base64.StdEncoding.EncodeToString(part),
		})
		if _, err := client.call("CopyFile", string(request)); err != nil {
			return fmt.Errorf("CopyFile of %s: %s", to, describe(err))
		}
		if offset += len(part); offset >= len(data) {
			return nil
		}
	}
}

// The guest is seen from this machine where the agent is a process here (its pid is a setting), and otherwise by the
// container `watcher`, which has the guest's own /proc, with the right to look into it, and its /run and cgroups below
// /guest.

const watcherEdit = `.OCI.Mounts |= map(if .destination == "/proc" then
		.type = "bind" | .source = "/proc" | .options = ["bind"] else . end)
	| .OCI.Mounts += [
		{destination: "/guest/run", type: "bind", source: "/run", options: ["rbind", "rslave"]},
		{destination: "/guest/sys/fs/cgroup", type: "bind", source: "/sys/fs/cgroup", options: ["rbind", "ro"]}]
	| .OCI.Process.Capabilities |= map_values(. + ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"])`

// watch makes the guest visible, or says why that can't be.
func (conformance *conformance) watch() string {
	if pid := conformance.variables["pid"]; pid != "" {
		conformance.watching = true
		return ""
	}
	if _, isUnix := conformance.settings.address.unixPath(); isUnix {
		return "the agent's pid isn't known (--set pid=N)"
	}
	performance := conformance.perform(variables{"id": "watcher"})
	defer performance.close()
	step := step{Resident: &processStep{}, Edit: watcherEdit}
	if _, err := performance.do(&step); err != nil {
		return "the container that watches the guest can't be made: " + describe(err)
	}
	conformance.variables["guest"] = "/guest"
	conformance.variables["pid"] = "1"
	conformance.watching = true
	return ""
}

// inGuest runs a script beside the agent.
func (conformance *conformance) inGuest(script string) (any, error) {
	if !conformance.watching {
		return nil, fmt.Errorf("the guest can't be seen")
	}
	if conformance.variables["guest"] == "" {
		return runHere(stepLimit, nil, "nsenter", "--mount", "--target", conformance.variables["pid"], "--", "sh", "-c", script)
	}
	performance := conformance.perform(variables{"id": "watcher"})
	defer performance.close()
	conformance.looks++
	return performance.do(&step{Exec: &processStep{
		ExecID: fmt.Sprintf("look%d", conformance.looks), Args: []string{"sh", "-c", script},
	}})
}

// stateScript prints everything that a failure could leave behind: the agent's mounts, the cgroups of the tests'
// containers, what is in /run, and what each process of the agent has open.
//
//go:embed state.sh
var stateScript string

func (conformance *conformance) state() (string, error) {
	variables := variables{
		"pid": conformance.variables["pid"], "guest": conformance.variables["guest"], "cgroup": cgroupParent(),
	}
	script, err := variables.expand(stateScript)
	if err != nil {
		return "", err
	}
	answer, err := conformance.inGuest(script)
	if err != nil {
		return "", err
	}
	result := answer.(object)
	if result["status"] != 0 {
		return "", fmt.Errorf("the guest's state can't be read: %s", result["stderr"])
	}
	state := result["stdout"].(string)
	if !strings.Contains(state, "\nopen ") || !strings.Contains(state, "mount ") {
		return "", fmt.Errorf("the agent's mounts or open files can't be seen: %s", result["stderr"])
	}
	return state, nil
}

// difference tells the lines that only one of two states has.
func difference(before, after string) string {
	counts := map[string]int{}
	for _, line := range strings.Split(after, "\n") {
		counts[line]++
	}
	for _, line := range strings.Split(before, "\n") {
		counts[line]--
	}
	var said []string
	for line, count := range counts {
		if count > 0 {
			said = append(said, "+ "+line)
		} else if count < 0 {
			said = append(said, "- "+line)
		}
	}
	return strings.Join(said, "; ")
}
