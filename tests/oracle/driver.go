package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/protobuf/proto"
)

// driver runs chains in the real Envoy. One Envoy serves all requests of a process; it is started by the first.
type driver struct {
	install string

	envoy *envoy
	echo  *echo
	ids   *identities
	// loaded counts the listeners so far. Each has a name and a socket of its own: an Envoy that replaces a listener hands the
	// old socket on, and a request could reach either.
	loaded int
}

func (d *driver) close() {
	if d.envoy != nil {
		d.envoy.close()
		d.envoy = nil
	}
	if d.echo != nil {
		d.echo.close()
		d.echo = nil
	}
}

// start makes sure that Envoy runs; one that died is replaced.
func (d *driver) start() error {
	if d.envoy != nil && d.envoy.alive() == nil {
		return nil
	}
	d.close()
	var err error
	if d.ids == nil {
		if d.ids, err = newIdentities(); err != nil {
			return err
		}
	}
	if d.echo, err = startEcho(); err != nil {
		return err
	}
	d.envoy, err = startEnvoy(d.install)
	return err
}

// site is a chain that Envoy serves.
type site struct {
	prepared
	// socket is the path of the Unix socket it listens on.
	socket string
}

// load makes Envoy serve chains in place of those before, and returns when it does.
func (d *driver) load(chains []chain, prepare func(chain) (*prepared, error)) ([]site, error) {
	if err := d.start(); err != nil {
		return nil, err
	}
	sites := make([]site, 0, len(chains))
	names := map[string]bool{}
	var listeners, clusters []proto.Message
	for i, c := range chains {
		p, err := prepare(c)
		if err != nil {
			return nil, fmt.Errorf("chain %d (%s): %w", i, c.Name, err)
		}
		d.loaded++
		socket := filepath.Join(d.envoy.dir, strconv.Itoa(d.loaded))
		p.listener.Name = "oracle-" + strconv.Itoa(d.loaded)
		p.listener.Address = &core.Address{Address: &core.Address_Pipe{Pipe: &core.Pipe{Path: socket}}}
		listeners = append(listeners, p.listener)
		for _, name := range p.clusters {
			if !names[name] {
				names[name] = true
				clusters = append(clusters, clusterTo(name, d.echo.port))
			}
		}
		sites = append(sites, site{prepared: *p, socket: socket})
	}
	if err := d.envoy.xds.load(d.envoy, clusterType, clusters); err != nil {
		return nil, err
	}
	if err := d.envoy.xds.load(d.envoy, listenerType, listeners); err != nil {
		return nil, err
	}
	return sites, nil
}

// inParallel calls f for 0 to n-1 and returns the first error by order.
func inParallel(n int, f func(int) error) error {
	failed := make([]error, n)
	next := make(chan int)
	var workers sync.WaitGroup
	for range min(n, 4*runtime.NumCPU()) {
		workers.Go(func() {
			for i := range next {
				failed[i] = f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// destinationOf takes the name of one of istiod's clusters apart.
func destinationOf(cluster string) destination {
	d := destination{Cluster: cluster}
	parts := strings.Split(cluster, "|")
	if len(parts) != 4 {
		return d
	}
	d.Direction, d.Subset, d.Host = parts[0], parts[2], parts[3]
	if _, err := fmt.Sscan(parts[1], &d.Port); err != nil {
		d.Port = 0
	}
	if d.Direction == "inbound-vip" {
		// A waypoint's clusters say the protocol before the subset: http, tcp, http/v1.
		_, d.Subset, _ = strings.Cut(d.Subset, "/")
	}
	return d
}
