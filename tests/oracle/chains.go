package main

import (
	"fmt"
	"slices"

	matcher "github.com/cncf/xds/go/xds/type/matcher/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// chainsOf takes listeners apart into chains that can each run by themselves.
func chainsOf(
	listeners []*listener.Listener, routes []*route.RouteConfiguration, clusters []*cluster.Cluster,
) ([]chain, error) {
	byName := map[string]*route.RouteConfiguration{}
	for _, r := range routes {
		byName[r.GetName()] = r
	}
	has := map[string]bool{}
	for _, c := range clusters {
		has[c.GetName()] = true
	}
	var chains []chain
	for _, l := range listeners {
		reached := map[string][]string{}
		collectReached(l.GetFilterChainMatcher(), nil, reached)
		all := slices.Clone(l.GetFilterChains())
		if l.GetDefaultFilterChain() != nil {
			all = append(all, l.GetDefaultFilterChain())
		}
		for _, fc := range all {
			c, err := chainOf(l, fc, byName)
			if err != nil {
				return nil, fmt.Errorf("listener %s, chain %s: %w", l.GetName(), fc.GetName(), err)
			}
			c.Reached = reached[fc.GetName()]
			c.Missing = slices.DeleteFunc(c.Missing, func(name string) bool { return has[name] })
			chains = append(chains, *c)
		}
	}
	return chains, nil
}

func chainOf(l *listener.Listener, fc *listener.FilterChain, routes map[string]*route.RouteConfiguration) (*chain, error) {
	c := &chain{
		Listener:  l.GetName(),
		Address:   addressText(l.GetAddress()),
		Direction: l.GetTrafficDirection().String(),
		Name:      fc.GetName(),
		Transport: fc.GetTransportSocket().GetName(),
	}
	var err error
	if fc.GetFilterChainMatch() != nil {
		if c.Match, err = toJSON(fc.GetFilterChainMatch()); err != nil {
			return nil, err
		}
	}
	for _, filter := range fc.GetFilters() {
		manager := &hcm.HttpConnectionManager{}
		if filter.GetTypedConfig().MessageIs(manager) {
			var table *route.RouteConfiguration
			if filter, table, err = withRoutesInline(filter, routes); err != nil {
				return nil, err
			}
			c.RouteConfig = table.GetName()
			c.Missing = clustersOf(table)
		}
		text, err := toJSON(filter)
		if err != nil {
			return nil, err
		}
		c.Filters = append(c.Filters, text)
	}
	return c, nil
}

// withRoutesInline is an HTTP connection manager that needs no route discovery.
func withRoutesInline(filter *listener.Filter, routes map[string]*route.RouteConfiguration) (*listener.Filter, *route.RouteConfiguration, error) {
	manager := &hcm.HttpConnectionManager{}
	if err := filter.GetTypedConfig().UnmarshalTo(manager); err != nil {
		return nil, nil, err
	}
	discovered := manager.GetRds()
	if discovered == nil {
		return filter, manager.GetRouteConfig(), nil
	}
	table, found := routes[discovered.GetRouteConfigName()]
	if !found {
		table = &route.RouteConfiguration{Name: discovered.GetRouteConfigName()}
	}
	manager.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: table}
	packed, err := anypb.New(manager)
	if err != nil {
		return nil, nil, err
	}
	inline := &listener.Filter{Name: filter.GetName(), ConfigType: &listener.Filter_TypedConfig{TypedConfig: packed}}
	return inline, table, nil
}

// clustersOf are the clusters that a route table may send a request to, in order.
func clustersOf(table *route.RouteConfiguration) []string {
	var names []string
	for _, host := range table.GetVirtualHosts() {
		for _, r := range host.GetRoutes() {
			if name := r.GetRoute().GetCluster(); name != "" {
				names = append(names, name)
			}
			for _, member := range r.GetRoute().GetWeightedClusters().GetClusters() {
				names = append(names, member.GetName())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func addressText(address *core.Address) string {
	socket := address.GetSocketAddress()
	if socket == nil {
		return ""
	}
	return fmt.Sprintf("%s:%d", socket.GetAddress(), socket.GetPortValue())
}

// collectReached walks a listener's matcher and notes for each chain by which address and port it is reached. Istio
// matches the address first and the port inside; an exact map's key or a CIDR range is written as it stands.
func collectReached(m *matcher.Matcher, path []string, reached map[string][]string) {
	if m == nil {
		return
	}
	if exact := m.GetMatcherTree().GetExactMatchMap(); exact != nil {
		keys := make([]string, 0, len(exact.GetMap()))
		for key := range exact.GetMap() {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			follow(exact.GetMap()[key], append(slices.Clone(path), key), reached)
		}
	}
	if custom := m.GetMatcherTree().GetCustomMatch(); custom != nil {
		ranges := &matcher.IPMatcher{}
		if custom.GetTypedConfig().UnmarshalTo(ranges) == nil {
			for _, r := range ranges.GetRangeMatchers() {
				for _, cidr := range r.GetRanges() {
					follow(r.GetOnMatch(), append(slices.Clone(path), cidr.GetAddressPrefix()), reached)
				}
			}
		}
	}
	for _, field := range m.GetMatcherList().GetMatchers() {
		follow(field.GetOnMatch(), path, reached)
	}
	follow(m.GetOnNoMatch(), path, reached)
}

func follow(on *matcher.Matcher_OnMatch, path []string, reached map[string][]string) {
	if on == nil {
		return
	}
	if on.GetMatcher() != nil {
		collectReached(on.GetMatcher(), path, reached)
		return
	}
	name := on.GetAction().GetName()
	value := &wrapperspb.StringValue{}
	if on.GetAction().GetTypedConfig().UnmarshalTo(value) == nil {
		name = value.GetValue()
	}
	where := "any"
	for i, step := range path {
		if i == 0 {
			where = step
		} else {
			where += ":" + step
		}
	}
	reached[name] = append(reached[name], where)
}
