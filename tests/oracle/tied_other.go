//go:build !linux

package main

import "os/exec"

// startTied starts a process. Only Linux can tie it to us; elsewhere it is ended when our input ends.
func startTied(process *exec.Cmd) (<-chan struct{}, error) {
	ended := make(chan struct{})
	if err := process.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = process.Wait() // how it ended is in its log
		close(ended)
	}()
	return ended, nil
}
