package plane

import (
	"context"
	"fmt"
	"io"
	"time"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"kubectl-ambient/tests/controlplane/process"
	"kubectl-ambient/tests/controlplane/state"
)

// Plane is a control plane that is up.
type Plane struct {
	// Components are its processes.
	Components  *process.Group
	own         *state.State
	description description
}

// description is what is told of a control plane that is up.
type description struct {
	Kubeconfig string           `json:"kubeconfig"`
	Server     string           `json:"server"`
	State      string           `json:"state"`
	Kubectl    string           `json:"kubectl"`
	Istioctl   string           `json:"istioctl"`
	Components []process.Status `json:"components"`
	TookMS     int64            `json:"took_ms"`
	Stages     map[string]int64 `json:"stages"`
}

// Up starts a control plane from the programs in bin and returns when all of it is up. When it fails, or ctx ends first,
// nothing is left behind.
func Up(ctx context.Context, bin string, options Options, progress io.Writer) (_ *Plane, err error) {
	started := time.Now()
	own, err := state.New(options.State, len((&ports{}).each()))
	if err != nil {
		return nil, err
	}
	plane := &Plane{own: own}
	defer func() {
		if err != nil {
			_ = plane.Down()
		}
	}()
	ended := func(name string, err error) {
		fmt.Fprintf(progress, "controlplane: %s ended by itself: %v\n", name, err)
	}
	if plane.Components, err = process.NewGroup(own.Dir, own.Lock, ended); err != nil {
		return nil, err
	}
	layout, err := newLayout(bin, own)
	if err != nil {
		return nil, err
	}
	probe, err := newProber(layout.credentials)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", layout.credentials.kubeconfigs["admin"])
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	// The client's own limit is for those who share an API server.
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of the API server: %w", err)
	}
	launch := &launch{
		layout: layout, options: options, probe: probe, client: client, group: plane.Components,
		stages: newStages(ctx, progress),
	}
	launch.plan()
	if err := launch.stages.wait(); err != nil {
		return nil, err
	}
	plane.description = description{
		Kubeconfig: layout.credentials.kubeconfigs["admin"], Server: layout.server(), State: own.Dir,
		Kubectl: layout.binary("kubectl"), Istioctl: layout.binary("istioctl"),
		Components: plane.Components.All(), TookMS: time.Since(started).Milliseconds(), Stages: launch.stages.took,
	}
	return plane, nil
}

// Description is what is told of the control plane, as JSON has it.
func (p *Plane) Description() any { return p.description }

// Kubeconfig is the file by which an administrator reaches the API server.
func (p *Plane) Kubeconfig() string { return p.description.Kubeconfig }

// Down ends every component and removes the state folder.
func (p *Plane) Down() error {
	if p.Components != nil {
		p.Components.Close()
	}
	return p.own.Remove()
}
