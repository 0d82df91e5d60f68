package health

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestBucketsRise(t *testing.T) {
	if !slices.IsSorted(Buckets[:]) || !slices.IsSorted(FineBuckets[:]) {
		t.Error("bounds out of order")
	}
}

func TestObserve(t *testing.T) {
	cases := []struct {
		d    time.Duration
		want int
	}{
		{-time.Second, 0}, {0, 0}, {5 * time.Millisecond, 0}, {5*time.Millisecond + 1, 1}, {time.Second, 8}, {30 * time.Second, 12},
		{31 * time.Second, 13}, {math.MaxInt64, 13},
	}
	for _, tc := range cases {
		var h Histogram
		if h.Observe(tc.d); h[tc.want] != 1 || h.Count() != 1 {
			t.Errorf("%v: %v", tc.d, h)
		}
	}
}

func TestQuantile(t *testing.T) {
	var none Histogram
	if d, ok := none.Quantile(.5); ok || d != 0 {
		t.Error("a quantile of nothing")
	}
	var h Histogram
	for range 90 {
		h.Observe(8 * time.Millisecond)
	}
	for range 10 {
		h.Observe(2 * time.Second)
	}
	cases := []struct {
		q        float64
		from, to time.Duration
	}{
		{0, 0, 5 * time.Millisecond}, {.5, 5 * time.Millisecond, 10 * time.Millisecond}, {.9, 10 * time.Millisecond, 10 * time.Millisecond},
		{.99, time.Second, 3 * time.Second}, {1, 3 * time.Second, 3 * time.Second}, {7, 3 * time.Second, 3 * time.Second}, {math.NaN(), 0, 5 * time.Millisecond},
	}
	for _, tc := range cases {
		if d, ok := h.Quantile(tc.q); !ok || d < tc.from || d > tc.to {
			t.Errorf("q %v: %v, not in %v … %v", tc.q, d, tc.from, tc.to)
		}
	}
	var slow Histogram
	slow.Observe(time.Hour)
	if d, _ := slow.Quantile(.5); d != 30*time.Second {
		t.Errorf("in the open bucket: %v", d)
	}
}

// TestQuantileStaysInTheTrueBucket: the estimate never leaves the bucket that the true quantile lies in, and rises with q.
func TestQuantileStaysInTheTrueBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.SliceOfN(rapid.IntRange(1, 29_000_000), 1, 200).Draw(t, "µs")
		var h Histogram
		for _, us := range micros {
			h.Observe(time.Duration(us) * time.Microsecond)
		}
		slices.Sort(micros)
		last := time.Duration(0)
		for q := 1; q <= 100; q++ {
			got, _ := h.Quantile(float64(q) / 100)
			i := (q*len(micros) + 99) / 100
			want := bucket(bounds[:], time.Duration(micros[i-1])*time.Microsecond)
			if b := bucket(bounds[:], got-1); b != want {
				t.Fatalf("q %d %%: %v is in bucket %d, the truth in %d", q, got, b, want)
			}
			if got < last {
				t.Fatalf("q %d %%: %v after %v", q, got, last)
			}
			last = got
		}
	})
}

func TestMergeIsAsIfObservedTogether(t *testing.T) {
	var a, b, both FineHistogram
	for i := range 100 {
		d := time.Duration(i*i) * 10 * time.Microsecond
		both.Observe(d)
		if i%3 == 0 {
			a.Observe(d)
		} else {
			b.Observe(d)
		}
	}
	if a.Merge(&b); a != both || a.Count() != 100 {
		t.Errorf("%v, want %v", a, both)
	}
	p, _ := a.Quantile(.99)
	q, _ := both.Quantile(.99)
	if p != q || p < 50*time.Millisecond {
		t.Errorf("p99 %v and %v", p, q)
	}
}

func TestCountsStopAtTheTop(t *testing.T) {
	h := Histogram{0: math.MaxUint32}
	h.Observe(0)
	h.Merge(&Histogram{0: 5})
	if h[0] != math.MaxUint32 {
		t.Errorf("wrapped to %d", h[0])
	}
}

// TestQuantileOfAWholeRank: 0.07 of 100 is the 7th; as floating point it is a little more.
func TestQuantileOfAWholeRank(t *testing.T) {
	h := Histogram{0: 7, 2: 93} // the bucket between is empty: a slip is seen
	if d, _ := h.Quantile(.07); d > 5*time.Millisecond {
		t.Errorf("%v belongs to the 8th", d)
	}
}
