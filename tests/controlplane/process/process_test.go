package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kubectl-ambient/tests/controlplane/lifeline"
)

// childVariable makes the test program play a component.
const childVariable = "PROCESS_TEST_CHILD"

func TestMain(m *testing.M) {
	switch os.Getenv(childVariable) {
	case "serve":
		lifeline.Hold()
		fmt.Println("child serves")
		if err := os.WriteFile("ready", nil, 0o600); err != nil {
			os.Exit(1)
		}
		select {}
	case "fail":
		fmt.Println("child has no flag --frobnicate")
		os.Exit(3)
	}
	os.Exit(m.Run())
}

func group(t *testing.T) (*Group, chan string) {
	t.Helper()
	dir := t.TempDir()
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 8)
	group, err := NewGroup(dir, lock, func(name string, _ error) { ended <- name })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(group.Close)
	return group, ended
}

func child(t *testing.T, g *Group, role string) Component {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ready := filepath.Join(g.dir, "home", role, "ready")
	return Component{
		Name: role, Path: self, Env: []string{childVariable + "=" + role},
		Ready: func(context.Context) error {
			_, err := os.Stat(ready)
			return err
		},
	}
}

func pid(t *testing.T, g *Group, name string) int {
	t.Helper()
	status, err := g.Status(name)
	if err != nil {
		t.Fatal(err)
	}
	return status.PID
}

func awaitGone(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

func TestStopAndStartAgain(t *testing.T) {
	g, ended := group(t)
	if err := g.Start(t.Context(), child(t, g, "serve")); err != nil {
		t.Fatal(err)
	}
	first := pid(t, g, "serve")
	if err := g.Restart(t.Context(), "serve"); err == nil {
		t.Error("started twice")
	}
	if err := g.Stop("serve"); err != nil {
		t.Fatal(err)
	}
	awaitGone(t, first)
	if now := pid(t, g, "serve"); now != 0 {
		t.Errorf("stopped, and has process %d", now)
	}
	if err := g.Restart(t.Context(), "serve"); err != nil {
		t.Fatal(err)
	}
	if now := pid(t, g, "serve"); now == 0 || now == first {
		t.Errorf("started again as process %d, before as %d", now, first)
	}
	if len(ended) != 0 {
		t.Errorf("%s counts as ended by itself", <-ended)
	}
}

func TestEndUnaskedIsTold(t *testing.T) {
	g, ended := group(t)
	if err := g.Start(t.Context(), child(t, g, "serve")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid(t, g, "serve"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case name := <-ended:
		if name != "serve" {
			t.Errorf("told of %s", name)
		}
	case <-time.After(10 * time.Second):
		t.Error("not told")
	}
}

func TestFailureQuotesTheLog(t *testing.T) {
	g, _ := group(t)
	err := g.Start(t.Context(), child(t, g, "fail"))
	if err == nil || !strings.Contains(err.Error(), "--frobnicate") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error is: %v", err)
	}
}

func TestEndOfTheLifelineEndsTheComponent(t *testing.T) {
	g, ended := group(t)
	if err := g.Start(t.Context(), child(t, g, "serve")); err != nil {
		t.Fatal(err)
	}
	process := pid(t, g, "serve")
	// What the kernel does when the launcher is killed.
	g.write.Close()
	awaitGone(t, process)
	<-ended
}

func TestNothingOfTheLaunchersEnvironmentIsInherited(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	g, _ := group(t)
	if err := g.Start(t.Context(), child(t, g, "serve")); err != nil {
		t.Fatal(err)
	}
	for _, pair := range g.processes["serve"].cmd.Env {
		if strings.HasPrefix(pair, "HTTPS_PROXY") {
			t.Errorf("inherited %s", pair)
		}
	}
}
