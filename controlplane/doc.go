// Package controlplane is the assembled control node: one replica of the state, the feed that serves agents, the way to the leader, and the
// leader's loop that puts the reports of all regions together.
//
// A Server owns its replica, its listeners and, while its node leads, the tenure (window of reports, acknowledgements). The commands `segue
// control` and `segue dev` start it; the web pages and the API are mounted on its listener.
package controlplane
