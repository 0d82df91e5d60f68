package policy

import (
	"slices"

	"segue/regions"
)

// Ranks of candidates that nobody tells to be near: after all that are, those that are near somewhere before those that are nowhere.
const (
	farRank     = maxRegions + 1
	nowhereRank = farRank + 1
)

// ranks says for each region of users how near each candidate is: 0 in the region itself, else by the place of its region in the order in
// which the user's region would be stood in for. Nil where no candidate is near anything.
func (b *builder) ranks(names []string) [][]uint8 {
	told := false
	rows := make([][]uint8, len(b.policy.Regions))
	for i, r := range b.policy.Regions {
		rows[i] = make([]uint8, len(names))
		for k, name := range names {
			near := b.policy.Provider(name).Near
			told = told || len(near) > 0
			rows[i][k] = rank(r, near)
		}
	}
	if !told {
		return nil
	}
	return rows
}

func rank(r regions.Region, near []string) uint8 {
	best := uint8(nowhereRank)
	for _, n := range near {
		switch at := slices.Index(r.Standby, n); {
		case n == r.Name:
			return 0
		case at >= 0:
			best = min(best, uint8(at+1))
		default:
			best = min(best, farRank)
		}
	}
	return best
}
