package contract

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/ledger"
	"segue/dataplane/message"
	"segue/dataplane/provider"
)

// Plan is what is driven, and where.
type Plan struct {
	Policy   *policy.Policy // its contracts count, nothing else of it
	Contract string
	Specimen Specimen
	URL      string
	Secret   string // as the agents' credential is written
	World    World  // nil: there is nothing but the API
}

// World is what a simulator can be made to do, beside its answers.
type World interface {
	Fail(status int, executed bool) error // the next effect is answered so
	Limit(after time.Duration) error      // the next effect is answered with 429, and when to come back
	Hold() (taken func() bool, err error) // the next effect takes long; taken tells that it is there
	Let() error                           // ends what was asked for
	Advance(d time.Duration)              // the API's clock
	Executed() int                        // effects, so far
	Booked() string                       // the last one: operation, amount, currency, the domain of a mail
	Elsewhere() string                    // another endpoint of the same provider
}

// State is what became of a check.
type State string

// The states.
const (
	Fine  State = "fine"
	Wrong State = "wrong"
	Left  State = "not driven"
)

// Check is one fact, or one side of it, held against the API.
type Check struct {
	Fact  string `json:"fact"` // as the document calls it
	Check string `json:"check"`
	State State  `json:"state"`
	Says  string `json:"says,omitempty"` // what was found, or why it was not driven
}

// patience is how long one answer may take.
const patience = 20 * time.Second

// driver holds one contract against one API.
type driver struct {
	Plan
	client   *provider.Client
	right    *policy.Candidate
	wrong    *policy.Candidate // with a credential that nobody knows
	compiled *policy.Service
	contract *policy.Contract
	checks   []Check
	hasty    bool   // the first round that is wrong is enough
	run      string // makes this run's keys and bodies its own
	n        int
}

// Drive holds each fact of a contract against the API. An error means that it could not be begun; what the API does not bear out is a Wrong check.
func Drive(ctx context.Context, p Plan, run string) ([]Check, error) {
	return drive(ctx, p, run, append(facts(), (*driver).rounds)...)
}

type check = func(*driver, context.Context)

// facts are the checks of what the contract says of its own API.
func facts() []check {
	return []check{
		(*driver).operations, (*driver).statuses, (*driver).told, (*driver).retryAfter, (*driver).rateLimit, (*driver).refund, (*driver).fees,
		(*driver).keys, (*driver).lookup, (*driver).cancel, (*driver).webhooks, (*driver).passages, (*driver).idle,
	}
}

func drive(ctx context.Context, p Plan, run string, by ...check) ([]Check, error) {
	d := &driver{Plan: p, run: run}
	if err := d.compile(); err != nil {
		return nil, err
	}
	var err error
	d.client, err = provider.New(provider.Config{Env: func(name string) (string, bool) {
		return map[string]string{"RIGHT": p.Secret, "WRONG": "nobody:nobody", "HOOK": p.Specimen.HookSecret}[name], true
	}})
	if err != nil {
		return nil, fmt.Errorf("contract: %w", err)
	}
	defer d.client.Close()
	if !d.answers(ctx) {
		return d.checks, nil // nothing that follows would mean anything
	}
	for _, one := range by {
		if one(d, ctx); ctx.Err() != nil {
			return d.checks, fmt.Errorf("contract: %w", context.Cause(ctx))
		}
	}
	return d.checks, nil
}

// Failed counts what the API does not bear out.
func Failed(checks []Check) int {
	n := 0
	for _, c := range checks {
		if c.State == Wrong {
			n++
		}
	}
	return n
}

// compile makes candidates of the contract, as agents do.
func (d *driver) compile() error {
	known, err := d.Policy.Contract(d.Contract)
	if err != nil {
		return err
	}
	name := func(s string) policy.ProviderSpec {
		p := policy.ProviderSpec{Name: s, Contract: d.Contract, Endpoint: []policy.RegionValue{{Value: d.URL}},
			Credential: []policy.RegionValue{{Value: "env:" + map[string]string{"right": "RIGHT", "wrong": "WRONG"}[s]}}}
		if known.Webhooks.Signature.Scheme != "" {
			p.HookSecret = []policy.RegionValue{{Value: "env:HOOK"}}
		}
		return p
	}
	doc := &policy.Policy{
		Contracts: d.Policy.Contracts, Providers: []policy.ProviderSpec{name("right"), name("wrong")},
		Services: []policy.ServiceSpec{{Name: "driven", Speaks: d.Contract, Listen: policy.Listen{Port: 1}, Strategy: policy.Priority,
			Priority: []policy.RegionPriority{{Providers: []string{"right", "wrong"}}}}},
	}
	doc.Regions = append(doc.Regions, region())
	full, err := doc.Contract(d.Contract)
	if err != nil {
		return err
	}
	if len(full.Operations) == 0 {
		doc.Services[0].Operations = []policy.OperationSpec{{Name: "all", Match: "POST /**", Key: policy.KeyRule{Required: true}}}
	}
	s, err := policy.Compile(doc, policy.Local, 1)
	if err != nil {
		return err
	}
	d.compiled = s.Services[0]
	d.right, d.wrong, d.contract = s.Services[0].Candidates[0], s.Services[0].Candidates[1], s.Services[0].Candidates[0].Contract
	return nil
}

// got is an answer, and what the client made of it.
type got struct {
	provider.Result
	status int // that the application would be told
	header message.Header
	body   []byte
}

func (g *got) Begin(status int, h message.Header) error {
	g.status, g.header = status, slices.Clone(h)
	return nil
}

const maxAnswer = 1 << 20

func (g *got) Write(p []byte) error {
	if len(g.body)+len(p) > maxAnswer {
		return errors.New("the answer is too large")
	}
	g.body = append(g.body, p...)
	return nil
}

func (g *got) End(error) error { return nil }

func (g *got) field(name string) string {
	v, _ := policy.BodyField(g.header.Get("Content-Type"), g.body, name)
	return v
}

// told is the outcome as contracts write it.
func (g *got) told() string {
	switch g.Outcome {
	case ledger.Succeeded:
		return policy.OutcomeSucceeded
	case ledger.Declined:
		return policy.OutcomeDeclined
	case ledger.NotSent:
		return policy.OutcomeNotSent
	default:
		return policy.OutcomeUnknown
	}
}

func (g *got) class() string {
	switch g.Sample.Class {
	case health.OK:
		return policy.ClassOK
	case health.Limited:
		return policy.ClassLimited
	case health.Slow:
		return policy.ClassSlow
	default:
		return policy.ClassFailure
	}
}

func (g *got) String() string {
	if g.Status == 0 {
		return "no answer: " + g.Error
	}
	return fmt.Sprintf("%d, read as %s/%s", g.Status, g.class(), g.told())
}

// send is one send, as an agent's.
func (d *driver) send(ctx context.Context, to *policy.Candidate, r Request, key string) *got {
	return d.sendWith(ctx, to, r, key, message.Token{})
}

func (d *driver) sendWith(ctx context.Context, to *policy.Candidate, r Request, key string, token message.Token) *got {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g := &got{}
	q := &message.Request{Method: r.Method, Path: r.Path, Header: r.header(), Body: []byte(r.Body), Token: token}
	q.Path, q.RawQuery, _ = strings.Cut(r.Path, "?")
	g.Result = d.client.Send(ctx, &provider.Call{Candidate: to, Service: "driven", Operation: "driven", Request: q, Read: r.Method == "GET", Key: key, PerTry: patience}, g)
	return g
}

// next is another effect: no two are about the same thing.
func (d *driver) next() Request {
	d.n++
	return d.Specimen.Effect(fmt.Sprintf("%s-%d", d.run, d.n))
}

func (d *driver) key() string {
	d.n++
	text := fmt.Sprintf("contract-%s-%d", d.run, d.n)
	if d.contract != nil && !d.contract.Keys.Takes(text) {
		sum := sha256.Sum256([]byte(text))
		return d.contract.Keys.Make([20]byte(sum[:20]))
	}
	return text
}

func (d *driver) say(fact, check string, fine bool, format string, args ...any) {
	state := Wrong
	if fine {
		state = Fine
	}
	d.checks = append(d.checks, Check{fact, check, state, fmt.Sprintf(format, args...)})
}

func (d *driver) leave(fact, check, why string) {
	d.checks = append(d.checks, Check{fact, check, Left, why})
}
