// Package query holds what can be asked of an agent and the shape of the answers. Questions travel down the agent's own feed connection
// and come back as opaque bytes (JSON of the types here).
//
// It owns no state. Web and the CLI ask; agents answer.
package query
