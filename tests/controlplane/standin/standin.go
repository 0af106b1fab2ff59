// Package standin is the one component of the control plane that is not real: it writes what istio-cni writes.
//
// istio-cni redirects the traffic of pods on a node to ztunnel, which takes a kernel and root, and then notes on the pod that
// it did, in the annotation ambient.istio.io/redirection. Only the note is made here, by the same rules: which pods are meant
// is asked of istio-cni's own code, with the selectors of its installed configuration; the order of its informer's
// decisions is followed; the note is written by its own functions, as its own service account. As in life, nothing is written
// for a node without a running istio-cni pod, and "pending" where ztunnel is not ready. One thing differs: the real one
// notes a new pod before its containers start, this one when it runs and has an address.
package standin

import (
	"context"
	"fmt"
	"log"
	"slices"
	"strings"
	"time"

	"istio.io/istio/cni/pkg/util"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/yaml"
)

const (
	systemNamespace = "istio-system"
	// workers is how many pods are looked at at the same time.
	workers = 8
)

// Settings are what istio-cni reads from its configuration when it starts.
type Settings struct {
	// EnablementSelector is AMBIENT_ENABLEMENT_SELECTOR, ExcludeNamespaces is EXCLUDE_NAMESPACES.
	EnablementSelector, ExcludeNamespaces string
}

type standin struct {
	client     kubernetes.Interface
	selectors  *util.CompiledEnablementSelectors
	excluded   []string
	pods       listers.PodLister
	namespaces listers.NamespaceLister
	queue      workqueue.TypedRateLimitingInterface[cache.ObjectName]
}

// Run works until ctx ends.
func Run(ctx context.Context, client kubernetes.Interface, settings Settings) error {
	var selectors []util.EnablementSelector
	if err := yaml.Unmarshal([]byte(settings.EnablementSelector), &selectors); err != nil {
		return fmt.Errorf("enablement selectors of istio-cni: %w", err)
	}
	compiled, err := util.NewCompiledEnablementSelectors(selectors)
	if err != nil {
		return fmt.Errorf("enablement selectors of istio-cni: %w", err)
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	s := &standin{
		client: client, selectors: compiled, excluded: util.SplitExcludeNamespaces(settings.ExcludeNamespaces),
		pods: factory.Core().V1().Pods().Lister(), namespaces: factory.Core().V1().Namespaces().Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[cache.ObjectName](5*time.Millisecond, 5*time.Second)),
	}
	defer s.queue.ShutDown()
	if _, err := factory.Core().V1().Pods().Informer().AddEventHandler(s.onPod()); err != nil {
		return fmt.Errorf("watch pods: %w", err)
	}
	if _, err := factory.Core().V1().Namespaces().Informer().AddEventHandler(s.onNamespace()); err != nil {
		return fmt.Errorf("watch namespaces: %w", err)
	}
	factory.Start(ctx.Done())
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("list %v: not done", kind)
		}
	}
	log.Print("stand-in for istio-cni: pods and namespaces are read")
	for range workers {
		go s.work(ctx)
	}
	<-ctx.Done()
	return nil
}

func (s *standin) onPod() cache.ResourceEventHandler {
	changed := func(object any) {
		pod, ok := object.(*corev1.Pod)
		if !ok {
			return
		}
		s.queue.Add(cache.MetaObjectToName(pod))
		// What becomes of the pods of a node hangs on istio-cni and ztunnel there.
		if isAgent(pod) {
			s.enqueue("", func(other *corev1.Pod) bool { return other.Spec.NodeName == pod.Spec.NodeName && !isAgent(other) })
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, object any) { changed(object) },
		DeleteFunc: func(object any) {
			if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
				object = last.Obj
			}
			changed(object)
		},
	}
}

func (s *standin) onNamespace() cache.ResourceEventHandler {
	changed := func(object any) {
		if namespace, ok := object.(*corev1.Namespace); ok {
			s.enqueue(namespace.Name, func(*corev1.Pod) bool { return true })
		}
	}
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    changed,
		UpdateFunc: func(_, object any) { changed(object) },
	}
}

// enqueue has pods looked at again, of one namespace or of all.
func (s *standin) enqueue(namespace string, concerned func(*corev1.Pod) bool) {
	pods, err := s.pods.Pods(namespace).List(labels.Everything())
	if err != nil {
		log.Printf("list pods: %v", err)
		return
	}
	for _, pod := range pods {
		if concerned(pod) {
			s.queue.Add(cache.MetaObjectToName(pod))
		}
	}
}

func (s *standin) work(ctx context.Context) {
	for ctx.Err() == nil {
		name, shutdown := s.queue.Get()
		if shutdown {
			return
		}
		if err := s.reconcile(name); err != nil {
			log.Printf("%s: %v", name, err)
			s.queue.AddRateLimited(name)
		} else {
			s.queue.Forget(name)
		}
		s.queue.Done(name)
	}
}

// reconcile decides as istio-cni's informer does for an update of a pod.
func (s *standin) reconcile(name cache.ObjectName) error {
	pod, err := s.pods.Pods(name.Namespace).Get(name.Name)
	if errors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	namespace, err := s.namespaces.Get(name.Namespace)
	if err != nil {
		return fmt.Errorf("its namespace: %w", err)
	}
	if isAgent(pod) || !s.agentRuns(pod.Spec.NodeName, "istio-cni-node", false) {
		return nil
	}
	enrolled, partly := util.PodFullyEnrolled(pod), util.PodPartiallyEnrolled(pod)
	wanted := s.selectors.Matches(pod, namespace.Labels) && !slices.Contains(s.excluded, pod.Namespace)
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	switch {
	case ended && (enrolled || partly):
		return s.write(pod, "removed: it ended", util.AnnotateUnenrollPod(s.client, &pod.ObjectMeta))
	case ended || (enrolled == wanted && !partly):
		return nil
	case !wanted:
		return s.write(pod, "removed", util.AnnotateUnenrollPod(s.client, &pod.ObjectMeta))
	case pod.Status.Phase != corev1.PodRunning || len(util.GetPodIPsIfPresent(pod)) == 0:
		return nil
	case !s.agentRuns(pod.Spec.NodeName, "ztunnel", true):
		if partly {
			return nil
		}
		return s.write(pod, "pending: no ztunnel is ready on its node", util.AnnotatePartiallyEnrolledPod(s.client, &pod.ObjectMeta))
	default:
		return s.write(pod, "enabled", util.AnnotateEnrolledPod(s.client, &pod.ObjectMeta))
	}
}

func (s *standin) write(pod *corev1.Pod, what string, err error) error {
	if errors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("redirection %s: %w", what, err)
	}
	log.Printf("%s/%s: redirection %s", pod.Namespace, pod.Name, what)
	return nil
}

// agentRuns is whether a pod of one of Istio's DaemonSets runs on the node, and is ready if that matters.
func (s *standin) agentRuns(node, daemon string, ready bool) bool {
	pods, err := s.pods.Pods(systemNamespace).List(labels.Everything())
	if err != nil {
		return false
	}
	return slices.ContainsFunc(pods, func(pod *corev1.Pod) bool {
		return pod.Spec.NodeName == node && strings.HasPrefix(pod.Name, daemon+"-") && pod.DeletionTimestamp == nil &&
			pod.Status.Phase == corev1.PodRunning && (!ready || isReady(pod))
	})
}

func isAgent(pod *corev1.Pod) bool {
	return pod.Namespace == systemNamespace &&
		(strings.HasPrefix(pod.Name, "ztunnel-") || strings.HasPrefix(pod.Name, "istio-cni-node-"))
}

func isReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}
