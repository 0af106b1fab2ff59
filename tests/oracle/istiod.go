package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"

	"istio.io/istio/pkg/kube/krt"
	"istio.io/istio/pkg/test"
)

// ambientEnvironment is what istiod's Deployment has in its environment under the ambient profile.
var ambientEnvironment = map[string]string{"PILOT_ENABLE_AMBIENT": "true"}

// becomeAmbient starts this program again, in its place, with istiod's environment. Istio reads its switches
// while packages are initialised, before any code of ours could set them.
func becomeAmbient() error {
	environment := os.Environ()
	complete := true
	for name, value := range ambientEnvironment {
		if os.Getenv(name) == "" {
			environment = append(environment, name+"="+value)
			complete = false
		}
	}
	if complete {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start it with istiod's environment: %w", err)
	}
	return fmt.Errorf("start again with istiod's environment: %w", syscall.Exec(self, os.Args, environment))
}

// failer is what istiod's fake server takes for a test: its first failure becomes an error, and what it was told to
// clean up is cleaned up when the request is answered.
type failer struct {
	mu      sync.Mutex
	failed  error
	cleanup []func()
}

var _ test.Failer = &failer{}

// withFailer runs f as a test would be run. Everything it registered is closed when withFailer returns.
func withFailer(f func(t test.Failer) error) error {
	t := &failer{}
	// Every istiod adds its collections to this handler for good.
	krt.GlobalDebugHandler = new(krt.DebugHandler)
	t.runGuarded(func() {
		if err := f(t); err != nil {
			t.record(err)
		}
	})
	t.runCleanups()
	return t.failed
}

// runGuarded runs f to its end, its failure or its panic, on a goroutine of its own, as Fatal ends that.
func (t *failer) runGuarded(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if cause := recover(); cause != nil {
				t.record(fmt.Errorf("istiod panicked: %v\n%s", cause, debug.Stack()))
			}
		}()
		f()
	}()
	<-done
}

func (t *failer) runCleanups() {
	for {
		t.mu.Lock()
		last := len(t.cleanup) - 1
		if last < 0 {
			t.mu.Unlock()
			return
		}
		f := t.cleanup[last]
		t.cleanup = t.cleanup[:last]
		t.mu.Unlock()
		t.runGuarded(f)
	}
}

func (t *failer) record(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.failed == nil {
		t.failed = err
	}
}

func (t *failer) Fail()    { t.record(errors.New("istiod's fake server failed")) }
func (t *failer) FailNow() { t.Fatal("istiod's fake server failed") }

func (t *failer) Fatal(args ...any) {
	t.record(errors.New(fmt.Sprint(args...)))
	runtime.Goexit()
}

func (t *failer) Fatalf(format string, args ...any) { t.Fatal(fmt.Sprintf(format, args...)) }
func (t *failer) Skip(args ...any)                  { t.Fatal(args...) }
func (t *failer) Log(...any)                        {}
func (t *failer) Logf(string, ...any)               {}
func (t *failer) Helper()                           {}

func (t *failer) Cleanup(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cleanup = append(t.cleanup, f)
}

func (t *failer) TempDir() string {
	dir, err := os.MkdirTemp("", "oracle")
	if err != nil {
		t.Fatalf("temporary folder: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
