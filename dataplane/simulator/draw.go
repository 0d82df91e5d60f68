package simulator

import "math"

// Source is a stream of random bits. The caller seeds it.
type Source interface{ Uint64() uint64 }

// Streams are the three kinds of chance, apart from each other: a player that draws more often than another changes neither who arrives
// nor what the world does to them.
type Streams struct{ Arrivals, World, Policy Source }

// golden is 2⁶⁴ divided by the golden ratio: steps of it visit every residue.
const golden = 0x9e3779b97f4a7c15

// mix is the finaliser of splitmix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// dice are the draws of one fate: of one send of one call to one provider. They do not depend on who asked before, so that two players
// who send the same call to the same provider meet the same.
type dice uint64

func (d *dice) roll() float64 {
	*d += golden
	return unit(mix(uint64(*d)))
}

// unit is in (0, 1), never at its ends.
func unit(x uint64) float64 { return (float64(x>>12) + 0.5) / (1 << 52) }

func exponential(u float64) float64 { return -math.Log(u) }

// normal is the quantile of the normal distribution.
func normal(u float64) float64 { return math.Sqrt2 * math.Erfinv(float64(2*u)-1) }

func lognormal(u, median, sigma float64) float64 { return median * math.Exp(float64(sigma*normal(u))) }
