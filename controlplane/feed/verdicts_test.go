package feed

import (
	"reflect"
	"testing"
	"time"

	"segue/controlplane/feed/feedv1"
	"segue/controlplane/health"
	"segue/controlplane/state"
)

// TestVerdictsGoDown: they come as they were sent; what makes no sense is left out, and refuses nothing beside it.
func TestVerdictsGoDown(t *testing.T) {
	at := time.Date(2026, 11, 21, 14, 0, 0, 0, time.UTC)
	good := health.Verdict{Kind: health.ProviderFault, Service: "payments", Provider: "main", Since: at, Until: at.Add(time.Minute), Why: "alarmed in 2 of 3 regions", Eject: true}
	u := state.Update{Position: state.Position{Incarnation: "i", Index: 7}, Revision: 3, Policy: []byte("segue: v1"), Verdicts: []health.Verdict{{Kind: "moon"}, good}, Now: at}
	down, err := encodeUpdate(u, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeUpdate(down.GetUpdate(), &unpacked{})
	if err != nil || !reflect.DeepEqual(got.Verdicts, []health.Verdict{good}) {
		t.Errorf("%v: %+v", err, got.Verdicts)
	}
	for _, bad := range []string{"", "null", "{", "[{}]", `[{"Kind": 7}]`, "[null]"} {
		got, err := decodeUpdate(&feedv1.Update{Policy: down.GetUpdate().GetPolicy(), Verdicts: []byte(bad)}, &unpacked{})
		if err != nil || len(got.Verdicts) != 0 || string(got.Policy) != "segue: v1" {
			t.Errorf("%q: %v %+v", bad, err, got)
		}
	}
	var many []health.Verdict
	for i := range 100 {
		v := good
		v.Provider = string(rune('a' + i))
		many = append(many, v)
	}
	u.Verdicts = many
	if down, err = encodeUpdate(u, 1); err != nil {
		t.Fatal(err)
	}
	if got, _ := decodeUpdate(down.GetUpdate(), &unpacked{}); len(got.Verdicts) != health.MaxVerdicts {
		t.Errorf("%d of 100 were taken", len(got.Verdicts))
	}
}
