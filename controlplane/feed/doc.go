// Package feed is both ends of the wire between the planes: Updates and queries down, acknowledgements, reports and answers up; and, between
// control nodes, changes and reports on their way to the leader.
//
// The server's end owns the watchers (a slot of one each, latest wins); the agent's end owns one connection and its reconnects. The
// assemblies of both planes call it.
package feed
