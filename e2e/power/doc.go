// Package power pulls the plug: a process writes to the shipped stores, the embedded one and the hint log, on a disk that forgets what was not
// synced (e2e/power/disk, a FUSE file system), and whatever it was told is written must be there when the power is back.
//
// It owns the processes and the mounts of its tests. `make test` pulls the plug a few times where there is /dev/fuse, `make power` a hundred
// times.
package power
