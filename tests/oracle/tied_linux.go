package main

import (
	"os/exec"
	"runtime"
	"syscall"
)

// startTied starts a process that the kernel ends with us, even if we are killed. It is tied to the thread that
// started it, so that thread is kept until the process ends. The channel closes then.
func startTied(process *exec.Cmd) (<-chan struct{}, error) {
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := process.Start()
		started <- err
		if err == nil {
			_ = process.Wait() // how it ended is in its log
			close(ended)
		}
	}()
	return ended, <-started
}
