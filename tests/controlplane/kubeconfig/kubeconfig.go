// Package kubeconfig writes the files by which the components and the tests reach the API server.
package kubeconfig

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"

	"kubectl-ambient/tests/controlplane/certificates"
)

// Context is the name of the one context in every file.
const Context = "controlplane"

// Write writes a file that holds all it needs: it can be copied anywhere while the control plane runs.
func Write(path, server string, authority []byte, client certificates.Pair) error {
	config := api.NewConfig()
	config.Clusters[Context] = &api.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos[Context] = &api.AuthInfo{
		ClientCertificateData: client.Certificate, ClientKeyData: client.Key,
	}
	config.Contexts[Context] = &api.Context{Cluster: Context, AuthInfo: Context, Namespace: "default"}
	config.CurrentContext = Context
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return fmt.Errorf("kubeconfig: %w", err)
	}
	return nil
}
