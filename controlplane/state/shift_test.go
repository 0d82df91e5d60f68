package state

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// pace is one that fits.
func pace() Pace { return Pace{Steps: ShiftSteps(), Every: time.Minute, Margin: ShiftMargin} }

func beginTo(main, backup float64, regions ...string) Command {
	return Command{Beside: Beside{BeginShift: &BeginShift{Service: "payments", Regions: regions, Pace: pace(),
		Weights: []policy.Weight{{Provider: "main", Percent: main}, {Provider: "backup", Percent: backup}}}}}
}

func moveTo(id string, act Act) Command {
	return Command{Beside: Beside{MoveShift: &MoveShift{ID: id, Act: act, Loser: -1}}}
}

// shifting is a world with a shift of payments in us-east from 70/30 to 20/80, and its id.
func shifting(t *testing.T) (*world, string) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	return w, w.must("s", beginTo(20, 80, "us-east")).Order
}

// act is what the leader does by what it sees now.
func (w *world) act(id string, a Act) Result {
	f, _ := w.s.Shift(id)
	c := moveTo(id, a)
	c.MoveShift.Index, c.MoveShift.Why = f.Index, "because of it"
	return w.must(fmt.Sprint("act", w.index), c)
}

func (w *world) main(region string) float64 {
	return share(w.s.Current().Policy.Service("payments").WeightsIn(region), "main")
}

func (w *world) phase(id string) Phase {
	f, _ := w.s.Shift(id)
	return f.Phase
}

func (w *world) said() string { return w.s.Audit[len(w.s.Audit)-1].Text }

func TestAShiftGoesInSteps(t *testing.T) {
	w, id := shifting(t)
	if w.main("us-east") != 70 {
		t.Fatal("weights moved before the first step")
	}
	for i, want := range []float64{67.5, 57.5, 45, 20} {
		w.act(id, ShiftStep)
		if got := w.main("us-east"); got != want {
			t.Fatalf("step %d: main has %v, not %v", i+1, got, want)
		}
		if said := w.said(); !strings.Contains(said, fmt.Sprintf("step %d of 4", i+1)) || !strings.Contains(said, id+" by ann") || !strings.Contains(said, "revision ") {
			t.Fatal(said)
		}
		index := w.s.Index
		w.now = w.now.Add(time.Minute - time.Nanosecond)
		if w.act(id, ShiftStep); w.s.Index != index {
			t.Fatalf("a step was taken early: %s", w.said())
		}
		w.now = w.now.Add(time.Nanosecond)
	}
	if w.phase(id) != Shifting {
		t.Fatal("it ended before the last step was watched")
	}
	if w.act(id, ShiftStep); w.phase(id) != Finished || w.main("us-east") != 20 || w.main("eu-west") != 40 {
		t.Fatalf("%s, main %v", w.phase(id), w.main("us-east"))
	}
	if w.s.Current().Origin != FromWeights {
		t.Error("a file would undo the steps")
	}
}

// A leader that judged by what is no more, or whose step was taken by another one already, changes nothing.
func TestAnActOnAnOlderLookDoesNothing(t *testing.T) {
	w, id := shifting(t)
	f, _ := w.s.Shift(id)
	w.act(id, ShiftStep)
	for _, a := range []Act{ShiftStep, ShiftHold, ShiftResume, ShiftHalt, ShiftReturn} {
		w.now = w.now.Add(time.Hour)
		late := moveTo(id, a)
		late.MoveShift.Index = f.Index
		index := w.s.Index
		if w.must("late "+string(a), late); w.s.Index != index || w.main("us-east") != 67.5 {
			t.Errorf("%s was done on an older look", a)
		}
	}
}

func TestPeopleStopAShift(t *testing.T) {
	w, id := shifting(t)
	w.act(id, ShiftStep)
	w.now = w.now.Add(time.Minute)
	w.must("stop", moveTo(id, ShiftStop))
	if w.act(id, ShiftStep); w.phase(id) != Stopped || w.main("us-east") != 67.5 {
		t.Fatal("a step was taken after the stop")
	}
	w.must("go", moveTo(id, ShiftGo))
	if w.act(id, ShiftStep); w.main("us-east") != 67.5 {
		t.Fatal("the step after going on came at once")
	}
	w.now = w.now.Add(time.Minute)
	if w.act(id, ShiftStep); w.main("us-east") != 57.5 {
		t.Fatal("it did not go on")
	}
	w.must("back", moveTo(id, ShiftBack))
	if w.phase(id) != Returned || w.main("us-east") != 70 || !strings.Contains(w.said(), "taken back by ann") {
		t.Fatalf("%s, %v, %s", w.phase(id), w.main("us-east"), w.said())
	}
	w.refused(Invalid, "begin a new one", "go2", moveTo(id, ShiftGo))
	w.refused(Invalid, "begin a new one", "finish", moveTo(id, ShiftFinish))

	id = w.must("s2", beginTo(20, 80, "us-east")).Order
	w.must("finish2", moveTo(id, ShiftFinish))
	if w.phase(id) != Finished || w.main("us-east") != 20 {
		t.Fatal("it was not finished at once")
	}
	w.must("undo", moveTo(id, ShiftBack)) // also the undo of what is over
	if w.phase(id) != Returned || w.main("us-east") != 70 {
		t.Fatal("what was finished was not undone")
	}
}

func TestSomebodysChangeStopsAShift(t *testing.T) {
	for name, change := range map[string]func(w *world) Command{
		"weights":  func(*world) Command { return byHand("us-east", 60, 40) },
		"document": func(w *world) Command { return apply(w.s.Current().Number, strings.Replace(document, "70", "71", 1)) },
		"rollback": func(w *world) Command { return back(0, 1) },
		"strategy": func(w *world) Command {
			return apply(w.s.Current().Number, document[:strings.Index(document, "    strategy")]+"    strategy: priority\n    priority: [main, backup]\n"+document[strings.Index(document, "providers:"):])
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, id := shifting(t)
			w.act(id, ShiftStep)
			w.must("other region", byHand("eu-west", 41, 59))
			if w.phase(id) != Shifting {
				t.Fatal("another region's weights stopped it")
			}
			c := change(w)
			if c.ApplyPolicy != nil && c.ApplyPolicy.Back == 0 {
				c.ApplyPolicy.Source = bytes.Replace(c.ApplyPolicy.Source, []byte("30}"), []byte("29}"), 1)
			}
			w.must("theirs", c)
			f, _ := w.s.Shift(id)
			if f.Phase != Stopped || !strings.Contains(f.Why, "ann changed these weights in revision 4") || !strings.Contains(w.said(), "stopped shift "+id) {
				t.Fatalf("%+v, %s", f.Course, w.said())
			}
			before := w.s.Current().Number
			for _, a := range []Act{ShiftGo, ShiftBack, ShiftFinish} {
				w.refused(Invalid, "not those of shift", string(a), moveTo(id, a))
			}
			if w.now = w.now.Add(time.Hour); w.act(id, ShiftStep).Revision != before {
				t.Fatal("their change was overwritten")
			}
		})
	}
}

func TestOneShiftAtATime(t *testing.T) {
	w, id := shifting(t)
	w.refused(Invalid, "shift "+id, "again", beginTo(10, 90, "us-east"))
	w.refused(Invalid, "shift "+id, "everywhere", beginTo(10, 90)) // not in eu-west alone
	if len(w.s.Shifts) != 1 {
		t.Fatal("half of it was begun")
	}
	w.must("stop", moveTo(id, ShiftStop))
	both := strings.Fields(w.must("everywhere again", beginTo(10, 90)).Order)
	if len(both) != 2 {
		t.Fatal(both)
	}
	w.refused(Invalid, "is under way instead", "go", moveTo(id, ShiftGo))
	w.act(both[0], ShiftStep)
	w.act(both[1], ShiftStep)
	if w.main("us-east") != 67 || w.main("eu-west") != 38.5 {
		t.Errorf("%v, %v", w.main("us-east"), w.main("eu-west"))
	}
}

func TestAShiftFromOneToAnother(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	c := Command{Beside: Beside{BeginShift: &BeginShift{Service: "payments", From: "main", To: "backup", Amount: 20, Pace: pace()}}}
	ids := strings.Fields(w.must("s", c).Order)
	a, _ := w.s.Shift(ids[0])
	b, _ := w.s.Shift(ids[1])
	if a.Words() != "main 70 → 50 %, backup 30 → 50 %" || b.Words() != "main 40 → 20 %, backup 60 → 80 %" {
		t.Errorf("%s; %s", a.Words(), b.Words())
	}
}

func TestBadShiftsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	for name, bad := range map[string]struct {
		says, path string
		change     func(*BeginShift)
	}{
		"steps fall":       {"let the steps rise", "steps[2]", func(b *BeginShift) { b.Steps = []float64{5, 50, 25, 100} }},
		"steps stay":       {"let the steps rise", "steps[1]", func(b *BeginShift) { b.Steps = []float64{50, 50, 100} }},
		"over 100":         {"at most 100", "steps[1]", func(b *BeginShift) { b.Steps = []float64{50, 101} }},
		"NaN step":         {"no percentage", "steps[0]", func(b *BeginShift) { b.Steps = []float64{math.NaN(), 100} }},
		"no step":          {"end with 100", "steps", func(b *BeginShift) { b.Steps = nil }},
		"no end":           {"end with 100", "steps", func(b *BeginShift) { b.Steps = []float64{10, 99} }},
		"too many":         {"at most 20", "steps", func(b *BeginShift) { b.Steps = many(21) }},
		"too quick":        {"not between 10s", "every", func(b *BeginShift) { b.Every = 10*time.Second - 1 }},
		"too slow":         {"and 24h0m0s", "every", func(b *BeginShift) { b.Every = 25 * time.Hour }},
		"no margin":        {"above 0", "margin", func(b *BeginShift) { b.Margin = 0 }},
		"NaN margin":       {"above 0", "margin", func(b *BeginShift) { b.Margin = math.NaN() }},
		"endless":          {"not a number", "", func(b *BeginShift) { b.Weights[0].Percent = math.Inf(1) }},
		"sum":              {"the shares add up to 90", "", func(b *BeginShift) { b.Weights[0].Percent = 10 }},
		"negative":         {"no share in percent", "", func(b *BeginShift) { b.Weights[0].Percent, b.Weights[1].Percent = -10, 110 }},
		"same":             {"nothing would move", "", func(b *BeginShift) { b.Weights[0].Percent, b.Weights[1].Percent = 70, 30 }},
		"nobody":           {"third", "", func(b *BeginShift) { b.Weights[0].Provider = "third" }},
		"no service":       {"no service", "", func(b *BeginShift) { b.Service = "sms" }},
		"no region":        {"no region", "", func(b *BeginShift) { b.Regions = []string{"mars"} }},
		"region twice":     {"twice", "regions", func(b *BeginShift) { b.Regions = []string{"us-east", "us-east"} }},
		"both ways":        {"stand beside", "weights", func(b *BeginShift) { b.From = "main" }},
		"neither":          {"name the provider", "from", func(b *BeginShift) { b.Weights = nil }},
		"to itself":        {"another provider", "to", func(b *BeginShift) { b.Weights, b.From, b.To = nil, "main", "main" }},
		"by too much":      {"main has 70 %", "by", func(b *BeginShift) { b.Weights, b.From, b.To, b.Amount = nil, "main", "backup", 71 }},
		"by NaN":           {"between 0 and 100", "by", func(b *BeginShift) { b.Weights, b.From, b.To, b.Amount = nil, "main", "backup", math.NaN() }},
		"from nobody":      {"name one of main, backup", "from", func(b *BeginShift) { b.Weights, b.From, b.To = nil, "third", "backup" }},
		"to nobody":        {"name one of main, backup", "to", func(b *BeginShift) { b.Weights, b.From, b.To = nil, "main", "third" }},
		"somebody quicker": {"revision 1 is in force", "", func(b *BeginShift) { b.Base = 7 }},
	} {
		c := beginTo(20, 80, "us-east")
		bad.change(c.BeginShift)
		r := w.do(name, c)
		if r.Err == nil {
			t.Errorf("%s: was begun", name)
			continue
		}
		text := r.Err.Message
		for _, p := range r.Err.Problems {
			text += " " + p.String()
		}
		if !strings.Contains(text, bad.says) || bad.path != "" && r.Err.Problems[0].Path != bad.path {
			t.Errorf("%s: %s (%v)", name, text, r.Err.Problems)
		}
	}
	w.refused(NotFound, "no shift", "x", moveTo("sh_nowhere", ShiftStop))
	w.refused(Invalid, "unknown", "y", moveTo("sh_nowhere", "jump"))
}

func many(n int) (list []float64) {
	for i := range n {
		list = append(list, 100*float64(i+1)/float64(n))
	}
	return list
}

// Whatever comes in whatever order: the weights of a shift under way are its start and a fraction of the way, the sum is kept, none is past
// its target, and no step comes early.
func TestShiftsByChance(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 6))
		w := newWorld(t)
		w.must("p", apply(0, document))
		var last time.Time // a step
		var lastID string
		for i := range 60 {
			w.now = w.now.Add(time.Duration(r.IntN(40)) * time.Second)
			request := fmt.Sprint("r", i)
			switch n := r.IntN(12); {
			case n == 0 || len(w.s.Shifts) == 0:
				to := float64(r.IntN(10_001)) / 100
				c := beginTo(to, 100-to, "us-east")
				c.BeginShift.Steps = many(1 + r.IntN(8))
				w.do(request, c)
				continue
			case n == 1 && r.IntN(3) == 0:
				w.do(request, byHand("us-east", 50, 50))
				continue
			}
			f := w.s.Shifts[len(w.s.Shifts)-1]
			c := moveTo(f.ID, []Act{ShiftStep, ShiftStep, ShiftStep, ShiftStep, ShiftHold, ShiftResume, ShiftStop, ShiftGo, ShiftBack, ShiftFinish, ShiftHalt, ShiftReturn}[r.IntN(12)])
			c.MoveShift.Index, c.MoveShift.Why = f.Index-min(f.Index, uint64(r.IntN(2)*r.IntN(2))), "chance"
			w.do(request, c)
			now, _ := w.s.Shift(f.ID)
			if now.Phase == Shifting && now.Taken == f.Taken+1 {
				if lastID == f.ID && w.now.Sub(last) < now.Every {
					t.Fatalf("seed %d: step %d came %s after the one before", seed, now.Taken, w.now.Sub(last))
				}
				last, lastID = w.now, f.ID
			}
			if now.Taken > f.Taken+1 && now.Phase != Finished {
				t.Fatalf("seed %d: steps %d to %d at once", seed, f.Taken, now.Taken)
			}
			if now.Phase.UnderWay() {
				along(t, seed, &now, w.s.Current().Policy.Service("payments").WeightsIn("us-east"))
			}
		}
	}
}

func along(t *testing.T, seed uint64, f *Shift, weights []policy.Weight) {
	t.Helper()
	way := 0.0
	if f.Taken > 0 {
		way = f.Steps[f.Taken-1]
	}
	sum := 0.0
	for _, w := range weights {
		start, target := share(f.Start, w.Provider), share(f.Target, w.Provider)
		if want := start + (target-start)*way/100; math.Abs(w.Percent-want) > 1e-5 || w.Percent > max(start, target) || w.Percent < min(start, target) {
			t.Fatalf("seed %d: %s has %v, %v %% of the way from %v to %v is %v", seed, w.Provider, w.Percent, way, start, target, want)
		}
		sum += w.Percent
	}
	if math.Abs(sum-100) > 1e-5 {
		t.Fatalf("seed %d: the sum is %v", seed, sum)
	}
}

func TestShiftsSurviveSnapshotAndLog(t *testing.T) {
	w, id := shifting(t)
	w.act(id, ShiftStep)
	loaded, err := Load(bytes.NewReader(saveBytes(t, w.s)))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(loaded.Shifts, w.s.Shifts) {
		t.Errorf("%+v became %+v", w.s.Shifts, loaded.Shifts)
	}
	for _, c := range []Command{beginTo(20, 80, "us-east"), moveTo(id, ShiftStop)} {
		c.Version, c.Request, c.Actor, c.Reason, c.At = 1, "r", "ann", "why", epoch
		text, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Decode(text); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	}
}

// What was under way when a backup was made does not go on by itself.
func TestARestoreStopsShifts(t *testing.T) {
	w, id := shifting(t)
	c := Command{Request: "restore", Actor: "ann", Reason: "why", At: epoch, Beside: Beside{Restore: &Restore{Incarnation: "two", Sum: "x"}}}
	next, r := w.s.Restored(New("one"), c, 100)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if f, _ := next.Shift(id); f.Phase != Stopped || !strings.Contains(f.Why, "restored") {
		t.Errorf("%+v", f.Course)
	}
}

// sight is a leader's view in which everything is well.
func sight(w *world) *health.World {
	world := &health.World{At: w.now}
	for _, region := range []string{"eu-west", "us-east"} {
		world.Agents = append(world.Agents, health.AgentSeen{ID: region + "-1", Region: region, Heard: true, Revision: w.s.Current().Number})
		for _, provider := range []string{"backup", "main"} {
			world.Cells = append(world.Cells, health.Cell{Region: region, Service: "payments", Provider: provider,
				Load: health.Load{Calls: 1000, Failed: 5, Success: 99.5}, Stand: health.Stand{Breaker: "closed", Agents: 1}})
		}
	}
	return world
}

func cell(w *health.World, provider string) *health.Cell {
	for i := range w.Cells {
		if w.Cells[i].Region == "us-east" && w.Cells[i].Provider == provider {
			return &w.Cells[i]
		}
	}
	return nil
}

// fails makes a cell of so many calls.
func fails(c *health.Cell, calls, failed uint64) {
	c.Calls, c.Failed, c.Success = calls, failed, 100*float64(calls-failed)/float64(calls)
}

func TestWhatTheLeaderDoes(t *testing.T) {
	verdict := func(kind health.VerdictKind, region, provider string) health.Verdict {
		v := health.Verdict{Kind: kind, Region: region, Provider: provider, Why: "of what is seen"}
		if provider != "" {
			v.Service = "payments"
		}
		return v
	}
	both := func(w *health.World) { cell(w, "backup").Breaker, cell(w, "main").Breaker = "open", "open" }
	for name, c := range map[string]struct {
		see  func(*health.World)
		edit func(*Shift)
		want Act
		says string
	}{
		"all is well":                {want: ShiftStep},
		"not yet":                    {edit: func(f *Shift) { f.Next = epoch.Add(time.Hour) }},
		"its circuit is open":        {see: func(w *health.World) { cell(w, "backup").Breaker = "open" }, want: ShiftReturn, says: "circuit of backup is open in us-east"},
		"its circuit is half-open":   {see: func(w *health.World) { cell(w, "backup").Breaker = "half-open" }, want: ShiftReturn},
		"also before a step is due":  {see: func(w *health.World) { cell(w, "backup").Breaker = "open" }, edit: func(f *Shift) { f.Next = epoch.Add(time.Hour) }, want: ShiftReturn},
		"also while it is held":      {see: func(w *health.World) { cell(w, "backup").Breaker = "open" }, edit: func(f *Shift) { f.Phase = Held }, want: ShiftReturn},
		"stay was asked for":         {see: func(w *health.World) { cell(w, "backup").Breaker = "open" }, edit: func(f *Shift) { f.Stay = true }, want: ShiftHalt, says: "as was asked"},
		"both are open":              {see: both, want: ShiftHalt, says: "going back would be no help"},
		"the loser's circuit":        {see: func(w *health.World) { cell(w, "main").Breaker = "open" }, want: ShiftStep},
		"a verdict on it":            {see: func(w *health.World) { w.Verdicts = append(w.Verdicts, verdict(health.ProviderFault, "", "backup")) }, want: ShiftReturn, says: "provider backup is at fault"},
		"a verdict on its path":      {see: func(w *health.World) { w.Verdicts = append(w.Verdicts, verdict(health.PathFault, "us-east", "backup")) }, want: ShiftReturn},
		"a verdict elsewhere":        {see: func(w *health.World) { w.Verdicts = append(w.Verdicts, verdict(health.PathFault, "eu-west", "backup")) }, want: ShiftStep},
		"the region is at fault":     {see: func(w *health.World) { w.Verdicts = append(w.Verdicts, verdict(health.RegionFault, "us-east", "")) }, want: ShiftHold},
		"everything is":              {see: func(w *health.World) { w.Verdicts = append(w.Verdicts, verdict(health.OursFault, "", "")) }, want: ShiftHold},
		"it fails more":              {see: func(w *health.World) { fails(cell(w, "backup"), 1000, 56) }, want: ShiftReturn, says: "backup succeeds in 94.4 % of its last 1000 calls, main in 99.5 %: more than 5 points less"},
		"it fails a little more":     {see: func(w *health.World) { fails(cell(w, "backup"), 1000, 55) }, want: ShiftStep},
		"a wide margin":              {see: func(w *health.World) { fails(cell(w, "backup"), 1000, 300) }, edit: func(f *Shift) { f.Margin = 40 }, want: ShiftStep},
		"few calls":                  {see: func(w *health.World) { fails(cell(w, "backup"), 19, 9) }, want: ShiftStep},
		"two of them fail":           {see: func(w *health.World) { fails(cell(w, "backup"), 20, 2) }, want: ShiftStep},
		"three of them fail":         {see: func(w *health.World) { fails(cell(w, "backup"), 20, 3) }, want: ShiftReturn},
		"both fail":                  {see: func(w *health.World) { fails(cell(w, "backup"), 100, 10); fails(cell(w, "main"), 100, 8) }, want: ShiftStep},
		"nothing left to compare":    {see: func(w *health.World) { fails(cell(w, "backup"), 100, 10); fails(cell(w, "main"), 1, 0) }, want: ShiftStep},
		"compared with what it was":  {see: func(w *health.World) { fails(cell(w, "backup"), 100, 10); fails(cell(w, "main"), 1, 0) }, edit: func(f *Shift) { f.Loser = 99 }, want: ShiftReturn},
		"the agent is silent":        {see: func(w *health.World) { w.Agents[1].Heard = false }, want: ShiftHold, says: "us-east-1 in us-east is silent"},
		"no agent":                   {see: func(w *health.World) { w.Agents = w.Agents[:1] }, want: ShiftHold, says: "no agent in us-east reports"},
		"another region's is silent": {see: func(w *health.World) { w.Agents[0].Heard = false }, want: ShiftStep},
		"an old revision":            {see: func(w *health.World) { w.Agents[1].Revision = 1 }, edit: func(f *Shift) { f.Taken, f.Revision = 1, 2 }, want: ShiftHold, says: "has revision 1"},
		"held and silent":            {see: func(w *health.World) { w.Agents[1].Heard = false }, edit: func(f *Shift) { f.Phase = Held }},
		"held and heard again":       {edit: func(f *Shift) { f.Phase = Held }, want: ShiftResume},
		"held for an hour":           {see: func(w *health.World) { w.Agents[1].Heard = false }, edit: func(f *Shift) { f.Phase, f.Changed = Held, epoch.Add(-time.Hour) }, want: ShiftHalt, says: "held for 1h"},
		"stopped":                    {see: both, edit: func(f *Shift) { f.Phase = Stopped }},
	} {
		t.Run(name, func(t *testing.T) {
			w, id := shifting(t)
			if c.edit != nil {
				c.edit(&w.s.Shifts[0])
			}
			world := sight(w)
			if c.see != nil {
				c.see(world)
			}
			moves := w.s.Due(world, time.Minute)
			if c.want == "" && len(moves) > 0 || c.want != "" && (len(moves) != 1 || moves[0].Act != c.want || moves[0].ID != id || !strings.Contains(moves[0].Why, c.says)) {
				t.Fatalf("%+v, want %q", moves, c.want)
			}
		})
	}
}

// A new leader has heard nobody: it does not step, and holds nothing for silence, until it could have heard everybody.
func TestANewLeaderListensFirst(t *testing.T) {
	w, _ := shifting(t)
	quiet := &health.World{At: w.now}
	if moves := w.s.Due(quiet, health.Silent-1); len(moves) > 0 {
		t.Errorf("after a moment: %+v", moves)
	}
	if moves := w.s.Due(sight(w), health.Silent-1); len(moves) > 0 {
		t.Errorf("after a moment: %+v", moves)
	}
	if moves := w.s.Due(quiet, health.Silent); len(moves) != 1 || moves[0].Act != ShiftHold {
		t.Errorf("then: %+v", moves)
	}
	ill := sight(w)
	cell(ill, "backup").Breaker = "open"
	if moves := w.s.Due(ill, 0); len(moves) != 1 || moves[0].Act != ShiftReturn {
		t.Errorf("what it sees it does not wait for: %+v", moves)
	}
}

func TestADrainOfWhoGainsHoldsAShift(t *testing.T) {
	w, id := shifting(t)
	w.must("drain", drain("backup", time.Minute, "us-east"))
	if moves := w.s.Due(sight(w), time.Minute); len(moves) != 1 || moves[0].Act != ShiftHold || !strings.Contains(moves[0].Why, "backup is drained in us-east until") {
		t.Fatalf("%+v", moves)
	}
	w.act(id, ShiftHold)
	w.now = w.now.Add(time.Minute)
	if moves := w.s.Due(sight(w), time.Minute); len(moves) != 1 || moves[0].Act != ShiftResume {
		t.Fatalf("%+v", moves)
	}
	w.act(id, ShiftResume)
	if moves := w.s.Due(sight(w), time.Minute); len(moves) > 0 {
		t.Fatalf("a step at once: %+v", moves)
	}
}

func TestShiftsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.must("p", apply(0, document))
	for i := range MaxShifts + 5 {
		id := w.must(fmt.Sprint("s", i), beginTo(20, 80, "us-east")).Order
		w.must(fmt.Sprint("stop", i), moveTo(id, ShiftStop))
		w.now = w.now.Add(time.Second)
	}
	if len(w.s.Shifts) != MaxShifts {
		t.Fatal(len(w.s.Shifts))
	}
	if _, ok := w.s.Shift(shiftID("s4", "us-east")); ok {
		t.Error("the oldest is kept")
	}
	if _, ok := w.s.Shift(shiftID("s5", "us-east")); !ok {
		t.Error("a newer one is gone")
	}
}
