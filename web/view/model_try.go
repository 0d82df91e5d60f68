package view

// Try is the form that has one request decided, and what was decided.
type Try struct {
	Action           string
	Open             bool
	Request          string // POST /v1/charges
	Regions, Clients []Option
	Headers          string
	Body             string
	Value, Session   string
	Command          string
	Error            string
	Sub              string
	Result           *Decision
}
