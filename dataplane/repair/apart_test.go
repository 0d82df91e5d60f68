package repair

import (
	"errors"
	"slices"
	"testing"
	"time"

	"segue/dataplane/session"
	"segue/e2e/patience"
)

// TestRegionsApart: two regions write one session while both are cut off from the store, and so from each other. Each reads its own
// writes; afterwards the session is merged as its fields say, and both histories are kept.
func TestRegionsApart(t *testing.T) {
	t.Parallel()
	s := openStore(t, patience.Dir(t))
	east, west := newRegion(t, s, nil), newRegion(t, s, nil)
	east.start(t)
	west.start(t)
	first := session.Writer{Run: "east", Now: base}
	begin := first.Items("shop", "cart", []session.Named{{Digest: "tea", Value: []byte("tea")}, {Digest: "cup", Value: []byte("cup")}}, nil)
	must(t, east.Sessions().Append(t.Context(), talk1, begin))
	written := []session.Event{begin}
	for _, r := range []*region{east, west} { // each has seen what was before
		_, err := r.Sessions().Load(t.Context(), talk1)
		must(t, err)
		r.link.cut.Store(true)
	}
	write := func(r *region, run string, at time.Duration, name, add string, remove []string, by int64) {
		for n := range 10 {
			seen, err := r.Sessions().Load(t.Context(), talk1)
			must(t, err)
			w := session.Writer{Run: run, Session: seen, Now: base.Add(at + time.Duration(n)*time.Second)}
			count, err := w.Count("shop", "points", by, nil)
			must(t, err)
			events := []session.Event{count, w.Write("shop", "name", []byte(name)), w.Items("shop", "cart", []session.Named{{Digest: add, Value: []byte(add)}}, remove)}
			must(t, r.Sessions().Append(t.Context(), talk1, events...))
			written = append(written, events...)
		}
		mine, err := r.Sessions().Load(t.Context(), talk1)
		must(t, err)
		if f := mine.Field("shop", "points"); f.Sum() != 10*by || string(mine.Field("shop", "name").Value) != name {
			t.Errorf("%s does not read its own writes: %+v", run, mine)
		}
		w := session.Writer{Run: run, Session: mine, Now: base.Add(time.Hour)}
		if won, err := r.Sessions().Swap(t.Context(), talk1, mine.Guard, w.Write("shop", "guarded", []byte("x"))); won || !errors.Is(err, errCut) {
			t.Errorf("%s: a guarded write without a store: %v, %v", run, won, err)
		}
	}
	write(east, "east", 10*time.Second, "early", "tea", nil, 5)
	write(west, "west", 20*time.Second, "late", "pot", []string{"tea", "cup"}, -2)
	east.link.cut.Store(false)
	west.link.cut.Store(false)
	until(t, "both backlogs are in the store", func() bool { return east.Stats().Pending+west.Stats().Pending == 0 })
	for _, r := range []*region{east, west} {
		got, err := r.Sessions().Load(t.Context(), talk1)
		must(t, err)
		var there []string
		for _, it := range got.Field("shop", "cart").Items {
			if it.There() {
				there = append(there, it.Digest)
			}
		}
		if string(got.Field("shop", "name").Value) != "late" || got.Field("shop", "points").Sum() != 30 || !slices.Equal(there, []string{"pot", "tea"}) {
			t.Errorf("name %s, points %d, cart %v", got.Field("shop", "name").Value, got.Field("shop", "points").Sum(), there)
		}
		var history []session.Event
		must(t, r.Sessions().History(t.Context(), talk1, func(e session.Event) bool { history = append(history, e); return true }))
		if len(history) != len(written) {
			t.Errorf("the history has %d events of %d", len(history), len(written))
		}
		again, err := session.Rebuild(talk1, history)
		must(t, err)
		if d := got.Differs(again); d != nil {
			t.Errorf("the history makes another session: %+v", d)
		}
	}
}
