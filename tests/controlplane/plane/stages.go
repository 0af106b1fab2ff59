package plane

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// stages runs the steps of a start, each as soon as those it needs are done, and measures them.
type stages struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	progress io.Writer
	started  time.Time

	group sync.WaitGroup
	mu    sync.Mutex
	took  map[string]int64
}

// stage is a step that others can wait for.
type stage struct {
	name string
	done chan struct{}
}

func newStages(ctx context.Context, progress io.Writer) *stages {
	ctx, cancel := context.WithCancelCause(ctx)
	return &stages{ctx: ctx, cancel: cancel, progress: progress, started: time.Now(), took: map[string]int64{}}
}

// run runs a step when all of after are done. Nil steps in after are steps that were left away.
func (s *stages) run(name string, after []*stage, work func(context.Context) error) *stage {
	step := &stage{name: name, done: make(chan struct{})}
	s.group.Go(func() {
		for _, before := range after {
			if before == nil {
				continue
			}
			select {
			case <-before.done:
			case <-s.ctx.Done():
				return
			}
		}
		if s.ctx.Err() != nil {
			return
		}
		started := time.Now()
		if err := work(s.ctx); err != nil {
			s.cancel(fmt.Errorf("%s: %w", name, err))
			return
		}
		took := time.Since(started)
		s.mu.Lock()
		s.took[name] = took.Milliseconds()
		fmt.Fprintf(s.progress, "controlplane: %6.1f s  %-24s (%.1f s)\n",
			time.Since(s.started).Seconds(), name, took.Seconds())
		s.mu.Unlock()
		close(step.done)
	})
	return step
}

// wait returns when every step is done or one has failed, with the first failure.
func (s *stages) wait() error {
	s.group.Wait()
	err := context.Cause(s.ctx)
	s.cancel(nil)
	return err
}
