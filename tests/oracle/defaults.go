package main

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// defaults fills in what the API server fills in: the built-in defaults of Services, and those in the schemas of the
// Gateway API that istiod counts on. Istio's own kinds have none that matter to it.
func defaults(o *object) {
	switch o.GetKind() {
	case "Service":
		defaultService(o)
	case "HTTPRoute":
		defaultRoute(o, defaultHTTPRule)
	case "GRPCRoute":
		defaultRoute(o, defaultGRPCRule)
	case "TCPRoute", "TLSRoute":
		defaultRoute(o, func(rule map[string]any) { defaultBackends(rule) })
	case "Gateway":
		if group, _ := schemaOf(o); group != nil && group.Group() == "gateway.networking.k8s.io" {
			defaultGateway(o)
		}
	}
}

// absent sets a field that nobody set.
func absent(content map[string]any, field string, value any) {
	if _, found := content[field]; !found {
		content[field] = value
	}
}

// each calls f with every map of a list.
func each(content map[string]any, field string, f func(map[string]any)) {
	list, _ := content[field].([]any)
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			f(m)
		}
	}
}

// inside calls f with a nested map if it is there.
func inside(content map[string]any, field string, f func(map[string]any)) {
	if m, ok := content[field].(map[string]any); ok {
		f(m)
	}
}

func defaultService(o *object) {
	spec, found := o.Object["spec"].(map[string]any)
	if !found {
		return
	}
	absent(spec, "type", "ClusterIP")
	each(spec, "ports", func(port map[string]any) {
		absent(port, "protocol", "TCP")
		absent(port, "targetPort", port["port"])
	})
}

func defaultRoute(o *object, rule func(map[string]any)) {
	spec, found := o.Object["spec"].(map[string]any)
	if !found {
		return
	}
	each(spec, "parentRefs", defaultParent)
	if rules, _, _ := unstructured.NestedSlice(spec, "rules"); len(rules) == 0 && o.GetKind() == "HTTPRoute" {
		spec["rules"] = []any{map[string]any{}}
	}
	each(spec, "rules", rule)
}

func defaultParent(ref map[string]any) {
	absent(ref, "group", "gateway.networking.k8s.io")
	absent(ref, "kind", "Gateway")
}

func defaultBackend(ref map[string]any) {
	absent(ref, "group", "")
	absent(ref, "kind", "Service")
}

func defaultBackends(rule map[string]any) {
	each(rule, "backendRefs", func(ref map[string]any) {
		defaultBackend(ref)
		absent(ref, "weight", int64(1))
		each(ref, "filters", defaultFilter)
	})
}

func defaultHTTPRule(rule map[string]any) {
	absent(rule, "matches", []any{map[string]any{}})
	each(rule, "matches", func(match map[string]any) {
		absent(match, "path", map[string]any{})
		inside(match, "path", func(path map[string]any) {
			absent(path, "type", "PathPrefix")
			absent(path, "value", "/")
		})
		each(match, "headers", func(header map[string]any) { absent(header, "type", "Exact") })
		each(match, "queryParams", func(param map[string]any) { absent(param, "type", "Exact") })
	})
	each(rule, "filters", defaultFilter)
	defaultBackends(rule)
}

func defaultGRPCRule(rule map[string]any) {
	each(rule, "matches", func(match map[string]any) {
		inside(match, "method", func(method map[string]any) { absent(method, "type", "Exact") })
		each(match, "headers", func(header map[string]any) { absent(header, "type", "Exact") })
	})
	each(rule, "filters", defaultFilter)
	defaultBackends(rule)
}

func defaultFilter(filter map[string]any) {
	inside(filter, "requestRedirect", func(redirect map[string]any) { absent(redirect, "statusCode", int64(302)) })
	inside(filter, "cors", func(cors map[string]any) { absent(cors, "maxAge", int64(5)) })
	inside(filter, "requestMirror", func(mirror map[string]any) {
		inside(mirror, "backendRef", defaultBackend)
		inside(mirror, "fraction", func(fraction map[string]any) { absent(fraction, "denominator", int64(100)) })
	})
}

func defaultGateway(o *object) {
	spec, found := o.Object["spec"].(map[string]any)
	if !found {
		return
	}
	each(spec, "listeners", func(listener map[string]any) {
		absent(listener, "allowedRoutes", map[string]any{})
		inside(listener, "allowedRoutes", func(allowed map[string]any) {
			absent(allowed, "namespaces", map[string]any{})
			inside(allowed, "namespaces", func(namespaces map[string]any) { absent(namespaces, "from", "Same") })
		})
		inside(listener, "tls", func(tls map[string]any) { absent(tls, "mode", "Terminate") })
	})
}
