package objects

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"
)

const (
	awaitEvery  = 100 * time.Millisecond
	awaitWithin = 2 * time.Minute
)

// Poll asks until the answer is nil, and says what was missing when it took too long.
func Poll(ctx context.Context, what string, missing func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, awaitWithin)
	defer cancel()
	for {
		err := missing(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return context.Cause(ctx)
			}
			return fmt.Errorf("%s: not after %s: %w", what, awaitWithin, err)
		case <-time.After(awaitEvery):
		}
	}
}

// AwaitCondition waits until every object has a condition of this type that is True.
func AwaitCondition(ctx context.Context, client dynamic.Interface, kind string, all []*unstructured.Unstructured) error {
	for _, object := range all {
		what := fmt.Sprintf("%s %s %s", object.GetKind(), Name(object), kind)
		err := Poll(ctx, what, func(ctx context.Context) error {
			found, err := Resource(client, object).Get(ctx, object.GetName(), metav1.GetOptions{})
			if err != nil {
				return err
			}
			return condition(found, kind)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func condition(object *unstructured.Unstructured, kind string) error {
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil {
		return err
	}
	for _, entry := range conditions {
		fields, ok := entry.(map[string]any)
		if !ok || fields["type"] != kind {
			continue
		}
		if fields["status"] == "True" {
			return nil
		}
		return fmt.Errorf("%s is %v: %v", kind, fields["status"], fields["message"])
	}
	return fmt.Errorf("no condition %s", kind)
}
