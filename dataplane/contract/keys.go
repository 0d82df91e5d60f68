package contract

import (
	"context"
	"fmt"
	"strings"
	"time"

	"segue/controlplane/policy"
)

// keys checks what becomes of the same key twice.
func (d *driver) keys(ctx context.Context) {
	k := d.contract.Keys
	if !k.Enforced {
		d.unheeded(ctx)
		return
	}
	d.once(ctx)
	d.otherBody(ctx)
	d.inUse(ctx)
	d.stored(ctx)
	d.longest(ctx)
	d.syntax(ctx)
	d.scope(ctx)
	d.life(ctx)
}

// executed is how many effects there were in between, or -1 where nobody can tell.
func (d *driver) executed(before int) int {
	if d.World == nil {
		return -1
	}
	return d.World.Executed() - before
}

func (d *driver) count() int {
	if d.World == nil {
		return 0
	}
	return d.World.Executed()
}

// unheeded checks that keys are not heeded where the contract says so, with the header that it names, or with the usual one.
func (d *driver) unheeded(ctx context.Context) {
	keyed, full := *d.right, *d.contract
	if full.Keys.Header == "" {
		if full.Keys.Header = d.Specimen.KeyHeader; full.Keys.Header == "" {
			full.Keys.Header = "Idempotency-Key"
		}
	}
	keyed.Contract = &full
	r, key, before := d.next(), d.key(), d.count()
	first, second := d.send(ctx, &keyed, r, key), d.send(ctx, &keyed, r, key)
	n := d.executed(before)
	both := first.told() == policy.OutcomeSucceeded && second.told() == policy.OutcomeSucceeded
	same := d.contract.ObjectID != "" && first.field(d.contract.ObjectID) == second.field(d.contract.ObjectID)
	if n < 0 && d.contract.ObjectID == "" {
		d.leave("keys", "the same key executes twice", "an answer without an id does not show it")
		return
	}
	d.say("keys", "the same key executes twice", both && !same && (n < 0 || n == 2), "%s, then %s; executed %s", first, second, times(n, same))
}

func times(n int, same bool) string {
	switch {
	case n == 1 || n < 0 && same:
		return "once"
	case n == 2 || n < 0:
		return "twice"
	default:
		return "neither once nor twice"
	}
}

// once checks that the same request under one key executes once, and is told again where answers are stored.
func (d *driver) once(ctx context.Context) {
	r, key, before := d.next(), d.key(), d.count()
	first, second := d.send(ctx, d.right, r, key), d.send(ctx, d.right, r, key)
	n := d.executed(before)
	same := first.field(d.contract.ObjectID) == second.field(d.contract.ObjectID)
	if d.contract.Keys.Replay == policy.StoredNone {
		d.say("keys", "the same key executes once", n == 1 || n < 0 && second.told() != policy.OutcomeSucceeded, "%s, then %s; executed %s", first, second, times(n, same))
		d.say("keys.replay", "the answer is not stored", second.told() != policy.OutcomeSucceeded, "%s, then %s", first, second)
		return
	}
	d.say("keys", "the same key executes once", second.told() == policy.OutcomeSucceeded && same && (n < 0 || n == 1), "%s, then %s; executed %s", first, second, times(n, same))
}

// otherBody checks that another request under a key that is taken decides nothing about the first.
func (d *driver) otherBody(ctx context.Context) {
	key := d.key()
	first := d.send(ctx, d.right, d.next(), key)
	before := d.count()
	g := d.send(ctx, d.right, d.next(), key)
	n := d.executed(before)
	told := g.told() == policy.OutcomeUnknown || d.contract.ObjectID != "" && g.field(d.contract.ObjectID) == first.field(d.contract.ObjectID) // some tell the first answer again
	d.say("keys", "another request under it executes nothing", told && n <= 0, "%s", g)
}

// inUse checks what is told while the first request under a key is in progress.
func (d *driver) inUse(ctx context.Context) {
	const check = "a second one meanwhile is unknown"
	k := d.contract.Keys
	if d.World == nil {
		d.leave("keys.in_use", check, simulatorOnly)
		return
	}
	taken, err := d.World.Hold()
	if err != nil {
		d.say("keys.in_use", check, false, "%v", err)
		return
	}
	r, key := d.next(), d.key()
	ended := make(chan struct{})
	slow, leave := context.WithCancel(ctx)
	go func() { defer close(ended); d.send(slow, d.right, r, key) }()
	defer func() { _ = d.World.Let(); leave(); <-ended }()
	if !until(ctx, taken) {
		d.say("keys.in_use", check, false, "the first request never came")
		return
	}
	g := d.send(ctx, d.right, r, key)
	d.say("keys.in_use", check, g.told() == policy.OutcomeUnknown && (k.InUse == 0 || g.Status == k.InUse), "%s; stated is %d", g, k.InUse)
}

// soon is how long something that happens beside a request may take.
const soon = 2 * time.Second

// until waits for what happens elsewhere, for a while.
func until(ctx context.Context, happened func() bool) bool { return within(ctx, soon, happened) }

func within(ctx context.Context, span time.Duration, happened func() bool) bool {
	end := time.Now().Add(span)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-ctx.Done():
			return false
		case now := <-tick.C:
			if now.After(end) {
				return false
			}
		}
	}
	return true
}

// stored checks whether an error is told again under its key.
func (d *driver) stored(ctx context.Context) {
	k := d.contract.Keys
	if k.Replay != policy.StoredAll && k.Replay != policy.Stored2xx {
		return
	}
	if d.World == nil {
		d.leave("keys.replay", "an error under the same key", simulatorOnly)
		return
	}
	r, key, before := d.next(), d.key(), d.count()
	if err := d.World.Fail(500, true); err != nil {
		d.say("keys.replay", "an error under the same key", false, "%v", err)
		return
	}
	first := d.send(ctx, d.right, r, key)
	_ = d.World.Let()
	second := d.send(ctx, d.right, r, key)
	n := d.executed(before)
	if k.Replay == policy.StoredAll {
		d.say("keys.replay", "an error is told again", second.Status == first.Status && n == 1, "%s, then %s; executed %s", first, second, times(n, true))
		return
	}
	d.say("keys.replay", "an error is not stored", second.told() == policy.OutcomeSucceeded, "%s, then %s", first, second)
}

// scope checks whether another endpoint of the provider knows the key.
func (d *driver) scope(ctx context.Context) {
	const check = "another endpoint executes it again"
	scope := d.contract.Keys.Scope
	switch {
	case scope == "":
		return
	case d.World == nil:
		d.leave("keys.scope", check, simulatorOnly)
		return
	}
	elsewhere := *d.right
	elsewhere.Endpoint = d.World.Elsewhere()
	r, key := d.next(), d.key()
	first, second := d.send(ctx, d.right, r, key), d.send(ctx, &elsewhere, r, key)
	again := second.told() == policy.OutcomeSucceeded && first.field(d.contract.ObjectID) != second.field(d.contract.ObjectID)
	d.say("keys.scope", check, again == (scope == policy.PerEndpoint), "%s there, then %s elsewhere; a key is one for each %s", first, second, scope)
}

// longest checks the longest key, and one that is longer by a byte.
func (d *driver) longest(ctx context.Context) {
	most := d.contract.Keys.Max
	if most == 0 {
		return
	}
	if d.contract.Keys.Syntax == policy.SyntaxUUID {
		d.leave("keys.max", "the longest key", "a UUID has one length")
		return
	}
	fill := func(n int) string {
		key := d.key()
		return (key + strings.Repeat("k", max(0, n-len(key))))[:n]
	}
	if most < len(d.key()) {
		d.leave("keys.max", "the longest key", "the keys of this test are longer")
		return
	}
	fits := d.send(ctx, d.right, d.next(), fill(most))
	d.say("keys.max", "the longest key is taken", fits.told() == policy.OutcomeSucceeded, "%d bytes: %s", most, fits)
	over := d.send(ctx, d.right, d.next(), fill(most+1))
	d.say("keys.max", "a longer one is not", over.Status >= 400 && over.Status < 500, "%d bytes: %s", most+1, over)
}

// syntax checks that keys of another make are refused, so that nothing is sent twice under what was taken for a key.
func (d *driver) syntax(ctx context.Context) {
	if d.contract.Keys.Syntax == "" {
		return
	}
	d.n++
	g := d.send(ctx, d.right, d.next(), fmt.Sprintf("a key, %d: of another make", d.n))
	d.say("keys.syntax", "a key of another make is not taken", g.Status >= 400 && g.Status < 500, "%s", g)
}

// life checks that a key is remembered for as long as stated, and no longer: who relies on more executes twice.
func (d *driver) life(ctx context.Context) {
	if d.World == nil {
		d.leave("keys.life", "how long a key is remembered", "an API's clock is its own")
		return
	}
	life := d.contract.Keys.Life
	const margin = time.Minute // what the run itself takes, and more
	r, key := d.next(), d.key()
	d.send(ctx, d.right, r, key)
	d.World.Advance(life - margin)
	before := d.count()
	late := d.send(ctx, d.right, r, key)
	d.say("keys.life", "it is remembered until then", d.executed(before) == 0, "after %v: %s", life-margin, late)
	d.World.Advance(2 * margin)
	before = d.count()
	after := d.send(ctx, d.right, r, key)
	d.say("keys.life", "it is forgotten then", d.executed(before) == 1, "after %v: %s", life+margin, after)
}
