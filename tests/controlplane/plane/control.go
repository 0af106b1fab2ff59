package plane

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"kubectl-ambient/tests/controlplane/process"
)

// Answer is what is told after a command: the component as it is now, or what went wrong.
type Answer struct {
	*process.Status
	Error string `json:"error,omitempty"`
}

// command is one line of standard input. Exactly one field names a component.
type command struct {
	Stop   string `json:"stop"`
	Start  string `json:"start"`
	Kill   string `json:"kill"`
	Freeze string `json:"freeze"`
	Thaw   string `json:"thaw"`
	Status string `json:"status"`
}

// Do does what a line says: {"stop":NAME} ends a component and waits, {"kill":NAME} does not ask it, {"start":NAME} starts it
// again and waits until it is ready, {"freeze":NAME} and {"thaw":NAME} stop and continue it, {"status":NAME} only tells.
func (p *Plane) Do(ctx context.Context, line string) Answer {
	name, err := p.do(ctx, line)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	status, err := p.Components.Status(name)
	if err != nil {
		return Answer{Error: err.Error()}
	}
	return Answer{Status: &status}
}

func (p *Plane) do(ctx context.Context, line string) (string, error) {
	var order command
	decoder := json.NewDecoder(bytes.NewBufferString(line))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&order); err != nil {
		return "", fmt.Errorf("no command: %w: %s", err, line)
	}
	switch order {
	case command{Stop: order.Stop}:
		return order.Stop, p.Components.Stop(order.Stop)
	case command{Kill: order.Kill}:
		return order.Kill, p.Components.Kill(order.Kill)
	case command{Start: order.Start}:
		return order.Start, p.Components.Restart(ctx, order.Start)
	case command{Freeze: order.Freeze}:
		return order.Freeze, p.Components.Freeze(order.Freeze)
	case command{Thaw: order.Thaw}:
		return order.Thaw, p.Components.Thaw(order.Thaw)
	case command{Status: order.Status}:
		return order.Status, nil
	}
	return "", fmt.Errorf("one command a line, please: %s", line)
}
