package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	cors "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/cors/v3"
	fault "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	jwt "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/jwt_authn/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// tableEntry is one route of a table as istiod made it.
type tableEntry struct {
	route *route.Route
}

// route asks Envoy where requests go.
func (d *driver) route(request routeRequest) (*routeAnswer, error) {
	for i := range request.Requests {
		if err := checkRequest(&request.Requests[i], len(request.Chains)); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		request.Requests[i].Principal = ""
	}
	sites, err := d.load(request.Chains, prepareRoutes)
	if err != nil {
		return nil, err
	}
	answer := &routeAnswer{Outcomes: make([]outcome, len(request.Requests))}
	err = inParallel(len(request.Requests), func(i int) error {
		r := request.Requests[i]
		result, err := d.outcomeOf(sites[r.Chain], r)
		if err != nil {
			return fmt.Errorf("request %d (%s %s%s): %w", i, r.Method, r.Authority, r.Path, err)
		}
		answer.Outcomes[i] = *result
		return nil
	})
	return answer, errors.Join(err, d.envoy.alive())
}

// prepareRoutes makes an HTTP chain ready to show its routing and what it does to requests: no policy refuses anybody.
func prepareRoutes(c chain) (*prepared, error) {
	filters, err := filtersOf(c)
	if err != nil {
		return nil, err
	}
	original, err := managerOf(filters)
	if err != nil {
		return nil, err
	}
	if original.GetRouteConfig() == nil {
		return nil, errors.New("it has no HTTP routes")
	}
	manager := bare(original)
	for _, filter := range original.GetHttpFilters() {
		config := filter.GetTypedConfig()
		if config.MessageIs(&cors.Cors{}) || config.MessageIs(&fault.HTTPFault{}) || verifiesHere(config) {
			manager.HttpFilters = append(manager.HttpFilters, filter)
		}
	}
	last, err := routerFilter()
	if err != nil {
		return nil, err
	}
	manager.HttpFilters = append(manager.HttpFilters, last)
	p := &prepared{table: map[string]*tableEntry{}, missing: c.Missing}
	if err := p.instrument(manager.GetRouteConfig()); err != nil {
		return nil, err
	}
	filter, err := networkFilter("envoy.filters.network.http_connection_manager", manager)
	if err != nil {
		return nil, err
	}
	p.listener, err = listenerOf(nil, &listener.FilterChain{Filters: []*listener.Filter{filter}})
	return p, err
}

// verifiesHere is whether a filter verifies tokens by keys that it has, and asks nobody for them.
func verifiesHere(config *anypb.Any) bool {
	tokens := &jwt.JwtAuthentication{}
	if !config.MessageIs(tokens) || config.UnmarshalTo(tokens) != nil {
		return false
	}
	for _, provider := range tokens.GetProviders() {
		if provider.GetLocalJwks() == nil {
			return false
		}
	}
	return true
}

// instrument makes a route table say which of its routes matched, and lets the choice among weighted destinations be
// forced. What a route matches and does to a request stays.
func (p *prepared) instrument(table *route.RouteConfiguration) error {
	table.ValidateClusters = wrapperspb.Bool(false)
	table.ResponseHeadersToAdd = append(table.ResponseHeadersToAdd, overwrite(routeHeader, "%ROUTE_NAME%"))
	p.addMirrors(table.GetRequestMirrorPolicies())
	for i, host := range table.GetVirtualHosts() {
		host.TypedPerFilterConfig = served(host.GetTypedPerFilterConfig())
		p.addMirrors(host.GetRequestMirrorPolicies())
		for j, r := range host.GetRoutes() {
			name := fmt.Sprintf("%d/%d", i, j)
			p.table[name] = &tableEntry{route: proto.Clone(r).(*route.Route)}
			r.Name = name
			r.TypedPerFilterConfig = served(r.GetTypedPerFilterConfig())
			if err := p.instrumentAction(r.GetRoute()); err != nil {
				return fmt.Errorf("virtual host %s, route %d: %w", host.GetName(), j, err)
			}
		}
	}
	return nil
}

func (p *prepared) instrumentAction(action *route.RouteAction) error {
	if action == nil {
		return nil // a redirect or a direct response
	}
	p.addMirrors(action.GetRequestMirrorPolicies())
	switch chosen := action.GetClusterSpecifier().(type) {
	case *route.RouteAction_Cluster:
		p.addCluster(chosen.Cluster)
	case *route.RouteAction_WeightedClusters:
		chosen.WeightedClusters.RandomValueSpecifier = &route.WeightedCluster_HeaderName{HeaderName: choiceHeader}
		for _, member := range chosen.WeightedClusters.GetClusters() {
			member.TypedPerFilterConfig = served(member.GetTypedPerFilterConfig())
			p.addCluster(member.GetName())
		}
	default:
		return fmt.Errorf("a destination by %T cannot be shown", chosen)
	}
	return nil
}

func (p *prepared) addCluster(name string) {
	if !slices.Contains(p.clusters, name) && !slices.Contains(p.missing, name) {
		p.clusters = append(p.clusters, name)
	}
}

func (p *prepared) addMirrors(policies []*route.RouteAction_RequestMirrorPolicy) {
	for _, policy := range policies {
		p.addCluster(policy.GetCluster())
	}
}

// served is the configuration of HTTP filters on a route as far as it is run: cors as it is, faults that are certain.
// A delay would only take time, and a chance would not be the same twice; both are told as configuration.
func served(configs map[string]*anypb.Any) map[string]*anypb.Any {
	kept := map[string]*anypb.Any{}
	for name, config := range configs {
		injected := &fault.HTTPFault{}
		switch {
		case config.MessageIs(&cors.CorsPolicy{}):
			kept[name] = config
		case config.MessageIs(injected):
			if config.UnmarshalTo(injected) == nil && certain(injected.GetAbort().GetPercentage()) {
				injected.Delay = nil
				kept[name] = mustPack(injected)
			}
		}
	}
	return kept
}

func certain(chance *typev3.FractionalPercent) bool {
	of, known := map[typev3.FractionalPercent_DenominatorType]uint32{
		typev3.FractionalPercent_HUNDRED: 100, typev3.FractionalPercent_TEN_THOUSAND: 10_000, typev3.FractionalPercent_MILLION: 1_000_000,
	}[chance.GetDenominator()]
	return known && chance.GetNumerator() >= of
}

// outcomeOf sends a request, and once more for every further destination its route may choose.
func (d *driver) outcomeOf(s site, request httpRequest) (*outcome, error) {
	first, err := d.send(s.socket, request, [2]string{choiceHeader, "0"})
	if err != nil {
		return nil, err
	}
	result := &outcome{
		Status:   first.status,
		Details:  first.header.Get(detailsHeader),
		Headers:  visible(first.header),
		Arrivals: []arrival{},
	}
	entry := s.table[first.header.Get(routeHeader)]
	if entry == nil {
		return result, nil
	}
	result.Route = describeRoute(entry.route)
	members := entry.route.GetRoute().GetWeightedClusters().GetClusters()
	if len(members) == 0 {
		if cluster := entry.route.GetRoute().GetCluster(); first.arrived != nil || slices.Contains(s.missing, cluster) {
			result.Arrivals = append(result.Arrivals, arrivalOf(first, cluster, 1, 1))
		}
		return result, nil
	}
	var total, before uint32
	for _, member := range members {
		total += member.GetWeight().GetValue()
	}
	for _, member := range members {
		weight := member.GetWeight().GetValue()
		if weight == 0 {
			continue
		}
		reply, err := d.send(s.socket, request, [2]string{choiceHeader, strconv.FormatUint(uint64(before), 10)})
		if err != nil {
			return nil, err
		}
		if reply.arrived == nil && !slices.Contains(s.missing, member.GetName()) {
			return result, nil // a fault or a preflight that Envoy answers
		}
		if reply.arrived != nil && reply.arrived.Cluster != member.GetName() {
			return nil, fmt.Errorf("destination %s could not be forced", member.GetName())
		}
		result.Arrivals = append(result.Arrivals, arrivalOf(reply, member.GetName(), weight, total))
		before += weight
	}
	return result, nil
}

func arrivalOf(r *reply, cluster string, weight, total uint32) arrival {
	a := arrival{
		Destination: destinationOf(cluster),
		Missing:     r.arrived == nil,
		Status:      r.status,
		Weight:      weight,
		Total:       total,
		Headers:     map[string][]string{},
		Answer:      visible(r.header),
	}
	if r.arrived != nil {
		a.Method, a.Authority, a.Path, a.Headers = r.arrived.Method, r.arrived.Authority, r.arrived.Path, r.arrived.Headers
	}
	return a
}

func describeRoute(r *route.Route) *matchedRoute {
	action := r.GetRoute()
	described := &matchedRoute{
		Name:    r.GetName(),
		Match:   raw(r.GetMatch()),
		Retry:   raw(action.GetRetryPolicy()),
		Mirrors: []mirror{},
		Filters: map[string]json.RawMessage{},
	}
	if timeout := action.GetTimeout(); timeout != nil {
		described.Timeout = timeout.AsDuration().String()
	}
	for _, policy := range action.GetRequestMirrorPolicies() {
		described.Mirrors = append(described.Mirrors, mirror{
			Destination: destinationOf(policy.GetCluster()),
			Fraction:    raw(policy.GetRuntimeFraction()),
		})
	}
	if hashes := action.GetHashPolicy(); len(hashes) > 0 {
		texts := make([]json.RawMessage, 0, len(hashes))
		for _, hash := range hashes {
			texts = append(texts, raw(hash))
		}
		packed, err := json.Marshal(texts)
		if err != nil {
			panic(err) // protojson is JSON
		}
		described.Hash = packed
	}
	for name, config := range r.GetTypedPerFilterConfig() {
		described.Filters[name] = raw(config)
	}
	return described
}
