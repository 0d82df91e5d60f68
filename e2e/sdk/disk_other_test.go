//go:build !linux

package sdk

import "testing"

// quick is "": the usual temporary directory.
func quick() string { return "" }

func smallDisk(t *testing.T) int {
	t.Skip("NOT SHOWN: small disks are mounted on Linux only")
	return 0
}
