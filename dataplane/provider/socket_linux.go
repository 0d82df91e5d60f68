package provider

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// tune bounds how long the kernel goes on trying to deliver bytes that the provider does not acknowledge: after it, what was not
// delivered never will be.
func tune(_, _ string, conn syscall.RawConn) error {
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(UserTimeout.Milliseconds()))
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return fmt.Errorf("TCP_USER_TIMEOUT: %w", err)
	}
	return nil
}
