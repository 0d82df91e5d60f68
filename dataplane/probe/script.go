package probe

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/message"
	"segue/dataplane/provider"
)

// The times of a synthetic.
const (
	StepTimeout = 10 * time.Second
	RunTimeout  = time.Minute
)

// run is one life of a run: in the lane that began it, or after it, when what it left is taken away.
type run struct {
	*record
	client    Client
	journal   *journal
	candidate *policy.Candidate
	leave     time.Duration // how long the provider wants to be left alone
	saved     bool
}

// steps makes the steps one after the other, until one is not as expected. Each effect is on record before it is sent.
func (r *run) steps(ctx context.Context) {
	for r.Failed == "" && r.Next < len(r.Plan.Steps) {
		step := &r.Plan.Steps[r.Next]
		if err := r.intend(step); err != nil {
			r.Failed = "step " + step.Title() + ": " + err.Error()
			return
		}
		if why := r.step(ctx, step); why != "" {
			r.Failed = "step " + step.Title() + ": " + why
		}
	}
}

// intend writes down that an effect is about to be sent.
func (r *run) intend(step *policy.TestStep) error {
	if !r.candidate.Contract.Effects(step) {
		return nil
	}
	r.Sent = true
	err := r.save()
	if err != nil {
		r.Sent = false
	}
	return err
}

func (r *run) save() error {
	err := r.journal.save(r.record)
	r.saved = r.saved || err == nil
	return err
}

// step sends the next step and reads its answer; what it returns is why the run cannot go on.
func (r *run) step(ctx context.Context, step *policy.TestStep) (why string) {
	result, answered := r.send(ctx, step, r.key(r.candidate.Contract, "step", r.Next))
	if health.Outcome(result.Outcome) == health.Unknown && r.Sent {
		return unanswered(&result) // it may have been executed: taken up by learn
	}
	r.Sent = false
	if answered == nil {
		return unanswered(&result)
	}
	return r.read(step, answered)
}

func (r *run) read(step *policy.TestStep, answered *policy.Answered) (why string) {
	r.Next++
	vars, lacks := step.Values(answered)
	for name, v := range vars {
		r.Vars[name] = v
	}
	why = step.Holds(answered, r.Vars)
	switch {
	case why == "" && len(step.Expect) == 0 && (answered.Status < 200 || answered.Status > 299):
		why = fmt.Sprintf("status is %d", answered.Status)
	case why == "" && lacks != "":
		why = "the answer does not say what {" + lacks + "} is"
	}
	if why == "" && step.Name != "" {
		r.Good = append(r.Good, step.Name)
	}
	return why
}

func unanswered(r *provider.Result) string {
	switch {
	case r.Status != 0:
		return fmt.Sprintf("status is %d", r.Status)
	case r.Error != "":
		return "no answer: " + strings.ReplaceAll(r.Error, "_", " ")
	case r.Err != nil:
		return "no answer: " + r.Err.Error()
	default:
		return "no answer"
	}
}

// send makes one call. The candidate is the policy's of today, but for the endpoint: a key is known where it was sent first.
func (r *run) send(ctx context.Context, step *policy.TestStep, key string) (provider.Result, *policy.Answered) {
	to := *r.candidate
	to.Endpoint = r.Endpoint
	if !to.Shares() {
		to.Further = nil
	}
	contract := to.Contract
	made, err := r.Plan.Make(contract, step, r.Vars)
	if err != nil {
		return provider.Result{Err: err}, nil
	}
	effect := contract.Effects(step)
	call := &provider.Call{
		Candidate: &to, Service: r.Service, Operation: "synthetic", Read: !effect, PerTry: StepTimeout,
		Request: &message.Request{Method: made.Method, Path: made.Path, RawQuery: made.RawQuery, Body: made.Body},
	}
	if effect {
		call.Key = key
	}
	if made.Type != "" {
		call.Request.Header.Add("Content-Type", made.Type)
	}
	call.Request.Header.Add("Accept", "application/json")
	for _, h := range made.Header {
		call.Request.Header.Add(h[0], h[1])
	}
	bounded, cancel := context.WithTimeout(ctx, StepTimeout)
	defer cancel()
	result, answer := r.client.Exchange(bounded, call)
	if result.Sample.Class == health.Limited {
		r.leave = max(r.leave, min(result.Sample.RetryAfter, MaxBackOff), MinEvery)
	}
	if answer == nil {
		return result, nil
	}
	return result, &policy.Answered{Status: answer.Status, Type: answer.Header.Get("Content-Type"), Header: answer.Header.Get, Body: answer.Body}
}

// clean takes away what the run made. "": nothing is left, and the record is gone.
func (r *run) clean(ctx context.Context, now time.Time) (waits string) {
	if !r.saved {
		return "" // it made nothing
	}
	r.Tries++
	r.Waits = r.learn(ctx, now)
	if r.Waits == "" {
		r.Waits = r.cleanup(ctx)
	}
	var err error
	if r.Waits == "" {
		err = r.journal.remove(r.ID)
	} else {
		err = r.save()
	}
	if err != nil && r.Waits == "" {
		r.Waits = err.Error()
	}
	return r.Waits
}

// learn sends an effect whose end is not known once more, under the same key: it is not executed twice, and the answer says what there is.
func (r *run) learn(ctx context.Context, now time.Time) (waits string) {
	if !r.Sent {
		return ""
	}
	step := &r.Plan.Steps[r.Next]
	if life := r.candidate.Contract.Keys.Life; now.Sub(r.Begun) > life-life/10 {
		return fmt.Sprintf("it is not known what step %s made, and its key is forgotten by now: somebody has to look, at the provider, for the run %s", step.Title(), r.ID)
	}
	result, answered := r.send(ctx, step, r.key(r.candidate.Contract, "step", r.Next))
	if answered == nil || health.Outcome(result.Outcome) == health.Unknown {
		return "step " + step.Title() + " again: " + unanswered(&result)
	}
	r.Sent = false
	r.read(step, answered)
	return ""
}

// cleanup makes the cleanup's steps. The last one that applies decides; of those before it only an answer is wanted.
func (r *run) cleanup(ctx context.Context) (waits string) {
	for i := range r.Plan.Cleanup {
		step := &r.Plan.Cleanup[i]
		if slices.Contains(r.Good, step.Unless) || !r.knows(step) {
			continue
		}
		result, answered := r.send(ctx, step, r.key(r.candidate.Contract, fmt.Sprintf("cleanup-%d", r.Tries), i))
		if waits = ""; answered == nil {
			return "cleanup " + step.Title() + ": " + unanswered(&result)
		}
		vars, _ := step.Values(answered)
		for name, v := range vars {
			r.Vars[name] = v
		}
		if why := step.Holds(answered, r.Vars); why != "" {
			waits = "cleanup " + step.Title() + ": " + why
		} else if len(step.Expect) == 0 && i == len(r.Plan.Cleanup)-1 && (answered.Status < 200 || answered.Status > 299) {
			waits = fmt.Sprintf("cleanup %s: status is %d", step.Title(), answered.Status)
		}
	}
	return waits
}

// knows tells whether a step's variables are there: what was never made has no id, and nothing to take away.
func (r *run) knows(step *policy.TestStep) bool {
	return !slices.ContainsFunc(step.Uses(), func(name string) bool { _, there := r.Vars[name]; return !there })
}
