package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// startDeadline is how long Envoy may take to ask for its configuration or to answer about it.
const startDeadline = 30 * time.Second

// envoy is one running Envoy that gets everything it serves from our discovery service.
type envoy struct {
	process *exec.Cmd
	// gone is closed when the process has ended.
	gone chan struct{}
	dir  string
	xds  *discoveryService
}

// startEnvoy runs the Envoy that installEnvoy put into a folder.
func startEnvoy(install string) (*envoy, error) {
	binary, err := filepath.Abs(filepath.Join(install, "bin", "envoy"))
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, fmt.Errorf("no Envoy at %s: run `oracle install-envoy --out %s` (or `make envoy`)", binary, install)
	}
	dir, err := os.MkdirTemp("", "oracle-envoy")
	if err != nil {
		return nil, err
	}
	e := &envoy{dir: dir, gone: make(chan struct{})}
	if err := e.start(binary); err != nil {
		e.close()
		return nil, err
	}
	return e, nil
}

func (e *envoy) start(binary string) error {
	service, err := serveDiscovery()
	if err != nil {
		return err
	}
	e.xds = service
	bootstrap := filepath.Join(e.dir, "bootstrap.json")
	if err := os.WriteFile(bootstrap, bootstrapFor(service.port), 0o600); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		return err
	}
	defer log.Close()
	e.process = exec.Command(binary,
		"--config-path", bootstrap,
		"--concurrency", "1",
		"--use-dynamic-base-id",
		"--drain-time-s", "0",
		"--log-level", "warning",
	)
	e.process.Stdout, e.process.Stderr = log, log
	ended, err := startTied(e.process)
	if err != nil {
		e.process = nil
		return fmt.Errorf("start %s: %w", binary, err)
	}
	go func() {
		<-ended
		close(e.gone)
	}()
	select {
	case <-service.connected:
	case <-e.gone:
		return fmt.Errorf("Envoy ended before it asked for its configuration:\n%s", e.log())
	case <-time.After(startDeadline):
		return fmt.Errorf("Envoy did not ask for its configuration within %s:\n%s", startDeadline, e.log())
	}
	return nil
}

// bootstrapFor says where configuration comes from. The runtime is what Istio gives its own proxies where it bears on
// requests (istio.io/istio/pkg/bootstrap, runtime_flags).
func bootstrapFor(port int) []byte {
	source := map[string]any{"ads": map[string]any{}, "resource_api_version": "V3"}
	text, err := json.Marshal(map[string]any{
		"node": map[string]any{"id": "oracle", "cluster": "oracle"},
		"dynamic_resources": map[string]any{
			"ads_config": map[string]any{
				"api_type": "GRPC", "transport_api_version": "V3",
				"grpc_services": []any{map[string]any{"envoy_grpc": map[string]any{"cluster_name": "xds"}}},
			},
			"cds_config": source,
			"lds_config": source,
		},
		"static_resources": map[string]any{"clusters": []any{map[string]any{
			"name": "xds", "type": "STATIC",
			"typed_extension_protocol_options": map[string]any{
				"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": map[string]any{
					"@type":                "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
					"explicit_http_config": map[string]any{"http2_protocol_options": map[string]any{}},
				},
			},
			"load_assignment": map[string]any{"cluster_name": "xds", "endpoints": []any{map[string]any{
				"lb_endpoints": []any{map[string]any{"endpoint": map[string]any{"address": socketAddress("127.0.0.1", port)}}},
			}}},
		}}},
		"layered_runtime": map[string]any{"layers": []any{map[string]any{
			"name": "istio", "static_layer": map[string]any{
				"re2.max_program_size.error_level":                         32768,
				"envoy.reloadable_features.http_reject_path_with_fragment": false,
			},
		}}},
	})
	if err != nil {
		panic(err) // maps of strings and numbers
	}
	return text
}

func socketAddress(host string, port int) map[string]any {
	return map[string]any{"socket_address": map[string]any{"address": host, "port_value": port}}
}

// log is the end of what Envoy wrote.
func (e *envoy) log() string {
	file, err := os.Open(filepath.Join(e.dir, "log"))
	if err != nil {
		return ""
	}
	defer file.Close()
	const most = 4000
	if info, err := file.Stat(); err == nil && info.Size() > most {
		if _, err := file.Seek(-most, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return ""
	}
	return string(text)
}

func (e *envoy) alive() error {
	select {
	case <-e.gone:
		return errors.New("Envoy has ended:\n" + e.log())
	default:
		return nil
	}
}

func (e *envoy) close() {
	if e.process != nil {
		_ = e.process.Process.Kill()
		<-e.gone
	}
	if e.xds != nil {
		e.xds.close()
	}
	_ = os.RemoveAll(e.dir)
}
