package nodes

import (
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/utils/lifecycle"

	"kubectl-ambient/tests/controlplane/objects"
)

// podStages has kwok itself read the whole configuration.
func podStages(t *testing.T) lifecycle.Lifecycle {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "kwok.yaml")
	kubelet := Kubelet{
		Port: 10250, Certificate: "/with space/a.crt", Key: "/with\"quote/a.key", Log: filepath.Join(dir, "pods.log"),
		Forwards: []PortForward{{Port: 15014, Target: 20000}},
	}
	if err := kubelet.WriteConfiguration(path); err != nil {
		t.Fatal(err)
	}
	all, err := config.Load(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if forwards := config.FilterWithType[*internalversion.ClusterPortForward](all); len(forwards) != 1 {
		t.Errorf("%d port forwards", len(forwards))
	}
	var stages []*internalversion.Stage
	for _, stage := range config.FilterWithType[*internalversion.Stage](all) {
		if stage.Spec.ResourceRef.Kind == "Pod" {
			stages = append(stages, stage)
		}
	}
	cycle, err := lifecycle.NewLifecycle(stages)
	if err != nil {
		t.Fatal(err)
	}
	return cycle
}

func TestEachPodHasOneNextStage(t *testing.T) {
	cycle := podStages(t)
	const (
		job     = "ownerReferences: [{kind: Job, name: j}]"
		held    = `annotations: {kubectl-ambient.test/hold: unready}`
		app     = "containers: [{name: app}]"
		sidecar = "containers: [{name: istio-proxy}, {name: app}]"
		native  = "initContainers: [{name: istio-proxy, restartPolicy: Always}], containers: [{name: app}]"
		running = "phase: Running, conditions: [{type: Ready, status: 'True'}], containerStatuses: [{name: app, state: {running: {}}}]"
		unready = "phase: Running, conditions: [{type: Ready, status: 'False'}], containerStatuses: [{name: app, state: {running: {}}}]"
		ended   = "phase: Running, conditions: [{type: Ready, status: 'False'}], containerStatuses: [{name: app, state: {terminated: {exitCode: 0}}}]"
		deleted = "deletionTimestamp: '2026-01-01T00:00:00Z'"
	)
	for _, test := range []struct{ name, metadata, spec, status, want string }{
		{"new", "", app, "phase: Pending", "pod-run"},
		{"held back", "annotations: {kubectl-ambient.test/hold: pending}", app, "phase: Pending", ""},
		{"runs", "", app, running, ""},
		{"held unready from the start", held, app, "phase: Pending", "pod-run"},
		{"becomes unready", held, app, running, "pod-becomes-unready"},
		{"stays unready", held, app, unready, ""},
		{"is let go", "", app, unready, "pod-becomes-ready"},
		{"job", job, app, running, "job-completes"},
		{"job with native sidecar", job, native, running, "job-completes"},
		{"job with classic sidecar", job, sidecar, running, "job-waits-for-sidecar"},
		{"job that waits for its sidecar", job, sidecar, ended, ""},
		{"job held", job + ", " + held, app, unready, ""},
		{"deleted", deleted, app, running, "pod-goes"},
		{"deleted while pending", deleted, app, "phase: Pending", "pod-goes"},
		{"deleted, held by a finalizer", deleted + ", finalizers: [a/b]", app, running, "pod-stops"},
		{"deleted, ended, held by a finalizer", deleted + ", finalizers: [a/b]", app, "phase: Failed", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			pod := pod(t, test.metadata, test.spec, test.status)
			stages, err := cycle.ListAllPossible(t.Context(), &lifecycle.Event{
				Labels: pod.GetLabels(), Annotations: pod.GetAnnotations(), Data: pod.Object,
			})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, stage := range stages {
				got += stage.Name()
			}
			if got != test.want {
				t.Errorf("next is %q, want %q", got, test.want)
			}
		})
	}
}

func pod(t *testing.T, metadata, spec, status string) *unstructured.Unstructured {
	t.Helper()
	text := "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n, " + metadata + "}\nspec: {nodeName: node-1, " + spec +
		"}\nstatus: {" + status + "}\n"
	parsed, err := objects.Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return parsed[0]
}

func TestNodes(t *testing.T) {
	all, err := Objects(10250, "v1.36.3")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != Count {
		t.Fatalf("%d nodes", len(all))
	}
	for _, node := range all {
		info, _, err := unstructured.NestedMap(node.Object, "status", "nodeInfo")
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{
			"machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
			"kubeProxyVersion", "operatingSystem", "architecture",
		} {
			if _, ok := info[field]; !ok {
				t.Errorf("%s has no nodeInfo.%s", node.GetName(), field)
			}
		}
	}
}
