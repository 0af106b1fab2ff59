package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	mutation "github.com/envoyproxy/go-control-plane/envoy/config/common/mutation_rules/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	headermutation "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_mutation/v3"
	router "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	codec "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/upstream_codec/v3"
	proxyprotocol "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	upstream "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// prepared is a chain made ready to be served on the loopback.
type prepared struct {
	listener *listener.Listener
	// clusters it may choose from, and those it names and does not have.
	clusters, missing []string
	// table is its route table as it was, "" names and all, by the name each route is served under.
	table map[string]*tableEntry
}

// filtersOf decodes the network filters of a chain.
func filtersOf(c chain) ([]*listener.Filter, error) {
	filters := make([]*listener.Filter, 0, len(c.Filters))
	for i, text := range c.Filters {
		filter := &listener.Filter{}
		if err := protojson.Unmarshal(text, filter); err != nil {
			return nil, fmt.Errorf("filter %d: %w", i, err)
		}
		filters = append(filters, filter)
	}
	return filters, nil
}

// managerOf is the HTTP connection manager among filters, nil for a TCP chain.
func managerOf(filters []*listener.Filter) (*hcm.HttpConnectionManager, error) {
	for _, filter := range filters {
		manager := &hcm.HttpConnectionManager{}
		if filter.GetTypedConfig().MessageIs(manager) {
			return manager, filter.GetTypedConfig().UnmarshalTo(manager)
		}
	}
	return nil, nil
}

// bare leaves of a connection manager what decides about requests, and has Envoy say why it answered itself.
func bare(manager *hcm.HttpConnectionManager) *hcm.HttpConnectionManager {
	m := proto.Clone(manager).(*hcm.HttpConnectionManager)
	m.StatPrefix = "oracle"
	m.AccessLog = nil
	m.AccessLogOptions = nil
	m.Tracing = nil
	m.RequestIdExtension = nil
	m.HttpFilters = nil
	m.LocalReplyConfig = &hcm.LocalReplyConfig{Mappers: []*hcm.ResponseMapper{{
		Filter: &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_StatusCodeFilter{
			StatusCodeFilter: &accesslog.StatusCodeFilter{Comparison: &accesslog.ComparisonFilter{
				Op:    accesslog.ComparisonFilter_GE,
				Value: &core.RuntimeUInt32{DefaultValue: 0, RuntimeKey: "oracle.local_reply"},
			}},
		}},
		HeadersToAdd: []*core.HeaderValueOption{overwrite(detailsHeader, "%RESPONSE_CODE_DETAILS%")},
	}}}
	return m
}

func overwrite(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: name, Value: value},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// listenerOf serves chains. Connections say by a PROXY line which addresses they stand for.
func listenerOf(filters []*listener.ListenerFilter, chains ...*listener.FilterChain) (*listener.Listener, error) {
	proxy, err := anypb.New(&proxyprotocol.ProxyProtocol{})
	if err != nil {
		return nil, err
	}
	first := &listener.ListenerFilter{
		Name:       "envoy.filters.listener.proxy_protocol",
		ConfigType: &listener.ListenerFilter_TypedConfig{TypedConfig: proxy},
	}
	return &listener.Listener{
		ListenerFilters: slices.Concat([]*listener.ListenerFilter{first}, filters),
		FilterChains:    chains,
	}, nil
}

func loopback(port int) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: "127.0.0.1", PortSpecifier: &core.SocketAddress_PortValue{PortValue: uint32(port)},
	}}}
}

func networkFilter(name string, config proto.Message) (*listener.Filter, error) {
	packed, err := anypb.New(config)
	if err != nil {
		return nil, err
	}
	return &listener.Filter{Name: name, ConfigType: &listener.Filter_TypedConfig{TypedConfig: packed}}, nil
}

func httpFilter(name string, config proto.Message) (*hcm.HttpFilter, error) {
	packed, err := anypb.New(config)
	if err != nil {
		return nil, err
	}
	return &hcm.HttpFilter{Name: name, ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: packed}}, nil
}

func routerFilter() (*hcm.HttpFilter, error) {
	return httpFilter("envoy.filters.http.router", &router.Router{})
}

// clusterTo is a cluster by any name whose one endpoint is the echo, and which says its name to it.
func clusterTo(name string, port int) *cluster.Cluster {
	return &cluster.Cluster{
		Name:                 name,
		ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STATIC},
		ConnectTimeout:       durationpb.New(5 * time.Second),
		LoadAssignment: &endpoint.ClusterLoadAssignment{
			ClusterName: name,
			Endpoints: []*endpoint.LocalityLbEndpoints{{LbEndpoints: []*endpoint.LbEndpoint{{
				HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: loopback(port)}},
			}}}},
		},
		TypedExtensionProtocolOptions: map[string]*anypb.Any{
			"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": mustPack(&upstream.HttpProtocolOptions{
				UpstreamProtocolOptions: &upstream.HttpProtocolOptions_ExplicitHttpConfig_{
					ExplicitHttpConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig{
						ProtocolConfig: &upstream.HttpProtocolOptions_ExplicitHttpConfig_HttpProtocolOptions{},
					},
				},
				HttpFilters: []*hcm.HttpFilter{
					{
						Name: "envoy.filters.http.header_mutation",
						ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: mustPack(&headermutation.HeaderMutation{
							Mutations: &headermutation.Mutations{RequestMutations: []*mutation.HeaderMutation{{
								Action: &mutation.HeaderMutation_Append{Append: overwrite(clusterHeader, escapePercent(name))},
							}}},
						})},
					},
					{
						Name:       "envoy.filters.http.upstream_codec",
						ConfigType: &hcm.HttpFilter_TypedConfig{TypedConfig: mustPack(&codec.UpstreamCodec{})},
					},
				},
			}),
		},
	}
}

// escapePercent writes text so that Envoy's formatter leaves it alone.
func escapePercent(text string) string {
	var escaped []byte
	for i := range len(text) {
		escaped = append(escaped, text[i])
		if text[i] == '%' {
			escaped = append(escaped, '%')
		}
	}
	return string(escaped)
}

// mustPack packs messages that are ours and complete.
func mustPack(message proto.Message) *anypb.Any {
	packed, err := anypb.New(message)
	if err != nil {
		panic(err)
	}
	return packed
}

// raw is protojson of a message, nothing for nil.
func raw(message proto.Message) json.RawMessage {
	if message == nil || !message.ProtoReflect().IsValid() {
		return nil
	}
	text, err := toJSON(message)
	if err != nil {
		panic(err) // it was protojson when it came in
	}
	return text
}
