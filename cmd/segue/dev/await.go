package dev

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"segue/controlplane/state"
)

// awaitServices returns when every agent has taken the policy in force and listens for each of its services, or when one says that it
// cannot. An agent that has a policy of an earlier life on its disk serves at once, but what that names may be elsewhere now.
func (d *Dev) awaitServices(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting, err := d.waiting(ctx)
		if waiting == "" || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s; the log says why", waiting)
		}
	}
}

// waiting says what is not there yet; an error says that it will not come.
func (d *Dev) waiting(ctx context.Context) (string, error) {
	view, err := d.nodes.View(ctx)
	if err != nil {
		return "nobody leads: " + err.Error(), nil
	}
	for _, r := range d.policy.Regions {
		i := slices.IndexFunc(view.Acks, func(a state.Ack) bool { return a.Region == r.Name && a.Revision >= d.revision })
		if i < 0 {
			return "the agent of " + r.Name + " has not taken the policy", nil
		}
		if why := view.Acks[i].Reason; why != "" {
			return "", fmt.Errorf("the agent of %s does not take the policy: %s; a port in use? --port-offset moves them", r.Name, why)
		}
		for _, s := range d.policy.Services {
			if d.Service(r.Name, s.Name) == "" {
				return fmt.Sprintf("the agent of %s does not serve %s", r.Name, s.Name), nil
			}
		}
	}
	return "", nil
}

// sameReplicas refuses a directory whose control nodes know each other at other addresses: they would look for a leader for ever.
func sameReplicas(cfg Config) error {
	file := filepath.Join(cfg.Dir, "replicas")
	now := fmt.Sprintf("127.0.0.1:%d and the %d after it", cfg.Ports.Raft, voters-1)
	before, err := os.ReadFile(file)
	switch {
	case os.IsNotExist(err):
		if err := os.WriteFile(file, []byte(now+"\n"), 0o600); err != nil {
			return fmt.Errorf("--dir: %w", err)
		}
		return nil
	case err != nil:
		return fmt.Errorf("--dir: %w", err)
	case strings.TrimSpace(string(before)) != now:
		return fmt.Errorf("--dir %s was used with other ports: its control nodes know each other at %s, these would be at %s; use the same --port-offset, or another --dir",
			cfg.Dir, strings.TrimSpace(string(before)), now)
	default:
		return nil
	}
}
