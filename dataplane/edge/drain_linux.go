package edge

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	drainFor   = time.Second // an application that takes nothing for so long loses what it has not taken
	drainEvery = time.Millisecond
)

// drain waits until the other side's system has all that was written: a reset throws away what still waits to be sent, the last words too. A fast
// writer of small pieces has more under way than TCP sends before the first is acknowledged.
func drain(t *net.TCPConn) {
	raw, err := t.SyscallConn()
	if err != nil {
		return // it is closed
	}
	tick := time.NewTicker(drainEvery)
	defer tick.Stop()
	for end := time.Now().Add(drainFor); time.Now().Before(end); <-tick.C {
		waiting, err := 0, error(nil)
		if e := raw.Control(func(fd uintptr) { waiting, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); e != nil || err != nil || waiting == 0 {
			return
		}
	}
}
