package standing

import (
	"cmp"
	"slices"

	"segue/dataplane/route"
)

// Spent is what a run of the agent leaves to the next one of a service: money, which no restart may give back, and what answers told of fees.
type Spent struct {
	Service  string
	Spending route.Spending `json:",omitzero"`
	Fees     []Fees         `json:",omitempty"`
}

// Fees is what answers told of one provider's.
type Fees struct {
	Provider string
	Price    string // a print of what the policy said then: what was told beside it says nothing of another price
	route.Told
}

// Spent is what the next run is to know, by the services' names.
func (b *Board) Spent() []Spent {
	b.swap.Lock()
	defer b.swap.Unlock()
	var all []Spent
	for _, s := range *b.services.Load() {
		if one, some := s.spent(); some {
			all = append(all, one)
		}
	}
	for _, one := range b.earlier {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b Spent) int { return cmp.Compare(a.Service, b.Service) })
	return all
}

func (s *service) spent() (is Spent, some bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	is.Service = s.name
	is.Spending, some = s.st.Past.Spending()
	for _, r := range s.rows {
		if told := r.Told(); told.Answers > 0 {
			is.Fees, some = append(is.Fees, Fees{r.Provider, s.now.PricePrint(r.Provider), told}), true
		}
	}
	return is, some
}

// Remember takes over what an earlier run left. It is told before the first Swap; each service takes its own when a policy brings it.
func (b *Board) Remember(all []Spent) {
	b.swap.Lock()
	defer b.swap.Unlock()
	b.earlier = make(map[string]Spent, len(all))
	for _, one := range all {
		b.earlier[one.Service] = one
	}
}

// remember is for a service that nobody has chosen by yet.
func (s *service) remember(was Spent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.st.Past.Remember(was.Spending)
	for _, f := range was.Fees {
		if r := s.row(f.Provider); r != nil && f.Price == s.now.PricePrint(f.Provider) {
			r.Remember(f.Told)
		}
	}
}
