package health

import "testing"

// BenchmarkObserve is what each call costs beside the choice.
func BenchmarkObserve(b *testing.B) {
	p := newProvider(1, 500, .005)
	var m lone
	p.run(&m, 20_000)
	samples := make([]Sample, 1024)
	for i := range samples {
		samples[i], _ = p.call()
	}
	now, i := p.now, 0
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(2_000_000)
		m.Observe(samples[i&1023], now)
		i++
	}
}

func BenchmarkSuccess(b *testing.B) {
	p := newProvider(1, 500, .005)
	var m lone
	p.run(&m, 20_000)
	b.ReportAllocs()
	for b.Loop() {
		m.Success(p.now)
	}
}
