// Package route holds the choice: which provider a call goes to (Decide), the Standings it looks at, what taking and giving back a slot
// does to them (Begin, End), and the sentences that explain a Decision (Explain) or compute it again (Replay).
//
// It owns no state: Standings live in the standing board, under its lock.
package route
