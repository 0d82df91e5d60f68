package query

import "testing"

func TestScoresArePeoples(t *testing.T) {
	for want, c := range map[string]Candidate{
		"0.0312 EUR": {Rank: 0.031249, Unit: "EUR"},
		"-0.25 EUR":  {Rank: -0.25, Unit: "EUR"},
		"0 EUR":      {Rank: 0.0000004, Unit: "EUR"},
		"12.8 JPY":   {Rank: 12.80001, Unit: "JPY"},
		"0.731":      {Rank: 0.7312},
		"–":          {},
		"2.000":      {Rank: 2},
	} {
		if got := c.Score(); got != want {
			t.Errorf("%+v: %q, want %q", c, got, want)
		}
	}
}
