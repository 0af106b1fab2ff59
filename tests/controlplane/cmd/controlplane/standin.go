package main

import (
	"context"
	"flag"
	"fmt"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"kubectl-ambient/tests/controlplane/standin"
)

// standIn is the component istio-cni-standin, a process of its own so that it can be stopped like the others.
func standIn(arguments []string) error {
	flags := flag.NewFlagSet("istio-cni-standin", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "how to reach the API server")
	var settings standin.Settings
	flags.StringVar(&settings.EnablementSelector, "enablement-selector", "", "AMBIENT_ENABLEMENT_SELECTOR of istio-cni-config")
	flags.StringVar(&settings.ExcludeNamespaces, "exclude-namespaces", "", "EXCLUDE_NAMESPACES of istio-cni-config")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	config.QPS = -1
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("client of the API server: %w", err)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	return standin.Run(ctx, client, settings)
}
