package simulator

import "time"

// ending is how a call ended for its caller.
type ending uint8

const (
	good   ending = iota // succeeded or declined
	failed               // and nothing was executed, as far as the player knows
	unsure               // the caller was told that it is not known
)

// Bins are how many stretches of time a run is cut into, for the plots.
const Bins = 150

// Bin is one stretch.
type Bin struct {
	First [MaxProviders]uint32 // first choices
	Sends [MaxProviders]uint32
	Calls uint32 // that ended
	Good  uint32
	Fees  float64 // of what was sent in it
}

// Counts are what a player made of a run, or of several.
type Counts struct {
	Calls      uint64 // that ended for their caller; one who comes back counts again
	Good       uint64
	Failed     uint64
	Unknown    uint64 // ended without a known outcome
	Sends      uint64
	Wishes     uint64 // calls, without the returns
	Duplicates uint64 // executions beside the first
	Blind      uint64 // effects that were sent elsewhere though nobody knew whether they were executed
	Resolved   uint64 // unknown ones whose outcome came to light later
	Fees       float64
}

// Watched are the detection and the return at the scenario's target.
type Watched struct {
	Seen       []float64 // seconds from the fault to the gate, per region and run; below 0: it was not seen
	SeenCalls  []int     // calls that the provider had ended by then
	AllOff     []float64 // per run: seconds from the first failure until the last region's gate
	FalseGates int       // gates at providers that nothing ailed
	Gates      int
	Verdicts   [5]int                // by kind
	Back       [RampSlots][2]uint32  // half seconds since its circuit let it back: first choices there, and all
	Over       [MaxProviders]float64 // the longest wait for a server, seconds: above 0 the provider was asked for more than it could take
	Turns      []Turn                // of Segue's circuits; of the first run
}

// Turn is one turn of a circuit, and why.
type Turn struct {
	Region   string `json:"region"`
	Provider string `json:"provider"`
	From     string `json:"from"`
	To       string `json:"to"`
	At       string `json:"at"`
	Why      string `json:"why"`
}

// mostTurns bounds what is kept of them.
const mostTurns = 400

func (t *Tally) turned(_ *sim, x Turn) {
	if len(t.Turns) < mostTurns {
		t.Turns = append(t.Turns, x)
	}
}

// RampSlots are the half seconds that are looked at after a provider was let back.
const RampSlots = 80

// Tally is what came of a run, or of several merged.
type Tally struct {
	Scenario, Player string
	Rate             float64
	Runs             int
	Span             time.Duration // of one run
	Counts
	Latency spread // as callers saw it
	Resolve spread // from "not known" to the outcome
	Series  []Bin
	Watched
	watch watch
}

// watch is one run's look at the target.
type watch struct {
	target  int
	onset   int64
	over    int64
	since   [MaxRegions]int   // ends at the target since the onset
	firstAt int64             // of its failures
	gated   [MaxRegions]int64 // when; 0: not yet
	back    [MaxRegions]int64
	slots   [MaxRegions][RampSlots][2]uint32
	hit     [MaxRegions]bool
	quiet   int64             // this long without a first choice there, and a region has left it
	last    [MaxRegions]int64 // first choice there, until it was left
	ends    [MaxRegions]int   // by then
}

func newTally(s *sim, name string) *Tally {
	t := &Tally{Scenario: s.Scenario.Name, Player: name, Rate: s.Rate, Runs: 1, Span: time.Duration(s.end), Series: make([]Bin, Bins)}
	w := &t.watch
	w.target, w.onset = s.Scenario.Target, never
	w.quiet = max(int64(5*time.Second), int64(10*second/s.Rate))
	if w.target < 0 {
		return t
	}
	for i := range s.faults {
		f := &s.faults[i]
		if !f.hits(w.target) {
			continue
		}
		w.onset, w.over = min(w.onset, int64(f.From)), max(w.over, int64(f.To))
		for r := range s.Scenario.Regions {
			w.hit[r] = w.hit[r] || f.in(r)
		}
	}
	return t
}

func (t *Tally) bin(s *sim) *Bin {
	return &t.Series[min(Bins-1, int(float64(s.now)/float64(s.end)*Bins))]
}

func (t *Tally) arrived(_ *sim, c *call) {
	if c.back == 0 {
		t.Wishes++
	}
}

// chosen counts a first choice.
func (t *Tally) chosen(s *sim, c *call) {
	t.bin(s).First[c.at]++
	w := &t.watch
	t.mayHaveLeft(s, int(c.region))
	if r := c.region; int(c.at) == w.target && s.now >= w.onset && s.now <= w.over && w.gated[r] == 0 {
		w.last[r], w.ends[r] = s.now, w.since[r]
	}
	if at := w.back[c.region]; at > 0 {
		if slot := (s.now - at) / int64(time.Second/2); slot < RampSlots {
			w.slots[c.region][slot][1]++
			if int(c.at) == w.target {
				w.slots[c.region][slot][0]++
			}
		}
	}
}

func (t *Tally) sent(s *sim, c *call, fees float64) {
	b := t.bin(s)
	b.Sends[c.at]++
	b.Fees += fees
	t.Sends++
}

// showed notes the end of a send: bad is what its player takes for a failure of the provider's. A request that was sent there again is the
// same request.
func (t *Tally) showed(s *sim, c *call, bad, again bool) {
	w := &t.watch
	if int(c.at) != w.target || c.sentAt < w.onset || s.now > w.over {
		return
	}
	if !again {
		w.since[c.region]++
	}
	if bad && w.firstAt == 0 {
		w.firstAt = s.now
	}
}

// gate notes that a player keeps away from a provider from now on.
func (t *Tally) gate(s *sim, region, p int) {
	t.Gates++
	if !s.ailed(region, p) {
		t.FalseGates++
	}
	if p == t.watch.target {
		t.mayHaveLeft(s, region)
		t.left(s, region, s.now, t.watch.since[region])
	}
}

// mayHaveLeft notes a region that has sent nothing to the target for a while, by its own choice: no gate has to shut for that.
func (t *Tally) mayHaveLeft(s *sim, region int) {
	w := &t.watch
	if ours(t.Player) && w.last[region] > 0 && s.now-w.last[region] >= w.quiet {
		t.left(s, region, w.last[region], w.ends[region])
	}
}

// left notes when a region left the target, and after how many ends there.
func (t *Tally) left(_ *sim, region int, now int64, ends int) {
	w := &t.watch
	if now < w.onset || now > w.over || w.gated[region] != 0 || !w.hit[region] {
		return
	}
	w.gated[region] = now
	t.Seen = append(t.Seen, time.Duration(now-w.onset).Seconds())
	t.SeenCalls = append(t.SeenCalls, ends)
}

// ailed tells whether something ails the provider there, or did in the last unit.
func (s *sim) ailed(region, p int) bool {
	for i := range s.faults {
		f := &s.faults[i]
		if f.hits(p) && f.in(region) && s.now >= int64(f.From) && s.now < int64(f.To)+unitOf(s.Rate) {
			return true
		}
	}
	return false
}

// returned notes that the probes of the target have succeeded: from now on it gets its share back.
func (t *Tally) returned(s *sim, region, p int) {
	w := &t.watch
	if p != w.target || s.now < w.over {
		return
	}
	w.back[region], w.slots[region] = s.now, [RampSlots][2]uint32{}
}

func (t *Tally) answered(s *sim, c *call, how ending) {
	t.Calls++
	b := t.bin(s)
	b.Calls++
	t.Latency.add(s.now - c.arrived)
	switch how {
	case good:
		t.Good++
		b.Good++
	case failed:
		t.Failed++
	default:
		t.Unknown++
	}
}

// resolved notes that the outcome of a call came to light that its caller was not told.
func (t *Tally) resolved(since int64, now int64) {
	t.Resolved++
	t.Resolve.add(now - since)
}

// retired counts what the world did for a call.
func (t *Tally) retired(_ *sim, c *call) {
	t.Fees += c.fees
	t.Duplicates += uint64(c.twice())
}

// close counts what is open at the end, and what was not seen.
func (t *Tally) close(s *sim) {
	for _, c := range s.calls {
		if c.pending() {
			t.retired(s, c)
		}
	}
	for p := range s.world.places {
		t.Over[p] = time.Duration(s.world.places[p].longest).Seconds()
	}
	w := &t.watch
	if w.target < 0 || w.onset == never {
		return
	}
	last, every := int64(0), true
	for r := range s.Scenario.Regions {
		t.mayHaveLeft(s, r)
	}
	for r := range s.Scenario.Regions {
		if !w.hit[r] {
			continue
		}
		if w.gated[r] == 0 {
			t.Seen, t.SeenCalls, every = append(t.Seen, -1), append(t.SeenCalls, -1), false
		}
		last = max(last, w.gated[r])
		if w.back[r] > 0 {
			for i := range w.slots[r] {
				t.Back[i][0] += w.slots[r][i][0]
				t.Back[i][1] += w.slots[r][i][1]
			}
		}
	}
	if off := -1.0; w.firstAt > 0 {
		if every {
			off = max(0, time.Duration(last-w.firstAt).Seconds())
		}
		t.AllOff = append(t.AllOff, off)
	}
}

// Merge puts another run of the same player, scenario and rate on top. The order of merges is part of the result: sums of money round.
func (t *Tally) Merge(o *Tally) {
	t.Runs += o.Runs
	t.Calls += o.Calls
	t.Good += o.Good
	t.Failed += o.Failed
	t.Unknown += o.Unknown
	t.Sends += o.Sends
	t.Wishes += o.Wishes
	t.Duplicates += o.Duplicates
	t.Blind += o.Blind
	t.Resolved += o.Resolved
	t.Fees += o.Fees
	t.Latency.merge(&o.Latency)
	t.Resolve.merge(&o.Resolve)
	for i := range t.Series {
		t.Series[i].merge(&o.Series[i])
	}
	t.mergeWatched(o)
}

func (t *Tally) mergeWatched(o *Tally) {
	t.Seen, t.SeenCalls, t.AllOff = append(t.Seen, o.Seen...), append(t.SeenCalls, o.SeenCalls...), append(t.AllOff, o.AllOff...)
	t.FalseGates += o.FalseGates
	t.Gates += o.Gates
	for i := range t.Verdicts {
		t.Verdicts[i] += o.Verdicts[i]
	}
	for i := range t.Back {
		t.Back[i][0] += o.Back[i][0]
		t.Back[i][1] += o.Back[i][1]
	}
	for i := range t.Over {
		t.Over[i] = max(t.Over[i], o.Over[i])
	}
}

func (b *Bin) merge(o *Bin) {
	for p := range b.First {
		b.First[p] += o.First[p]
		b.Sends[p] += o.Sends[p]
	}
	b.Calls += o.Calls
	b.Good += o.Good
	b.Fees += o.Fees
}
