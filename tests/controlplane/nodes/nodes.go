// Package nodes has the nodes of a control plane and how kwok runs the pods on them.
package nodes

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"text/template"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubectl-ambient/tests/controlplane/objects"
)

// Count is how many nodes there are.
const Count = 3

//go:embed stages.yaml
var stages []byte

//go:embed kubelet.yaml
var kubelet string

//go:embed node.yaml
var node string

// PortForward says where a forwarded port of istiod's pods leads: to the real istiod on this machine.
type PortForward struct {
	Port, Target int
}

// Kubelet is what kwok is told to serve in the place of the kubelets.
type Kubelet struct {
	// Port is where it serves, on loopback.
	Port int
	// Certificate and Key are the files of its serving certificate.
	Certificate, Key string
	// Log is the file that `kubectl logs` shows of every container.
	Log string
	// Forwards are the ports of istiod's pods.
	Forwards []PortForward
}

// WriteConfiguration writes kwok's configuration and the log that it serves.
func (k Kubelet) WriteConfiguration(path string) error {
	line := fmt.Sprintf("%s stdout F nothing runs here: this pod is an object that kwok keeps in motion\n",
		time.Now().UTC().Format(time.RFC3339Nano))
	if err := os.WriteFile(k.Log, []byte(line), 0o600); err != nil {
		return fmt.Errorf("log of the pods: %w", err)
	}
	configuration, err := k.configuration()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, configuration, 0o600); err != nil {
		return fmt.Errorf("configuration of kwok: %w", err)
	}
	return nil
}

func (k Kubelet) configuration() ([]byte, error) {
	head, err := fill("kubelet.yaml", kubelet, k)
	if err != nil {
		return nil, err
	}
	return append(append(head, []byte("\n---\n")...), stages...), nil
}

// Objects are the nodes as their kubelets would register them. Without every required field of status.nodeInfo the API server
// refuses later changes of them.
func Objects(kubeletPort int, version string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for number := 1; number <= Count; number++ {
		text, err := fill("node.yaml", node, map[string]any{
			"Number": number, "Zone": string(rune('a' + number - 1)), "Port": kubeletPort, "Version": version,
			"Now": time.Now().UTC().Format(time.RFC3339),
		})
		if err != nil {
			return nil, err
		}
		parsed, err := objects.Parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, parsed...)
	}
	return all, nil
}

func fill(name, text string, values any) ([]byte, error) {
	parsed, err := template.New(name).Funcs(template.FuncMap{"quote": quote}).Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, values); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return out.Bytes(), nil
}

// quote makes a YAML string, whatever a path holds: every JSON string is one.
func quote(text string) (string, error) {
	quoted, err := json.Marshal(text)
	return string(quoted), err
}
