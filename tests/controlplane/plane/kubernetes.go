package plane

import (
	"kubectl-ambient/tests/controlplane/process"
)

func (l *layout) etcd(probe *prober) process.Component {
	client, peer := "http://"+loopback(l.ports.etcdClient), "http://"+loopback(l.ports.etcdPeer)
	return process.Component{
		Name: etcd, Path: l.binary("etcd"), Address: client,
		Args: []string{
			flag("name", "controlplane"), flag("data-dir", l.path("etcd")),
			flag("listen-client-urls", client), flag("advertise-client-urls", client),
			flag("listen-peer-urls", peer), flag("initial-advertise-peer-urls", peer),
			flag("initial-cluster", "controlplane="+peer),
			// Nothing here outlives a crash of the machine.
			"--unsafe-no-fsync", flag("quota-backend-bytes", 8<<30),
			flag("log-level", "warn"), flag("logger", "zap"),
		},
		Ready: probe.ok(client + "/readyz"),
	}
}

func (l *layout) apiServer(probe *prober) process.Component {
	c := l.credentials
	return process.Component{
		Name: apiServer, Path: l.binary("kubernetes"), Address: l.server(),
		Args: []string{
			apiServer,
			flag("etcd-servers", "http://"+loopback(l.ports.etcdClient)),
			flag("bind-address", "127.0.0.1"), flag("advertise-address", "127.0.0.1"), flag("secure-port", l.ports.apiServer),
			// The address of a loopback interface may not stand in an Endpoints object.
			flag("endpoint-reconciler-type", "none"),
			flag("tls-cert-file", c.certificate("apiserver")), flag("tls-private-key-file", c.key("apiserver")),
			flag("client-ca-file", c.certificate("ca")),
			flag("authorization-mode", "Node,RBAC"), flag("allow-privileged", true),
			flag("service-cluster-ip-range", serviceNetwork),
			flag("service-account-issuer", issuer), flag("api-audiences", issuer+",istio-ca"),
			flag("service-account-key-file", c.certificate("service-account")),
			flag("service-account-signing-key-file", c.key("service-account")),
			flag("kubelet-client-certificate", c.certificate("kubelet-client")),
			flag("kubelet-client-key", c.key("kubelet-client")),
			flag("kubelet-certificate-authority", c.certificate("ca")),
			flag("kubelet-preferred-address-types", "InternalIP"),
			flag("requestheader-client-ca-file", c.certificate("front-proxy-ca")),
			flag("requestheader-allowed-names", "front-proxy-client"),
			flag("requestheader-username-headers", "X-Remote-User"),
			flag("requestheader-group-headers", "X-Remote-Group"),
			flag("requestheader-extra-headers-prefix", "X-Remote-Extra-"),
			flag("proxy-client-cert-file", c.certificate("front-proxy")),
			flag("proxy-client-key-file", c.key("front-proxy")),
			// The load tests write faster than a cluster of three nodes would be asked to.
			flag("max-requests-inflight", 1600), flag("max-mutating-requests-inflight", 800),
			flag("profiling", false),
		},
		Ready: probe.ok(l.server() + "/readyz"),
	}
}

// issuer of the service accounts' tokens.
const issuer = "https://kubernetes.default.svc.cluster.local"

func (l *layout) controllers(probe *prober) process.Component {
	c := l.credentials
	return process.Component{
		Name: controllers, Path: l.binary("kubernetes"), Address: "https://" + loopback(l.ports.controllers),
		Args: []string{
			controllers,
			flag("kubeconfig", c.kubeconfigs[controllers]),
			flag("bind-address", "127.0.0.1"), flag("secure-port", l.ports.controllers),
			flag("tls-cert-file", c.certificate("server")), flag("tls-private-key-file", c.key("server")),
			flag("leader-elect", false), flag("use-service-account-credentials", true),
			flag("root-ca-file", c.certificate("ca")),
			flag("service-account-private-key-file", c.key("service-account")),
			flag("cluster-signing-cert-file", c.certificate("ca")), flag("cluster-signing-key-file", c.key("ca")),
			flag("kube-api-qps", 1000), flag("kube-api-burst", 2000),
			flag("concurrent-deployment-syncs", 16), flag("concurrent-replicaset-syncs", 16),
			flag("concurrent-statefulset-syncs", 16), flag("concurrent-endpoint-syncs", 16),
			flag("concurrent-service-endpoint-syncs", 16), flag("concurrent-namespace-syncs", 16),
			flag("node-monitor-period", "1s"),
			flag("profiling", false),
		},
		Ready: probe.ok("https://" + loopback(l.ports.controllers) + "/healthz"),
	}
}

func (l *layout) scheduler(probe *prober) process.Component {
	c := l.credentials
	return process.Component{
		Name: scheduler, Path: l.binary("kubernetes"), Address: "https://" + loopback(l.ports.scheduler),
		Args: []string{
			scheduler,
			flag("kubeconfig", c.kubeconfigs[scheduler]),
			flag("bind-address", "127.0.0.1"), flag("secure-port", l.ports.scheduler),
			flag("tls-cert-file", c.certificate("server")), flag("tls-private-key-file", c.key("server")),
			flag("leader-elect", false), flag("kube-api-qps", 1000), flag("kube-api-burst", 2000),
			flag("profiling", false),
		},
		Ready: probe.ok("https://" + loopback(l.ports.scheduler) + "/healthz"),
	}
}

func (l *layout) kwok(probe *prober) process.Component {
	return process.Component{
		Name: kwok, Path: l.binary("kwok"), Address: "https://" + loopback(l.ports.kwok),
		Args:  []string{flag("kubeconfig", l.credentials.kubeconfigs[kwok]), flag("config", l.path("kwok.yaml"))},
		Ready: probe.ok("https://" + loopback(l.ports.kwok) + "/healthz"),
	}
}

func (l *layout) metricsServer(probe *prober) process.Component {
	c := l.credentials
	return process.Component{
		Name: metricsServer, Path: l.binary("kubernetes"), Address: "https://" + loopback(l.ports.metrics),
		Args: []string{
			metricsServer,
			flag("kubeconfig", c.kubeconfigs[metricsServer]),
			flag("authentication-kubeconfig", c.kubeconfigs[metricsServer]),
			flag("authorization-kubeconfig", c.kubeconfigs[metricsServer]),
			flag("bind-address", "127.0.0.1"), flag("secure-port", l.ports.metrics),
			flag("tls-cert-file", c.certificate("server")), flag("tls-private-key-file", c.key("server")),
			flag("kubelet-certificate-authority", c.certificate("ca")),
			"--kubelet-use-node-status-port", flag("kubelet-preferred-address-types", "InternalIP"),
			// The shortest it takes, and a request must end before the next.
			flag("metric-resolution", "10s"), flag("kubelet-request-timeout", "8s"),
		},
		Ready: probe.ok("https://" + loopback(l.ports.metrics) + "/livez"),
	}
}
