package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/resource"
	"istio.io/istio/pkg/kube"
)

// clusterDomain is what istiod appends to short names of services.
const clusterDomain = "cluster.local"

// manifests are objects as istiod reads them: those it watches through its configuration store, and those it
// watches through a Kubernetes client. Some are read both ways, by different parts of istiod.
type manifests struct {
	configs []config.Config
	objects []runtime.Object
	refused []refusal
}

// object is one manifest.
type object = unstructured.Unstructured

// parseObjects reads a stream of YAML documents; a List counts as its items.
func parseObjects(text string) ([]*object, error) {
	decoder := kubeyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	var objects []*object
	for {
		var document map[string]any
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("manifests: document %d: %w", len(objects)+1, err)
		}
		if len(document) == 0 {
			continue
		}
		o := &object{Object: document}
		if o.GetKind() == "" || o.GetAPIVersion() == "" {
			return nil, fmt.Errorf("manifests: document %d has no kind or no apiVersion", len(objects)+1)
		}
		if !o.IsList() {
			objects = append(objects, o)
			continue
		}
		err := o.EachListItem(func(item runtime.Object) error {
			objects = append(objects, item.(*object))
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("manifests: items of a %s: %w", o.GetKind(), err)
		}
	}
}

// describe names an object for a reader.
func describe(o *object) string {
	if o.GetNamespace() == "" {
		return o.GetKind() + "/" + o.GetName()
	}
	return o.GetKind() + "/" + o.GetNamespace() + "/" + o.GetName()
}

// readByClient are Istio's kinds that the part of istiod which serves ztunnel reads with a Kubernetes client.
var readByClient = map[config.GroupVersionKind]bool{
	gvk.AuthorizationPolicy: true,
	gvk.PeerAuthentication:  true,
	gvk.ServiceEntry:        true,
	gvk.WorkloadEntry:       true,
}

// readManifests turns text into what istiod reads, by way of what the API server and the controllers of a cluster
// would have made of it.
func readManifests(text string) (*manifests, error) {
	objects, err := parseObjects(text)
	if err != nil {
		return nil, err
	}
	m := &manifests{}
	objects, err = asCluster(objects)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if err := m.add(o); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(o), err)
		}
	}
	return m, nil
}

// add gives one object to the readers that istiod has for its kind.
func (m *manifests) add(o *object) error {
	schema, known := schemaOf(o)
	if !known || strings.HasSuffix(schema.Group(), "gateway.networking.k8s.io") {
		return m.addForClient(o)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	var kind crd.IstioKind
	if err := json.Unmarshal(text, &kind); err != nil {
		return err
	}
	converted, err := crd.ConvertObject(schema, &kind, clusterDomain)
	if err != nil {
		m.refused = append(m.refused, refusal{Object: describe(o), Reason: err.Error()})
		return nil
	}
	if _, err := schema.ValidateConfig(*converted); err != nil {
		m.refused = append(m.refused, refusal{Object: describe(o), Reason: err.Error()})
		return nil
	}
	m.configs = append(m.configs, *converted)
	if readByClient[schema.GroupVersionKind()] {
		return m.addForClient(o)
	}
	return nil
}

func (m *manifests) addForClient(o *object) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	typed, _, err := kube.IstioCodec.UniversalDeserializer().Decode(text, nil, nil)
	if runtime.IsNotRegisteredError(err) {
		return nil // a kind istiod never reads
	}
	if err != nil {
		return err
	}
	m.objects = append(m.objects, typed)
	return nil
}

// schemaOf finds istiod's schema for a kind it keeps configuration of.
func schemaOf(o *object) (resource.Schema, bool) {
	kind := o.GroupVersionKind()
	schema, ok := collections.PilotGatewayAPI().FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&kind))
	return schema, ok
}
