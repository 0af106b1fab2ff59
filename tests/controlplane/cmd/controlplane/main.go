// Controlplane starts a real control plane for the tests and holds it up until its standard input ends.
package main

import (
	"fmt"
	"os"

	"istio.io/istio/pkg/log"

	"kubectl-ambient/tests/controlplane/lifeline"
)

const usage = `usage:
  controlplane up [flags]    starts a control plane; "controlplane up --help" lists the flags
`

func main() {
	lifeline.Hold()
	// Istio's library, which the stand-in asks, logs to standard output; that is for answers.
	logging := log.DefaultOptions()
	logging.OutputPaths = []string{"stderr"}
	if err := log.Configure(logging); err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	var err error
	switch name {
	case "up":
		err = up(os.Args[2:])
	case "istio-cni-standin":
		err = standIn(os.Args[2:])
	default:
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "controlplane: %v\n", err)
		os.Exit(1)
	}
}
