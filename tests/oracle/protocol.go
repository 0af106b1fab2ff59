package main

import "encoding/json"

// translateRequest asks what istiod makes of manifests.
type translateRequest struct {
	// Manifests is the text of a stream of YAML documents.
	Manifests string `json:"manifests"`
	// MeshConfig is the YAML of the mesh configuration; what it leaves out has Istio's defaults.
	MeshConfig string `json:"mesh_config"`
	// Proxies are those whose configuration is wanted.
	Proxies []proxyRequest `json:"proxies"`
	// Clusters asks for the clusters of each proxy too, and with their endpoints.
	Clusters bool `json:"clusters"`
}

// proxyRequest names one Envoy.
type proxyRequest struct {
	// Name is what the answer calls it.
	Name string `json:"name"`
	// Kind is sidecar, waypoint or gateway.
	Kind string `json:"kind"`
	// Namespace it runs in.
	Namespace string `json:"namespace"`
	// Labels of its pod. Where a pod of the manifests in the namespace has them all, it is that pod's proxy.
	Labels map[string]string `json:"labels"`
	// ServiceAccount it runs as; of the pod, or "default", when empty.
	ServiceAccount string `json:"service_account"`
	// IP of its pod; of the pod the labels found, or made up, when empty.
	IP string `json:"ip"`
	// NoHBONE is a sidecar injected before ambient was switched on: it neither takes nor sends HBONE.
	NoHBONE bool `json:"no_hbone"`
}

// translation is istiod's answer.
type translation struct {
	Proxies []proxyConfig `json:"proxies"`
	Ztunnel ztunnelConfig `json:"ztunnel"`
	// Refused are objects that the API server or istiod's webhook would not have let in. They had no effect here.
	Refused []refusal `json:"refused"`
}

type refusal struct {
	Object string `json:"object"`
	Reason string `json:"reason"`
}

// proxyConfig is what one Envoy receives.
type proxyConfig struct {
	Name     string            `json:"name"`
	IP       string            `json:"ip"`
	Chains   []chain           `json:"chains"`
	Clusters []json.RawMessage `json:"clusters,omitempty"`
	// Endpoints of those clusters, as protojson of ClusterLoadAssignment.
	Endpoints []json.RawMessage `json:"endpoints,omitempty"`
}

// chain is one filter chain of one listener, with everything it needs to run by itself.
type chain struct {
	// Listener the chain belongs to.
	Listener string `json:"listener"`
	// Address of that listener, "" for an internal one.
	Address string `json:"address"`
	// Direction is INBOUND, OUTBOUND or UNSPECIFIED.
	Direction string `json:"direction"`
	Name      string `json:"name"`
	// Match is the protojson of the chain's own match.
	Match json.RawMessage `json:"match"`
	// Reached are the address:port pairs for which the listener's matcher picks this chain (waypoints).
	Reached []string `json:"reached,omitempty"`
	// Transport is the name of its transport socket: "tls", or "" for plain text.
	Transport string `json:"transport"`
	// Filters are its network filters as protojson; an HTTP connection manager has its routes in line.
	Filters []json.RawMessage `json:"filters"`
	// RouteConfig is the name of its route configuration, "" for a TCP chain.
	RouteConfig string `json:"route_config"`
	// Missing are the clusters its routes name and the proxy does not have: a request for one is answered by Envoy.
	Missing []string `json:"missing,omitempty"`
}

// ztunnelConfig is what every ztunnel receives.
type ztunnelConfig struct {
	Policies  []json.RawMessage `json:"policies"`
	Workloads []json.RawMessage `json:"workloads"`
	Services  []json.RawMessage `json:"services"`
}

// routeRequest asks the real Envoy where requests go.
type routeRequest struct {
	// Chains that are asked, of a translation or written by hand; only HTTP ones.
	Chains   []chain       `json:"chains"`
	Requests []httpRequest `json:"requests"`
}

// httpRequest is one request a client sends.
type httpRequest struct {
	// Chain is the index of the chain it is sent to.
	Chain     int         `json:"chain"`
	Method    string      `json:"method"`
	Authority string      `json:"authority"`
	Path      string      `json:"path"`
	Headers   [][2]string `json:"headers"`

	// What follows matters for authorize only.

	// Principal is the SPIFFE identity of the peer, without the scheme: "cluster.local/ns/a/sa/b"; "" for plain text.
	Principal string `json:"principal"`
	// SourceIP and DestinationIP of the connection; made up when empty.
	SourceIP      string `json:"source_ip"`
	DestinationIP string `json:"destination_ip"`
	// Port the connection was made to.
	Port int `json:"port"`
	// Claims are those of a token the proxy found valid.
	Claims json.RawMessage `json:"claims"`
}

// routeAnswer has one outcome a request, in their order.
type routeAnswer struct {
	Outcomes []outcome `json:"outcomes"`
}

// outcome is what became of one request.
type outcome struct {
	Status int `json:"status"`
	// Details is Envoy's own word for how the answer came about when no upstream gave it: direct_response, route_not_found …
	Details string `json:"details"`
	// Headers of the answer.
	Headers map[string][]string `json:"headers"`
	// Arrivals are all the destinations the matched route may choose, each with the request as it got there.
	Arrivals []arrival `json:"arrivals"`
	// Route is the matched route; absent where none matched.
	Route *matchedRoute `json:"route,omitempty"`
}

// arrival is a request as an upstream saw it.
type arrival struct {
	Destination destination `json:"destination"`
	// Missing says that the proxy has no such cluster: nothing arrived, the client got Status.
	Missing bool `json:"missing"`
	Status  int  `json:"status"`
	// Weight is the destination's share of Total.
	Weight    uint32              `json:"weight"`
	Total     uint32              `json:"total"`
	Method    string              `json:"method"`
	Authority string              `json:"authority"`
	Path      string              `json:"path"`
	Headers   map[string][]string `json:"headers"`
	// Answer are the headers of the answer that came back from this destination through Envoy.
	Answer map[string][]string `json:"answer"`
}

// destination is a cluster, taken apart.
type destination struct {
	Cluster   string `json:"cluster"`
	Direction string `json:"direction"`
	Host      string `json:"host"`
	Port      int    `json:"port"`
	Subset    string `json:"subset"`
}

// matchedRoute is the configuration of a route that cannot be seen from outside.
type matchedRoute struct {
	Name    string   `json:"name"`
	Mirrors []mirror `json:"mirrors"`
	// Timeout as protojson writes durations, "" if unset; "0s" is none.
	Timeout string          `json:"timeout"`
	Retry   json.RawMessage `json:"retry,omitempty"`
	Hash    json.RawMessage `json:"hash,omitempty"`
	// Filters is the configuration of HTTP filters on this route (fault, cors), by filter.
	Filters map[string]json.RawMessage `json:"filters,omitempty"`
	Match   json.RawMessage            `json:"match"`
}

type mirror struct {
	Destination destination `json:"destination"`
	// Fraction as protojson of RuntimeFractionalPercent; absent means all requests.
	Fraction json.RawMessage `json:"fraction,omitempty"`
}

// authorizeRequest asks the real Envoy whom a chain lets in.
type authorizeRequest struct {
	Chains   []chain       `json:"chains"`
	Requests []httpRequest `json:"requests"`
}

// authorizeAnswer has one verdict a request, in their order.
type authorizeAnswer struct {
	Verdicts []verdict `json:"verdicts"`
}

// verdict is what a chain's authorization said.
type verdict struct {
	Allowed bool `json:"allowed"`
	// Policy that decided, as Istio names it in Envoy (ns[a]-policy[b]-rule[0]); "" if an ALLOW policy was there and none
	// matched, or if there was no policy at all, or on a TCP chain.
	Policy string `json:"policy"`
	Status int    `json:"status"`
	// Details is Envoy's own word for a refusal.
	Details string `json:"details"`
}
