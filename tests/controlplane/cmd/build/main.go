// Build builds every program of the test bed and lays out beside it what the launcher needs at run time, so that starting
// a control plane needs no Go. This file is the one place of the build flags and the versions that are stamped.
//
//	go run ./controlplane/cmd/build --out DIR      (in the folder tests; `make controlplane` does it)
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// istioVersion is what Istio's programs say they are: the line that the pinned snapshot belongs to. The snapshot itself carries
// no version that tools could read.
const istioVersion = "1.31.0"

// gatewayAPI is the module whose folder holds the CRDs of the Gateway API, kubernetes the one whose version is stamped.
const (
	gatewayAPI = "sigs.k8s.io/gateway-api"
	kubernetes = "k8s.io/kubernetes"
)

// packages are the programs, named as their folders.
var packages = []string{
	"./controlplane/cmd/etcd", "./controlplane/cmd/kubernetes", "./controlplane/cmd/kwok", "./controlplane/cmd/istio",
	"./controlplane/cmd/controlplane", "./oracle",
}

// links are the names under which one binary is several programs.
var links = map[string]string{"kubectl": "kubernetes", "istioctl": "istio"}

// size is what is told before anything is loaded or compiled, as measured with empty caches on two cores.
const size = "1.0 GB of Go modules to download, 3.7 GB of build cache to fill, 0.5 GB of programs: 8 to 11 minutes on two cores"

func main() {
	out := flag.String("out", "", "folder for the programs and their data")
	flag.Parse()
	if *out == "" || flag.NArg() != 0 {
		fmt.Fprintln(os.Stderr, "usage: build --out DIR, in the folder tests of the repository")
		os.Exit(2)
	}
	if err := build(*out); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
}

func build(out string) error {
	started := time.Now()
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("folder for the programs: %w", err)
	}
	if err := announce(out); err != nil {
		return err
	}
	version, err := module(kubernetes, "{{.Version}}")
	if err != nil {
		return err
	}
	flags := append(buildFlags(), "-ldflags", "-s -w "+strings.Join(stamps(version), " "), "-o", out+"/")
	if err := run(append(append([]string{"build"}, flags...), packages...)...); err != nil {
		return fmt.Errorf("go build: %w", err)
	}
	for name, target := range links {
		if err := link(filepath.Join(out, name), target); err != nil {
			return err
		}
	}
	if err := copyDefinitions(filepath.Join(out, "crds")); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "controlplane: ready in %s after %s\n", out, time.Since(started).Round(100*time.Millisecond))
	return nil
}

// announce says what is about to be loaded and compiled, before it is.
func announce(out string) error {
	dir, err := module(kubernetes, "{{.Dir}}")
	if err != nil {
		return err
	}
	if dir == "" {
		fmt.Fprintf(os.Stderr, "controlplane: nothing is there yet: %s\n", size)
		return nil
	}
	for _, name := range packages {
		_, err := os.Stat(filepath.Join(out, filepath.Base(name)))
		if errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintln(os.Stderr, "controlplane: modules are there; compiles what the build cache lacks (at most 3.7 GB and 8 minutes; "+
				"under a minute when it has all)")
			return nil
		}
	}
	fmt.Fprintln(os.Stderr, "controlplane: built before; brings it up to date (seconds when nothing changed)")
	return nil
}

// buildFlags are the same for every program, so that one build cache serves all. Without debugging information the cache is a
// fifth smaller.
func buildFlags() []string { return []string{"-trimpath", "-gcflags=all=-dwarf=false"} }

// stamps are the linker's flags that say which versions the programs are: without them kubectl cannot read the version of
// the server, and Istio's images are called unknown.
func stamps(kubernetesVersion string) []string {
	numbers := strings.SplitN(strings.TrimPrefix(kubernetesVersion, "v"), ".", 3)
	var flags []string
	for _, name := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for variable, value := range map[string]string{
			"gitVersion": kubernetesVersion, "gitMajor": numbers[0], "gitMinor": numbers[1], "gitTreeState": "clean",
		} {
			flags = append(flags, "-X "+name+"."+variable+"="+value)
		}
	}
	for variable, value := range map[string]string{
		"buildVersion": istioVersion, "buildTag": istioVersion, "buildHub": "docker.io/istio", "buildStatus": "Clean",
	} {
		flags = append(flags, "-X istio.io/istio/pkg/version."+variable+"="+value)
	}
	// Always in the same order: to the go command other flags are another program, which it links anew.
	slices.Sort(flags)
	return flags
}

// copyDefinitions copies the CRDs of both channels of the Gateway API out of the module's folder.
func copyDefinitions(out string) error {
	dir, err := module(gatewayAPI, "{{.Dir}}")
	if err != nil {
		return err
	}
	for _, channel := range []string{"standard", "experimental"} {
		target := filepath.Join(out, channel)
		if err := os.RemoveAll(target); err != nil {
			return fmt.Errorf("CRDs of the Gateway API: %w", err)
		}
		if err := os.MkdirAll(target, 0o755); err != nil {
			return fmt.Errorf("CRDs of the Gateway API: %w", err)
		}
		files, err := filepath.Glob(filepath.Join(dir, "config", "crd", channel, "gateway.networking.*.yaml"))
		if err != nil || len(files) == 0 {
			return fmt.Errorf("no CRDs of the Gateway API in %s: %w", dir, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("CRDs of the Gateway API: %w", err)
			}
			if err := os.WriteFile(filepath.Join(target, filepath.Base(file)), content, 0o644); err != nil {
				return fmt.Errorf("CRDs of the Gateway API: %w", err)
			}
		}
	}
	return nil
}

func link(name, target string) error {
	if present, err := os.Readlink(name); err == nil && present == target {
		return nil
	}
	if err := os.RemoveAll(name); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	if err := os.Symlink(target, name); err != nil {
		return fmt.Errorf("link %s: %w", name, err)
	}
	return nil
}

// module asks the go command about a module that go.mod names.
func module(path, format string) (string, error) {
	command := exec.Command("go", "list", "-m", "-f", format, path)
	command.Stderr = os.Stderr
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("go list -m %s: %w", path, err)
	}
	return strings.TrimSpace(string(output)), nil
}

func run(arguments ...string) error {
	command := exec.Command("go", arguments...)
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	return command.Run()
}
