// Oracle says what Istio makes of manifests: istiod's own translation, and a real Envoy that runs it.
//
// It reads one request a line from standard input and writes one answer a line to standard output, both JSON,
// until the input ends. README.md has the protocol. `oracle install-envoy --out DIR` fetches the Envoy it drives.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"

	istiolog "istio.io/istio/pkg/log"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "oracle: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "install-envoy" {
		return installEnvoyCommand(args[1:])
	}
	flags := flag.NewFlagSet("oracle", flag.ContinueOnError)
	envoy := flags.String("envoy", envoyBesideThisProgram(), "folder `oracle install-envoy` wrote to")
	verbose := flags.Bool("verbose", false, "let istiod's own log through to standard error")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := becomeAmbient(); err != nil {
		return err
	}
	if err := quietIstio(*verbose); err != nil {
		return err
	}
	driver := &driver{install: *envoy}
	defer driver.close()
	return serve(os.Stdin, os.Stdout, driver)
}

// envoyBesideThisProgram is where the makefile puts Envoy: next to the folder of the binaries.
func envoyBesideThisProgram() string {
	self, err := os.Executable()
	if err != nil {
		return "envoy"
	}
	return filepath.Join(filepath.Dir(filepath.Dir(self)), "envoy")
}

// quietIstio keeps istiod's log off standard output, which belongs to the answers.
func quietIstio(verbose bool) error {
	options := istiolog.DefaultOptions()
	options.OutputPaths = []string{"stderr"}
	level := istiolog.NoneLevel
	if verbose {
		level = istiolog.InfoLevel
	}
	for name := range istiolog.Scopes() {
		options.SetDefaultOutputLevel(name, level)
	}
	return istiolog.Configure(options)
}

// serve answers requests one after the other until the input ends.
func serve(in io.Reader, out io.Writer, d *driver) error {
	reader := bufio.NewReaderSize(in, 1<<20)
	writer := bufio.NewWriterSize(out, 1<<20)
	for {
		line, err := reader.ReadBytes('\n')
		if len(line) > 0 {
			if err := json.NewEncoder(writer).Encode(answer(line, d)); err != nil {
				return fmt.Errorf("write an answer: %w", err)
			}
			if err := writer.Flush(); err != nil {
				return fmt.Errorf("write an answer: %w", err)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a request: %w", err)
		}
	}
}

// answer never fails and never panics: whatever goes wrong is the answer.
func answer(line []byte, d *driver) (reply any) {
	defer func() {
		if cause := recover(); cause != nil {
			reply = failure{Error: fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())}
		}
	}()
	var request struct {
		Op string `json:"op"`
	}
	if err := json.Unmarshal(line, &request); err != nil {
		return failure{Error: fmt.Sprintf("the request is no JSON object: %v", err)}
	}
	var result any
	var err error
	switch request.Op {
	case "translate":
		result, err = decodeAnd(line, translate)
	case "route":
		result, err = decodeAnd(line, d.route)
	case "authorize":
		result, err = decodeAnd(line, d.authorize)
	default:
		err = fmt.Errorf("unknown op %q; known are translate, route and authorize", request.Op)
	}
	if err != nil {
		return failure{Error: err.Error()}
	}
	return result
}

func decodeAnd[Request, Answer any](line []byte, f func(Request) (Answer, error)) (any, error) {
	var request Request
	if err := json.Unmarshal(line, &request); err != nil {
		return nil, fmt.Errorf("cannot read the request: %w", err)
	}
	return f(request)
}

// failure is the answer to a request that could not be served.
type failure struct {
	Error string `json:"error"`
}
