package patience

import "syscall"

// Quick is a directory in the machine's memory, or "" where there is none with room (a control node wants a fifth of its disk free): for tests that need files and do not test the disk.
func Quick() string {
	const dir, room = "/dev/shm", 8 << 30
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil || s.Bavail*uint64(s.Bsize) < room || s.Bavail < s.Blocks/2 {
		return ""
	}
	return dir
}
