package istio

import (
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"kubectl-ambient/tests/controlplane/objects"
)

func manifests(t *testing.T, text string) *Manifests {
	t.Helper()
	all, err := objects.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return &Manifests{Rest: all}
}

func TestMeshIsMergedKeyByKey(t *testing.T) {
	m := manifests(t, `
kind: ConfigMap
apiVersion: v1
metadata: {name: istio}
data:
  mesh: |
    defaultConfig: {discoveryAddress: "istiod:15012", tracing: {}}
    trustDomain: cluster.local
    extensionProviders: [{name: prometheus}]
`)
	err := m.overrideMesh("{trustDomain: acme, defaultConfig: {tracing: null, concurrency: 2}, extensionProviders: []}")
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := unstructured.NestedString(m.Rest[0].Object, "data", "mesh")
	if err != nil {
		t.Fatal(err)
	}
	want := `defaultConfig:
  concurrency: 2
  discoveryAddress: istiod:15012
extensionProviders: []
trustDomain: acme
`
	if got != want {
		t.Errorf("mesh is\n%s", got)
	}
	if err := m.overrideMesh("- a list"); err == nil {
		t.Error("a list was accepted")
	}
}

func TestEnvironmentOfIstiod(t *testing.T) {
	m := manifests(t, `
kind: Deployment
apiVersion: apps/v1
metadata: {name: istiod}
spec:
  template:
    spec:
      containers:
      - name: discovery
        env:
        - {name: PILOT_ENABLE_AMBIENT, value: "true"}
        - {name: KUBECONFIG, value: /only/in/a/pod}
        - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
`)
	env, err := m.IstiodEnv()
	if err != nil {
		t.Fatal(err)
	}
	if len(env) != 1 || env[0] != "PILOT_ENABLE_AMBIENT=true" {
		t.Errorf("environment is %v", env)
	}
}

func TestWebhookIsReadyWhenSignedAndEnforced(t *testing.T) {
	const head = "kind: ValidatingWebhookConfiguration\napiVersion: admissionregistration.k8s.io/v1\nmetadata: {name: v}\nwebhooks: "
	for text, ready := range map[string]bool{
		"[{name: a, failurePolicy: Fail, clientConfig: {url: 'https://localhost:1/v', caBundle: YQ==}}]":   true,
		"[{name: a, failurePolicy: Fail, clientConfig: {url: 'https://localhost:1/v'}}]":                   false,
		"[{name: a, failurePolicy: Ignore, clientConfig: {url: 'https://localhost:1/v', caBundle: YQ==}}]": false,
		"[{name: a, failurePolicy: Fail, clientConfig: {service: {name: istiod}, caBundle: YQ==}}]":        false,
	} {
		err := CheckWebhooks(manifests(t, head+text).Rest[0])
		if (err == nil) != ready {
			t.Errorf("%s: %v", text, err)
		}
	}
}
