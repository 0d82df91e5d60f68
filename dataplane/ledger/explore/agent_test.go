package explore

import (
	"fmt"

	"segue/dataplane/ledger"
)

// kind is what a provider offers.
type kind struct {
	enforced bool
	means    ledger.Means
}

// class is two providers, mostly of one kind, and the bounds of a run.
type class struct {
	name     string
	kinds    [2]kind
	leave    ledger.Leave
	attempts int
	sends    int
	retries  bool // the client may ask again, at either agent, at any time
	once     bool // class N: at most one execution or create under way
	kept     bool // bytes are kept: background work sends again
	two      bool // clients, with one key
	states   int  // how many there are: a space that shrank is no proof
}

// explorer makes the successors of states. The shipped rules say what an agent does; the explorer lets things happen in between.
type explorer struct {
	class
	bench
	emit  func(label string, s state)
	fault string // a broken promise that only a move shows
}

// of is the kind of the provider that knows a key.
func (x *explorer) of(slot int) *kind { return &x.kinds[slot&1] }

// agent makes every move of agent i.
func (x *explorer) agent(s *state, i int) {
	a := &s.ag[i]
	if !a.up {
		n := *s
		n.ag[i] = agent{up: true, hint: a.hint}
		x.emit("restart", n)
		return
	}
	switch a.phase {
	case idle:
		x.idle(s, i)
	case writing:
		x.write(s, i)
	case ready:
		x.send(s, i)
	case deciding:
		x.decide(*s, i, "decide")
		x.pass(s, i)
	case looking:
		x.pass(s, i)
	case waiting:
		x.wait(s, i)
	case polling:
		x.meet(*s, i, "poll")
	case sent, cancelling: // the world moves
	}
}

func (x *explorer) idle(s *state, i int) {
	a := &s.ag[i]
	for c := range s.listens {
		if a.lapsed || s.asked && !x.retries || c > 0 && !x.two {
			break
		}
		n := *s
		n.toldBefore(c)
		n.asked, n.listens[c] = true, uint8(i+1)
		for k := range n.told {
			if n.told[k] == toldNotSent { // a new request
				n.told[k] = 0
			}
		}
		n.ag[i].live = true
		x.request(n, i)
	}
	if a.hint > 0 {
		n := *s
		h := a.hint - 1
		n.ag[i].local, n.ag[i].fresh, n.ag[i].phase = s.row, true, deciding
		n.ag[i].ev = evidence{kind: uint8(ledger.FromAnswer), outcome: uint8(ledger.Succeeded) + h%2, att: h / 2}
		x.emit("hint", n)
	}
	if !a.lapsed && s.asked && s.row == (row{}) {
		x.plant(*s, i)
	}
	if a.lapsed || !s.row.pending() {
		return
	}
	if s.row.run == uint8(i+1) {
		x.emit("verify", x.timer(*s, i))
	} else {
		n := *s
		n.lapse()
		x.take(n, i, "sweep")
	}
}

// lapse lets the lease of the row's driver, if he lives, be found unchanged for too long. That may happen at any time, and matters when
// somebody takes his row.
func (s *state) lapse() {
	if r := s.row.run; r > 0 && r < dead {
		s.ag[r-1].lapsed = true
	}
}

// plant keeps out a claim that may come late: its entry was found, and no row. The run that wrote the entry is fenced first. An entry is there from
// the begin of its claim on; one that never gets there, or later, only means that nobody plants.
func (x *explorer) plant(s state, i int) {
	if o := &s.ag[1-i]; o.phase == writing {
		o.lapsed = true
	}
	a := &s.ag[i]
	a.local, a.fresh = read(ledger.Plant("tx", ledger.Key{}, base), &row{}), true
	x.put(s, i, opPlant, "plant")
}

func (x *explorer) timer(s state, i int) state {
	a := &s.ag[i]
	a.local, a.fresh, a.phase = s.row, true, deciding
	a.ev = evidence{kind: uint8(ledger.FromTimer), outcome: uint8(ledger.Unknown), att: s.row.n - 1}
	return s
}

// toldBefore lets other clients go whose not_sent stands in the row already: they are told what was true before this client's request, which
// may come true no more when they hear it.
func (s *state) toldBefore(client int) {
	for i := range s.ag {
		if a := &s.ag[i]; a.op != opEnd || !a.applied || a.local.state != uint8(ledger.Refused) {
			continue
		}
		for c := range s.listens {
			if c != client && s.listens[c] == uint8(i+1) {
				s.listens[c] = 0
			}
		}
	}
}

// request is a new request at agent i.
func (x *explorer) request(s state, i int) {
	a := &s.ag[i]
	a.local, a.fresh = s.row, true
	switch {
	case s.row.n == 0 || s.row.state == uint8(ledger.Refused) && int(s.row.n) < x.attempts:
		x.begin(s, i, "request")
	case s.row.state == uint8(ledger.Refused):
		x.tell(s, i, toldNotSent, "request: told again")
	default:
		x.meet(s, i, "request")
	}
}

// begin writes the INTENT of a new attempt at the other provider.
func (x *explorer) begin(s state, i int, label string) {
	a := &s.ag[i]
	if !a.live {
		x.fault = "I5: a new attempt without a live exchange"
	}
	t := x.build(&a.local, s.age, a.win)
	if a.local.n == 0 {
		t.State = 0
	}
	prov := uint8(0)
	if a.local.n > 0 {
		prov = 1 - a.local.cur().parts().prov
	}
	was := a.local
	name := providers[prov]
	if err := t.Begin(ledger.Attempt{ID: ids[len(t.Attempts)], Provider: name, Reference: ledger.Reference(t, name, "")}, runs[i+1]); err != nil {
		x.fault = fmt.Sprintf("the row refuses the step that the rule says: %v", err)
		return
	}
	a.local = read(t, &was)
	a.win = false
	x.put(s, i, opIntent, label)
}

// put begins a write of the agent's copy.
func (x *explorer) put(s state, i int, o op, label string) {
	a := &s.ag[i]
	a.phase, a.op, a.applied, a.before, a.post, a.old = writing, o, false, false, false, false
	if o != opEnd {
		a.ev = evidence{}
	}
	x.emit(label, s)
}

func (x *explorer) take(s state, i int, label string) {
	a := &s.ag[i]
	a.local, a.fresh = s.row, true
	t := x.build(&a.local, s.age, false)
	t.TakeOver(runs[i+1], base)
	a.local = read(t, &s.row)
	a.win, a.ev = false, evidence{}
	x.put(s, i, opTake, label)
}

// meet is an exchange that finds a row which it does not drive, or a run's work after it lost its row.
func (x *explorer) meet(s state, i int, label string) {
	a := &s.ag[i]
	if !a.live {
		x.rest(s, i, label)
		return
	}
	a.local, a.fresh, a.ev = s.row, true, evidence{}
	switch {
	case s.row.final():
		x.tell(s, i, s.row.outcome(), label)
	case s.row.state == uint8(ledger.Refused) && !s.row.told:
		if int(s.row.n) < x.attempts {
			x.begin(s, i, label+": reopened")
		}
		t := x.build(&a.local, s.age, a.win)
		x.must(t.Tell())
		a.local = read(t, &s.row)
		x.put(s, i, opEnd, label+": told")
	case s.row.state == uint8(ledger.Refused):
		x.tell(s, i, toldNotSent, label)
	case s.row.run == uint8(i+1):
		x.emit(label, x.timer(s, i))
	default:
		if !a.lapsed && s.row.pending() {
			n := s
			if n.row.state != uint8(ledger.Held) {
				n.lapse()
			}
			x.take(n, i, label+": taken over")
		}
		a.phase = polling
		a.local = row{}
		x.emit(label, s)
	}
}

func (r *row) outcome() uint8 {
	switch ledger.State(r.state) {
	case ledger.DoneSucceeded:
		return toldSucceeded
	case ledger.DoneDeclined:
		return toldDeclined
	default:
		return toldNotSent
	}
}

// tell answers the caller, if he still listens here.
func (x *explorer) tell(s state, i int, what uint8, label string) {
	if s.ag[i].live {
		s.answer(i, what)
	}
	x.rest(s, i, label)
}

// answer tells whoever waits at agent i.
func (s *state) answer(i int, what uint8) {
	for c := range s.listens {
		if s.listens[c] == uint8(i+1) {
			s.told[c], s.listens[c] = what, 0
		}
	}
}

// leave lets whoever waits at agent i go without an answer.
func (s *state) leave(i int) {
	for c := range s.listens {
		if s.listens[c] == uint8(i+1) {
			s.listens[c] = 0
		}
	}
}

// rest ends what an agent does. A hint goes once its outcome is in the row.
func (x *explorer) rest(s state, i int, label string) {
	a := s.ag[i]
	s.ag[i] = agent{up: true, lapsed: a.lapsed, hint: a.hint}
	if s.row.final() {
		s.ag[i].hint = 0
	}
	s.leave(i)
	x.emit(label, s)
}

// write lets a pending write arrive, and its agent learn of it: at once, late, or as a loss that was a win.
func (x *explorer) write(s *state, i int) {
	a := &s.ag[i]
	if a.fresh && !a.applied {
		n := *s
		x.apply(&n, a.local, a.op)
		n.ag[i].applied, n.ag[i].fresh = true, true
		x.emit("written", n)
	}
	if a.applied {
		x.learn(*s, i)
	}
	if !a.fresh {
		x.lost(*s, i)
	}
}

// apply puts a row into the store: what others read before is old from now on.
func (x *explorer) apply(s *state, r row, o op) {
	if r.n > s.row.n {
		s.age = 0
	}
	s.row = r
	for j := range s.ag {
		s.ag[j].fresh = false
	}
	s.haunts, s.ghost = [2]bool{}, [2]row{}
	if o == opTake {
		sl := r.cur().slot()
		s.pre[sl], s.post[sl] = min(s.pre[sl]+s.post[sl], maxCreates), 0
	}
}

func (x *explorer) learn(s state, i int) {
	a := &s.ag[i]
	o := a.op
	a.op, a.applied = 0, false
	switch o {
	case opIntent:
		a.phase, a.ev = ready, evidence{}
		x.emit("learnt", s)
	case opTake:
		a.phase = deciding
		a.ev = evidence{kind: uint8(ledger.FromTimer), outcome: uint8(ledger.Unknown), att: a.local.n - 1}
		x.emit("learnt", s)
	case opCancel:
		a.phase, a.ev = cancelling, evidence{}
		x.emit("learnt", s)
	case opPlant:
		x.rest(s, i, "learnt: planted")
	case opEnd:
		if a.local.state == uint8(ledger.Held) {
			x.rest(s, i, "learnt: held")
		} else {
			x.tell(s, i, a.local.outcome(), "learnt: told")
		}
	}
}

// lost is a write that another one came before, or after: what is in hand is held against the row as it is.
func (x *explorer) lost(s state, i int) {
	a := &s.ag[i]
	o := a.op
	a.op, a.applied, a.win, a.old = 0, false, false, false
	if o == opEnd && a.ev.kind != 0 && s.row.n > a.ev.att {
		a.local, a.fresh, a.phase = s.row, true, deciding
		x.emit("lost", s)
		return
	}
	x.meet(s, i, "lost")
}

// send is the check and the first byte.
func (x *explorer) send(s *state, i int) {
	a := &s.ag[i]
	age := sendBy / 2
	if a.old {
		age = keyLife
	}
	n := *s
	b := &n.ag[i]
	if ledger.MaySend(age, sendBy, a.lapsed) {
		b.phase, b.old = sent, false
		b.post = x.of(a.local.cur().slot()).means.Settle > 0 && (s.row.run != uint8(i+1) || !a.fresh)
		x.emit("first byte", n)
	}
	n = *s
	b = &n.ag[i]
	b.phase, b.old = deciding, false
	b.ev = evidence{kind: uint8(ledger.FromStaleSend), outcome: uint8(ledger.NotSent), att: a.local.n - 1, redrive: a.local.cur().parts().sends > 1}
	x.emit("stale", n)
}

func (x *explorer) wait(s *state, i int) {
	n := *s
	n.ag[i].phase = deciding
	n.ag[i].ev = evidence{kind: uint8(ledger.FromTimer), outcome: uint8(ledger.Unknown), att: s.ag[i].local.n - 1}
	x.emit("look again", n)
	if s.ag[i].win || !x.quiet(s, i) {
		return
	}
	n.ag[i].win = true
	x.emit("window passed", n)
}

// pass lets the settle window pass while a lookup is under way, or while its agent is paused: what it did not find is older than the window.
func (x *explorer) pass(s *state, i int) {
	a := &s.ag[i]
	if a.win || !(a.phase == looking || a.ev.kind == uint8(ledger.FromLookup)) || !x.quiet(s, i) {
		return
	}
	n := *s
	n.ag[i].win = true
	if a.phase == looking {
		n.ag[i].before = true
	} else {
		n.ag[i].ev.before = true
	}
	x.emit("window passed meanwhile", n)
}

// quiet tells whether agent i's settle window may have passed: there is one, and nothing that was sent before it began is under way.
func (x *explorer) quiet(s *state, i int) bool {
	cur := s.ag[i].local.cur()
	sl := cur.slot()
	if x.of(sl).means.Settle == 0 || s.pre[sl] > 0 {
		return false
	}
	o := &s.ag[1-i]
	same := o.local.n > 0 && o.local.cur().slot() == sl
	return !(same && (o.phase == sent && !o.post || o.phase == ready && !o.lapsed))
}
