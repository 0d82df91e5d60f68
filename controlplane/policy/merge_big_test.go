package policy

import (
	"fmt"
	"strings"
	"testing"
)

// largeText is a document of about n services, each with four providers, in eight regions.
func largeText(n int) string {
	var b strings.Builder
	b.WriteString("segue: v1\nregions:\n")
	for r := range 8 {
		fmt.Fprintf(&b, "  r%d: {}\n", r)
	}
	b.WriteString("services:\n")
	for s := range n {
		fmt.Fprintf(&b, "  s%d:\n    speaks: stripe/v1\n    listen: %d\n    strategy: weighted\n    weights:\n", s, 7000+s)
		for r := range 8 {
			fmt.Fprintf(&b, "      r%d: {s%d-a: 40, s%d-b: 30, s%d-c: 20, s%d-d: 10} # a line\n", r, s, s, s, s)
		}
	}
	b.WriteString("providers:\n")
	for s := range n {
		for _, p := range "abcd" {
			fmt.Fprintf(&b, "  s%d-%c: {contract: stripe/v1, credential: env:KEY, limits: {in_flight: 200}}\n", s, p)
		}
	}
	return b.String()
}

// BenchmarkMergeLarge is the merge of the largest policy that the bounds allow: every node does it while it applies the
// command. (A quarter of a second of CPU.)
func BenchmarkMergeLarge(b *testing.B) {
	base := largeText(maxServices)
	theirs := strings.Replace(base, "s9-a: 40, s9-b: 30", "s9-a: 30, s9-b: 40", 1)
	yours := strings.Replace(base, "listen: 7003", "listen: 6003", 1)
	b.SetBytes(int64(len(base)))
	for b.Loop() {
		m, err := Merge([]byte(base), []byte(theirs), []byte(yours))
		if err != nil || len(m.Kept) != 2 {
			b.Fatal(err, m.Conflicts)
		}
	}
}
