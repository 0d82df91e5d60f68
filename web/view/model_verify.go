package view

// VerifyReview is what a look for all open outcomes would ask for, before anybody is asked.
type VerifyReview struct {
	Frame
	Headline Headline
	Groups   []VerifyGroup
	Act      string   // what the button says; empty: there is nothing to do
	Notes    []string // what is left out, and who did not tell
	Hidden   []Pair   // of the form: which are meant
	Request  string
	Back     string
}

// VerifyGroup are those of one service at one provider.
type VerifyGroup struct {
	Service, Provider, Href string
	Count                   string
	Worth                   string
	Oldest                  string
}

// Verified is how far a look for all open outcomes came.
type Verified struct {
	Frame
	Headline Headline
	Rows     []VerifiedRow
	Notes    []string
	Done     bool
	Here     string // this page
	Back     string
}

// VerifiedRow is one transaction of them.
type VerifiedRow struct {
	ID, Href       string
	Where          string // service · operation, at provider
	Level          Level
	Icon, Word     string
	Why            string
	Resolve, Agent string
}
