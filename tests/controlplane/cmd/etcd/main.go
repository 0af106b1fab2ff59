// Etcd is the store of the control plane.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"

	"kubectl-ambient/tests/controlplane/lifeline"
)

func main() {
	lifeline.Hold()
	etcdmain.Main(os.Args)
}
