// Package istio renders what `istioctl install` would install, and turns it towards an istiod that runs on this machine.
package istio

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"kubectl-ambient/tests/controlplane/objects"
)

// Namespace is Istio's own, the root namespace of the mesh.
const Namespace = "istio-system"

// Options say what differs from a plain installation.
type Options struct {
	// Ambient is whether ztunnel and the CNI are installed and istiod knows of ambient mode.
	Ambient bool
	// WebhookPort is where istiod serves its webhooks on this machine.
	WebhookPort int
	// Env is added to istiod's environment, and Values to the chart's values, each KEY=VALUE.
	Env, Values []string
	// Mesh is merged into the mesh configuration, each a YAML mapping.
	Mesh []string
}

// Manifests is an installation of Istio.
type Manifests struct {
	// Definitions are the CRDs, Rest everything else.
	Definitions, Rest []*unstructured.Unstructured
}

// Render has istioctl render the installation.
func Render(ctx context.Context, istioctl, home string, options Options) (*Manifests, error) {
	// The webhooks are called by name, not by address: istioctl analyze complains of addresses.
	host := "https://localhost:" + strconv.Itoa(options.WebhookPort)
	settings := []string{
		"profile=minimal",
		// Without a default revision objects that carry no revision label are not validated.
		"values.defaultRevision=default",
		"values.istiodRemote.injectionURL=" + host + "/inject",
		"values.base.validationURL=" + host + "/validate",
	}
	if options.Ambient {
		settings[0] = "profile=ambient"
	}
	for _, pair := range options.Env {
		settings = append(settings, "values.pilot.env."+pair)
	}
	settings = append(settings, options.Values...)
	arguments := []string{"manifest", "generate"}
	for _, setting := range settings {
		arguments = append(arguments, "--set", setting)
	}
	command := exec.CommandContext(ctx, istioctl, arguments...)
	command.Env = []string{"HOME=" + home, "TMPDIR=" + home}
	var out, problems bytes.Buffer
	command.Stdout, command.Stderr = &out, &problems
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("istioctl manifest generate: %w\n%s", err, problems.Bytes())
	}
	all, err := objects.Parse(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("istioctl manifest generate: %w", err)
	}
	manifests := &Manifests{}
	for _, object := range all {
		if object.GetKind() == "CustomResourceDefinition" {
			manifests.Definitions = append(manifests.Definitions, object)
		} else {
			manifests.Rest = append(manifests.Rest, object)
		}
	}
	for _, override := range options.Mesh {
		if err := manifests.overrideMesh(override); err != nil {
			return nil, err
		}
	}
	return manifests, nil
}

// Drop takes all objects of a kind out.
func (m *Manifests) Drop(kind string) {
	var kept []*unstructured.Unstructured
	for _, object := range m.Rest {
		if object.GetKind() != kind {
			kept = append(kept, object)
		}
	}
	m.Rest = kept
}

// OfKind are the objects of the kinds given.
func (m *Manifests) OfKind(kinds ...string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, object := range m.Rest {
		for _, kind := range kinds {
			if object.GetKind() == kind {
				found = append(found, object)
			}
		}
	}
	return found
}

// IstiodEnv is the environment that the chart gives istiod, as far as it stands in the Deployment itself.
func (m *Manifests) IstiodEnv() ([]string, error) {
	deployment, err := m.find("Deployment", "istiod")
	if err != nil {
		return nil, err
	}
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) == 0 {
		return nil, fmt.Errorf("the Deployment istiod as rendered has no containers: %w", err)
	}
	container, _ := containers[0].(map[string]any)
	entries, _, err := unstructured.NestedSlice(container, "env")
	if err != nil {
		return nil, fmt.Errorf("environment of istiod as rendered: %w", err)
	}
	var env []string
	for _, entry := range entries {
		fields, _ := entry.(map[string]any)
		value, literal := fields["value"].(string)
		// KUBECONFIG names a file that only a pod has.
		if literal && fields["name"] != "KUBECONFIG" {
			env = append(env, fmt.Sprintf("%v=%s", fields["name"], value))
		}
	}
	return env, nil
}

// CNIConfiguration is a value of the configuration that istio-cni reads when it starts.
func (m *Manifests) CNIConfiguration(key string) (string, error) {
	config, err := m.find("ConfigMap", "istio-cni-config")
	if err != nil {
		return "", err
	}
	value, _, err := unstructured.NestedString(config.Object, "data", key)
	if err != nil {
		return "", fmt.Errorf("%s of istio-cni-config as rendered: %w", key, err)
	}
	return value, nil
}

// CheckWebhooks returns what is missing before the API server can call every webhook of a configuration at istiod.
func CheckWebhooks(configuration *unstructured.Unstructured) error {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return err
	}
	for _, entry := range webhooks {
		fields, _ := entry.(map[string]any)
		address, _, _ := unstructured.NestedString(fields, "clientConfig", "url")
		if _, err := url.ParseRequestURI(address); err != nil {
			return fmt.Errorf("webhook %v has no address on this machine: %w", fields["name"], err)
		}
		if bundle, _, _ := unstructured.NestedString(fields, "clientConfig", "caBundle"); bundle == "" {
			return fmt.Errorf("webhook %v has no caBundle yet", fields["name"])
		}
		if fields["failurePolicy"] != "Fail" {
			return fmt.Errorf("webhook %v is not enforced by istiod yet", fields["name"])
		}
	}
	return nil
}

func (m *Manifests) overrideMesh(override string) error {
	config, err := m.find("ConfigMap", "istio")
	if err != nil {
		return err
	}
	text, _, err := unstructured.NestedString(config.Object, "data", "mesh")
	if err != nil {
		return fmt.Errorf("mesh configuration as rendered: %w", err)
	}
	mesh, changes := map[string]any{}, map[string]any{}
	if err := yaml.Unmarshal([]byte(text), &mesh); err != nil {
		return fmt.Errorf("mesh configuration as rendered: %w", err)
	}
	if err := yaml.Unmarshal([]byte(override), &changes); err != nil {
		return fmt.Errorf("--mesh-config %q is no YAML mapping: %w", override, err)
	}
	merge(mesh, changes)
	merged, err := yaml.Marshal(mesh)
	if err != nil {
		return fmt.Errorf("mesh configuration: %w", err)
	}
	return unstructured.SetNestedField(config.Object, string(merged), "data", "mesh")
}

// merge lays changes over base: mappings key by key, everything else whole; null removes.
func merge(base, changes map[string]any) {
	for key, change := range changes {
		inner, isMapping := change.(map[string]any)
		present, wasMapping := base[key].(map[string]any)
		switch {
		case change == nil:
			delete(base, key)
		case isMapping && wasMapping:
			merge(present, inner)
		default:
			base[key] = change
		}
	}
}

func (m *Manifests) find(kind, name string) (*unstructured.Unstructured, error) {
	for _, object := range m.Rest {
		if object.GetKind() == kind && object.GetName() == name {
			return object, nil
		}
	}
	return nil, fmt.Errorf("istioctl rendered no %s %s", kind, name)
}
