package contract

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// simulated is the simulator of an API, until the test ends.
func simulated(t *testing.T, s Specimen) *Simulator {
	t.Helper()
	sim, err := Simulate(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sim.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return sim
}

// driven holds a contract, as an own one of a policy, against the simulator of an API.
func driven(t *testing.T, s Specimen, c policy.Contract) ([]Check, error) {
	t.Helper()
	return driveAt(t, simulated(t, s), s, c)
}

// driveAt does so by some of the checks; none: by all.
func driveAt(t *testing.T, sim *Simulator, s Specimen, c policy.Contract, by ...check) ([]Check, error) {
	t.Helper()
	c.Name, c.Like, c.Sources = "driven/v1", "", nil
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	plan := Plan{Policy: &policy.Policy{Contracts: []policy.Contract{c}}, Contract: c.Name, Specimen: s, URL: sim.URL(), Secret: s.Secret, World: sim}
	if by == nil {
		return Drive(ctx, plan, "run")
	}
	return drive(ctx, plan, "run", by...)
}

func resolved(t *testing.T, name string) policy.Contract {
	t.Helper()
	c, err := (&policy.Policy{}).Contract(name)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The contracts that come with Segue are what their APIs bear out, and every one has an API to be held against.
func TestShippedContracts(t *testing.T) {
	for _, c := range policy.Builtins() {
		t.Run(c.Name, func(t *testing.T) {
			s, ok := SpecimenFor(&policy.Policy{}, c.Name)
			if !ok || s.Contract != c.Name {
				t.Fatal("no API is simulated that it speaks of")
			}
			checks, err := driven(t, s, resolved(t, c.Name))
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range checks {
				t.Logf("%-10s %-12s %s: %s", one.State, one.Fact, one.Check, one.Says)
				if one.State == Wrong || one.State == Left && (one.Fact != "retry_after" || s.ComesBack) {
					t.Errorf("%s: %s is %s: %s", one.Fact, one.Check, one.State, one.Says)
				}
			}
		})
	}
}

// mutant is a contract with one fact changed.
type mutant struct {
	name   string
	change func(*policy.Contract)
}

// mutants change each fact of a contract once. The endpoint is where a test does not go, and the window of a derived key is no fact of an API.
func mutants(of policy.Contract) []mutant {
	list := []mutant{
		{"credential.header", func(c *policy.Contract) { c.Credential.Header = "X-Elsewhere" }},
		{"credential.value", func(c *policy.Contract) { c.Credential.Value = "Token {credential}" }},
		{"dialect", func(c *policy.Contract) {
			c.Dialect = map[bool]policy.Dialect{true: policy.Twilio, false: policy.Plain}[c.Dialect == policy.Plain]
		}},
	}
	add := func(stated bool, name string, change func(*policy.Contract)) {
		if stated {
			list = append(list, mutant{name, change})
		}
	}
	specimen, _ := SpecimenFor(&policy.Policy{}, of.Name)
	add(specimen.ComesBack, "retry_after", func(c *policy.Contract) { c.RetryAfter = "X-Nothing" })
	add(of.Credential.Path != "", "credential.path", func(c *policy.Contract) { c.Credential.Path = "/other/{user}/**" })
	add(of.ObjectID != "", "object_id", func(c *policy.Contract) { c.ObjectID = "absent" })
	add(of.ObjectID != "", "object_id of all", func(c *policy.Contract) {
		c.ObjectID = map[policy.Dialect]string{policy.Twilio: "status", policy.Plain: "type", policy.Stripe: "object", policy.OpenAI: "object"}[c.Dialect]
	})
	add(of.RateLimit.Limit != "", "rate_limit.limit", func(c *policy.Contract) { c.RateLimit.Limit = "X-Limit" })
	add(of.RateLimit.Remaining != "", "rate_limit.remaining", func(c *policy.Contract) { c.RateLimit.Remaining = c.RateLimit.Limit + "-remaining" })
	add(of.RateLimit.Reset != "", "rate_limit.reset", func(c *policy.Contract) { c.RateLimit.Reset = "X-Reset" })
	add(of.Recourse.Refund != "", "refund", func(c *policy.Contract) { c.Recourse.Refund = "charge-capture" })
	told := len(of.Fees) > 0 && specimen.Priced != nil
	add(told, "fees", func(c *policy.Contract) {
		c.Fees = []policy.ValueRule{{Amount: c.Fees[0].Currency, Currency: c.Fees[0].Currency}}
	})
	add(told, "fees.currency", func(c *policy.Contract) {
		c.Fees = []policy.ValueRule{{Amount: c.Fees[0].Amount, Currency: c.Fees[0].Amount}}
	})
	absent := []policy.Field{{In: "body", Name: "absent"}}
	add(len(of.Use.In) > 0, "use.in", func(c *policy.Contract) { c.Use.In = absent })
	add(len(of.Use.Out) > 0, "use.out", func(c *policy.Contract) { c.Use.Out = absent })
	add(len(of.Use.Segments) > 0, "use.segments", func(c *policy.Contract) { c.Use.Segments = absent })
	add(len(of.Codes) > 0, "codes", func(c *policy.Contract) { c.Codes = nil })
	list = append(list, keyMutants(of.Keys)...)
	list = append(list, recourseMutants(of)...)
	list = append(list, webhookMutants(of)...)
	for i, r := range of.Statuses {
		list = append(list, statusMutants(i, r)...)
	}
	for i, o := range of.Operations {
		list = append(list, operationMutants(i, o)...)
	}
	return list
}

func keyMutants(k policy.Keys) []mutant {
	if !k.Enforced {
		return []mutant{{"keys", func(c *policy.Contract) {
			c.Keys = policy.Keys{Header: "Idempotency-Key", Enforced: true, Life: time.Hour}
		}}}
	}
	list := []mutant{
		{"keys.header", func(c *policy.Contract) { c.Keys.Header = "X-Key" }},
		{"keys.enforced", func(c *policy.Contract) { c.Keys = policy.Keys{Header: c.Keys.Header, Ignored: true} }},
		{"keys", func(c *policy.Contract) { c.Keys = policy.Keys{} }},
		{"keys.life, longer", func(c *policy.Contract) { c.Keys.Life *= 2 }},
		{"keys.life, shorter", func(c *policy.Contract) { c.Keys.Life /= 2 }},
		{"keys.in_use", func(c *policy.Contract) { c.Keys.InUse = 423 }},
		{"keys.syntax, stated otherwise", func(c *policy.Contract) { c.Keys.Syntax = policy.SyntaxToken }},
		{"keys.max, stated otherwise", func(c *policy.Contract) { c.Keys.Max = 50 }},
	}
	if k.Max > 0 {
		list = append(list, mutant{"keys.max, longer", func(c *policy.Contract) { c.Keys.Max++ }}, mutant{"keys.max, shorter", func(c *policy.Contract) { c.Keys.Max-- }})
	}
	if k.Scope == policy.PerEndpoint {
		list = append(list, mutant{"keys.scope", func(c *policy.Contract) { c.Keys.Scope = policy.PerAccount }})
	}
	for _, r := range []policy.Stored{policy.StoredAll, policy.Stored2xx, policy.StoredNone} {
		if k.Replay != "" && r != k.Replay {
			list = append(list, mutant{"keys.replay " + string(r), func(c *policy.Contract) { c.Keys.Replay = r }})
		}
	}
	return list
}

func statusMutants(i int, r policy.StatusRule) []mutant {
	name := fmt.Sprintf("statuses[%d] %d-%d %s", i, r.From, r.To, r.Code)
	other := func(is, one, two string) string { return map[bool]string{true: two, false: one}[is == one] }
	rule := func(change func(*policy.StatusRule)) func(*policy.Contract) {
		return func(c *policy.Contract) { c.Statuses = slices.Clone(c.Statuses); change(&c.Statuses[i]) }
	}
	list := []mutant{
		{name + ": outcome", rule(func(r *policy.StatusRule) {
			r.Outcome = other(r.Outcome, policy.OutcomeUnknown, policy.OutcomeDeclined)
		})},
		{name + ": outcome not_sent or succeeded", rule(func(r *policy.StatusRule) {
			r.Outcome = other(r.Outcome, policy.OutcomeNotSent, policy.OutcomeSucceeded)
		})},
		{name + ": class", rule(func(r *policy.StatusRule) { r.Class = other(r.Class, policy.ClassOK, policy.ClassSlow) })},
	}
	if r.From < 500 { // what no rule covers is unknown, as a 5xx is
		list = append(list, mutant{name + ": gone", func(c *policy.Contract) { c.Statuses = slices.Delete(slices.Clone(c.Statuses), i, i+1) }})
	}
	if r.Code != "" {
		list = append(list, mutant{name + ": code", rule(func(r *policy.StatusRule) { r.Code += "x" })})
	}
	return list
}

func operationMutants(i int, o policy.OperationSpec) []mutant {
	op := func(change func(*policy.OperationSpec)) func(*policy.Contract) {
		return func(c *policy.Contract) { c.Operations = slices.Clone(c.Operations); change(&c.Operations[i]) }
	}
	list := []mutant{
		{o.Name + ": match", op(func(o *policy.OperationSpec) { o.Match = strings.Replace(o.Match, " /", " /x/", 1) })},
		{o.Name + ": read or effect", op(func(o *policy.OperationSpec) {
			if o.Read = !o.Read; o.Read {
				o.Key = policy.KeyRule{}
			} else {
				o.Key = policy.KeyRule{Required: true}
			}
		})},
		{o.Name + ": follows", op(func(o *policy.OperationSpec) {
			if len(o.Follows) == 0 {
				o.Follows = []policy.Field{{In: "body", Name: "x"}}
			} else {
				o.Follows = nil
			}
		})},
	}
	if len(o.Key.Derive) > 0 {
		list = append(list, mutant{o.Name + ": derive", op(func(o *policy.OperationSpec) { o.Key.Derive = []policy.Field{{In: "body", Name: "Absent"}} })})
	}
	return list
}

// TestEachFactCounts changes each fact of each shipped contract once, and wants the API to contradict it.
func TestEachFactCounts(t *testing.T) {
	for _, builtin := range policy.Builtins() {
		s, _ := SpecimenFor(&policy.Policy{}, builtin.Name)
		whole := resolved(t, builtin.Name)
		for i, m := range mutants(whole) {
			if testing.Short() && i%8 != 0 {
				continue // a part of them: the race detector learns nothing from the rest
			}
			t.Run(builtin.Name+"/"+m.name, func(t *testing.T) {
				c := whole
				m.change(&c)
				checks, err := driveAt(t, simulated(t, s), s, c, facts()...)
				if err != nil {
					t.Log("Validate refuses it:", err)
					return
				}
				if Failed(checks) == 0 {
					t.Error("nothing contradicts it")
				}
			})
		}
	}
}
