package sdk

import (
	"os/exec"
	"testing"
)

// onSmallDisk runs a command with its store on a disk of 200 MiB that only it sees: less than a store keeps for outcomes.
const onSmallDisk = `mkdir -p "$0/store" && mount -t tmpfs -o size=200m none "$0/store" && exec "$@"`

// fillDisk starts an agent on a small disk and calls it.
func fillDisk(t *testing.T) provoked {
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("NOT SHOWN: mounting a small disk is not allowed here: %v %s", err, out)
	}
	offset, stop := here.aside(t, "full", "unshare", "-m", "sh", "-c", onSmallDisk, here.dir+"/full", here.bin)
	defer stop()
	return create(t, agentAt(offset, "recorder"), charge("problem", 100))
}
