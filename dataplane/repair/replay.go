package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"segue/dataplane/ledger"
)

// verdict is how one try of a hint went: it ended, or must be tried again, or a person must look.
type verdict struct {
	result Result
	held   string
	err    error
}

// failed tells an outage from a refusal.
func (r *Repair) failed(err error) verdict {
	if r.opts.Outage(err) {
		return verdict{err: err}
	}
	return verdict{held: "the store refuses it: " + err.Error()}
}

// replayRange is the replayer of one key range.
func (r *Repair) replayRange(ctx context.Context, i int) {
	g := r.ranges[i]
	p := pace{}
	for ctx.Err() == nil {
		if r.paused() {
			r.rest(ctx, g, poll)
			continue
		}
		if next, ok := g.nudged(); ok {
			p = r.step(ctx, g, p, func(ctx context.Context) error { return r.replayKey(ctx, next) })
			continue
		}
		hints := r.log.waiting(batch, func(e *entry) bool { return int(e.Key[0])%len(r.ranges) == i && e.stage == pending && r.young(e) })
		if len(hints) == 0 {
			r.rest(ctx, g, poll)
		}
		for n := 0; n < len(hints) && ctx.Err() == nil && !r.paused() && len(g.first) == 0; n++ {
			p = r.step(ctx, g, p, func(ctx context.Context) error { return r.replay(ctx, hints[n].ID) })
			if p.failures > 0 {
				break // the order of a key is kept: what follows waits
			}
		}
	}
}

func (g *keyRange) nudged() (place, bool) {
	select {
	case p := <-g.first:
		return p, true
	default:
		return place{}, false
	}
}

// step replays under the range's lock and waits as long as its pace says.
func (r *Repair) step(ctx context.Context, g *keyRange, p pace, do func(context.Context) error) pace {
	p, err := r.try(ctx, g, p, do)
	if err != nil && p.failures == 1 && ctx.Err() == nil {
		r.opts.Log.Warn("hints wait: the store does not take them", "error", err)
	}
	if w := p.wait(rand.Float64()); w > 0 {
		g.pause(ctx, w, p.failures > 0)
	}
	return p
}

// try replays under the range's lock, and takes its time.
func (r *Repair) try(ctx context.Context, g *keyRange, p pace, do func(context.Context) error) (pace, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	begun := time.Now()
	err := do(ctx)
	if err != nil {
		p.failures++
	} else {
		p = p.observed(time.Since(begun))
		p.failures = 0
	}
	p.front, p.rate = r.front.Load(), r.steered().Rate/float64(len(r.ranges))
	return p, err
}

// reached notes that the store answered. Replayers that wait for it try at once.
func (r *Repair) reached() {
	if !r.down.Load() || !r.down.Swap(false) {
		return
	}
	for _, g := range r.ranges {
		select {
		case g.back <- struct{}{}:
		default:
		}
	}
}

// rest waits to be woken.
func (r *Repair) rest(ctx context.Context, g *keyRange, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-g.wake:
	case <-t.C:
	}
}

// pause waits. Who waits for the store goes on when it is back.
func (g *keyRange) pause(ctx context.Context, d time.Duration, failed bool) {
	t := time.NewTimer(d)
	defer t.Stop()
	back := g.back
	if !failed {
		back = nil
	}
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-back:
	}
}

// young tells whether a hint may be replayed without being asked for: an older one could bring back what the store has forgotten since.
func (r *Repair) young(e *entry) bool { return r.opts.Now().Sub(e.At) <= r.log.opts.Age }

// replayKey replays the hints of one key in their order. The caller holds its range.
func (r *Repair) replayKey(ctx context.Context, p place) error {
	for _, e := range r.log.of(p, pending) {
		if !r.young(&e) {
			continue
		}
		if err := r.replay(ctx, e.ID); err != nil {
			return err
		}
	}
	return nil
}

// replay brings one hint into the store, if it is still waiting. The caller holds its range. An error means: try again later.
func (r *Repair) replay(ctx context.Context, id ID) error {
	if !r.log.is(id, pending) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	r.opts.at("replay.begin")
	v := r.apply(ctx, id)
	r.opts.at("replay.applied")
	switch {
	case v.err != nil:
		r.counts.failed.Add(1)
		r.down.Store(true)
		return v.err
	case v.held != "":
		r.counts.held.Add(1)
		r.log.hold(id, v.held)
		r.opts.Log.Error("a hint needs a person", "hint", fmt.Sprintf("%x", id), "why", v.held)
	default:
		r.counted(v.result)
		r.meter.add(r.opts.Now())
		r.end(id, v.result)
	}
	r.opts.at("replay.ended")
	r.reached()
	return nil
}

// end notes how a hint ended, here and at the mirror.
func (r *Repair) end(id ID, result Result) {
	r.log.End(id, result)
	r.ended.add(id)
}

func (r *Repair) counted(result Result) {
	switch result {
	case Applied:
		r.counts.applied.Add(1)
	case Superseded:
		r.counts.superseded.Add(1)
	case Discarded:
		r.counts.discarded.Add(1)
	}
}

// apply brings one hint into the store.
func (r *Repair) apply(ctx context.Context, id ID) verdict {
	c, err := r.open(id)
	switch {
	case err != nil:
		return verdict{held: err.Error()}
	case c.row != nil:
		return r.put(ctx, c.row)
	case c.object != nil:
		err = r.ledger.Own(ctx, *c.object)
	default:
		if err = r.sessions.Append(ctx, c.talk.key(), c.talk.Events...); err == nil {
			r.seen.change(c.talk.key(), c.talk.Events)
		}
	}
	if err != nil {
		return r.failed(err)
	}
	return verdict{result: Applied}
}

// content is what a hint says: a session's events, a transaction's row, or an object with its owner.
type content struct {
	talk   *talk
	row    *ledger.Transaction
	object *ledger.Object
}

// open reads a hint.
func (r *Repair) open(id ID) (c content, err error) {
	e, ok := r.log.find(id)
	if !ok {
		return c, ErrUnknown
	}
	b, err := r.log.payload(&e)
	if err != nil {
		return c, err
	}
	switch e.Kind {
	case OfSession:
		c.talk, err = decodeTalk(b)
	case OfObject:
		c.object, err = decodeObject(b)
	default:
		if c.row, err = ledger.Decode(b); err == nil && !proof(c.row) && !intended(c.row) {
			err = fmt.Errorf("%w: hint %x has no outcome", ErrCorrupt, id)
		}
	}
	return c, err
}

// decodeObject reads who owns an object. Unknown fields are a newer program's: none may be lost.
func decodeObject(b []byte) (*ledger.Object, error) {
	o := &ledger.Object{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(o); err != nil {
		return nil, fmt.Errorf("%w: the owner of an object: %w", ErrNewer, err)
	}
	return o, nil
}

// Filter says which hints are meant. The zero value: all that wait and are not past their age.
type Filter struct {
	Kind     Kind   // 0: any
	From, To uint64 // numbers of hints; To 0: to the last
	Held     bool   // those too that a person must look at
	Old      bool   // those too that are past their age
	Limit    int    // 0: all
}

func (f Filter) passes(r *Repair, e *entry) bool {
	return (f.Kind == 0 || f.Kind == e.Kind) && e.Seq >= f.From && (f.To == 0 || e.Seq <= f.To) &&
		(e.stage == pending || f.Held && e.stage == stuck) && (f.Old || r.young(e))
}

func (r *Repair) chosen(f Filter) []entry {
	limit := f.Limit
	if limit <= 0 {
		limit = int(^uint(0) >> 1)
	}
	return r.log.waiting(limit, func(e *entry) bool { return f.passes(r, e) })
}

// Line is what a hint is, and what its replay did or would do.
type Line struct {
	Hint
	About string // for people: the transaction and its outcome, the session, or the object
	Held  string // why a person must look
	Does  string // "apply", "superseded", "held", or empty: not looked at
}

// List returns the hints that pass, oldest first, as they stand.
func (r *Repair) List(f Filter) []Line {
	var out []Line
	for _, e := range r.chosen(f) {
		out = append(out, Line{Hint: e.Hint, Held: e.why, About: r.about(e.ID)})
	}
	return out
}

// about says what a hint is about, without what it holds.
func (r *Repair) about(id ID) string {
	c, err := r.open(id)
	switch {
	case err != nil:
		return "it cannot be opened"
	case c.row != nil:
		a := c.row.Current()
		return fmt.Sprintf("%s: %s at %s", c.row.ID, a.Outcome, a.Provider)
	case c.object != nil:
		return fmt.Sprintf("%s belongs to %s", c.object.ID, c.object.Provider)
	default:
		return fmt.Sprintf("session %s: %d changed", c.talk.ID, len(c.talk.Events))
	}
}

// DryRun tells what a replay of the hints that pass would do. It writes nothing.
func (r *Repair) DryRun(ctx context.Context, f Filter) ([]Line, error) {
	var out []Line
	for _, e := range r.chosen(f) {
		l, err := r.would(ctx, &e)
		if errors.Is(err, ErrUnknown) {
			continue // it was replayed since
		}
		if err != nil {
			return out, err
		}
		out = append(out, l)
	}
	return out, nil
}

func (r *Repair) would(ctx context.Context, e *entry) (Line, error) {
	l := Line{Hint: e.Hint, Does: "apply"}
	c, err := r.open(e.ID)
	if errors.Is(err, ErrUnknown) {
		return l, err
	}
	if err != nil {
		l.Does, l.Held = "held", err.Error()
		return l, nil
	}
	l.About = r.about(e.ID)
	ctx, cancel := context.WithTimeout(ctx, r.opts.Timeout)
	defer cancel()
	if c.row == nil {
		there, err := r.there(ctx, c)
		if err != nil {
			return l, fmt.Errorf("repair: dry run: %w", err)
		}
		if there {
			l.Does = "superseded"
		}
		return l, nil
	}
	current, err := r.ledger.Load(ctx, c.row.Key)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return l, fmt.Errorf("repair: dry run: %w", err)
	}
	if current == nil && intended(c.row) || current != nil && !atPin(c.row) && current.Version == c.row.Version-1 && current.ID == c.row.ID {
		return l, nil
	}
	if next, v := merge(current, c.row); next == nil {
		l.Does, l.Held = "superseded", v.held
		if v.held != "" {
			l.Does = "held"
		}
	}
	return l, nil
}

// Replayed is what a replay did.
type Replayed struct{ Ended, Held int }

// Replay replays the hints that pass, now, at the replayers' pace, paused or not. It ends at the first that the store does not take.
func (r *Repair) Replay(ctx context.Context, f Filter) (Replayed, error) {
	var done Replayed
	p := pace{}
	for _, e := range r.chosen(f) {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if e.stage == stuck {
			r.log.retry(e.ID)
		}
		var err error
		g := r.of(e.place())
		if p, err = r.try(ctx, g, p, func(ctx context.Context) error { return r.replay(ctx, e.ID) }); err != nil {
			return done, fmt.Errorf("repair: hint %d is left: %w", e.Seq, err)
		}
		g.pause(ctx, p.wait(rand.Float64()), false)
		if r.log.is(e.ID, stuck) {
			done.Held++
		} else {
			done.Ended++
		}
	}
	return done, nil
}

// Discard gives a hint up. The reason is logged: nothing else ends a hint without the store.
func (r *Repair) Discard(id ID, reason string) error {
	if reason == "" {
		return errors.New("repair: discarding a hint needs a reason")
	}
	e, ok := r.log.find(id)
	if !ok || e.stage == replayed {
		return fmt.Errorf("%w: %x", ErrUnknown, id)
	}
	g := r.of(e.place())
	g.mu.Lock()
	defer g.mu.Unlock()
	r.end(id, Discarded)
	r.counted(Discarded)
	r.opts.Log.Warn("a hint was discarded", "hint", fmt.Sprintf("%x", id), "kind", e.Kind.String(), "reason", reason)
	return nil
}
