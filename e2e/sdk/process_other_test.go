//go:build !linux

package sdk

import "syscall"

func dieTogether() *syscall.SysProcAttr { return nil }
