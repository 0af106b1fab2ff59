package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/util/sets"
)

// proxyVersion is what the proxies say they are; it must have the features of the istiod that is asked.
const proxyVersion = "1.31.0"

// translate runs an istiod over the manifests and takes what it would send.
func translate(request translateRequest) (*translation, error) {
	mc, err := meshConfigOf(request.MeshConfig)
	if err != nil {
		return nil, err
	}
	input, err := readManifests(request.Manifests)
	if err != nil {
		return nil, err
	}
	answer := &translation{Refused: input.refused}
	err = withFailer(func(t test.Failer) error {
		server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
			KubernetesObjects: input.objects,
			Configs:           input.configs,
			MeshConfig:        mc,
		})
		for i, p := range request.Proxies {
			config, err := proxyConfigOf(server, input, p, i, request.Clusters)
			if err != nil {
				return fmt.Errorf("proxy %q: %w", p.Name, err)
			}
			answer.Proxies = append(answer.Proxies, *config)
		}
		answer.Ztunnel, err = ztunnelConfigOf(server)
		return err
	})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

func meshConfigOf(text string) (*meshconfig.MeshConfig, error) {
	if strings.TrimSpace(text) == "" {
		return mesh.DefaultMeshConfig(), nil
	}
	mc, err := mesh.ApplyMeshConfigDefaults(text)
	if err != nil {
		return nil, fmt.Errorf("mesh_config: %w", err)
	}
	return mc, nil
}

// proxyConfigOf is what istiod sends to one Envoy.
func proxyConfigOf(
	server *xds.FakeDiscoveryServer, input *manifests, request proxyRequest, index int, clusters bool,
) (*proxyConfig, error) {
	node, err := nodeOf(server, input, request, index)
	if err != nil {
		return nil, err
	}
	listeners := server.Listeners(node)
	routes := server.RoutesFromListeners(node, listeners)
	has := server.Clusters(node)
	chains, err := chainsOf(listeners, routes, has)
	if err != nil {
		return nil, err
	}
	config := &proxyConfig{Name: request.Name, IP: node.IPAddresses[0], Chains: chains}
	if clusters {
		if config.Clusters, err = asJSON(has); err != nil {
			return nil, err
		}
		if config.Endpoints, err = asJSON(server.Endpoints(node)); err != nil {
			return nil, err
		}
	}
	return config, nil
}

// nodeOf is the Envoy as it would present itself to istiod.
func nodeOf(server *xds.FakeDiscoveryServer, input *manifests, request proxyRequest, index int) (*model.Proxy, error) {
	kind, known := map[string]model.NodeType{
		"sidecar": model.SidecarProxy, "waypoint": model.Waypoint, "gateway": model.Router,
	}[request.Kind]
	if !known {
		return nil, fmt.Errorf("kind %q: known are sidecar, waypoint and gateway", request.Kind)
	}
	if request.Namespace == "" {
		request.Namespace = "default"
	}
	ip, account, name := request.IP, request.ServiceAccount, "oracle"
	podLabels := request.Labels
	if pod := podOf(input, request); pod != nil {
		name, podLabels = pod.Name, pod.Labels
		if ip == "" {
			ip = pod.Status.PodIP
		}
		if account == "" {
			account = pod.Spec.ServiceAccountName
		}
	} else if kind == model.Waypoint {
		return nil, fmt.Errorf("no pod of a waypoint in namespace %s has the labels %v; "+
			"the manifests need its Gateway, without a status to have it deployed", request.Namespace, request.Labels)
	}
	if ip == "" {
		ip = fmt.Sprintf("10.245.%d.%d", index/250, index%250+1)
	}
	if account == "" {
		account = "default"
	}
	node := server.SetupProxy(&model.Proxy{
		Type:            kind,
		ID:              name + "." + request.Namespace,
		ConfigNamespace: request.Namespace,
		IPAddresses:     []string{ip},
		Labels:          podLabels,
		Metadata: &model.NodeMetadata{
			IstioVersion:     proxyVersion,
			Namespace:        request.Namespace,
			Labels:           podLabels,
			ServiceAccount:   account,
			ClusterID:        "Kubernetes",
			EnableHBONE:      model.StringBool(kind != model.SidecarProxy || !request.NoHBONE),
			InterceptionMode: model.InterceptionRedirect,
		},
	})
	return node, nil
}

// podOf finds the pod a proxy runs in: the first in the namespace that has all its labels.
func podOf(input *manifests, request proxyRequest) *corev1.Pod {
	if len(request.Labels) == 0 {
		return nil
	}
	selector := labels.SelectorFromSet(request.Labels)
	for _, o := range input.objects {
		pod, ok := o.(*corev1.Pod)
		if ok && pod.Namespace == request.Namespace && selector.Matches(labels.Set(pod.Labels)) {
			return pod
		}
	}
	return nil
}

// ztunnelConfigOf is what istiod sends to every ztunnel.
func ztunnelConfigOf(server *xds.FakeDiscoveryServer) (ztunnelConfig, error) {
	var answer ztunnelConfig
	var err error
	policies := server.AmbientIndex.Policies(nil)
	slices.SortFunc(policies, func(a, b model.WorkloadAuthorization) int { return strings.Compare(a.ResourceName(), b.ResourceName()) })
	for _, policy := range policies {
		if policy.Authorization == nil {
			continue
		}
		text, err := toJSON(policy.Authorization)
		if err != nil {
			return answer, err
		}
		answer.Policies = append(answer.Policies, text)
	}
	addresses, _ := server.AmbientIndex.AddressInformation(sets.New[string]())
	slices.SortFunc(addresses, func(a, b model.AddressInfo) int { return strings.Compare(a.ResourceName(), b.ResourceName()) })
	for _, address := range addresses {
		if workload := address.GetWorkload(); workload != nil {
			var text json.RawMessage
			if text, err = toJSON(workload); err != nil {
				return answer, err
			}
			answer.Workloads = append(answer.Workloads, text)
		}
		if service := address.GetService(); service != nil {
			var text json.RawMessage
			if text, err = toJSON(service); err != nil {
				return answer, err
			}
			answer.Services = append(answer.Services, text)
		}
	}
	return answer, nil
}

// toJSON writes a message with its fields named as in Envoy's documentation. protojson varies its blanks from build to build
// on purpose; they are removed when the answer is written.
func toJSON(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{UseProtoNames: true}.Marshal(message)
}

func asJSON[M proto.Message](messages []M) ([]json.RawMessage, error) {
	texts := make([]json.RawMessage, 0, len(messages))
	for _, message := range messages {
		text, err := toJSON(message)
		if err != nil {
			return nil, err
		}
		texts = append(texts, text)
	}
	return texts, nil
}
