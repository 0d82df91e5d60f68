package explore

import (
	"fmt"
	"time"

	"segue/dataplane/ledger"
)

func (x *explorer) circumstances(a *agent, i int) ledger.Circumstances {
	k := x.of(a.local.cur().slot())
	return ledger.Circumstances{
		Now: base, Live: a.live, Deadline: base.Add(time.Hour), Enforced: k.enforced, KeyLife: keyLife, MaxTries: x.attempts, MaxSends: x.sends,
		Run: runs[i+1], Means: k.means, Leave: x.leave,
	}
}

// shipped is evidence as the shipped rules take it. A provider that shows an attempt cancelled shows it so ever after: what shows it
// executed was asked before that.
func (e evidence) shipped(r *row) ledger.Evidence {
	out := ledger.Evidence{
		Attempt: ids[e.att], Kind: ledger.EvidenceKind(e.kind), Outcome: ledger.Outcome(e.outcome), Finding: ledger.Finding(e.finding), Redrive: e.redrive,
	}
	switch out.Begun = base; {
	case ledger.Closed(r.a[e.att].parts().how) == ledger.ByCancel:
		out.Begun = base.Add(-24 * time.Hour)
	case e.before:
		out.Begun = base.Add(-90 * time.Second)
	}
	return out
}

// decide asks the shipped rule what comes next, and does it.
func (x *explorer) decide(s state, i int, label string) {
	a := &s.ag[i]
	was := a.local
	t := x.build(&a.local, s.age, a.win)
	if x.kept {
		t.Kept, t.ExecuteBy = true, base.Add(time.Hour)
	}
	e, c := a.ev.shipped(&a.local), x.circumstances(a, i)
	step := ledger.Next(t, e, c)
	early := step.Kind == ledger.Finish && a.live && a.hint == 0 && a.ev.kind == uint8(ledger.FromAnswer) &&
		ledger.MayAnswer(t, e, c, ledger.Early{Kept: true, Lease: !a.lapsed})
	t.Note(e, c)
	driver := was.run == uint8(i+1)
	label += ": " + step.Kind.String()
	switch step.Kind {
	case ledger.Finish:
		if t.Final() {
			x.tell(s, i, a.local.outcome(), label)
			return
		}
		x.must(t.Close(step.Kind))
		a.local = read(t, &was)
		if early {
			x.early(s, i)
		}
		x.put(s, i, opEnd, label)
	case ledger.Elsewhere:
		t.Accept()
		a.local = read(t, &was)
		x.begin(s, i, label)
	case ledger.Redrive:
		x.redrive(s, i, t, label)
	case ledger.LookUp:
		a.local = read(t, &was)
		a.phase, a.before, a.ev = looking, false, evidence{}
		x.emit(label, s)
	case ledger.Cancel:
		x.cancel(s, i, t, label)
	case ledger.Wait:
		a.local = read(t, &was)
		a.phase, a.ev = waiting, evidence{}
		x.emit(label, s)
	case ledger.Hold, ledger.Refuse:
		x.end(s, i, t, step.Kind, driver, label)
	case ledger.Compensate:
		x.fault = "an attempt that had been closed was executed"
	default:
		x.fault = fmt.Sprintf("the step %v", step)
	}
}

func (x *explorer) must(err error) {
	if err != nil {
		x.fault = fmt.Sprintf("the row refuses the step that the rule says: %v", err)
	}
}

// early tells the caller before the row has the outcome: it is fsynced here.
func (x *explorer) early(s state, i int) {
	a := &s.ag[i]
	s.answer(i, a.local.outcome())
	a.live = false
	a.hint = 1 + 2*a.ev.att + (a.ev.outcome - uint8(ledger.Succeeded))
	x.put(s, i, opEnd, "answered early")
}

// redrive sends again. A row that stood in Held says so first.
func (x *explorer) redrive(s state, i int, t *ledger.Transaction, label string) {
	a := &s.ag[i]
	was := a.local
	t.Again(base)
	held := t.State == ledger.Held
	t.State = ledger.Intent
	a.local, a.win, a.ev = read(t, &was), false, evidence{}
	sl := a.local.cur().slot()
	if !held {
		if a.fresh { // its own window begins anew
			s.pre[sl], s.post[sl] = min(s.pre[sl]+s.post[sl], maxCreates), 0
		}
		a.phase = ready
		x.emit(label, s)
		return
	}
	x.put(s, i, opIntent, label)
}

// cancel writes that a cancel may leave, and only then lets it.
func (x *explorer) cancel(s state, i int, t *ledger.Transaction, label string) {
	a := &s.ag[i]
	was := a.local
	stands := t.State == ledger.Cancelling && was.cur().parts().cancel
	x.must(t.Close(ledger.Cancel))
	a.local, a.ev = read(t, &was), evidence{}
	if stands {
		a.phase = cancelling
		x.emit(label+" again", s)
		return
	}
	x.put(s, i, opCancel, label)
}

// end writes that nobody knows, or that nothing was executed. Who does not drive the row writes nothing.
func (x *explorer) end(s state, i int, t *ledger.Transaction, k ledger.StepKind, driver bool, label string) {
	a := &s.ag[i]
	was := a.local
	stale := !a.fresh
	switch {
	case !driver, t.State == ledger.Refused:
		x.meet(s, i, label)
		return
	case k == ledger.Hold && t.State == ledger.Held && read(t, &was) == was && !stale:
		x.rest(s, i, label+": stands")
		return
	}
	x.must(t.Close(k))
	if k == ledger.Refuse && a.live {
		x.must(t.Tell())
	}
	a.local = read(t, &was)
	x.put(s, i, opEnd, label)
}
