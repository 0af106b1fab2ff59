// Kubernetes is the API server, the controllers, the scheduler, metrics-server and kubectl, by the name it is called or,
// called otherwise, by its first argument. They share most of their code, so one binary is built and linked.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	genericapiserver "k8s.io/apiserver/pkg/server"
	_ "k8s.io/client-go/plugin/pkg/client/auth" // kubectl's ways to authenticate
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	metrics "sigs.k8s.io/metrics-server/cmd/metrics-server/app"

	"kubectl-ambient/tests/controlplane/lifeline"
)

var programs = map[string]func() *cobra.Command{
	"kube-apiserver":          apiserver.NewAPIServerCommand,
	"kube-controller-manager": controllers.NewControllerManagerCommand,
	"kube-scheduler":          func() *cobra.Command { return scheduler.NewSchedulerCommand() },
	"metrics-server": func() *cobra.Command {
		return metrics.NewMetricsServerCommand(genericapiserver.SetupSignalHandler())
	},
	"kubectl": kubectl.NewDefaultKubectlCommand,
}

func main() {
	lifeline.Hold()
	name := filepath.Base(os.Args[0])
	if programs[name] == nil && len(os.Args) > 1 {
		name = os.Args[1]
		os.Args = os.Args[1:]
	}
	program, ok := programs[name]
	if !ok {
		names := make([]string, 0, len(programs))
		for name := range programs {
			names = append(names, name)
		}
		slices.Sort(names)
		fmt.Fprintf(os.Stderr, "no program %q here; there are: %s\n", name, strings.Join(names, ", "))
		os.Exit(2)
	}
	os.Exit(run(name, program()))
}

// run runs a program as its own main does: kubectl prints errors itself.
func run(name string, command *cobra.Command) int {
	if name != "kubectl" {
		return cli.Run(command)
	}
	if err := cli.RunNoErrOutput(command); err != nil {
		util.CheckErr(err)
	}
	return 0
}
