// Package dataplane assembles the Agent: one data-plane process in one region.
//
// It owns the snapshot in force, the generations on disk, the agent's keys and the order in which its parts start and stop. `segue
// agent` and `segue dev` make one; the feed asks it to apply Updates, to report and to answer.
package dataplane
