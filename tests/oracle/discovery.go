package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

const (
	clusterType  = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
	listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"
)

// discoveryService gives one Envoy its clusters and listeners and hears whether it took them.
type discoveryService struct {
	discovery.UnimplementedAggregatedDiscoveryServiceServer

	server *grpc.Server
	port   int
	// connected is closed once Envoy asked for the first time.
	connected chan struct{}
	once      sync.Once

	mu      sync.Mutex
	current map[string]*discovery.DiscoveryResponse
	// push wakes the stream to send what is current of a type.
	push chan string
	// taken has Envoy's word on each version.
	taken chan acknowledgement
}

type acknowledgement struct {
	kind, version string
	refusal       error
}

// serveDiscovery listens on a free port of the loopback.
func serveDiscovery() (*discoveryService, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for Envoy: %w", err)
	}
	s := &discoveryService{
		server:    grpc.NewServer(),
		port:      listener.Addr().(*net.TCPAddr).Port,
		connected: make(chan struct{}),
		current: map[string]*discovery.DiscoveryResponse{
			clusterType:  {TypeUrl: clusterType, VersionInfo: "0", Nonce: "0"},
			listenerType: {TypeUrl: listenerType, VersionInfo: "0", Nonce: "0"},
		},
		push:  make(chan string, 16),
		taken: make(chan acknowledgement, 16),
	}
	discovery.RegisterAggregatedDiscoveryServiceServer(s.server, s)
	go func() { _ = s.server.Serve(listener) }()
	return s, nil
}

func (s *discoveryService) close() { s.server.Stop() }

// StreamAggregatedResources serves the one Envoy there is.
func (s *discoveryService) StreamAggregatedResources(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	s.once.Do(func() { close(s.connected) })
	requests := make(chan *discovery.DiscoveryRequest)
	failed := make(chan error, 1)
	go func() {
		for {
			request, err := stream.Recv()
			if err != nil {
				failed <- err
				return
			}
			select {
			case requests <- request:
			case <-stream.Context().Done():
				return
			}
		}
	}()
	for {
		select {
		case err := <-failed:
			return err
		case kind := <-s.push:
			if err := stream.Send(s.latest(kind)); err != nil {
				return err
			}
		case request := <-requests:
			if err := s.hear(stream, request); err != nil {
				return err
			}
		}
	}
}

// hear takes a request of Envoy's: the first of a type, or its word on what it was sent.
func (s *discoveryService) hear(stream discovery.AggregatedDiscoveryService_StreamAggregatedResourcesServer, request *discovery.DiscoveryRequest) error {
	latest := s.latest(request.GetTypeUrl())
	if latest == nil {
		return nil // a type we do not serve
	}
	if request.GetResponseNonce() == "" {
		return stream.Send(latest)
	}
	word := acknowledgement{kind: request.GetTypeUrl(), version: request.GetResponseNonce()}
	if detail := request.GetErrorDetail(); detail != nil {
		word.refusal = errors.New(detail.GetMessage())
	}
	select {
	case s.taken <- word:
	case <-stream.Context().Done():
	}
	return nil
}

func (s *discoveryService) latest(kind string) *discovery.DiscoveryResponse {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[kind]
}

// load sends resources of a type to Envoy and waits until it has taken or refused them.
func (s *discoveryService) load(e *envoy, kind string, resources []proto.Message) error {
	packed := make([]*anypb.Any, 0, len(resources))
	for _, resource := range resources {
		p, err := anypb.New(resource)
		if err != nil {
			return err
		}
		packed = append(packed, p)
	}
	s.mu.Lock()
	before, err := strconv.Atoi(s.current[kind].GetVersionInfo())
	if err != nil {
		s.mu.Unlock()
		return err
	}
	version := strconv.Itoa(before + 1)
	s.current[kind] = &discovery.DiscoveryResponse{TypeUrl: kind, VersionInfo: version, Nonce: version, Resources: packed}
	s.mu.Unlock()
	s.push <- kind
	deadline := time.After(startDeadline)
	for {
		select {
		case word := <-s.taken:
			if word.kind != kind || word.version != version {
				continue // of an earlier load
			}
			if word.refusal != nil {
				return fmt.Errorf("Envoy refuses the configuration: %w", word.refusal)
			}
			return nil
		case <-e.gone:
			return e.alive()
		case <-deadline:
			return fmt.Errorf("Envoy did not say within %s whether it takes the configuration:\n%s", startDeadline, e.log())
		}
	}
}
