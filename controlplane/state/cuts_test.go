package state

import (
	"math/rand/v2"
	"testing"

	"segue/controlplane/policy"
)

// A region's Update is its cut of the revision in force, whichever changes led there: what is taken over from the revision before must
// say the same as what would be made anew.
func TestCutsAreThoseOfTheRevisionInForce(t *testing.T) {
	w := newWorld(t)
	w.must("first", apply(0, document))
	r := rand.New(rand.NewPCG(7, 7))
	regions := []string{"us-east", "eu-west"}
	for i := range 40 {
		share := float64(r.IntN(101))
		w.must(string(rune('A'+i)), weights(0, regions[r.IntN(2)], share, 100-share))
		for _, region := range regions {
			u, err := w.s.Update(region, w.now)
			if err != nil {
				t.Fatal(err)
			}
			if want := policy.Marshal(policy.Cut(w.s.Current().Policy, region)); string(u.Policy) != string(want) {
				t.Fatalf("after change %d %s is sent\n%s\nwant\n%s", i, region, u.Policy, want)
			}
		}
	}
}
