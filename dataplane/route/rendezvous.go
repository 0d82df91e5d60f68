package route

import "math/bits"

// salt is FNV-1a of the provider's name: a session's place does not depend on where the document lists its providers.
func salt(provider string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(provider); i++ {
		h = (h ^ uint64(provider[i])) * 1099511628211
	}
	return mix(h)
}

// mix is the finaliser of splitmix64: every bit of x moves about half of the result's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// rendezvous is weight / −ln u, u drawn from (0, 1) by draw and provider: the largest one wins, each with a probability in
// proportion to its weight, and a change of one weight moves only the draws that this provider wins or loses.
func rendezvous(draw, salt uint64, weight float64) float64 {
	return weight / minusLn(mix(draw^salt)>>12)
}

const ln2 = 0.693147180559945309417232121458

// minusLn is −ln((n + ½) / 2⁵²) for n < 2⁵². It is written out, with each product rounded on its own, because math.Log is assembly on
// one machine and fused multiply-adds on the next: a decision has to replay bit for bit on any of them.
func minusLn(n uint64) float64 {
	x := 2*n + 1 // odd: never 0, and below 2⁵³, so that it is exact
	short := 53 - bits.Len64(x)
	m, e := float64(x<<uint(short))/(1<<52), -1-short // u = m · 2ᵉ, m in [1, 2)
	if m > 1.4142135623730951 {
		m /= 2
		e++
	}
	s := (m - 1) / (m + 1)
	z := float64(s * s)
	p := 1.0 / 13
	p = float64(p*z) + 1.0/11
	p = float64(p*z) + 1.0/9
	p = float64(p*z) + 1.0/7
	p = float64(p*z) + 1.0/5
	p = float64(p*z) + 1.0/3
	p = float64(p*z) + 1
	return float64(-float64(e)*ln2) - float64(float64(2*s)*p)
}
