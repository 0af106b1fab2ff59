//go:build !linux

package process

import "syscall"

// attributes gives a child a process group of its own, so that an interrupt at the terminal reaches the launcher alone.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
