package simulator

import "testing"

// The simulator's policy is an ordinary document: it compiles for every rate, and means what the world's providers do.
func TestTheDocumentCompiles(t *testing.T) {
	for name, strategy := range strategies() {
		for _, rate := range []float64{.5, 5, 50, 1000} {
			for _, regions := range []int{1, 3} {
				svcs, err := services(strategy, rate, regions)
				if err != nil {
					t.Fatalf("%s at %v in %d: %v", name, rate, regions, err)
				}
				if len(svcs) != regions || len(svcs[0].Candidates) != len(providers()) {
					t.Fatalf("%s: %d services, %d candidates", name, len(svcs), len(svcs[0].Candidates))
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
