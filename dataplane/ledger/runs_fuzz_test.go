package ledger

import (
	"testing"
	"time"
)

// FuzzDecodeRun: whatever a run's row says, reading it does not panic, and what is read is written as it was read.
func FuzzDecodeRun(f *testing.F) {
	for _, r := range []Run{{ID: "eu-west-1/abc", Region: "eu-west", Beat: 7}, {ID: "a", Beat: 1, Fenced: time.Unix(1e9, 5).UTC()}} {
		b, err := EncodeRun(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRun(b)
		if err != nil {
			return
		}
		again, err := EncodeRun(r)
		if err != nil {
			t.Fatalf("%+v was read and cannot be written: %v", r, err)
		}
		if back, err := DecodeRun(again); err != nil || back.ID != r.ID || back.Region != r.Region || back.Beat != r.Beat || !back.Fenced.Equal(r.Fenced) {
			t.Errorf("%+v was read as %+v, %v", r, back, err)
		}
	})
}
