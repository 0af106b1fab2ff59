// Package objects reads manifests and creates what they say.
package objects

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
)

// Manager is the field manager of everything that the control plane creates.
const Manager = "controlplane"

// atOnce is how many objects are created at the same time.
const atOnce = 8

// Parse reads a stream of YAML documents.
func Parse(manifest []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096)
	var all []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("document %d of a manifest: %w", len(all)+1, err)
		}
		if len(object.Object) != 0 {
			all = append(all, object)
		}
	}
}

// Create creates objects, several at once, in no order. A namespaced object must name its namespace.
func Create(ctx context.Context, client dynamic.Interface, all []*unstructured.Unstructured) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, object := range all {
		group.Go(func() error {
			_, err := Resource(client, object).Create(ctx, object, metav1.CreateOptions{FieldManager: Manager})
			if err != nil {
				return fmt.Errorf("create %s %s: %w", object.GetKind(), Name(object), err)
			}
			return nil
		})
	}
	return group.Wait()
}

// Resource is where an object is read and written. The plural is guessed from the kind, which holds for all kinds used here
// and spares a round of discovery.
func Resource(client dynamic.Interface, object *unstructured.Unstructured) dynamic.ResourceInterface {
	plural, _ := meta.UnsafeGuessKindToResource(object.GroupVersionKind())
	if object.GetNamespace() == "" {
		return client.Resource(plural)
	}
	return client.Resource(plural).Namespace(object.GetNamespace())
}

// Name is an object's name as messages give it.
func Name(object *unstructured.Unstructured) string {
	if object.GetNamespace() == "" {
		return object.GetName()
	}
	return object.GetNamespace() + "/" + object.GetName()
}
