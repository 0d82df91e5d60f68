package sdk

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// onSmallDisk runs a command with its store on a disk of 200 MiB that only it sees: less than a store keeps for outcomes.
const onSmallDisk = `mkdir -p "$0/store" && mount -t tmpfs -o size=200m none "$0/store" && exec "$@"`

// smallDisk starts an agent on a small disk, and returns the offset of its ports.
func smallDisk(t *testing.T) (offset int) {
	t.Helper()
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("NOT SHOWN: mounting a small disk is not allowed here: %v %s", err, out)
	}
	name := fresh("full")
	offset, stop := here.aside(t, name, "unshare", "-m", "sh", "-c", onSmallDisk, filepath.Join(here.dir, name), here.bin)
	t.Cleanup(stop)
	return offset
}
