package view

// Cluster is the control nodes, and the agents as they acknowledged.
type Cluster struct {
	Frame
	Headline Headline
	Nodes    []NodeRow
	Agents   []AgentRow
	Targets  []Option // who may lead next
	Remove   *RemoveReview
	Request  string
	Done     string
	Steers   bool // there is more than the one node
}

// NodeRow is one control node.
type NodeRow struct {
	ID         string
	Level      Level
	Icon, Word string
	Note       string
	Lag        string
	Applied    string
	Snapshot   string
	Contact    string
	Clock      string
	Addresses  []string
	Remove     string // address of the review; empty: it is the only one
}

// RemoveReview is a node that somebody is about to take out.
type RemoveReview struct {
	ID, Action, Discard, Request, Command string
	Effects                               []Pair
	Warning                               string
	Force                                 bool
}

// API is the description of the API.
type API struct {
	Frame
	Title, About string
	Groups       []APIGroup
	Count        int
}

// APIGroup are operations that belong together.
type APIGroup struct {
	Name, About string
	Operations  []APIOperation
}

// APIOperation is one of them.
type APIOperation struct {
	ID, Method, Path, Summary, About string
	Parameters                       []APIParameter
	Body                             string // an example
	Answers                          []Pair
	Curl                             string
	Change                           bool
}

// APIParameter is a value that goes along.
type APIParameter struct {
	Name, In, About string
	Required        bool
}

// Go is the palette: what can be gone to, and what can be copied.
type Go struct {
	Frame
	Query   string
	Entries []GoEntry
}

// GoEntry is one line of the palette. It leads somewhere, or is a command.
type GoEntry struct {
	Kind    string `json:"kind"`
	Label   string `json:"label"`
	Detail  string `json:"detail,omitempty"`
	Href    string `json:"href,omitempty"`
	Command string `json:"command,omitempty"`
}
