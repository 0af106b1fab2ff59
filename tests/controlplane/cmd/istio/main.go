// Istio is istioctl when called by that name, and istiod otherwise.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	istioctl "istio.io/istio/istioctl/cmd"
	"istio.io/istio/pilot/cmd/pilot-discovery/app"
	"istio.io/istio/pkg/log"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // istioctl's ways to authenticate

	"kubectl-ambient/tests/controlplane/lifeline"
)

func main() {
	lifeline.Hold()
	log.EnableKlogWithCobra()
	if filepath.Base(os.Args[0]) != "istioctl" {
		if err := app.NewRootCommand().Execute(); err != nil {
			log.Error(err)
			os.Exit(1)
		}
		return
	}
	if err := istioctl.ConfigAndEnvProcessing(); err != nil {
		fmt.Fprintf(os.Stderr, "Could not initialize: %v\n", err)
		os.Exit(istioctl.GetExitCode(err))
	}
	if err := istioctl.GetRootCmd(os.Args[1:]).Execute(); err != nil {
		os.Exit(istioctl.GetExitCode(err))
	}
}
