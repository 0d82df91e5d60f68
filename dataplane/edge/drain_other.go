//go:build !linux

package edge

import "net"

// drain waits for nothing where the system does not tell what waits to be sent.
func drain(*net.TCPConn) {}
