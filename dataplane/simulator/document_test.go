package simulator

import "testing"

// The simulator's policy is an ordinary document: it compiles for every rate, and means what the world's providers do.
func TestTheDocumentCompiles(t *testing.T) {
	for name, strategy := range strategies() {
		for _, rate := range []float64{.5, 5, 50, 1000} {
			for _, story := range Scenarios() {
				regions := story.Regions
				svcs, err := services(strategy, rate, &story)
				if err != nil {
					t.Fatalf("%s of %s at %v: %v", name, story.Name, rate, err)
				}
				if len(svcs) != regions || len(svcs[0].Candidates) != len(providers()) {
					t.Fatalf("%s: %d services, %d candidates", name, len(svcs), len(svcs[0].Candidates))
				}
				if away := svcs[0].Shift.Away > 0; away != (story.Name == "scarce-away") {
					t.Fatalf("%s: shift.away is %v", story.Name, svcs[0].Shift.Away)
				}
				d := newDriver(newAgents(svcs), svcs[0])
				for i, p := range providers() {
					c := svcs[0].Candidates[i]
					if c.Provider != p.Name || c.Contract.Keys.Enforced != p.Keys || d.means[i].Cancel == p.Keys || !d.means[i].Lookup || !d.leave.Traced {
						t.Errorf("%s: keys %v, %+v", c.Provider, c.Contract.Keys.Enforced, d.means[i])
					}
				}
			}
		}
	}
}
