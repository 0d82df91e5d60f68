package dev

import "testing"

// --naive begins with the naive client on; it goes on without the shopper, and ends with the assembly.
func TestNaiveFromTheStart(t *testing.T) {
	t.Parallel()
	cfg := config(t, t.TempDir())
	cfg.Naive = true
	d := live(t, cfg)
	defer end(t, d)
	if n := (trials{d}).Naive(); !n.On || len(n.Providers) != 3 {
		t.Errorf("%+v", n)
	}
	eventually(t, "it charges", func() bool { return (trials{d}).Naive().Charges > 0 })
	if err := (trials{d}).SwitchNaive(false); err != nil || (trials{d}).Naive().On {
		t.Errorf("%v, %+v", err, (trials{d}).Naive())
	}
	if err := (trials{d}).SwitchNaive(true); err != nil { // the end ends it too: the leak test sees it
		t.Error(err)
	}
}
