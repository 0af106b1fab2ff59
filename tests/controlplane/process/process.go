// Package process runs the components of a control plane as child processes that never outlive their launcher.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"kubectl-ambient/tests/controlplane/lifeline"
)

const (
	// logLines is how much of a component's log an error quotes.
	logLines = 15
	// readyEvery is the pause between two questions whether a component is ready.
	readyEvery = 25 * time.Millisecond
	// readyWithin is how long a component may take to become ready; a loaded machine of two cores needs a quarter of it.
	readyWithin = 2 * time.Minute
	// stopWithin is how long a component may take to end when asked to; then it is killed, as a kubelet would. The API server
	// waits for its watches and never makes it.
	stopWithin = 5 * time.Second
)

// Component is what is needed to start a process and to know that it serves.
type Component struct {
	// Name is what the component is called in messages and commands.
	Name string
	// Path is the binary, Args its arguments without the name.
	Path string
	Args []string
	// Env is added to the few variables every component has; nothing is inherited from the launcher's own environment.
	Env []string
	// Address is where the component serves, if it does; only told, never used here.
	Address string
	// Ready reports nil once the component serves. A component without it counts as ready when started.
	Ready func(context.Context) error
}

// Status is what is told of a component.
type Status struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	Log     string `json:"log"`
	Address string `json:"address,omitempty"`
}

// Group holds the components of one control plane. All of them end when the launcher ends.
type Group struct {
	dir    string
	lock   *os.File
	read   *os.File
	write  *os.File
	spawns chan func()
	ended  func(name string, err error)

	mu        sync.Mutex
	order     []string
	processes map[string]*process
}

type process struct {
	component Component
	log       string
	cmd       *exec.Cmd
	done      chan struct{}
	err       error
	expected  bool
}

// NewGroup makes a group that keeps working folders and logs of its components under dir. Every component inherits lock, an
// open locked file, so that the lock is held until the last of them is gone. ended is called when a component ends unasked.
func NewGroup(dir string, lock *os.File, ended func(name string, err error)) (*Group, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("lifeline of the components: %w", err)
	}
	group := &Group{
		dir: dir, lock: lock, read: read, write: write, ended: ended,
		spawns: make(chan func()), processes: map[string]*process{},
	}
	// Linux sends the death signal when the thread that started the child ends, not the process: so one thread, that never
	// ends, starts them all.
	go func() {
		runtime.LockOSThread()
		for spawn := range group.spawns {
			spawn()
		}
	}()
	return group, nil
}

// Start starts a component and waits until it is ready.
func (g *Group) Start(ctx context.Context, component Component) error {
	g.mu.Lock()
	known, ok := g.processes[component.Name]
	if ok && known.running() {
		g.mu.Unlock()
		return fmt.Errorf("%s is running already", component.Name)
	}
	started, err := g.spawn(component)
	if err == nil {
		if !ok {
			g.order = append(g.order, component.Name)
		}
		g.processes[component.Name] = started
	}
	g.mu.Unlock()
	if err != nil {
		return err
	}
	return started.awaitReady(ctx)
}

// Restart starts a component that was stopped, as it was started the first time.
func (g *Group) Restart(ctx context.Context, name string) error {
	known, err := g.find(name)
	if err != nil {
		return err
	}
	return g.Start(ctx, known.component)
}

// Stop asks a component to end, waits, and kills it when it does not.
func (g *Group) Stop(name string) error { return g.end(name, syscall.SIGTERM) }

// Kill ends a component without asking it.
func (g *Group) Kill(name string) error { return g.end(name, syscall.SIGKILL) }

// Freeze stops a component from running without ending it: its connections stay open and answer nothing.
func (g *Group) Freeze(name string) error { return g.signal(name, syscall.SIGSTOP) }

// Thaw lets a frozen component go on.
func (g *Group) Thaw(name string) error { return g.signal(name, syscall.SIGCONT) }

// Status tells of a component; PID is 0 when it does not run.
func (g *Group) Status(name string) (Status, error) {
	known, err := g.find(name)
	if err != nil {
		return Status{}, err
	}
	return known.status(), nil
}

// All tells of every component, in the order of their first start.
func (g *Group) All() []Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]Status, 0, len(g.order))
	for _, name := range g.order {
		all = append(all, g.processes[name].status())
	}
	return all
}

// Close kills every component and returns when the last is gone. Nothing of theirs is kept, so none is asked first.
func (g *Group) Close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, known := range g.processes {
		known.expected = true
		if known.running() {
			_ = syscall.Kill(-known.cmd.Process.Pid, syscall.SIGKILL)
		}
	}
	for _, known := range g.processes {
		<-known.done
	}
	g.write.Close()
	g.read.Close()
}

func (g *Group) find(name string) (*process, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	known, ok := g.processes[name]
	if !ok {
		return nil, fmt.Errorf("no component %q; there are: %s", name, strings.Join(g.order, ", "))
	}
	return known, nil
}

func (g *Group) signal(name string, signal syscall.Signal) error {
	known, err := g.find(name)
	if err != nil {
		return err
	}
	if !known.running() {
		return fmt.Errorf("%s is not running", name)
	}
	return known.cmd.Process.Signal(signal)
}

func (g *Group) end(name string, signal syscall.Signal) error {
	known, err := g.find(name)
	if err != nil {
		return err
	}
	g.mu.Lock()
	known.expected = true
	g.mu.Unlock()
	if err := g.signal(name, signal); err != nil {
		return err
	}
	select {
	case <-known.done:
	case <-time.After(stopWithin):
		_ = known.cmd.Process.Kill()
		<-known.done
	}
	return nil
}

// spawn starts the process; the caller holds the mutex.
func (g *Group) spawn(component Component) (*process, error) {
	home := filepath.Join(g.dir, "home", component.Name)
	temp := filepath.Join(home, "tmp")
	log := filepath.Join(g.dir, "logs", component.Name+".log")
	for _, folder := range []string{temp, filepath.Dir(log)} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, fmt.Errorf("folder of %s: %w", component.Name, err)
		}
	}
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("log of %s: %w", component.Name, err)
	}
	defer output.Close()

	cmd := exec.Command(component.Path, component.Args...)
	cmd.Dir = home
	cmd.Env = append([]string{
		"HOME=" + home, "TMPDIR=" + temp, "PATH=" + filepath.Dir(component.Path), lifeline.Variable + "=1",
	}, component.Env...)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.ExtraFiles = []*os.File{g.read, g.lock}
	cmd.SysProcAttr = attributes()

	result := make(chan error)
	g.spawns <- func() { result <- cmd.Start() }
	if err := <-result; err != nil {
		return nil, fmt.Errorf("%s cannot be started: %w (built by `make controlplane`)", component.Name, err)
	}
	started := &process{component: component, log: log, cmd: cmd, done: make(chan struct{})}
	go func() {
		err := cmd.Wait()
		if err == nil {
			err = errors.New("exit status 0")
		}
		started.err = err
		close(started.done)
		g.mu.Lock()
		expected := started.expected
		g.mu.Unlock()
		if !expected {
			g.ended(component.Name, err)
		}
	}()
	return started, nil
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) status() Status {
	status := Status{Name: p.component.Name, Log: p.log, Address: p.component.Address}
	if p.running() {
		status.PID = p.cmd.Process.Pid
	}
	return status
}

func (p *process) awaitReady(ctx context.Context) error {
	if p.component.Ready == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for {
		err := p.component.Ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended while it started: %w\n%s", p.component.Name, p.err, p.tail())
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s is not ready after %s: %w\n%s", p.component.Name, readyWithin, err, p.tail())
		case <-time.After(readyEvery):
		}
	}
}

// tail is the end of the component's log, as an error quotes it.
func (p *process) tail() string {
	content, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("its log cannot be read: %v", err)
	}
	lines := strings.Split(strings.TrimRight(string(content), "\n"), "\n")
	if len(lines) > logLines {
		lines = lines[len(lines)-logLines:]
	}
	return "the end of its log:\n  " + strings.Join(lines, "\n  ")
}
