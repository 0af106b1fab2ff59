// Package plane starts a control plane: which components there are, with which flags, in which order, and what is applied
// to the API server before it counts as up.
package plane

import (
	"fmt"
	"path/filepath"
	"strconv"

	"kubectl-ambient/tests/controlplane/state"
)

// Names of the components, as commands and the list of components have them.
const (
	etcd          = "etcd"
	apiServer     = "kube-apiserver"
	controllers   = "kube-controller-manager"
	scheduler     = "kube-scheduler"
	kwok          = "kwok"
	metricsServer = "metrics-server"
	istiod        = "istiod"
	cniStandin    = "istio-cni-standin"
)

// Options are what `controlplane up` can be told.
type Options struct {
	// Channel of the Gateway API's CRDs: standard or experimental.
	Channel string
	// Without names parts that are left away, see Parts.
	Without map[string]bool
	// State is the folder for everything; a new temporary one when empty.
	State string
	// IstiodEnv is added to istiod's environment, KEY=VALUE each.
	IstiodEnv []string
	// IstioValues are settings for `istioctl manifest generate --set`.
	IstioValues []string
	// MeshConfig is laid over the mesh configuration, a YAML mapping each.
	MeshConfig []string
}

// Parts are what can be left away, and what that means.
var Parts = map[string]string{
	"ambient":    "no ztunnel, no istio-cni, istiod without PILOT_ENABLE_AMBIENT",
	"injection":  "no webhook that injects sidecars",
	"validation": "no webhook that refuses broken objects of Istio",
	"istiod":     "Istio's CRDs, and nothing else of Istio",
	"metrics":    "no metrics-server",
	"standin":    "nobody writes ambient.istio.io/redirection",
}

// ports of one control plane, all on 127.0.0.1.
type ports struct {
	etcdClient, etcdPeer, apiServer, controllers, scheduler, kwok, metrics int
	istiodHTTP, istiodHTTPS, istiodGRPC, istiodSecure, istiodMonitoring    int
}

// each is every port, to be filled in.
func (p *ports) each() []*int {
	return []*int{
		&p.etcdClient, &p.etcdPeer, &p.apiServer, &p.controllers, &p.scheduler, &p.kwok, &p.metrics,
		&p.istiodHTTP, &p.istiodHTTPS, &p.istiodGRPC, &p.istiodSecure, &p.istiodMonitoring,
	}
}

// layout is where everything of one control plane is.
type layout struct {
	bin         string
	dir         string
	ports       ports
	credentials *credentials
}

func newLayout(bin string, own *state.State) (*layout, error) {
	l := &layout{bin: bin, dir: own.Dir}
	for index, port := range l.ports.each() {
		*port = own.Ports[index]
	}
	var err error
	l.credentials, err = writeCredentials(own.Dir, l.server())
	return l, err
}

func (l *layout) binary(name string) string { return filepath.Join(l.bin, name) }

func (l *layout) path(name string) string { return filepath.Join(l.dir, name) }

func (l *layout) server() string { return "https://" + loopback(l.ports.apiServer) }

func loopback(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// flag makes one argument of a name and a value.
func flag(name string, value any) string { return fmt.Sprintf("--%s=%v", name, value) }
