package main

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// This file stands in for the API server and the controllers of a cluster: istiod's fake server takes objects as they
// are stored and settled, manifests are not.

// beginning is when the first object of a request was created; each further one a second later, as if they had
// been applied in their order.
var beginning = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// asCluster returns the objects as they would be found in a cluster they had been applied to, and those that
// controllers would have added.
func asCluster(applied []*object) ([]*object, error) {
	c := &settling{addresses: map[string]int{}}
	for _, o := range applied {
		c.admit(o)
	}
	c.addGatewayClasses()
	for _, o := range applied {
		if err := c.control(o); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(o), err)
		}
	}
	c.addEndpoints()
	c.addNamespaces()
	return c.objects, nil
}

// settling is a cluster that comes to rest.
type settling struct {
	objects   []*object
	addresses map[string]int
}

// admit does what the API server does to an object it stores.
func (c *settling) admit(o *object) {
	if schema, known := schemaOf(o); known {
		o.SetAPIVersion(schema.GroupVersionKind().GroupVersion())
		if !schema.IsClusterScoped() && o.GetNamespace() == "" {
			o.SetNamespace("default")
		}
	} else if !clusterScoped(o.GetKind()) && o.GetNamespace() == "" {
		o.SetNamespace("default")
	}
	if created := o.GetCreationTimestamp(); created.IsZero() {
		at := beginning.Add(time.Duration(len(c.objects)) * time.Second)
		set(o.Object, at.Format(time.RFC3339), "metadata", "creationTimestamp")
	}
	if o.GetUID() == "" {
		set(o.Object, fmt.Sprintf("00000000-0000-0000-0000-%012d", len(c.objects)+1), "metadata", "uid")
	}
	if o.GetGeneration() == 0 {
		o.SetGeneration(1)
	}
	defaults(o)
	if o.GetKind() == "Service" {
		c.allocateAddress(o)
	}
	c.objects = append(c.objects, o)
}

// add stores an object that a controller makes, unless it is there already.
func (c *settling) add(o *object) *object {
	for _, known := range c.objects {
		if known.GetKind() == o.GetKind() && known.GetName() == o.GetName() && known.GetNamespace() == o.GetNamespace() {
			return known
		}
	}
	c.admit(o)
	return o
}

func (c *settling) ofKind(kind, namespace string) []*object {
	var found []*object
	for _, o := range c.objects {
		if o.GetKind() == kind && (namespace == "" || o.GetNamespace() == namespace) {
			found = append(found, o)
		}
	}
	return found
}

// next gives out addresses of a range in their order.
func (c *settling) next(prefix string) string {
	c.addresses[prefix]++
	n := c.addresses[prefix]
	return fmt.Sprintf("%s.%d.%d", prefix, n/250, n%250+1)
}

func (c *settling) allocateAddress(service *object) {
	kind, _, _ := unstructured.NestedString(service.Object, "spec", "type")
	address, _, _ := unstructured.NestedString(service.Object, "spec", "clusterIP")
	if kind == "ExternalName" {
		return
	}
	if address == "" {
		address = c.next("10.96")
		set(service.Object, address, "spec", "clusterIP")
	}
	set(service.Object, []any{address}, "spec", "clusterIPs")
}

// addGatewayClasses makes those that istiod's own controller keeps.
func (c *settling) addGatewayClasses() {
	for _, class := range [][2]string{
		{"istio", "istio.io/gateway-controller"},
		{"istio-waypoint", "istio.io/mesh-controller"},
	} {
		c.add(made("gateway.networking.k8s.io/v1", "GatewayClass", "", class[0], map[string]any{
			"spec": map[string]any{"controllerName": class[1]},
		}))
	}
}

// control does what the controllers of workloads and gateways do on seeing an object.
func (c *settling) control(o *object) error {
	switch o.GetKind() {
	case "Pod":
		c.run(o)
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job":
		return c.addPod(o)
	case "Gateway":
		class, _, _ := unstructured.NestedString(o.Object, "spec", "gatewayClassName")
		addresses, _, _ := unstructured.NestedSlice(o.Object, "status", "addresses")
		if class == "istio-waypoint" && len(addresses) == 0 {
			return c.deployWaypoint(o)
		}
	}
	return nil
}

// run makes a pod ready, as kubelet would.
func (c *settling) run(pod *object) {
	if phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase"); phase == "" {
		set(pod.Object, "Running", "status", "phase")
		set(pod.Object, []any{map[string]any{"type": "Ready", "status": "True"}}, "status", "conditions")
	}
	ip, _, _ := unstructured.NestedString(pod.Object, "status", "podIP")
	if ip == "" {
		ip = c.next("10.244")
		set(pod.Object, ip, "status", "podIP")
	}
	set(pod.Object, []any{map[string]any{"ip": ip}}, "status", "podIPs")
	if account, _, _ := unstructured.NestedString(pod.Object, "spec", "serviceAccountName"); account == "" {
		set(pod.Object, "default", "spec", "serviceAccountName")
	}
}

// addPod makes one pod of a workload, unless the manifests have one that its selector finds.
func (c *settling) addPod(workload *object) error {
	template, _, err := unstructured.NestedMap(workload.Object, "spec", "template")
	if err != nil || template == nil {
		return err
	}
	pod := &object{Object: template}
	pod.SetAPIVersion("v1")
	pod.SetKind("Pod")
	for _, other := range c.ofKind("Pod", workload.GetNamespace()) {
		if labels.SelectorFromSet(pod.GetLabels()).Matches(labels.Set(other.GetLabels())) {
			return nil
		}
	}
	pod.SetName(workload.GetName() + "-0")
	pod.SetNamespace(workload.GetNamespace())
	c.enroll(pod)
	c.run(c.add(pod))
	return nil
}

// enroll marks a pod as the injection webhook or the CNI plugin would, by the labels of its namespace.
func (c *settling) enroll(pod *object) {
	namespace := map[string]string{}
	for _, o := range c.ofKind("Namespace", "") {
		if o.GetName() == pod.GetNamespace() {
			namespace = o.GetLabels()
		}
	}
	podLabels := pod.GetLabels()
	inject := podLabels["sidecar.istio.io/inject"]
	injected := inject == "true" || (inject == "" && (namespace["istio-injection"] == "enabled" || namespace["istio.io/rev"] != ""))
	mode := podLabels["istio.io/dataplane-mode"]
	switch {
	case injected:
		set(pod.Object, "istio", "metadata", "labels", "security.istio.io/tlsMode")
		set(pod.Object, "http", "metadata", "labels", "networking.istio.io/tunnel")
		set(pod.Object, "{}", "metadata", "annotations", "sidecar.istio.io/status")
	case mode == "ambient" || (mode == "" && namespace["istio.io/dataplane-mode"] == "ambient"):
		set(pod.Object, "enabled", "metadata", "annotations", "ambient.istio.io/redirection")
	}
}

// deployWaypoint makes the Service and the pod of a waypoint and its address in the Gateway's status, as istiod's
// controller does once the pod is ready.
func (c *settling) deployWaypoint(gateway *object) error {
	name, namespace := gateway.GetName(), gateway.GetNamespace()
	own := map[string]any{
		"gateway.networking.k8s.io/gateway-name": name,
		"gateway.istio.io/managed":               "istio.io-mesh-controller",
	}
	account := name
	if other := gateway.GetAnnotations()["gateway.istio.io/service-account"]; other != "" {
		account = other
	}
	c.add(made("v1", "Service", namespace, name, map[string]any{
		"metadata": map[string]any{"labels": own},
		"spec": map[string]any{
			"selector": map[string]any{"gateway.networking.k8s.io/gateway-name": name},
			"ports":    []any{map[string]any{"name": "mesh", "port": int64(15008), "appProtocol": "all"}},
		},
	}))
	c.run(c.add(made("v1", "Pod", namespace, name+"-0", map[string]any{
		"metadata": map[string]any{"labels": own},
		"spec":     map[string]any{"serviceAccountName": account},
	})))
	set(gateway.Object, []any{map[string]any{
		"type": "Hostname", "value": fmt.Sprintf("%s.%s.svc.%s", name, namespace, clusterDomain),
	}}, "status", "addresses")
	return nil
}

// addEndpoints makes the EndpointSlice of every Service with a selector that has none.
func (c *settling) addEndpoints() {
	sliced := map[string]bool{}
	for _, slice := range c.ofKind("EndpointSlice", "") {
		sliced[slice.GetNamespace()+"/"+slice.GetLabels()["kubernetes.io/service-name"]] = true
	}
	for _, service := range c.ofKind("Service", "") {
		selector, _, _ := unstructured.NestedStringMap(service.Object, "spec", "selector")
		if len(selector) == 0 || sliced[service.GetNamespace()+"/"+service.GetName()] {
			continue
		}
		c.add(c.endpointsOf(service, labels.SelectorFromSet(selector)))
	}
}

func (c *settling) endpointsOf(service *object, selector labels.Selector) *object {
	var endpoints, ports []any
	for _, pod := range c.ofKind("Pod", service.GetNamespace()) {
		ip, _, _ := unstructured.NestedString(pod.Object, "status", "podIP")
		if ip == "" || !selector.Matches(labels.Set(pod.GetLabels())) {
			continue
		}
		endpoints = append(endpoints, map[string]any{
			"addresses":  []any{ip},
			"conditions": map[string]any{"ready": true, "serving": true, "terminating": false},
			"targetRef":  map[string]any{"kind": "Pod", "name": pod.GetName(), "namespace": pod.GetNamespace()},
		})
	}
	declared, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
	for _, p := range declared {
		port := p.(map[string]any)
		target := port["targetPort"]
		if name, named := target.(string); named {
			target = c.containerPort(service.GetNamespace(), selector, name, port["port"])
		}
		entry := map[string]any{"port": target, "protocol": port["protocol"]}
		if name, ok := port["name"]; ok {
			entry["name"] = name
		} else {
			entry["name"] = ""
		}
		ports = append(ports, entry)
	}
	return made("discovery.k8s.io/v1", "EndpointSlice", service.GetNamespace(), service.GetName()+"-0", map[string]any{
		"metadata":    map[string]any{"labels": map[string]any{"kubernetes.io/service-name": service.GetName()}},
		"addressType": "IPv4",
		"endpoints":   endpoints,
		"ports":       ports,
	})
}

// containerPort resolves a named target port in the first selected pod that declares it.
func (c *settling) containerPort(namespace string, selector labels.Selector, name string, otherwise any) any {
	for _, pod := range c.ofKind("Pod", namespace) {
		if !selector.Matches(labels.Set(pod.GetLabels())) {
			continue
		}
		containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
		for _, container := range containers {
			ports, _, _ := unstructured.NestedSlice(container.(map[string]any), "ports")
			for _, p := range ports {
				if port := p.(map[string]any); port["name"] == name {
					return port["containerPort"]
				}
			}
		}
	}
	return otherwise
}

// addNamespaces makes the namespaces that objects live in and nobody declared.
func (c *settling) addNamespaces() {
	declared := map[string]bool{"": true}
	for _, o := range c.ofKind("Namespace", "") {
		declared[o.GetName()] = true
		set(o.Object, o.GetName(), "metadata", "labels", "kubernetes.io/metadata.name")
	}
	needed := []string{"istio-system"}
	for _, o := range c.objects {
		needed = append(needed, o.GetNamespace())
	}
	for _, name := range needed {
		if declared[name] {
			continue
		}
		declared[name] = true
		c.admit(made("v1", "Namespace", "", name, map[string]any{
			"metadata": map[string]any{"labels": map[string]any{"kubernetes.io/metadata.name": name}},
		}))
	}
}

// made is an object that no manifest has.
func made(version, kind, namespace, name string, content map[string]any) *object {
	o := &object{Object: content}
	o.SetAPIVersion(version)
	o.SetKind(kind)
	o.SetNamespace(namespace)
	o.SetName(name)
	return o
}

// set writes a value into nested maps, making those that are missing. A path through anything else than maps is
// left to the typed decoder to refuse.
func set(content map[string]any, value any, path ...string) {
	for _, step := range path[:len(path)-1] {
		inner, ok := content[step].(map[string]any)
		if !ok {
			inner = map[string]any{}
			content[step] = inner
		}
		content = inner
	}
	content[path[len(path)-1]] = value
}

func clusterScoped(kind string) bool {
	switch kind {
	case "Namespace", "Node", "PersistentVolume", "GatewayClass", "StorageClass", "PriorityClass", "IngressClass",
		"ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "APIService",
		"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
		return true
	}
	return false
}
