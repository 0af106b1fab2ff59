package plane

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
	"k8s.io/component-base/version"

	"kubectl-ambient/tests/controlplane/istio"
	"kubectl-ambient/tests/controlplane/nodes"
	"kubectl-ambient/tests/controlplane/objects"
	"kubectl-ambient/tests/controlplane/process"
)

// launch is one start of a control plane.
type launch struct {
	layout    *layout
	options   Options
	probe     *prober
	client    dynamic.Interface
	group     *process.Group
	stages    *stages
	manifests *istio.Manifests
}

// plan starts every stage; each waits for those it needs.
func (l *launch) plan() {
	has := func(part string) bool { return !l.options.Without[part] }
	component := func(component process.Component) func(context.Context) error {
		return func(ctx context.Context) error { return l.group.Start(ctx, component) }
	}
	run := l.stages.run

	render := run("istio rendered", nil, l.render)
	run("etcd", nil, component(l.layout.etcd(l.probe)))
	// It waits for etcd itself.
	server := run(apiServer, nil, component(l.layout.apiServer(l.probe)))
	ran := []*stage{
		run(controllers, []*stage{server}, component(l.layout.controllers(l.probe))),
		run(scheduler, []*stage{server}, component(l.layout.scheduler(l.probe))),
		run("nodes", []*stage{server}, l.nodes),
	}
	definitions := run("definitions", []*stage{server, render}, l.definitions)
	if has("metrics") {
		run(metricsServer, []*stage{server}, l.metrics)
	}
	if !has("istiod") {
		return
	}
	installed := run("istio applied", []*stage{server, render}, l.install)
	serving := run(istiod, []*stage{definitions, installed}, l.istiod)
	run("webhooks", []*stage{serving}, l.webhooks)
	run("istio-system ready", append(ran, installed), l.system)
	if has("ambient") {
		run("waypoint class", []*stage{serving}, l.waypointClass)
		if has("standin") {
			run(cniStandin, []*stage{installed}, l.standin)
		}
	}
}

func (l *launch) render(ctx context.Context) error {
	home := l.layout.path("istioctl")
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	var err error
	l.manifests, err = istio.Render(ctx, l.layout.binary("istioctl"), home, istio.Options{
		Ambient: !l.options.Without["ambient"], WebhookPort: l.layout.ports.istiodHTTPS,
		Env: l.options.IstiodEnv, Values: l.options.IstioValues, Mesh: l.options.MeshConfig,
	})
	if err != nil {
		return err
	}
	if l.options.Without["injection"] {
		l.manifests.Drop("MutatingWebhookConfiguration")
	}
	if l.options.Without["validation"] {
		l.manifests.Drop("ValidatingWebhookConfiguration")
	}
	return nil
}

// nodes starts what plays the kubelets and registers the nodes.
func (l *launch) nodes(ctx context.Context) error {
	credentials := l.layout.credentials
	kubelet := nodes.Kubelet{
		Port: l.layout.ports.kwok, Certificate: credentials.certificate("server"), Key: credentials.key("server"),
		Log: l.layout.path("pods.log"),
	}
	if !l.options.Without["istiod"] {
		kubelet.Forwards = l.layout.istiodForwards()
	}
	if err := kubelet.WriteConfiguration(l.layout.path("kwok.yaml")); err != nil {
		return err
	}
	all, err := nodes.Objects(kubelet.Port, version.Get().GitVersion)
	if err != nil {
		return err
	}
	if err := objects.Create(ctx, l.client, all); err != nil {
		return err
	}
	if err := l.group.Start(ctx, l.layout.kwok(l.probe)); err != nil {
		return err
	}
	return objects.AwaitCondition(ctx, l.client, "Ready", all)
}

// definitions creates the CRDs of the Gateway API and of Istio.
func (l *launch) definitions(ctx context.Context) error {
	var all []*unstructured.Unstructured
	files, err := filepath.Glob(filepath.Join(l.layout.bin, "crds", l.options.Channel, "*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no CRDs of the Gateway API beside the programs in %s: run `make controlplane`", l.layout.bin)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		parsed, err := objects.Parse(content)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, parsed...)
	}
	// The policy that guards upgrades of these CRDs comes last: it has nothing to say about a first installation.
	slices.SortStableFunc(all, func(a, b *unstructured.Unstructured) int { return rank(a) - rank(b) })
	policies := len(all)
	if index := slices.IndexFunc(all, func(object *unstructured.Unstructured) bool { return rank(object) > 0 }); index >= 0 {
		policies = index
	}
	definitions := append(slices.Clone(all[:policies]), l.manifests.Definitions...)
	if err := objects.Create(ctx, l.client, definitions); err != nil {
		return err
	}
	if err := objects.AwaitCondition(ctx, l.client, "Established", definitions); err != nil {
		return err
	}
	return objects.Create(ctx, l.client, all[policies:])
}

func rank(object *unstructured.Unstructured) int {
	if object.GetKind() == "CustomResourceDefinition" {
		return 0
	}
	return 1
}

// install applies what istioctl rendered, but the CRDs.
func (l *launch) install(ctx context.Context) error {
	namespace := &unstructured.Unstructured{}
	namespace.SetAPIVersion("v1")
	namespace.SetKind("Namespace")
	namespace.SetName(istio.Namespace)
	if err := objects.Create(ctx, l.client, []*unstructured.Unstructured{namespace}); err != nil {
		return err
	}
	return objects.Create(ctx, l.client, l.manifests.Rest)
}

func (l *launch) istiod(ctx context.Context) error {
	environment, err := l.manifests.IstiodEnv()
	if err != nil {
		return err
	}
	return l.group.Start(ctx, l.layout.istiod(l.probe, environment))
}

// webhooks waits until istiod has signed and enforced its webhooks.
func (l *launch) webhooks(ctx context.Context) error {
	for _, configuration := range l.manifests.OfKind("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration") {
		err := objects.Poll(ctx, configuration.GetName(), func(ctx context.Context) error {
			found, err := objects.Resource(l.client, configuration).Get(ctx, configuration.GetName(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			return istio.CheckWebhooks(found)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// system waits until what Istio installed shows as a user would want to see it.
func (l *launch) system(ctx context.Context) error {
	if err := objects.AwaitCondition(ctx, l.client, "Available", l.manifests.OfKind("Deployment")); err != nil {
		return err
	}
	for _, daemon := range l.manifests.OfKind("DaemonSet") {
		err := objects.Poll(ctx, "DaemonSet "+daemon.GetName(), func(ctx context.Context) error {
			found, err := objects.Resource(l.client, daemon).Get(ctx, daemon.GetName(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			ready, _, err := unstructured.NestedInt64(found.Object, "status", "numberReady")
			if err != nil {
				return err
			}
			if ready != nodes.Count {
				return fmt.Errorf("%d of %d pods are ready", ready, nodes.Count)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// waypointClass waits for the class of waypoints, which istiod makes.
func (l *launch) waypointClass(ctx context.Context) error {
	class := &unstructured.Unstructured{}
	class.SetAPIVersion("gateway.networking.k8s.io/v1")
	class.SetKind("GatewayClass")
	class.SetName("istio-waypoint")
	return objects.AwaitCondition(ctx, l.client, "Accepted", []*unstructured.Unstructured{class})
}

func (l *launch) standin(ctx context.Context) error {
	component, err := l.layout.cniStandin(l.manifests)
	if err != nil {
		return err
	}
	return l.group.Start(ctx, component)
}

// metrics starts metrics-server and has the API server send its group there. First figures come later.
func (l *launch) metrics(ctx context.Context) error {
	all, err := objects.Parse(fmt.Appendf(nil, metricsObjects,
		l.layout.ports.metrics, base64.StdEncoding.EncodeToString(l.layout.credentials.authority)))
	if err != nil {
		return err
	}
	if err := objects.Create(ctx, l.client, all); err != nil {
		return err
	}
	if err := l.group.Start(ctx, l.layout.metricsServer(l.probe)); err != nil {
		return err
	}
	return objects.AwaitCondition(ctx, l.client, "Available", slices.DeleteFunc(all, func(object *unstructured.Unstructured) bool {
		return object.GetKind() != "APIService"
	}))
}

// metricsObjects is the group of metrics-server. Its Service is a name for this machine.
const metricsObjects = `
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: kube-system}
spec: {type: ExternalName, externalName: localhost, ports: [{port: %[1]d}]}
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  service: {name: metrics-server, namespace: kube-system, port: %[1]d}
  caBundle: %[2]s
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system:aggregated-metrics-reader
  labels:
    rbac.authorization.k8s.io/aggregate-to-view: "true"
    rbac.authorization.k8s.io/aggregate-to-edit: "true"
    rbac.authorization.k8s.io/aggregate-to-admin: "true"
rules:
- {apiGroups: [metrics.k8s.io], resources: [pods, nodes], verbs: [get, list, watch]}
`
