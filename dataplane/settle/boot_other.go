//go:build !linux

package settle

import "time"

// Boot is the wall clock where the system has no CLOCK_BOOTTIME for us: it goes on while the machine sleeps.
func Boot() time.Duration { return time.Duration(time.Now().Round(0).UnixNano()) }
