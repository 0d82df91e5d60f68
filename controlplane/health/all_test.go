package health

import (
	"slices"
	"testing"
	"time"
)

// rowsOf tells, beside each report's counts, how many calls failed since one did not.
func (s *scene) rowsOf() {
	since := map[[2]string]uint32{}
	lie := s.lie
	s.lie = nil
	s.rows = func(r *Report) {
		for i := range r.Rows {
			row := &r.Rows[i]
			k := [2]string{r.Agent, row.Provider}
			switch {
			case row.Calls == 0:
			case row.Failed == row.Calls:
				since[k] += row.Failed
			default:
				since[k] = 0
			}
			row.Evidence.InARow = since[k]
		}
		if lie != nil && r.Agent == s.regions[0]+"-0" {
			lie(r)
		}
	}
}

func allOf(verdicts []Verdict) bool {
	return slices.ContainsFunc(verdicts, func(v Verdict) bool { return v.Kind == ProviderFault && v.Provider == "main" && v.All })
}

// TestNothingSucceedsAnywhere: all regions that call a provider see nothing but failures; that is told, until somebody sees a success, and then no
// more in the same verdict.
func TestNothingSucceedsAnywhere(t *testing.T) {
	s := newScene(t, three...)
	s.rate = 1
	s.rowsOf()
	s.run(40)
	s.down("main", "eu-west", "us-east")
	for range 8 {
		if v := s.run(1); allOf(v) {
			t.Errorf("us-west sees successes: %+v", v)
		}
	}

	s = newScene(t, three...)
	s.rate = 1
	s.rowsOf()
	s.run(40)
	s.down("main", three...)
	if v := s.run(2); !allOf(v) || !v[0].Eject {
		t.Errorf("two failures in each of three regions: %+v", v)
	}
	s.fails = func(region, p string, second int) uint32 { return 0 }
	s.run(1)
	s.down("main", three...)
	if v := s.run(5); allOf(v) {
		t.Errorf("it was seen to succeed since: %+v", v)
	}
}

// TestARegionThatIsSilentSaysNothing: two regions see nothing but failures, the third calls nobody.
func TestARegionThatIsSilentSaysNothing(t *testing.T) {
	s := newScene(t, three...)
	s.rate = 1
	s.rowsOf()
	s.run(40)
	calls := s.rows
	s.rows = func(r *Report) {
		if r.Region == "us-west" {
			for i := range r.Rows {
				r.Rows[i].Traffic = Traffic{}
			}
		}
		calls(r)
	}
	s.run(11)
	s.down("main", "eu-west", "us-east")
	if v := s.run(4); !allOf(v) {
		t.Errorf("%+v", v)
	}
}

// TestNobodyAloneSaysThatNothingSucceeds: an agent that lies of all that it can, beside regions that are silent or had one failure by chance.
func TestNobodyAloneSaysThatNothingSucceeds(t *testing.T) {
	for _, agents := range []int{1, 3} {
		s := newScene(t, three...)
		s.rate, s.agents = 1, agents
		s.lie = func(r *Report) {
			for i := range r.Rows {
				r.Rows[i].Calls, r.Rows[i].Failed, r.Rows[i].Succeeded = 1000, 1000, 0
				r.Rows[i].Evidence = Increment{Nats: [Tests]float64{1e6, 1e6, 1e6}, Calls: 1000, Failed: 1000, InARow: 1 << 31}
			}
		}
		s.rowsOf()
		s.run(40)
		once := s.second + 2
		s.fails = func(region, p string, second int) uint32 {
			if second == once && region == "us-east" {
				return 1
			}
			return 0
		}
		honest := s.rows
		s.rows = func(r *Report) {
			if r.Region != s.regions[0] && s.second != once { // silent, but for one failure
				for i := range r.Rows {
					r.Rows[i].Traffic = Traffic{}
				}
			}
			honest(r)
		}
		for range 15 {
			if v := s.run(1); slices.ContainsFunc(v, func(v Verdict) bool { return v.All }) {
				t.Fatalf("one agent said so: %+v", v)
			}
		}
	}
	var p proof
	p.put(&Row{Evidence: Increment{InARow: 1 << 31}}, &Traffic{Calls: 2, Failed: 2}, &Condition{}, t0)
	if p.inARow != 2 {
		t.Errorf("of two failures %d in a row", p.inARow)
	}
	p.put(&Row{Evidence: Increment{InARow: 1 << 31}}, &Traffic{}, &Condition{}, t0.Add(2*time.Minute))
	if p.inARow != 0 {
		t.Errorf("what failed long ago: %d in a row", p.inARow)
	}
}
