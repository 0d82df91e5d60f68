package view

import "time"

// Providers is the list of providers.
type Providers struct {
	Frame
	Headline Headline
	Rows     []ProviderLine
}

// ProviderLine is one provider, over all regions and services.
type ProviderLine struct {
	Name, Href string
	Contract   string
	Services   []string
	Level      Level
	Icon, Word string
	Note       string
	Asked      string // its own checks that are not good
	Rate       string
	Spark      Spark
	Success    string
	P99        string
	Use        string // in flight, and of how many
	Drain      string
}

// Provider is one provider's page.
type Provider struct {
	Frame
	Name     string
	Headline Headline
	Facts    []string
	Lanes    []LaneRow
	Asked    []AskedRow
	Trends   []Trend
	Drains   []Drain
	Drain    DrainForm
	Review   *DrainReview
	Probe    ProbeForm
	Limits   []Pair
	Contract []Pair
	Promise  string
	Done     string // what was just asked for
}

// LaneRow is one provider of one service in one region: its health in three lanes, each with its evidence.
type LaneRow struct {
	Name, Href string // of the region, or of the provider
	Service    string
	Level      Level
	Check      Lane // the active checks together
	Synthetic  Lane
	Passive    Lane
	Circuit    Lane
	Share      string
	Effective  string
	P99        string
	Rate       string
}

// Lane is one lane's word and its evidence.
type Lane struct {
	Level      Level
	Icon, Word string
	Evidence   string
}

// AskedRow is one of Segue's own checks in one region, or a synthetic.
type AskedRow struct {
	Name, Kind      string
	Region, Service string
	Lane            Lane
	Last, Next      string
	Took            string
	Spark           Spark
}

// Trend is what one region saw of a provider.
type Trend struct {
	Region, Service string
	P99, Errors     Spark
	P99Now          string
	ErrorsNow       string
	Level           Level
	Rows            []TrendRow
}

// TrendRow is one minute of the table twin.
type TrendRow struct{ At, Rate, Errors, P99 string }

// Drain is a drain in force.
type Drain struct {
	ID      string
	Where   string
	Ends    time.Time
	Left    string
	Actor   string
	Reason  string
	Action  string
	Request string
	Command string
}

// DrainForm asks for how long and where.
type DrainForm struct {
	Action  string
	For     []Option
	Regions []Option
	Command string
	Error   string
}

// DrainReview is the one confirm.
type DrainReview struct {
	Sentence    string
	Effects     []Pair
	Warnings    []string
	Fields      []Pair
	Action      string
	Button      string
	Reason      string
	ReasonError string
	Discard     string
	Command     string
}

// ProbeForm asks agents to try a provider at once, and shows what they were answered.
type ProbeForm struct {
	Action, Request, Command, Note string
	Ready                          bool // the policy says what to ask
	Active, Synthetic              bool // which kinds
	Asked                          bool
	Results                        []ProbeLine
	Silent                         []string
}

// ProbeLine is what one agent was answered.
type ProbeLine struct {
	Where      string
	Level      Level
	Icon, Word string
	Detail     string
}
