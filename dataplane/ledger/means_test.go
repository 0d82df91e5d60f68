package ledger

import (
	"testing"
	"time"

	"segue/controlplane/policy"
)

func TestMeansOf(t *testing.T) {
	lookup := policy.Lookup{Match: "GET /found", Strong: true, Horizon: time.Hour, Of: []string{"pay"}}
	cancel := policy.Cancel{Match: "POST /cancel", State: policy.CancelFinal, Blocks: true}
	weak, queued := lookup, cancel
	weak.Strong, queued.State = false, policy.CancelQueued
	forgets := &policy.Contract{}
	forgets.Keys.Enforced, forgets.Keys.Replay = true, policy.Stored2xx
	remembers := &policy.Contract{}
	remembers.Keys.Enforced, remembers.Keys.Replay = true, policy.StoredAll
	for _, test := range []struct {
		name string
		c    *policy.Contract
		op   string
		want Means
	}{
		{"no contract", nil, "pay", Means{}},
		{"nothing stated", &policy.Contract{}, "pay", Means{}},
		{"all", &policy.Contract{Recourse: policy.Recourse{Lookup: lookup, Cancel: cancel, Settle: time.Second}}, "pay", Means{Lookup: true, Horizon: time.Hour, Cancel: true, Blocks: true, Settle: time.Second}},
		{"another operation", &policy.Contract{Recourse: policy.Recourse{Lookup: lookup, Cancel: cancel}}, "send", Means{Cancel: true, Blocks: true}},
		{"a weak lookup and a queued cancel", &policy.Contract{Recourse: policy.Recourse{Lookup: weak, Cancel: queued}}, "pay", Means{}},
		{"keys that forget", forgets, "pay", Means{Forgets: true}},
		{"keys that remember", remembers, "pay", Means{}},
	} {
		if got := MeansOf(test.c, test.op); got != test.want {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}
