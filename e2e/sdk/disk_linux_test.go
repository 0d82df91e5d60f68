package sdk

import (
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// quick is a directory in the machine's memory, or "" where there is none with room: what an SDK is told is tested here, not the disk, which may
// stand still for seconds where many share it.
func quick() string {
	const dir, room = "/dev/shm", 8 << 30
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Bavail*uint64(s.Bsize) < room || s.Bavail < s.Blocks/2 {
		return ""
	}
	return dir
}

// onSmallDisk runs a command with its store on a disk of 200 MiB that only it sees: less than a store keeps for outcomes.
const onSmallDisk = `mkdir -p "$0/store" && mount -t tmpfs -o size=200m none "$0/store" && exec "$@"`

// smallDisk starts an agent on a small disk, and returns the offset of its ports.
func smallDisk(t *testing.T) (offset int) {
	t.Helper()
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("NOT SHOWN: mounting a small disk is not allowed here: %v %s", err, out)
	}
	name := fresh("full")
	offset, stop := here.aside(t, name, "unshare", "-m", "sh", "-c", onSmallDisk, filepath.Join(here.data, name), here.bin)
	t.Cleanup(stop)
	return offset
}
