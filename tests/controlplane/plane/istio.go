package plane

import (
	"os"

	"kubectl-ambient/tests/controlplane/istio"
	"kubectl-ambient/tests/controlplane/nodes"
	"kubectl-ambient/tests/controlplane/process"
)

// istiod runs on this machine with the environment that the chart gives its Deployment.
func (l *layout) istiod(probe *prober, environment []string) process.Component {
	p := l.ports
	return process.Component{
		Name: istiod, Path: l.binary("istio"), Address: "http://" + loopback(p.istiodHTTP),
		Args: []string{
			"discovery",
			flag("kubeconfig", l.credentials.kubeconfigs[istiod]),
			flag("httpAddr", loopback(p.istiodHTTP)), flag("httpsAddr", loopback(p.istiodHTTPS)),
			flag("grpcAddr", loopback(p.istiodGRPC)), flag("secureGRPCAddr", loopback(p.istiodSecure)),
			flag("monitoringAddr", loopback(p.istiodMonitoring)),
			// Its introspection server takes whatever port is free; nobody asks it.
			flag("ctrlz_port", 0),
			flag("domain", "cluster.local"), flag("keepaliveMaxServerConnectionAge", "30m"),
		},
		Env: append([]string{
			"POD_NAME=istiod", "POD_NAMESPACE=" + istio.Namespace, "SERVICE_ACCOUNT=istiod",
			// The names under which the API server calls its webhooks.
			"ISTIOD_CUSTOM_HOST=127.0.0.1,localhost",
		}, environment...),
		Ready: probe.ok("http://" + loopback(p.istiodHTTP) + "/ready"),
	}
}

// istiodForwards are the ports of istiod's pods, and where the real istiod has them.
func (l *layout) istiodForwards() []nodes.PortForward {
	p := l.ports
	return []nodes.PortForward{
		{Port: 8080, Target: p.istiodHTTP}, {Port: 15010, Target: p.istiodGRPC}, {Port: 15012, Target: p.istiodSecure},
		{Port: 15014, Target: p.istiodMonitoring}, {Port: 15017, Target: p.istiodHTTPS},
	}
}

// cniStandin is this program itself, called by the name of the part.
func (l *layout) cniStandin(manifests *istio.Manifests) (process.Component, error) {
	self, err := os.Executable()
	if err != nil {
		return process.Component{}, err
	}
	selector, err := manifests.CNIConfiguration("AMBIENT_ENABLEMENT_SELECTOR")
	if err != nil {
		return process.Component{}, err
	}
	excluded, err := manifests.CNIConfiguration("EXCLUDE_NAMESPACES")
	if err != nil {
		return process.Component{}, err
	}
	return process.Component{
		Name: cniStandin, Path: self,
		Args: []string{
			cniStandin,
			flag("kubeconfig", l.credentials.kubeconfigs[cniStandin]),
			flag("enablement-selector", selector), flag("exclude-namespaces", excluded),
		},
	}, nil
}
