package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	filterstate "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/common/set_filter_state/v3"
	tometadata "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/header_to_metadata/v3"
	httprbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	tlsinspector "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/tls_inspector/v3"
	echofilter "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	networkrbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	setfilterstate "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/set_filter_state/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// peerPrincipal is where a proxy that takes HBONE keeps who the peer is, and where its rules look for it.
const peerPrincipal = "io.istio.peer_principal"

// allowedCluster is where every request goes that is let in.
const allowedCluster = "allowed"

// authorize asks Envoy whom chains let in.
func (d *driver) authorize(request authorizeRequest) (*authorizeAnswer, error) {
	for i := range request.Requests {
		if err := checkRequest(&request.Requests[i], len(request.Chains)); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
	}
	sites, err := d.load(request.Chains, d.prepareAuthorization)
	if err != nil {
		return nil, err
	}
	answer := &authorizeAnswer{Verdicts: make([]verdict, len(request.Requests))}
	err = inParallel(len(request.Requests), func(i int) error {
		r := request.Requests[i]
		judge := d.verdictOf
		if len(sites[r.Chain].clusters) == 0 {
			judge = d.tcpVerdictOf
		}
		result, err := judge(sites[r.Chain], r)
		if err != nil {
			return fmt.Errorf("request %d (%s %s%s): %w", i, r.Method, r.Authority, r.Path, err)
		}
		answer.Verdicts[i] = *result
		return nil
	})
	return answer, errors.Join(err, d.envoy.alive())
}

// prepareAuthorization makes a chain ready to show its authorization, and only that: whoever is let in gets to the echo.
func (d *driver) prepareAuthorization(c chain) (*prepared, error) {
	for i, text := range c.Filters {
		// The address of a PROXY line is a connection's remote address, never its direct one.
		c.Filters[i] = json.RawMessage(strings.ReplaceAll(string(text), `"direct_remote_ip"`, `"remote_ip"`))
	}
	filters, err := filtersOf(c)
	if err != nil {
		return nil, err
	}
	identity, err := identityFilter()
	if err != nil {
		return nil, err
	}
	kept := []*listener.Filter{identity}
	for _, filter := range filters {
		if filter.GetTypedConfig().MessageIs(&networkrbac.RBAC{}) {
			kept = append(kept, filter)
		}
	}
	p := &prepared{}
	original, err := managerOf(filters)
	if err != nil {
		return nil, err
	}
	var last *listener.Filter
	if original == nil {
		last, err = networkFilter("envoy.filters.network.echo", &echofilter.Echo{})
	} else {
		p.clusters = []string{allowedCluster}
		last, err = authorizingManager(original)
	}
	if err != nil {
		return nil, err
	}
	p.listener, err = d.eitherTransport(append(kept, last))
	return p, err
}

// eitherTransport serves filters to peers with a certificate and to peers in plain text.
func (d *driver) eitherTransport(filters []*listener.Filter) (*listener.Listener, error) {
	socket, err := d.ids.serverSocket()
	if err != nil {
		return nil, err
	}
	inspector := &listener.ListenerFilter{
		Name:       "envoy.filters.listener.tls_inspector",
		ConfigType: &listener.ListenerFilter_TypedConfig{TypedConfig: mustPack(&tlsinspector.TlsInspector{})},
	}
	return listenerOf([]*listener.ListenerFilter{inspector},
		&listener.FilterChain{
			Name:             "mutual",
			FilterChainMatch: &listener.FilterChainMatch{TransportProtocol: "tls"},
			TransportSocket:  socket,
			Filters:          filters,
		},
		&listener.FilterChain{
			Name:             "plain",
			FilterChainMatch: &listener.FilterChainMatch{TransportProtocol: "raw_buffer"},
			Filters:          filters,
		},
	)
}

// identityFilter notes who the peer is where Istio's HBONE listener notes it, from the same certificate.
func identityFilter() (*listener.Filter, error) {
	return networkFilter("envoy.filters.network.set_filter_state", &setfilterstate.Config{
		OnDownstreamTlsHandshake: []*filterstate.FilterStateValue{{
			Key:         &filterstate.FilterStateValue_ObjectKey{ObjectKey: peerPrincipal},
			FactoryKey:  "envoy.string",
			SkipIfEmpty: true,
			Value: &filterstate.FilterStateValue_FormatString{FormatString: &core.SubstitutionFormatString{
				OmitEmptyValues: true,
				Format: &core.SubstitutionFormatString_TextFormatSource{TextFormatSource: &core.DataSource{
					Specifier: &core.DataSource_InlineString{InlineString: "%DOWNSTREAM_PEER_URI_SAN%"},
				}},
			}},
		}},
	})
}

// authorizingManager keeps the RBAC filters of a connection manager, in their order, and how it reads requests.
func authorizingManager(original *hcm.HttpConnectionManager) (*listener.Filter, error) {
	manager := bare(original)
	claims, err := httpFilter("envoy.filters.http.header_to_metadata", &tometadata.Config{
		RequestRules: []*tometadata.Config_Rule{{
			Header: claimsHeader,
			Remove: true,
			OnHeaderPresent: &tometadata.Config_KeyValuePair{
				MetadataNamespace: "envoy.filters.http.jwt_authn",
				Key:               "payload",
				Type:              tometadata.Config_PROTOBUF_VALUE,
				Encode:            tometadata.Config_BASE64,
			},
		}},
	})
	if err != nil {
		return nil, err
	}
	manager.HttpFilters = []*hcm.HttpFilter{claims}
	for _, filter := range original.GetHttpFilters() {
		if filter.GetTypedConfig().MessageIs(&httprbac.RBAC{}) {
			manager.HttpFilters = append(manager.HttpFilters, filter)
		}
	}
	last, err := routerFilter()
	if err != nil {
		return nil, err
	}
	manager.HttpFilters = append(manager.HttpFilters, last)
	manager.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: &route.RouteConfiguration{
		Name: "allowed",
		RequestHeadersToAdd: []*core.HeaderValueOption{
			overwrite(policyHeader, "%DYNAMIC_METADATA(envoy.filters.http.rbac:enforced_effective_policy_id)%"),
		},
		VirtualHosts: []*route.VirtualHost{{
			Name: "allowed", Domains: []string{"*"},
			Routes: []*route.Route{{
				Match: &route.RouteMatch{PathSpecifier: &route.RouteMatch_Prefix{Prefix: "/"}},
				Action: &route.Route_Route{Route: &route.RouteAction{
					ClusterSpecifier: &route.RouteAction_Cluster{Cluster: allowedCluster},
				}},
			}},
		}},
	}}
	return networkFilter("envoy.filters.network.http_connection_manager", manager)
}

const (
	deniedBy  = "rbac_access_denied_matched_policy["
	byNoMatch = "none"
)

func (d *driver) verdictOf(s site, request httpRequest) (*verdict, error) {
	var extra [][2]string
	if len(request.Claims) > 0 {
		text, err := claimsText(request.Claims)
		if err != nil {
			return nil, err
		}
		extra = append(extra, [2]string{claimsHeader, text})
	}
	reply, err := d.send(s.socket, request, extra...)
	if err != nil {
		return nil, err
	}
	result := &verdict{Status: reply.status, Details: reply.header.Get(detailsHeader)}
	if reply.arrived != nil {
		result.Allowed = true
		result.Policy = strings.TrimPrefix(reply.arrived.Policy, "-")
		return result, nil
	}
	if policy, found := strings.CutPrefix(result.Details, deniedBy); found {
		result.Policy = strings.TrimSuffix(policy, "]")
	}
	if result.Policy == byNoMatch {
		result.Policy = ""
	}
	return result, nil
}

// claimsText packs claims as Envoy's JWT filter leaves them.
func claimsText(claims json.RawMessage) (string, error) {
	value := &structpb.Value{}
	if err := protojson.Unmarshal(claims, value); err != nil {
		return "", fmt.Errorf("claims: %w", err)
	}
	packed, err := proto.MarshalOptions{Deterministic: true}.Marshal(value)
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(packed), nil
}

// tcpVerdictOf sends one byte: a connection that is let in gets it back, one that is refused is closed.
func (d *driver) tcpVerdictOf(s site, request httpRequest) (*verdict, error) {
	connection, err := d.dial(s.socket, request)
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	if _, err := connection.Write([]byte{'?'}); err != nil {
		return nil, err
	}
	back := make([]byte, 1)
	_, err = io.ReadFull(connection, back)
	if err == nil {
		return &verdict{Allowed: true}, nil
	}
	if errors.Is(err, io.EOF) {
		return &verdict{}, nil
	}
	return nil, err
}
