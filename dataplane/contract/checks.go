package contract

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"segue/controlplane/policy"
	"segue/regions"
)

func region() regions.Region { return regions.Region{Name: policy.Local} }

const simulatorOnly = "a simulator can be made to do this, an API cannot"

// answers checks what everything else stands on: the credential is taken, an effect succeeds, and what it made has an id.
func (d *driver) answers(ctx context.Context) bool {
	first := d.send(ctx, d.right, d.next(), d.key())
	ok := first.told() == policy.OutcomeSucceeded
	if !ok && first.Status != 401 {
		d.say("statuses", "an effect succeeds", false, "%s", first)
		return false
	}
	d.say("credential", "the credential is taken", first.Status != 401, "%s", first)
	if !ok {
		return false
	}
	d.say("statuses", "an effect succeeds", first.class() == policy.ClassOK, "%s", first)
	wrong := d.send(ctx, d.wrong, d.next(), d.key())
	d.say("credential", "another one is refused", wrong.Status == 401 && wrong.told() == policy.OutcomeNotSent, "%s", wrong)
	if d.contract.ObjectID == "" {
		return true
	}
	second := d.send(ctx, d.right, d.next(), d.key())
	a, b := first.field(d.contract.ObjectID), second.field(d.contract.ObjectID)
	switch {
	case a == "":
		d.say("object_id", "an answer holds it", false, "no field %s in the answer", d.contract.ObjectID)
	default:
		d.say("object_id", "two effects have two", a != b, "%s and %s", a, b)
	}
	return true
}

// operations checks that what one sends to the API is what the contract calls it.
func (d *driver) operations(context.Context) {
	if len(d.contract.Operations) == 0 {
		d.leave("operations", "requests are known", "the contract has none")
		return
	}
	s := d.compiled
	for _, r := range d.Specimen.Known {
		o, ok := s.Match(r.Method, r.Path)
		name := r.Method + " " + r.Path
		if !ok {
			d.say("operations", name, false, "no operation has it")
			continue
		}
		fine := o.Read == r.reads() && (o.Read || o.Key.Required || d.derives(o)) && (len(o.Follows) > 0) == r.Follows
		d.say("operations", name, fine, "%s, %s", o.Name, d.about(o))
	}
}

func (d *driver) about(o *policy.Operation) string {
	words := []string{"an effect"}
	if o.Read {
		words[0] = "a read"
	}
	if len(o.Follows) > 0 {
		words = append(words, "about an object")
	}
	if len(o.Key.Derive) > 0 {
		words = append(words, "with a key from its fields")
	}
	return strings.Join(words, ", ")
}

// derives tells whether the specimen's effect has every field that the key is made of.
func (d *driver) derives(o *policy.Operation) bool {
	r := d.Specimen.Effect("derive")
	h := r.header()
	for _, f := range o.Key.Derive {
		if _, ok := o.Value(f, r.Path, r.Type, []byte(r.Body), h.Get); !ok {
			return false
		}
	}
	return len(o.Key.Derive) > 0
}

// statuses checks that answers are read as the vendor means them.
func (d *driver) statuses(ctx context.Context) {
	for _, c := range d.Specimen.Cases {
		if c.Fail == 0 {
			d.read(c, d.send(ctx, d.right, c.Request(d.next()), d.key()))
			continue
		}
		if d.World == nil {
			d.leave("statuses", c.Name, simulatorOnly)
			continue
		}
		if err := d.World.Fail(c.Fail, c.Executed); err != nil {
			d.say("statuses", c.Name, false, "%v", err)
			continue
		}
		before := d.World.Executed()
		g := d.send(ctx, d.right, d.next(), d.key())
		_ = d.World.Let() // it was taken
		if done := d.World.Executed() > before; done != c.Executed {
			d.say("statuses", c.Name, false, "the simulator did not do as it was asked: executed %t", done)
			continue
		}
		d.read(c, g)
	}
}

func (d *driver) read(c Case, g *got) {
	want := fmt.Sprintf("%d, read as %s/%s", c.Status, c.Class, c.Outcome)
	d.say("statuses", c.Name, g.String() == want, "%s%s", g, unless(g.String() == want, "the vendor means "+want))
	if code := d.contract.ErrorCode(g.body); c.Code != "" {
		d.say("dialect", c.Name, code == c.Code, "the answer's code is %q%s", c.Code, unless(code == c.Code, fmt.Sprintf("read as %q", code)))
	}
}

// unless adds what is to be said where something is wrong.
func unless(fine bool, says string) string {
	if fine {
		return ""
	}
	return "; " + says
}

// told checks answers that only the vendor's pages tell of.
func (d *driver) told(context.Context) {
	if d.Specimen.NoCodes {
		d.say("dialect", "errors", d.contract.Dialect == policy.Plain, "they are in no dialect that is known")
	}
	for _, t := range d.Specimen.Told {
		class, outcome := d.contract.Classify(t.Status, d.contract.ErrorCode([]byte(t.Body)))
		fine := class == t.Class && outcome == t.Outcome
		d.say("statuses", t.Name, fine, "%d, read as %s/%s%s", t.Status, class, outcome, unless(fine, "the vendor means "+t.Class+"/"+t.Outcome))
	}
}

const comeBack = 7 * time.Second

func (d *driver) retryAfter(ctx context.Context) {
	const check = "a 429 says when to come back"
	if d.World == nil {
		d.leave("retry_after", check, simulatorOnly)
		return
	}
	if !d.Specimen.ComesBack {
		d.leave("retry_after", check, "the vendor's pages name no such header")
	} else if err := d.World.Limit(comeBack); err != nil {
		d.say("retry_after", check, false, "%v", err)
	} else {
		g := d.send(ctx, d.right, d.next(), d.key())
		_ = d.World.Let()
		d.say("retry_after", check, g.Sample.RetryAfter == comeBack && g.told() == policy.OutcomeNotSent, "%s, after %v; it was %v", g, g.Sample.RetryAfter, comeBack)
	}
}

func (d *driver) rateLimit(ctx context.Context) {
	h := d.contract.RateLimit
	if h == (policy.RateHeaders{}) {
		return
	}
	g := d.send(ctx, d.right, d.next(), d.key())
	for _, one := range [][2]string{{"limit", h.Limit}, {"remaining", h.Remaining}, {"reset", h.Reset}} {
		if one[1] == "" {
			continue
		}
		d.say("rate_limit", one[0], g.header.Get(one[1]) != "" && strings.Contains(strings.ToLower(one[1]), one[0]), "%s: %s", one[1], g.header.Get(one[1]))
	}
}

func (d *driver) refund(ctx context.Context) {
	name := d.contract.Recourse.Refund
	if name == "" {
		return
	}
	i := slices.IndexFunc(d.contract.Operations, func(o policy.OperationSpec) bool { return o.Name == name })
	if d.Specimen.Refund == nil || i < 0 {
		d.leave("refund", name, "nobody knows how to ask this API for one")
		return
	}
	made := d.send(ctx, d.right, d.next(), d.key()).field(d.contract.ObjectID)
	r := d.Specimen.Refund(made)
	method, path, _ := strings.Cut(d.contract.Operations[i].Match, " ")
	r.Method, r.Path = method, strings.ReplaceAll(path, "{id}", made)
	g := d.send(ctx, d.right, r, d.key())
	d.say("refund", name, g.told() == policy.OutcomeSucceeded && g.field(d.Specimen.Refunded) == made, "%s of %s", g, made)
}

// fees checks that an answer tells what its call cost, or used, where the contract says that it stands.
func (d *driver) fees(ctx context.Context) {
	d.states(ctx, "fees", "an answer tells what it cost", len(d.contract.Fees) > 0, d.Specimen.Priced, func(st *policy.Statement) bool { return st.Fee.Amount > 0 })
	d.states(ctx, "use", "an answer tells what was used", d.contract.Use.Set(), d.Specimen.Effect, func(st *policy.Statement) bool { return st.Use != policy.Use{} })
}

func (d *driver) states(ctx context.Context, fact, check string, stated bool, ask func(string) Request, there func(*policy.Statement) bool) {
	switch {
	case !stated:
		return
	case ask == nil:
		d.leave(fact, check, "nobody knows of an answer of this API that does")
		return
	}
	alone := *d.contract
	if fact == "use" {
		alone.Fees = nil
	}
	d.n++
	g := d.send(ctx, d.right, ask(fmt.Sprintf("%s-%d", d.run, d.n)), d.key())
	st := alone.Statement(g.header.Get("Content-Type"), g.body)
	d.say(fact, check, there(&st), "%s, %s %+v", g, st.Fee, st.Use)
}

// idle are the facts that no request shows.
func (d *driver) idle(context.Context) {
	r := &d.contract.Recourse
	for _, f := range []struct {
		fact   string
		stated bool
	}{{"settle", r.Settle > 0}} {
		if f.stated {
			d.leave(f.fact, "is stated", "how long a call may take to begin cannot be asked for")
		}
	}
}
