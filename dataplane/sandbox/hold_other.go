//go:build !linux

package sandbox

import (
	"fmt"
	"io"
	"net"
	"net/netip"
)

// hold finds a free port where the system cannot reserve one without listening. While the provider refuses, another process could take the
// port; opening it again is retried until it is free.
func hold(addr netip.AddrPort) (io.Closer, netip.AddrPort, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return nil, addr, fmt.Errorf("hold %v: %w", addr, err)
	}
	bound := l.Addr().(*net.TCPAddr).AddrPort()
	if err := l.Close(); err != nil {
		return nil, addr, fmt.Errorf("hold %v: %w", addr, err)
	}
	return io.NopCloser(nil), bound, nil
}
