// Package health holds what was measured: the Class of one call, the Sample and the Measure that an agent keeps per provider, the
// Report that it sends each second, and the Window in which the leader puts the reports of all regions together.
//
// It owns no state. The agents' standings observe with it; the feed carries its reports; the leader's loop keeps its window.
package health
