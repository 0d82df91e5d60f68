package view

// Steering is how a service's provider is chosen, in words.
type Steering struct {
	Strategy   string
	Objectives []Pair
	Rules      []string // a sentence each
	Providers  []Offer

	HasFeatures, HasNear bool // some provider says any
}

// Offer is a provider's limits, and what it asks and can.
type Offer struct{ Provider, Limits, Cost, Features, Near string }
