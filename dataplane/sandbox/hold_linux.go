package sandbox

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"syscall"
)

// hold binds a socket that never listens. The system hands the port to nobody who asks for any free one, a connection attempt is refused
// as at any closed port, and a listener can be bound beside it (both have SO_REUSEADDR, and the holder is not listening) as often as needed.
func hold(addr netip.AddrPort) (io.Closer, netip.AddrPort, error) {
	family, sa := sockaddr(addr)
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, addr, fmt.Errorf("hold %v: %w", addr, os.NewSyscallError("socket", err))
	}
	if err = bind(fd, sa); err != nil {
		_ = syscall.Close(fd)
		return nil, addr, fmt.Errorf("hold %v: %w", addr, err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		_ = syscall.Close(fd)
		return nil, addr, fmt.Errorf("hold %v: %w", addr, os.NewSyscallError("getsockname", err))
	}
	return holder(fd), netip.AddrPortFrom(addr.Addr(), port(bound)), nil
}

func bind(fd int, sa syscall.Sockaddr) error {
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	return os.NewSyscallError("bind", syscall.Bind(fd, sa))
}

func sockaddr(addr netip.AddrPort) (family int, sa syscall.Sockaddr) {
	if addr.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}

func port(sa syscall.Sockaddr) uint16 {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return uint16(sa.Port)
	case *syscall.SockaddrInet6:
		return uint16(sa.Port)
	}
	return 0
}

type holder int

// Close gives the port back.
func (h holder) Close() error { return os.NewSyscallError("close", syscall.Close(int(h))) }
