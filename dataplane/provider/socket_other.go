//go:build !linux

package provider

import "syscall"

// tune does nothing where the kernel has no TCP_USER_TIMEOUT: its own, longer limit holds.
func tune(_, _ string, _ syscall.RawConn) error { return nil }
