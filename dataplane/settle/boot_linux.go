package settle

import (
	"time"

	"golang.org/x/sys/unix"
)

// Boot is the time since the machine started, the time that it slept included: a sender that was suspended sees that it was. Go's
// monotonic clock stands still meanwhile.
func Boot() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Duration(1<<63 - 1) // no clock: every lease has run out, and nothing is sent
	}
	return time.Duration(t.Nano())
}
