// Package state gives a control plane its folder, its ports, and the certainty that both are its own.
//
// All control planes of a user are registered in one folder of the temporary folder. An entry holds a locked file; the launcher
// and its components keep it open, so an entry whose lock can be had belongs to a control plane that is gone altogether: it is
// removed by the next one. No process numbers are compared, which could have been given anew.
package state

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	lockFile  = "lock"
	portsFile = "ports"
	ownerFile = "owned-by"
	placeFile = "place"

	// Ports are taken from below the ranges that Linux (32768) and macOS (49152) give to outgoing connections.
	firstPort = 20000
	lastPort  = 31999
)

// State is the folder of one running control plane and the ports it has to itself.
type State struct {
	// Dir is the folder, readable by its owner alone.
	Dir string
	// Lock is held as long as this file is open in any process.
	Lock *os.File
	// Ports are free, and no other control plane of this user will choose them.
	Ports []int
	entry string
}

// New removes what dead control planes left behind, makes a folder and chooses ports. The folder is a new temporary one unless
// dir names another, which must be empty or not exist.
func New(dir string, ports int) (*State, error) {
	registry := filepath.Join(os.TempDir(), fmt.Sprintf("kubectl-ambient-controlplanes-%d", os.Getuid()))
	if err := os.MkdirAll(registry, 0o700); err != nil {
		return nil, fmt.Errorf("folder of the control planes: %w", err)
	}
	if err := ours(registry); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(registry, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock of the control planes: %w", err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock of the control planes: %w", err)
	}
	taken, err := sweep(registry)
	if err != nil {
		return nil, err
	}
	return register(registry, dir, ports, taken)
}

// Remove removes the folder and gives the ports back. The components must be gone.
func (s *State) Remove() error {
	err := remove(s.entry)
	s.Lock.Close()
	return err
}

// ours refuses a registry that another user made in the shared temporary folder.
func ours(registry string) error {
	info, err := os.Lstat(registry)
	if err != nil {
		return fmt.Errorf("folder of the control planes: %w", err)
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || !ok || int(owner.Uid) != os.Getuid() || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s must be a folder of this user alone; remove it, or set TMPDIR to another folder", registry)
	}
	return nil
}

// sweep removes entries of dead control planes and returns the ports of the living.
func sweep(registry string) (map[int]bool, error) {
	entries, err := os.ReadDir(registry)
	if err != nil {
		return nil, fmt.Errorf("control planes that run: %w", err)
	}
	taken := map[int]bool{}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		path := filepath.Join(registry, entry.Name())
		lock, err := os.OpenFile(filepath.Join(path, lockFile), os.O_RDWR, 0)
		if err == nil {
			err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
			lock.Close()
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			if err := remove(path); err != nil {
				return nil, fmt.Errorf("what a control plane that is gone left behind: %w", err)
			}
			continue
		}
		ports, err := os.ReadFile(filepath.Join(path, portsFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("ports of a control plane that runs: %w", err)
		}
		for _, field := range strings.Fields(string(ports)) {
			if port, err := strconv.Atoi(field); err == nil {
				taken[port] = true
			}
		}
	}
	return taken, nil
}

func register(registry, dir string, count int, taken map[int]bool) (_ *State, err error) {
	entry, err := os.MkdirTemp(registry, "")
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	defer func() {
		if err != nil {
			_ = remove(entry)
		}
	}()
	lock, err := os.OpenFile(filepath.Join(entry, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	place := filepath.Join(entry, "state")
	if dir != "" {
		if place, err = claim(dir, entry); err != nil {
			return nil, err
		}
	} else if err = os.Mkdir(place, 0o700); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	ports, err := choose(count, taken)
	if err != nil {
		return nil, err
	}
	text := strings.Trim(fmt.Sprint(ports), "[]")
	if err = os.WriteFile(filepath.Join(entry, portsFile), []byte(text), 0o600); err != nil {
		return nil, fmt.Errorf("state folder: %w", err)
	}
	return &State{Dir: place, Lock: lock, Ports: ports, entry: entry}, nil
}

// claim takes a folder that the user named. It is marked, so that only what was made by a control plane is ever removed.
func claim(dir, entry string) (string, error) {
	place, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("state folder %s: %w", dir, err)
	}
	if err := os.MkdirAll(place, 0o700); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	content, err := os.ReadDir(place)
	if err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	if len(content) != 0 {
		return "", fmt.Errorf("state folder %s is not empty; name one that is, or leave --state away", place)
	}
	if err := os.Chmod(place, 0o700); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(place, ownerFile), []byte(entry), 0o600); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	if err := os.WriteFile(filepath.Join(entry, placeFile), []byte(place), 0o600); err != nil {
		return "", fmt.Errorf("state folder: %w", err)
	}
	return place, nil
}

// remove removes an entry, and first the folder outside that it claimed.
func remove(entry string) error {
	place, err := os.ReadFile(filepath.Join(entry, placeFile))
	if err == nil {
		owner, err := os.ReadFile(filepath.Join(string(place), ownerFile))
		if err == nil && string(owner) == entry {
			if err := os.RemoveAll(string(place)); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(entry)
}

// choose finds ports that nobody listens on. The caller holds the registry's lock, so no other control plane chooses meanwhile.
func choose(count int, taken map[int]bool) ([]int, error) {
	ports := make([]int, 0, count)
	span := lastPort - firstPort + 1
	start := rand.IntN(span)
	for step := 0; step < span && len(ports) < count; step++ {
		port := firstPort + (start+step)%span
		if taken[port] {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		listener.Close()
		ports = append(ports, port)
	}
	if len(ports) < count {
		return nil, fmt.Errorf("fewer than %d free ports between %d and %d on 127.0.0.1", count, firstPort, lastPort)
	}
	return ports, nil
}
