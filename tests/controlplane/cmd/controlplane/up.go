package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"kubectl-ambient/tests/controlplane/plane"
)

// errEnded is why a start or a run ends when nobody is there any more to use it.
var errEnded = errors.New("standard input ended")

// up starts a control plane, tells of it, and does what standard input says until that ends.
func up(arguments []string) error {
	options, err := parse(arguments)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("folder of the programs: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return fmt.Errorf("folder of the programs: %w", err)
	}
	// Whoever reads our output may be gone before us; what is to be cleaned up is cleaned up all the same.
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		received := <-signals
		cancel(fmt.Errorf("ended by signal: %v", received))
	}()
	lines := make(chan string)
	go read(os.Stdin, lines, func() { cancel(errEnded) })

	running, err := plane.Up(ctx, filepath.Dir(self), options, os.Stderr)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "controlplane: up; export KUBECONFIG=%s   (it ends with its standard input or Ctrl-C)\n",
		running.Kubeconfig())
	answers := json.NewEncoder(os.Stdout)
	answers.SetEscapeHTML(false)
	if err := answers.Encode(running.Description()); err != nil {
		cancel(fmt.Errorf("standard output: %w", err))
	}
	for {
		select {
		case line := <-lines:
			if err := answers.Encode(running.Do(ctx, line)); err != nil {
				cancel(fmt.Errorf("standard output: %w", err))
			}
		case <-ctx.Done():
			return running.Down()
		}
	}
}

// read hands on every line that is not empty.
func read(input io.Reader, lines chan<- string, ended func()) {
	scanner := bufio.NewScanner(input)
	for scanner.Scan() {
		if line := strings.TrimSpace(scanner.Text()); line != "" {
			lines <- line
		}
	}
	ended()
}

func parse(arguments []string) (plane.Options, error) {
	options := plane.Options{Without: map[string]bool{}}
	flags := flag.NewFlagSet("controlplane up", flag.ExitOnError)
	flags.StringVar(&options.Channel, "channel", "standard", "CRDs of the Gateway API: standard or experimental")
	flags.StringVar(&options.State, "state", "", "empty folder for everything (default: a new temporary one); removed at the end")
	parts := make([]string, 0, len(plane.Parts))
	for name, meaning := range plane.Parts {
		parts = append(parts, name+" ("+meaning+")")
	}
	slices.Sort(parts)
	flags.Func("without", "leave a part away, repeatable:\n"+strings.Join(parts, "\n"), func(part string) error {
		if _, ok := plane.Parts[part]; !ok {
			return errors.New("no such part")
		}
		options.Without[part] = true
		return nil
	})
	list := func(target *[]string) func(string) error {
		return func(value string) error {
			*target = append(*target, value)
			return nil
		}
	}
	flags.Func("istiod-env", "KEY=VALUE for istiod's environment, repeatable", list(&options.IstiodEnv))
	flags.Func("istio-set", "setting for istioctl manifest generate --set, repeatable", list(&options.IstioValues))
	flags.Func("mesh-config", "YAML mapping laid over the mesh configuration, repeatable: 'trustDomain: acme'", list(&options.MeshConfig))
	if err := flags.Parse(arguments); err != nil {
		return options, err
	}
	if flags.NArg() != 0 {
		return options, fmt.Errorf("unknown argument %q", flags.Arg(0))
	}
	if options.Channel != "standard" && options.Channel != "experimental" {
		return options, fmt.Errorf("--channel %q: standard or experimental", options.Channel)
	}
	for _, pair := range options.IstiodEnv {
		if key, _, ok := strings.Cut(pair, "="); !ok || key == "" {
			return options, fmt.Errorf("--istiod-env %q: KEY=VALUE", pair)
		}
	}
	return options, nil
}
