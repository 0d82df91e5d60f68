package dataplane

import (
	"context"
	"fmt"
	"time"

	"segue/controlplane/policy"
	"segue/controlplane/query"
)

// replayLimit is how long an agent decides again: a control node waits a little longer.
const replayLimit = 6 * time.Second

// replay makes recorded decisions again under the policy that q brings, which is in force nowhere. One at a time: it takes a processor.
func (a *Agent) replay(ctx context.Context, q query.Question) (query.Replayed, error) {
	r := q.Replay
	if r == nil || len(r.Policy) == 0 || r.Window <= 0 || r.Window > query.MaxReplay {
		return query.Replayed{}, fmt.Errorf("a replay wants a policy and a window of at most %v", query.MaxReplay)
	}
	ctx, cancel := context.WithTimeout(ctx, replayLimit)
	defer cancel()
	select {
	case a.replaying <- struct{}{}:
		defer func() { <-a.replaying }()
	case <-ctx.Done():
		return query.Replayed{}, fmt.Errorf("another replay is under way")
	}
	doc, problems := policy.Parse("candidate", r.Policy)
	if problems.Err() != nil { // what it says may quote the document
		return query.Replayed{}, fmt.Errorf("the policy does not parse in this version of the agent")
	}
	snap, err := policy.Compile(doc, a.cfg.Region, 0)
	if err != nil {
		return query.Replayed{}, fmt.Errorf("the policy does not compile for region %s in this version of the agent", a.cfg.Region)
	}
	return a.parts.proxy.Replay(ctx, snap, a.cfg.Now().Add(-r.Window)), nil
}
