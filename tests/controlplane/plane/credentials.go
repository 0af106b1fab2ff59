package plane

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	"kubectl-ambient/tests/controlplane/certificates"
	"kubectl-ambient/tests/controlplane/kubeconfig"
)

// serviceNetwork is where the Services' addresses come from; apiService is the first of them, the API server's own.
const serviceNetwork = "10.96.0.0/16"

var apiService = net.IPv4(10, 96, 0, 1)

// masters may do everything.
const masters = "system:masters"

// credentials are the files that the components are started with.
type credentials struct {
	dir       string
	authority []byte
	admin     certificates.Pair
	// kubeconfigs by component; "admin" is the one of the tests.
	kubeconfigs map[string]string
}

func (c *credentials) certificate(name string) string { return filepath.Join(c.dir, name+".crt") }

func (c *credentials) key(name string) string { return filepath.Join(c.dir, name+".key") }

// users are the identities of the components. istiod and the stand-in for istio-cni come as the service accounts that
// they have in a cluster, so that the rights Istio installs for them are the rights they have.
var users = map[string][]string{
	"admin":       {"admin", masters},
	controllers:   {"system:kube-controller-manager"},
	scheduler:     {"system:kube-scheduler"},
	kwok:          {"kwok", masters},
	metricsServer: {"metrics-server", masters},
	istiod:        {"system:serviceaccount:istio-system:istiod", "system:serviceaccounts", "system:serviceaccounts:istio-system"},
	cniStandin:    {"system:serviceaccount:istio-system:istio-cni", "system:serviceaccounts", "system:serviceaccounts:istio-system"},
}

func writeCredentials(state, server string) (*credentials, error) {
	c := &credentials{dir: filepath.Join(state, "certificates"), kubeconfigs: map[string]string{}}
	for _, folder := range []string{c.dir, filepath.Join(state, "kubeconfigs")} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return nil, fmt.Errorf("credentials: %w", err)
		}
	}
	authority, err := certificates.NewAuthority("controlplane")
	if err != nil {
		return nil, err
	}
	front, err := certificates.NewAuthority("front-proxy")
	if err != nil {
		return nil, err
	}
	pairs := map[string]func() (certificates.Pair, error){
		"ca":              authority.Pair,
		"front-proxy-ca":  front.Pair,
		"service-account": certificates.SigningKey,
		"front-proxy":     func() (certificates.Pair, error) { return front.Client("front-proxy-client") },
		"kubelet-client":  func() (certificates.Pair, error) { return authority.Client("kube-apiserver-kubelet-client", masters) },
		"apiserver": func() (certificates.Pair, error) {
			names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
			return authority.Server("kube-apiserver", names, apiService)
		},
		"server": func() (certificates.Pair, error) {
			return authority.Server("component", []string{"metrics-server.kube-system.svc"})
		},
	}
	for name, make := range pairs {
		pair, err := make()
		if err != nil {
			return nil, err
		}
		if _, _, err := pair.Write(c.dir, name); err != nil {
			return nil, err
		}
		if name == "ca" {
			c.authority = pair.Certificate
		}
	}
	for name, identity := range users {
		client, err := authority.Client(identity[0], identity[1:]...)
		if err != nil {
			return nil, err
		}
		path := filepath.Join(state, "kubeconfigs", name)
		if name == "admin" {
			path = filepath.Join(state, "kubeconfig")
			c.admin = client
		}
		if err := kubeconfig.Write(path, server, c.authority, client); err != nil {
			return nil, err
		}
		c.kubeconfigs[name] = path
	}
	return c, nil
}
