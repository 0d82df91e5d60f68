package query

// MaxTried bounds the body of a request that is tried.
const MaxTried = 64 << 10

// Try is a request that an agent decides as it would an application's, and does not send. Headers are those that an application would
// set, Session-Id, Segue-Value and Segue-Client-Region too; a key is made up, so that nothing of an earlier call is found by it.
type Try struct {
	Method  string
	Path    string // with its query
	Headers map[string]string
	Body    []byte
}

// Tried is what would be decided.
type Tried struct {
	Agent, Region string
	Service       string
	Operation     string
	Read          bool
	Refused       string // "" where it came to a decision: else why the request would be refused before one
	Sentences     []string
	Decision
}
