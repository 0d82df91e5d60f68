package cassandra

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// State is how bad a finding is.
type State string

// The states of findings.
const (
	Fine  State = "fine"
	Note  State = "note"
	Wrong State = "wrong"
)

// Finding is one thing that a survey shows, and what to do about it.
type Finding struct {
	Check string
	State State
	Says  string
	Fix   string
}

const (
	slowClaim  = 100 * time.Millisecond // beyond, the data centres of the ledger are far from each other
	oldRepair  = 7 * 24 * time.Hour     // of ten days after which a deletion may be forgotten
	fixOne     = "in cassandra.yaml of each node, then restart one node after the other"
	fixSchema  = "start one agent with migrate=true in its --store"
	fixHalf    = "when no process is at it any more, start one agent with migrate=true&resume=true in its --store"
	fixRepair  = "nodetool repair LEDGER at each node, by a schedule of at most ten days: it repairs Paxos too"
	fixGroup   = "keep transactions in three data centres near each other (a ledger group); agents far away pay the way there"
	fixClock   = "set the clocks of this machine and of the node by NTP"
	fixVersion = "bring every node to 4.1 or later; 5.0 is what Segue is tested with"
)

// fixes of settings, by setting.
var fixes = map[string]string{
	"commitlog_sync":      "commitlog_sync: group and commitlog_sync_group_window: 2ms " + fixOne,
	"paxos_variant":       "paxos_variant: v2 " + fixOne,
	"paxos_state_purging": "paxos_state_purging: repaired " + fixOne + ", and a scheduled repair",
}

// Findings says what a survey shows.
func (s *Survey) Findings() []Finding {
	var out []Finding
	add := func(f ...Finding) { out = append(out, f...) }
	add(s.ofNodes()...)
	add(s.ofSchema())
	for _, k := range s.Keyspaces {
		add(s.ofCopies(k))
	}
	if len(s.Keyspaces) == 0 {
		return out
	}
	switch age := s.Now.Sub(s.Repaired); {
	case s.Repaired.IsZero():
		add(Finding{"repair", Note, "no repair of the transactions is known", fixRepair})
	case age > oldRepair:
		add(Finding{"repair", Wrong, fmt.Sprintf("the last repair of the transactions ended %d days ago", int(age.Hours()/24)), fixRepair})
	default:
		add(Finding{"repair", Fine, fmt.Sprintf("the last repair of the transactions ended %s ago", age.Round(time.Minute)), ""})
	}
	if s.Schema == nil {
		add(s.Cost.finding())
	}
	return out
}

// ofNodes says which nodes are wrong, or how many are right.
func (s *Survey) ofNodes() []Finding {
	var out []Finding
	alive, all := map[string]int{}, map[string]int{}
	for _, n := range s.Nodes {
		all[n.Datacenter]++
		name := "node " + n.Address + " in " + n.Datacenter
		if n.Err != nil {
			out = append(out, Finding{"node", Wrong, fmt.Sprintf("%s does not answer: %s", name, n.Err), "start it, or replace it; calls go on while more than half of the copies live"})
			continue
		}
		alive[n.Datacenter]++
		for _, fault := range n.faults() {
			out = append(out, Finding{fault.check, Wrong, name + ": " + fault.says, fault.fix})
		}
	}
	for _, dc := range slices.Sorted(maps.Keys(all)) {
		if alive[dc] == 0 {
			out = append(out, Finding{"centre", Wrong, fmt.Sprintf("data centre %s is out of reach: none of its %d nodes answers", dc, all[dc]), "one more data centre, and effects are refused: bring it back"})
		}
	}
	if s.Datacenter != "" && all[s.Datacenter] == 0 {
		out = append(out, Finding{"centre", Note, fmt.Sprintf("no data centre is called %s; there are %s", s.Datacenter, strings.Join(slices.Sorted(maps.Keys(all)), ", ")),
			"say dc=NAME in --store: else any node is asked, and far ones are slow"})
	}
	if len(out) == 0 {
		out = append(out, Finding{"nodes", Fine, fmt.Sprintf("%d nodes in %d data centres answer and are set right", len(s.Nodes), len(all)), ""})
	}
	return out
}

// ofSchema says whether the tables are right.
func (s *Survey) ofSchema() Finding {
	if slices.ContainsFunc(s.Nodes, func(n Node) bool { return recentEnough(n.Version) != nil }) {
		return Finding{"tables", Note, "not looked at: a server is too old", fixVersion}
	}
	switch err := s.Schema; {
	case err == nil:
		return Finding{"tables", Fine, fmt.Sprintf("the tables are those of this version (%d migrations)", len(migrations)), ""}
	case errors.Is(err, ErrHalfMigrated):
		return Finding{"tables", Wrong, err.Error(), fixHalf}
	case errors.Is(err, ErrNoSchema):
		return Finding{"tables", Wrong, err.Error(), fixSchema}
	case errors.Is(err, ErrNewerSchema):
		return Finding{"tables", Wrong, err.Error(), "use the newer version of Segue everywhere"}
	default:
		return Finding{"tables", Wrong, err.Error(), "restore the keyspace, or name another with keyspace= in --store"}
	}
}

// ofCopies says what a keyspace survives.
func (s *Survey) ofCopies(k Keyspace) Finding {
	total, weakest := 0, ""
	for _, dc := range slices.SortedFunc(maps.Keys(k.Copies), func(a, b string) int { return cmp.Or(cmp.Compare(k.Copies[b], k.Copies[a]), strings.Compare(a, b)) }) {
		total += k.Copies[dc]
		if weakest == "" {
			weakest = dc // the one with the most copies is the one whose loss costs most
		}
	}
	quorum, left := total/2+1, total-k.Copies[weakest]
	switch _, simple := k.Copies[""]; {
	case total < 3:
		return Finding{"copies", Note, fmt.Sprintf("%s: %d in all: no node may be lost", k.Name, total), "three data centres with one to three copies each; add one copy at a time, with a repair between"}
	case simple:
		return Finding{"copies", Note, fmt.Sprintf("%s: %d copies without regard to data centres", k.Name, total), "NetworkTopologyStrategy, with copies by data centre"}
	case left < quorum:
		return Finding{"copies", Note, fmt.Sprintf("%s: %d copies in %d data centres: without %s there are %d, and %d are needed", k.Name, total, len(k.Copies), weakest, left, quorum),
			"three data centres with equal copies survive the loss of any one; two never do"}
	default:
		return Finding{"copies", Fine, fmt.Sprintf("%s: %d copies in %d data centres: any one of them may be lost", k.Name, total, len(k.Copies)), ""}
	}
}

func (c Cost) finding() Finding {
	switch says := fmt.Sprintf("a claim takes %s, at worst %s, and the outcome %s: an effect waits for the first before it is sent", rounded(c.Claim), rounded(c.ClaimWorst), rounded(c.Outcome)); {
	case c.Err != nil:
		return Finding{"claim", Wrong, fmt.Sprintf("a claim cannot be made: %s", c.Err), "bring enough nodes back: more than half of the copies"}
	case c.Claim > slowClaim:
		return Finding{"claim", Note, says, fixGroup}
	default:
		return Finding{"claim", Fine, says, ""}
	}
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
