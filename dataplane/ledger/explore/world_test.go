package explore

import "segue/dataplane/ledger"

// world makes every move that no agent makes.
func (x *explorer) world(s *state) {
	for i := range s.ag {
		if s.ag[i].up {
			x.around(s, i)
		}
		if s.haunts[i] {
			n := *s
			x.apply(&n, s.ghost[i], opIntent)
			x.emit("a dead run's write arrives", n)
		}
	}
	for sl := range slots {
		x.underWay(s, sl)
	}
	x.ages(s)
}

// around is what happens to an agent and to what it has under way.
func (x *explorer) around(s *state, i int) {
	a := &s.ag[i]
	switch a.phase {
	case sent:
		x.create(s, i)
	case looking:
		x.look(s, i)
	case cancelling:
		x.void(s, i)
	case idle, writing, ready, deciding, waiting, polling:
	}
	if a.phase != idle || s.row.run == uint8(i+1) {
		x.crash(*s, i)
	} else if a.lapsed {
		x.crash(*s, i)
	}
	if a.live {
		n := *s
		n.ag[i].live = false
		n.leave(i)
		if a.phase == polling {
			n.ag[i] = agent{up: true, lapsed: a.lapsed, hint: a.hint}
		}
		x.emit("deadline", n)
	}
}

func (x *explorer) crash(s state, i int) {
	a := s.ag[i]
	s.ag[i] = agent{hint: a.hint}
	s.leave(i)
	if s.row.run == uint8(i+1) {
		s.row.run = dead
	}
	if s.haunts[i] && s.ghost[i].run == uint8(i+1) {
		s.ghost[i].run = dead
	}
	other := &s.ag[1-i]
	if other.local.run == uint8(i+1) {
		other.local.run = dead
	}
	if a.phase == writing && a.fresh && !a.applied {
		if a.local.run == uint8(i+1) {
			a.local.run = dead
		}
		s.ghost[i], s.haunts[i] = a.local, true
	}
	if a.phase == sent {
		n := s
		if x.late(&n, a.local.cur().slot(), a.post) {
			x.emit("crash: its create goes on", n)
		}
	}
	if a.phase == cancelling {
		n := s
		n.cancels[a.local.cur().slot()] = true
		x.emit("crash: its cancel goes on", n)
	}
	x.emit("crash", s)
}

func (x *explorer) late(s *state, sl int, post bool) bool {
	if s.pre[sl]+s.post[sl] >= maxCreates {
		return false
	}
	if post {
		s.post[sl]++
	} else {
		s.pre[sl]++
	}
	return true
}

// arrive is a create that reaches its provider: what it executes, and the outcome that the reply tells.
func (x *explorer) arrive(s *state, sl int, yes bool) ledger.Outcome {
	o, k := &s.obj[sl], x.of(sl)
	if o.status == blocked {
		return ledger.NotSent
	}
	if k.enforced && o.status != none && s.age < 2 {
		if o.status == declined {
			return ledger.Declined
		}
		return ledger.Succeeded // a replay: what was voided since is told as it was
	}
	if yes {
		o.live++
		if o.status != settled {
			o.status = live
		}
		return ledger.Succeeded
	}
	if o.status == none && !k.means.Forgets {
		o.status = declined
	}
	return ledger.Declined
}

// create ends the wait for a create: the world does with it what it likes.
func (x *explorer) create(s *state, i int) {
	a := &s.ag[i]
	sl := a.local.cur().slot()
	for _, yes := range []bool{true, false} {
		n := *s
		o := x.arrive(&n, sl, yes)
		x.reply(n, i, o, "create arrives")
		x.reply(n, i, ledger.Unknown, "create arrives, reply lost")
	}
	x.reply(*s, i, ledger.NotSent, "create refused")
	x.reply(*s, i, ledger.Unknown, "create lost")
	n := *s
	if x.late(&n, sl, a.post) {
		x.reply(n, i, ledger.Unknown, "create late")
	}
}

func (x *explorer) reply(s state, i int, o ledger.Outcome, label string) {
	a := &s.ag[i]
	a.ev = evidence{kind: uint8(ledger.FromAnswer), outcome: uint8(o), att: a.local.n - 1, redrive: a.local.cur().parts().sends > 1}
	if o == ledger.Unknown { // a time-out says no more than a timer: one state for both
		a.ev = evidence{kind: uint8(ledger.FromTimer), outcome: uint8(o), att: a.local.n - 1}
	}
	a.phase, a.post = deciding, false
	x.emit(label, s)
}

// look ends a lookup: it reads what the provider knows now, and may be decided on much later.
func (x *explorer) look(s *state, i int) {
	a := &s.ag[i]
	e := evidence{kind: uint8(ledger.FromLookup), outcome: uint8(ledger.Unknown), att: a.local.n - 1, before: a.before}
	answer := e
	switch s.obj[a.local.cur().slot()].status {
	case none:
		answer.finding = uint8(ledger.Absent)
	case live, settled:
		answer.outcome = uint8(ledger.Succeeded)
	case voided, blocked:
		answer.finding = uint8(ledger.Voided)
	case declined:
		answer.outcome = uint8(ledger.Declined)
	}
	for _, e := range []evidence{e, answer} {
		n := *s
		n.ag[i].ev, n.ag[i].phase, n.ag[i].before = e, deciding, false
		x.emit("lookup ends", n)
	}
}

// strike is a cancel that reaches its provider; whether it comes too late for what is live is the provider's.
func (x *explorer) strike(s *state, sl int, late bool) ledger.Finding {
	o := &s.obj[sl]
	switch o.status {
	case live:
		if late {
			o.status = settled
			return ledger.TooLate
		}
		o.status, o.live = voided, 0
		return ledger.Voided
	case settled:
		return ledger.TooLate
	case voided, blocked:
		return ledger.Voided
	case none:
		if x.of(sl).means.Blocks {
			o.status = blocked
			return ledger.Voided
		}
		return ledger.Absent
	default:
		return ledger.Absent
	}
}

func (x *explorer) void(s *state, i int) {
	a := &s.ag[i]
	sl := a.local.cur().slot()
	e := evidence{kind: uint8(ledger.FromCancel), outcome: uint8(ledger.Unknown), att: a.local.n - 1}
	end := func(s state, e evidence, label string) {
		if e.finding == uint8(ledger.NoFinding) { // no answer says no more than a timer
			e.kind = uint8(ledger.FromTimer)
		}
		s.ag[i].ev, s.ag[i].phase = e, deciding
		x.emit(label, s)
	}
	for _, late := range []bool{false, true} {
		n := *s
		answer := e
		answer.finding = uint8(x.strike(&n, sl, late))
		end(n, answer, "cancel arrives")
		end(n, e, "cancel arrives, reply lost")
	}
	end(*s, e, "cancel lost")
	n := *s
	n.cancels[sl] = true
	end(n, e, "cancel late")
}

// underWay lets what nobody waits for arrive, or get lost.
func (x *explorer) underWay(s *state, sl int) {
	for _, post := range []bool{false, true} {
		count := func(s *state) *uint8 {
			if post {
				return &s.post[sl]
			}
			return &s.pre[sl]
		}
		if *count(s) == 0 {
			continue
		}
		n := *s
		*count(&n)--
		x.emit("late create lost", n)
		for _, yes := range []bool{true, false} {
			m := n
			x.arrive(&m, sl, yes)
			x.emit("late create arrives", m)
		}
	}
	if s.cancels[sl] {
		n := *s
		n.cancels[sl] = false
		x.emit("late cancel lost", n)
		for _, late := range []bool{false, true} {
			m := n
			x.strike(&m, sl, late)
			x.emit("late cancel arrives", m)
		}
	}
}

// ages lets the current attempt's key grow old. It dies only when what was sent with it has long arrived.
func (x *explorer) ages(s *state) {
	if s.row.n == 0 || !x.of(s.row.cur().slot()).enforced || s.age == 2 || !x.matters(&s.ag[0]) && !x.matters(&s.ag[1]) {
		return
	}
	if s.age == 1 {
		for sl := range slots {
			if s.pre[sl]+s.post[sl] > 0 {
				return
			}
		}
		if s.ag[0].phase == sent || s.ag[1].phase == sent {
			return
		}
	}
	n := *s
	n.age++
	for i := range n.ag {
		if a := &n.ag[i]; n.age == 2 && (a.phase == ready || a.phase == writing && a.op == opIntent) {
			a.old = true
		}
	}
	x.emit("the key ages", n)
}

// matters tells whether a key's age can matter to an agent now. While it matters to nobody the key need not age: it can do so later.
func (x *explorer) matters(a *agent) bool {
	return a.phase == deciding || a.phase == ready || a.phase == writing && a.op == opIntent
}
