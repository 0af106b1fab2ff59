// Package lifeline ends a component when the launcher that started it is gone, however it went.
//
// The launcher holds the write end of a pipe and gives every component the read end. Nobody ever writes: the read ends
// when the launcher does, be it by SIGKILL, and the component exits.
package lifeline

import (
	"io"
	"os"
)

const (
	// Variable is set in the environment of a process that has a lifeline.
	Variable = "CONTROLPLANE_LIFELINE"
	// Descriptor is where that process finds the read end of the pipe.
	Descriptor = 3
)

// Hold exits this process when its launcher has ended. A process that was started by hand has no lifeline and is left alone.
func Hold() {
	if os.Getenv(Variable) == "" {
		return
	}
	os.Unsetenv(Variable)
	pipe := os.NewFile(Descriptor, "lifeline")
	go func() {
		_, _ = io.Copy(io.Discard, pipe)
		os.Exit(1)
	}()
}
