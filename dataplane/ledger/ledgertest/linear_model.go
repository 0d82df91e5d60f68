package ledgertest

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"segue/dataplane/ledger"
)

// seen is a row as the model knows it; the zero value is none.
type seen struct {
	version uint64
	token   [16]byte
}

func see(t *ledger.Transaction) seen {
	if t == nil {
		return seen{}
	}
	return seen{t.Version, t.Token}
}

// input is what an operation was asked to write; version 0 is a read.
type input struct {
	key  int
	want seen
}

// result is what became of it. One of which nobody knows takes effect where it fits, and else none: if it never did, it stands in the
// order where it does not fit any more.
type result struct {
	applied, unknown bool
	row              seen // where it was not applied: what stood in its way
}

// model is what a linearizable row does.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[int][]porcupine.Operation{}
		for _, o := range history {
			key := o.Input.(input).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, p := range byKey {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return seen{} },
	Step: func(state, in, out any) (bool, any) {
		s, want, r := state.(seen), in.(input).want, out.(result)
		fits := want.version == s.version+1
		switch {
		case r.unknown && fits:
			return true, want
		case r.unknown:
			return true, s
		case r.applied:
			return fits, want
		default:
			return s == r.row && (!fits || want.version == 0), s
		}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v → %+v", in, out) },
}
