package cassandra

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// survey is a good cluster of three data centres, changed.
func survey(change func(s *Survey)) *Survey {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	s := &Survey{Datacenter: "eu", Now: now, Repaired: now.Add(-48 * time.Hour), Cost: Cost{Claim: 9 * time.Millisecond, ClaimWorst: 17 * time.Millisecond, Outcome: 8 * time.Millisecond}}
	for i, dc := range []string{"us", "eu", "ap"} {
		s.Nodes = append(s.Nodes, Node{Address: fmt.Sprintf("10.0.0.%d", i+1), Datacenter: dc, Version: "5.0.6", Settings: settings()})
	}
	for _, name := range []string{"ledger", "soft"} {
		s.Keyspaces = append(s.Keyspaces, Keyspace{name, map[string]int{"us": 3, "eu": 3, "ap": 3}})
	}
	change(s)
	return s
}

// TestFindings: each wrong state of a cluster is found, with what to do about it; a good one has nothing wrong.
func TestFindings(t *testing.T) {
	for _, f := range survey(func(*Survey) {}).Findings() {
		if f.State != Fine || f.Fix != "" {
			t.Errorf("a good cluster: %+v", f)
		}
	}
	for name, c := range map[string]struct {
		change    func(s *Survey)
		check     string
		state     State
		says, fix string
	}{
		"too old":           {func(s *Survey) { s.Nodes[1].Version = "4.0.11" }, "version", Wrong, "node 10.0.0.2 in eu: cassandra: the server is too old: 4.0.11", "4.1 or later"},
		"tables of too old": {func(s *Survey) { s.Nodes[1].Version = "4.0.11" }, "tables", Note, "not looked at", "4.1 or later"},
		"periodic":          {func(s *Survey) { s.Nodes[0].Settings = settings("commitlog_sync", "periodic") }, "settings", Wrong, "commitlog_sync is periodic", "commitlog_sync: group"},
		"paxos v1":          {func(s *Survey) { s.Nodes[0].Settings = settings("paxos_variant", "v1") }, "settings", Wrong, "paxos_variant is v1", "paxos_variant: v2"},
		"purging":           {func(s *Survey) { s.Nodes[2].Settings = settings("paxos_state_purging", "legacy") }, "settings", Wrong, "paxos_state_purging is legacy", "paxos_state_purging: repaired"},
		"clock":             {func(s *Survey) { s.Nodes[2].Offset = 3 * time.Second }, "clock", Wrong, "its clock is 3s off", "NTP"},
		"a node is down": {func(s *Survey) {
			s.Nodes = append(s.Nodes, Node{Address: "10.0.0.4", Datacenter: "ap", Version: "5.0.6", Err: errors.New("refused")})
		}, "node", Wrong, "node 10.0.0.4 in ap does not answer: refused", "start it"},
		"a centre is down": {func(s *Survey) { s.Nodes[2].Err = errors.New("no route") }, "centre", Wrong, "data centre ap is out of reach", "bring it back"},
		"no such centre":   {func(s *Survey) { s.Datacenter = "mars" }, "centre", Note, "no data centre is called mars; there are ap, eu, us", "dc=NAME"},
		"half migrated":    {func(s *Survey) { s.Schema = fmt.Errorf("%w: number 2", ErrHalfMigrated) }, "tables", Wrong, "half migrated: number 2", "migrate=true&resume=true"},
		"no tables":        {func(s *Survey) { s.Schema, s.Keyspaces = ErrNoSchema, nil }, "tables", Wrong, "missing or old", "migrate=true"},
		"newer tables":     {func(s *Survey) { s.Schema = ErrNewerSchema }, "tables", Wrong, "newer version", "newer version of Segue everywhere"},
		"other tables":     {func(s *Survey) { s.Schema = ErrOtherSchema }, "tables", Wrong, "another history", "keyspace="},
		"one copy":         {func(s *Survey) { s.Keyspaces[0].Copies = map[string]int{"us": 1} }, "copies", Note, "ledger: 1 in all: no node may be lost", "one copy at a time"},
		"two centres":      {func(s *Survey) { s.Keyspaces[1].Copies = map[string]int{"us": 3, "eu": 3} }, "copies", Note, "soft: 6 copies in 2 data centres: without eu there are 3, and 4 are needed", "two never do"},
		"uneven":           {func(s *Survey) { s.Keyspaces[0].Copies = map[string]int{"us": 5, "eu": 1, "ap": 1} }, "copies", Note, "without us there are 2, and 4 are needed", "equal copies"},
		"one each":         {func(s *Survey) { s.Keyspaces[0].Copies = map[string]int{"us": 1, "eu": 1, "ap": 1} }, "copies", Fine, "ledger: 3 copies in 3 data centres: any one of them may be lost", ""},
		"simple":           {func(s *Survey) { s.Keyspaces[0].Copies = map[string]int{"": 3} }, "copies", Note, "without regard to data centres", "NetworkTopologyStrategy"},
		"never repaired":   {func(s *Survey) { s.Repaired = time.Time{} }, "repair", Note, "no repair of the transactions is known", "nodetool repair"},
		"long ago":         {func(s *Survey) { s.Repaired = s.Now.Add(-200 * time.Hour) }, "repair", Wrong, "ended 8 days ago", "nodetool repair"},
		"slow":             {func(s *Survey) { s.Cost.Claim = 150 * time.Millisecond }, "claim", Note, "a claim takes 150ms, at worst 17ms", "ledger group"},
		"no quorum":        {func(s *Survey) { s.Cost.Err = errors.New("Cannot achieve consistency level SERIAL") }, "claim", Wrong, "a claim cannot be made: Cannot achieve", "more than half"},
		"fast":             {func(*Survey) {}, "claim", Fine, "a claim takes 9ms, at worst 17ms, and the outcome 8ms", ""},
	} {
		hit := false
		found := survey(c.change).Findings()
		for _, f := range found {
			hit = hit || f.Check == c.check && f.State == c.state && strings.Contains(f.Says, c.says) && strings.Contains(f.Fix, c.fix) && (f.Fix == "") == (c.fix == "")
		}
		if !hit {
			t.Errorf("%s: no %s %s %q → %q in\n%+v", name, c.state, c.check, c.says, c.fix, found)
		}
	}
}

func TestCopiesOf(t *testing.T) {
	got := copiesOf(map[string]string{"class": "org.apache.cassandra.locator.NetworkTopologyStrategy", "us": "3", "eu": "1"})
	if len(got) != 2 || got["us"] != 3 || got["eu"] != 1 {
		t.Errorf("%v", got)
	}
	if got = copiesOf(map[string]string{"class": "SimpleStrategy", "replication_factor": "2"}); len(got) != 1 || got[""] != 2 {
		t.Errorf("%v", got)
	}
}
