// Kwok runs the nodes of the test control plane, and their pods, as far as objects show.
package main

import (
	"context"
	"os"

	"sigs.k8s.io/kwok/pkg/config"
	kwok "sigs.k8s.io/kwok/pkg/kwok/cmd"
)

func main() {
	ctx, err := config.InitFlags(context.Background(), nil)
	_ = err
	if err := kwok.NewCommand(ctx).ExecuteContext(ctx); err != nil {
		os.Exit(1)
	}
}
