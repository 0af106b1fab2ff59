package process

import "syscall"

// attributes gives a child a process group of its own, so that an interrupt at the terminal reaches the launcher alone, and
// has the kernel kill it when the launcher dies before the child watches its lifeline.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
