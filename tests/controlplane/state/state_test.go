package state

import (
	"os"
	"path/filepath"
	"testing"
)

func fresh(t *testing.T) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
}

func start(t *testing.T, dir string) *State {
	t.Helper()
	own, err := New(dir, 4)
	if err != nil {
		t.Fatal(err)
	}
	return own
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func TestTwoHaveNothingInCommon(t *testing.T) {
	fresh(t)
	one, two := start(t, ""), start(t, "")
	if one.Dir == two.Dir {
		t.Errorf("both in %s", one.Dir)
	}
	seen := map[int]bool{}
	for _, port := range append(one.Ports, two.Ports...) {
		if seen[port] {
			t.Errorf("port %d twice", port)
		}
		seen[port] = true
	}
	if err := one.Remove(); err != nil {
		t.Fatal(err)
	}
	if exists(one.Dir) || !exists(two.Dir) {
		t.Error("removed the wrong folder, or none")
	}
}

func TestWhatTheDeadLeftIsRemovedByTheNext(t *testing.T) {
	fresh(t)
	named := filepath.Join(t.TempDir(), "state")
	dead, alsoDead, alive := start(t, ""), start(t, named), start(t, "")
	// What the kernel does to the locks of a process that is killed.
	dead.Lock.Close()
	alsoDead.Lock.Close()
	next := start(t, "")
	if exists(dead.Dir) || exists(named) {
		t.Error("a folder of a dead control plane is still there")
	}
	if !exists(alive.Dir) || !exists(next.Dir) {
		t.Error("a folder of a living control plane was removed")
	}
}

func TestAFolderWithContentIsNotTaken(t *testing.T) {
	fresh(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(dir, 1); err == nil {
		t.Error("taken")
	}
	start(t, "")
	if !exists(file) {
		t.Error("removed what it had not made")
	}
}

func TestARegistryOpenToOthersIsRefused(t *testing.T) {
	fresh(t)
	own := start(t, "")
	registry := filepath.Dir(filepath.Dir(own.Dir))
	if err := os.Chmod(registry, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := New("", 1); err == nil {
		t.Error("accepted")
	}
}
