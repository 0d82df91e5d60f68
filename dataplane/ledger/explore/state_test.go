package explore

import (
	"bytes"
	"fmt"
	"time"
	"unsafe"

	"segue/dataplane/ledger"
)

// Bounds of the model. They are part of what is explored completely.
const (
	maxAttempts = 3
	maxCreates  = 2 // of one key, under way with nobody waiting
	slots       = 4 // keys: two providers, n = 0 and 1
	clients     = 2 // with one key; most runs have one
)

// row is what the store holds, or an agent's copy of it. The zero value is no row.
type row struct {
	state, n, run uint8 // run: 1 and 2 are the agents' present lives, dead one that ended
	told          bool
	a             [maxAttempts]attempt // one after another
}

const dead = 3

// attempt is what the rules can tell of an attempt, packed: millions of states are kept.
type attempt uint16

// parts are an attempt's.
type parts struct {
	prov, key, outcome, how, sends uint8
	cancel, late, absent           bool
}

func pack(p parts) attempt {
	return attempt(p.prov) | attempt(p.key)<<1 | attempt(p.outcome)<<2 | attempt(p.how)<<5 | attempt(p.sends)<<8 | bit(p.cancel)<<11 | bit(p.late)<<12 | bit(p.absent)<<13
}

func bit(b bool) attempt {
	if b {
		return 1
	}
	return 0
}

func (a attempt) parts() parts {
	return parts{
		prov: uint8(a & 1), key: uint8(a >> 1 & 1), outcome: uint8(a >> 2 & 7), how: uint8(a >> 5 & 7), sends: uint8(a >> 8 & 7),
		cancel: a>>11&1 == 1, late: a>>12&1 == 1, absent: a>>13&1 == 1,
	}
}

func (a attempt) slot() int { return int(a & 3) }

func (r *row) cur() attempt { return r.a[r.n-1] }

func (r *row) final() bool {
	return r.state == uint8(ledger.DoneSucceeded) || r.state == uint8(ledger.DoneDeclined)
}

func (r *row) pending() bool { return r.n > 0 && !r.final() && r.state != uint8(ledger.Refused) }

// phase is what an agent does. A pause is an agent that makes no move.
type phase uint8

const (
	idle       phase = iota
	writing          // a CAS is on its way
	ready            // the INTENT is stored; the check and the first byte come
	sent             // a create is under way, and its reply awaited
	deciding         // evidence is in hand
	looking          // a lookup is under way
	cancelling       // a cancel is under way
	waiting          // for the settle window, or for the next lookup
	polling          // a caller waits for an outcome that somebody else drives
)

// op is what an agent writes.
type op uint8

const (
	opIntent op = iota + 1 // the claim, a new epoch, a re-drive of a held row: a send follows
	opTake
	opEnd // finish, hold, refuse, tell
	opCancel
	opPlant
)

// evidence is what an agent has in hand. The zero value is none.
type evidence struct {
	kind, outcome, finding, att uint8
	redrive, before             bool // before: the window passed since the lookup began
}

// agent is one of the two. What it holds beyond its hint dies with it.
type agent struct {
	up, lapsed, live, fresh, applied, win, before, post bool
	old                                                 bool // the key died since the send's lease began
	phase                                               phase
	op                                                  op
	ev                                                  evidence
	hint                                                uint8 // 0, or 1 + 2 × the attempt's index + 1 if declined: an outcome that is fsynced here
	local                                               row
}

// object is what a provider knows by one key.
type object struct{ status, live uint8 }

const (
	none uint8 = iota
	live
	settled // live, and it was too late to cancel
	voided
	declined
	blocked
)

// what a client was told
const (
	toldSucceeded uint8 = iota + 1
	toldDeclined
	toldNotSent
)

// state is everything, comparable and without pointers.
type state struct {
	row       row
	ag        [2]agent
	ghost     [2]row // a dead run's CAS that may still arrive
	haunts    [2]bool
	obj       [slots]object
	pre, post [slots]uint8 // creates under way: sent before the present settle window began, or beside it
	cancels   [slots]bool
	age       uint8 // of the current attempt's key: young, past 0.9 of its life, dead
	told      [clients]uint8
	listens   [clients]uint8 // 1 + the agent at which the client waits
	asked     bool
}

var (
	base      = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	ids       = [maxAttempts]string{"at_0", "at_1", "at_2"}
	providers = [2]string{"a", "b"}
	runs      = [4]string{"", "one", "two", "dead"}
	intents   = [3]time.Duration{10 * time.Minute, 9*time.Hour + 30*time.Minute, 10*time.Hour + 30*time.Minute}
)

const (
	keyLife = 10 * time.Hour
	window  = time.Minute
	sendBy  = 2 * time.Second
)

// bench builds rows of the shipped type without allocating anew.
type bench struct {
	t    ledger.Transaction
	room [ledger.MaxAttempts]ledger.Attempt
}

// build makes the shipped row of a copy, as an agent sees it whose settle window has passed or not.
func (b *bench) build(r *row, age uint8, win bool) *ledger.Transaction {
	t := &b.t
	*t = ledger.Transaction{ID: "tx", State: ledger.State(r.state), Run: runs[r.run], Updated: base.Add(-30 * time.Second)}
	t.Told = r.told
	for i := range int(r.n) {
		a := r.a[i].parts()
		b.room[i] = ledger.Attempt{
			ID: ids[i], Provider: providers[a.prov], IntentAt: base.Add(-intents[age]), Outcome: ledger.Outcome(a.outcome), Sends: int(a.sends),
			Fence: ledger.Fence{How: ledger.Closed(a.how), Cancel: a.cancel, Late: a.late, Quiet: base.Add(-30 * time.Second)},
		}
		if win {
			b.room[i].Quiet = base.Add(-2 * window)
		}
		if a.absent {
			b.room[i].Absent = base.Add(-100 * time.Second)
		}
	}
	t.Attempts = b.room[:r.n]
	return t
}

// read makes a copy of a shipped row. before is what build was given: an attempt's key does not change.
func read(t *ledger.Transaction, before *row) row {
	r := row{state: uint8(t.State), n: uint8(len(t.Attempts)), told: t.Told}
	for i, name := range runs {
		if t.Run == name {
			r.run = uint8(i)
		}
	}
	for i := range t.Attempts {
		a := &t.Attempts[i]
		p := parts{
			key: before.a[i].parts().key, outcome: uint8(a.Outcome), how: uint8(a.How), sends: uint8(a.Sends), cancel: a.Cancel, late: a.Late,
			absent: !a.Absent.IsZero(),
		}
		if a.Provider == providers[1] {
			p.prov = 1
		}
		if a.Reference != "" {
			p.key = a.Reference[len(a.Reference)-1] - '0'
		}
		if i < len(t.Attempts)-1 { // no rule asks how often a closed attempt was sent, or looked up
			p.sends, p.absent = 0, false
		}
		r.a[i] = pack(p)
	}
	return r
}

func (s *state) String() string {
	show := func(r *row) string {
		text := fmt.Sprintf("%s of %s, told %v", ledger.State(r.state), runs[r.run], r.told)
		for i := range int(r.n) {
			text += fmt.Sprintf(" %+v", r.a[i].parts())
		}
		return text
	}
	agent := func(a agent) string {
		local := show(&a.local)
		a.local = row{}
		return fmt.Sprintf("%+v with %s", a, local)
	}
	return fmt.Sprintf("row %s\n  one %s\n  two %s\n  objects %v under way %v %v cancels %v age %d told %v listens %v", show(&s.row), agent(s.ag[0]), agent(s.ag[1]), s.obj, s.pre, s.post, s.cancels, s.age, s.told, s.listens)
}

// swapped is the state with the names of the agents exchanged: it is the same one.
func (s *state) swapped() state {
	n := *s
	n.ag[0], n.ag[1] = s.ag[1], s.ag[0]
	n.ghost[0], n.ghost[1] = s.ghost[1], s.ghost[0]
	n.haunts[0], n.haunts[1] = s.haunts[1], s.haunts[0]
	for _, r := range []*row{&n.row, &n.ag[0].local, &n.ag[1].local, &n.ghost[0], &n.ghost[1]} {
		r.run = other[r.run]
	}
	for c := range n.listens {
		n.listens[c] = other[n.listens[c]]
	}
	return n
}

var other = [4]uint8{0, 2, 1, dead}

// first tells whether s comes before o in an order that only has to be the same each time.
func (s *state) first(o *state) bool {
	a, b := (*[unsafe.Sizeof(state{})]byte)(unsafe.Pointer(s)), (*[unsafe.Sizeof(state{})]byte)(unsafe.Pointer(o))
	return bytes.Compare(a[:], b[:]) < 0
}
