package health

import "math"

// cusum is one test: its statistic S in nats, and what it has seen since S last was 0.
type cusum struct {
	s        float64
	calls, x uint32
}

// weigh adds what one call weighs: up when x is so, down (below 0) when not.
func (c *cusum) weigh(x bool, w *weight) {
	c.calls++
	if x {
		c.x++
		c.s += w.up
		return
	}
	if c.s += w.down; c.s <= 0 {
		*c = cusum{}
	}
}

// ease is weigh for a good call.
func (c *cusum) ease(down float64) {
	if c.s <= 0 {
		return
	}
	c.calls++
	if c.s += down; c.s <= 0 {
		*c = cusum{}
	}
}

// weight is what a call adds to a test of p1 against p0: ln(p1/p0) if it is a bad one, ln((1−p1)/(1−p0)) if not; and h, where the alarm is.
type weight struct{ up, down, h float64 }

func weighing(p0, p1, h float64) weight {
	return weight{up: ln(p1 / p0), down: ln((1 - p1) / (1 - p0)), h: h}
}

const (
	leastUsual = .005 // nobody is better than this: with p0 lower, two failures would be an alarm
	usualRows  = 22   // p0 from there to 19 %, a quarter of an octave apart
)

// thresholds holds h for each p0 and each failure test, so that with failures at p0 it takes 50, 50 and 8 million calls in the mean to a
// false alarm: all three together 6 million. TestThresholds computes the bounds. (ln 10⁶ for all, which Lorden's inequality grants, takes
// three times as long to see a rise to three times p0, and is less safe where it matters.)
var thresholds = [usualRows][Tests]float64{
	{12.04, 13.62, 13.21}, {12.21, 13.80, 13.34}, {12.34, 13.96, 13.71}, {12.55, 14.17, 13.97}, // from 0.5 %
	{12.69, 14.34, 13.83}, {12.87, 14.47, 13.60}, {13.05, 14.71, 13.79}, {13.27, 14.86, 13.96}, // 1 %
	{13.40, 14.98, 14.12}, {13.54, 15.31, 13.83}, {13.76, 15.44, 13.99}, {13.95, 15.54, 13.93}, // 2 %
	{14.14, 15.61, 13.78}, {14.30, 16.18, 13.96}, {14.64, 15.92, 13.97}, {14.84, 16.07, 13.91}, // 4 %
	{15.11, 16.23, 14.03}, {15.31, 15.91, 13.77}, {15.40, 15.94, 13.78}, {16.02, 15.81, 13.93}, // 8 %
	{15.74, 15.68, 13.64}, {16.21, 16.21, 13.50}, // 16 %
}

// The slowness tests: p0 is 5 %, because what is slow is over the usual p95. A call that is open for longer than Limit is rarer: 0.5 %.
const (
	usualSlow    = .05
	usualOverdue = .005
	slowTests    = 2
)

// mixed is how much more an alarm takes because kinds of calls that weigh differently share a test: alone, each has the thresholds above, and
// together they would reach them a little sooner by chance (TestKindsTogether).
const mixed = 1.015

var (
	usual     [usualRows]float64 // p0
	weights   [usualRows][Tests]weight
	shares    [usualRows][Tests]weight // as parts of the threshold: 1 is an alarm
	slowly    [slowTests]weight
	overdue   [slowTests]weight // of a call that is open for too long
	slowRates = [slowTests]float64{.3, .6}
	slowH     = [slowTests]float64{16.16, 16.71} // 100 million calls at 5 %; what is called slow is rarer (threshold in sketch.go)
)

var _ = func() bool {
	quarter, p0 := math.Sqrt(math.Sqrt(2)), leastUsual
	for i := range usual {
		usual[i] = p0
		for j, p1 := range alternatives(p0) {
			w := weighing(p0, p1, thresholds[i][j])
			weights[i][j], shares[i][j] = w, weight{up: w.up / (w.h * mixed), down: w.down / (w.h * mixed), h: 1}
		}
		p0 *= quarter
	}
	for j, p1 := range slowRates {
		slowly[j] = weighing(usualSlow, p1, slowH[j])
		overdue[j] = weighing(usualOverdue, p1, slowH[j])
	}
	return true
}()

// alternatives are the rates that the failure tests look for.
func alternatives(p0 float64) [Tests]float64 {
	return [Tests]float64{min(3*p0, .5), min(10*p0, .5), .4}
}

// rowOf is the row of the smallest p0 that is not below p, found from row i.
func rowOf(p float64, i uint8) uint8 {
	for i > 0 && usual[i-1] >= p {
		i--
	}
	for i < usualRows-1 && usual[i] < p {
		i++
	}
	return i
}

// ln is the natural logarithm for 0 < x, by halving, doubling and a series of products that are each rounded by themselves.
func ln(x float64) float64 {
	e := 0.0
	for ; x > 1.4142135623730951; x /= 2 {
		e++
	}
	for ; x < .70710678118654752; x *= 2 {
		e--
	}
	s := (x - 1) / (x + 1)
	z, sum := float64(s*s), 0.0
	for k := 33.0; k >= 1; k -= 2 {
		sum = float64(sum*z) + 1/k
	}
	return float64(e*.693147180559945309417232121458) + float64(2*s*sum)
}
