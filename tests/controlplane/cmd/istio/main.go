// Istio runs istiod (first argument "discovery") or istioctl.
package main

import (
	"os"

	"istio.io/istio/istioctl/cmd"
	"istio.io/istio/pilot/cmd/pilot-discovery/app"
)

func main() {
	if os.Args[1] == "discovery" {
		if err := app.NewRootCommand().Execute(); err != nil {
			os.Exit(1)
		}
		return
	}
	if err := cmd.GetRootCmd(os.Args[1:]).Execute(); err != nil {
		os.Exit(cmd.GetExitCode(err))
	}
}
