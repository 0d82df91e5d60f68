package state

import (
	"testing"
	"time"
)

const pinnedDocument = `segue: v1
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    operations:
      charge: {match: POST /v1/charges, key: required}
    strategy: priority
    priority: [main, backup]
    without_quorum: refuse
providers:
  main: {contract: stripe/v1, credential: env:MAIN}
  backup: {contract: stripe/v1, credential: env:BACKUP}
`

// TestPinsChange: offline pins and work without a quorum change one after the other, a life of the keys (24 h) between.
func TestPinsChange(t *testing.T) {
	const plain = "key: required}"
	pin := func(src, provider string) string {
		return changed(t, src, plain, "key: required, offline_pin: {provider: "+provider+"}}")
	}
	on := func(src string) string {
		return changed(t, src, "without_quorum: refuse", "without_quorum: offline_pin")
	}
	w := newWorld(t)
	base := uint64(0)
	put := func(request, src string) {
		t.Helper()
		base = w.must(request, apply(base, src)).Revision
	}
	first := pin(pinnedDocument, "main")
	put("a cluster without any policy", pinnedDocument)
	w.refused(Invalid, "are not in force yet", "pin and work at once", apply(base, on(first)))
	put("the pin", first)
	w.refused(Invalid, "wait until", "work at once", apply(base, on(first)))
	w.now = w.now.Add(23 * time.Hour)
	w.refused(Invalid, "wait until", "work too early", apply(base, on(first)))
	w.now = w.now.Add(time.Hour)
	put("work", on(first))
	put("another edit", changed(t, on(first), "[main, backup]", "[backup, main]"))

	w.refused(Invalid, "cannot change while", "another pin", apply(base, on(pin(pinnedDocument, "backup"))))
	w.refused(Invalid, "cannot change while", "the end of both", apply(base, pinnedDocument))
	w.refused(Invalid, "cannot change while", "another account", apply(base, changed(t, on(first), "env:MAIN", "env:MAIN, account: other")))
	put("the end of work", first)
	w.refused(Invalid, "wait until", "another pin too early", apply(base, pin(pinnedDocument, "backup")))
	w.now = w.now.Add(24*time.Hour + time.Minute)
	put("another pin", pin(pinnedDocument, "backup"))
	w.refused(Invalid, "wait until", "work there at once", apply(base, on(pin(pinnedDocument, "backup"))))
}

// TestPinsOfANewService: a service that nobody called before begins with both.
func TestPinsOfANewService(t *testing.T) {
	w := newWorld(t)
	w.must("both", apply(0, changed(t, pinnedDocument, "key: required}", "key: required, offline_pin: {provider: main}}", "without_quorum: refuse", "without_quorum: offline_pin")))
}
