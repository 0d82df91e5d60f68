package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// everyKind makes a log of every kind of command, each made for the State that the log has led to so far: files and edits with bases that
// are stale, their merges and conflicts, rollbacks, weights with many digits, orders, nodes, repeats.
type everyKind struct {
	*rand.Rand
	now time.Time
	log []Command
}

// pick returns one of several.
func pick[T any](r *everyKind, list ...T) T { return list[r.IntN(len(list))] }

func (r *everyKind) next(s *State) Command {
	r.now = r.now.Add(time.Duration(r.IntN(200)-20) * time.Second) // clocks of different leaders go back too
	if len(r.log) > 5 && r.IntN(20) == 0 {
		c := r.log[r.IntN(len(r.log))] // a repeat
		c.At = r.now
		return c
	}
	c := r.change(s)
	c.Request, c.Actor, c.Reason, c.At = fmt.Sprint("r", len(r.log)), pick(r, "ann", "bob"), "why", r.now
	if r.IntN(4) == 0 {
		c.Match = s.Current().Number - min(s.Current().Number, uint64(r.IntN(3)))
	}
	return c
}

func (r *everyKind) change(s *State) Command {
	region := pick(r, "us-east", "eu-west", "mars")
	switch r.IntN(16) {
	case 0, 1, 2:
		return Command{ApplyPolicy: &ApplyPolicy{Base: r.revision(s), Source: r.text(s), Origin: pick(r, FromFile, FromFile, FromEdit, ""), Replace: r.IntN(8) == 0}}
	case 3:
		return back(pick(r, 0, s.Current().Number), r.revision(s))
	case 4, 5, 6:
		share := float64(r.IntN(101))
		if r.IntN(3) == 0 {
			share = r.Float64() * 100
		}
		return byHand(region, share, 100-share)
	case 7:
		return drain(pick(r, "main", "backup", "third"), time.Duration(r.IntN(600))*time.Second, region)
	case 8:
		return drill(time.Duration(r.IntN(600)) * time.Second)
	case 9:
		return pick(r, Command{EndOrder: &EndOrder{DrainsOf: pick(r, "main", "nobody")}}, Command{EndOrder: &EndOrder{ID: orderID(fmt.Sprint("r", r.IntN(len(r.log)+1)))}})
	case 10:
		return Command{Announce: &Announce{Node{ID: fmt.Sprint("c", r.IntN(20)), API: fmt.Sprint("127.0.0.1:", 7000+r.IntN(3))}}}
	case 11:
		return Command{Beside: Beside{SetVerdicts: &SetVerdicts{r.verdicts()}}, Ignorable: true}
	case 12, 13:
		c := beginTo(float64(r.IntN(101)), 0, region)
		c.BeginShift.Weights[1].Percent = 100 - c.BeginShift.Weights[0].Percent
		c.BeginShift.Steps, c.BeginShift.Base = many(1+r.IntN(5)), pick(r, 0, 0, r.revision(s))
		return c
	case 14:
		if len(s.Shifts) == 0 {
			return moveTo("sh_nowhere", ShiftStop)
		}
		f := pick(r, s.Shifts...)
		c := moveTo(f.ID, pick(r, ShiftStep, ShiftStep, ShiftHold, ShiftResume, ShiftReturn, ShiftStop, ShiftGo, ShiftBack, ShiftFinish))
		c.MoveShift.Index = f.Index
		return c
	default:
		kind := pick(r, AddNode, Promote, RemoveNode, Transfer, MembershipKind("moon"))
		return Command{Membership: &Membership{Kind: kind, Node: fmt.Sprint("c", r.IntN(20)), Raft: "127.0.0.1:7080"}, Ignorable: true}
	}
}

// verdicts are a few, some of which have ended, are given twice or make no sense.
func (r *everyKind) verdicts() (list []health.Verdict) {
	for range r.IntN(4) {
		since := r.now.Add(-time.Duration(r.IntN(100)) * time.Second).In(time.FixedZone("far", 7200))
		v := health.Verdict{Kind: health.ProviderFault, Service: "payments", Provider: pick(r, "main", "backup", ""), Since: since, Until: since.Add(time.Minute), Why: "why"}
		if r.IntN(2) == 0 {
			v.Kind, v.Region = health.PathFault, pick(r, "us-east", "eu-west")
		}
		list = append(list, v)
	}
	return list
}

// revision is 0, one that is kept, or one that is not.
func (r *everyKind) revision(s *State) uint64 {
	return pick(r, 0, s.Current().Number, uint64(r.IntN(int(s.Current().Number)+3)))
}

// text is a document that was there once, with a few changes, in one of several forms.
func (r *everyKind) text(s *State) []byte {
	src := []byte(document)
	if len(s.Revisions) > 0 && r.IntN(3) > 0 {
		src = s.Revisions[len(s.Revisions)-1-r.IntN(min(5, len(s.Revisions)))].Source
	}
	for range r.IntN(3) {
		share := float64(r.IntN(10001)) / 100
		w := []policy.Weight{{Provider: "main", Percent: share}, {Provider: "backup", Percent: 100 - share}}
		if next, err := policy.SetWeights(src, "payments", pick(r, "us-east", "eu-west"), w); err == nil {
			src = next
		}
	}
	text := string(src)
	for range r.IntN(4) {
		text = pick(r, strings.NewReplacer(), strings.NewReplacer("\n", "\r\n", "\r\n", "\n"),
			strings.NewReplacer("strategy: weighted", fmt.Sprintf("attempts: {max: %d}\n    strategy: weighted", 1+r.IntN(3))),
			strings.NewReplacer("strategy: weighted", fmt.Sprintf("strategy: weighted\n    breaker: {failures: %d}", 1+r.IntN(9))),
			strings.NewReplacer("providers:", "providers:\n  third: {contract: stripe/v1, endpoint: \"https://c.example\", credential: caller}"),
			strings.NewReplacer("weights:\n", fmt.Sprintf("weights: # %d\n", r.IntN(100))),
			strings.NewReplacer("credential: caller", fmt.Sprintf("credential: \"env:KEY_%d\"", r.IntN(3)))).Replace(text)
	}
	return []byte(text)
}

// run applies n commands on two States, one of which reads each command from the log and is restored from a snapshot on the way. It returns
// what both come to.
func (r *everyKind) run(t *testing.T, n int) []byte {
	a, b := New("one"), New("one")
	codes := map[Code]int{}
	for i := range n {
		c, index := r.next(a), uint64(i+1)
		text, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode(text)
		if err != nil {
			t.Fatal(err)
		}
		var ra, rb Result
		a, ra = a.Apply(c, index)
		b, rb = b.Apply(again, index)
		ja, _ := json.Marshal(ra)
		jb, _ := json.Marshal(rb)
		if !bytes.Equal(ja, jb) {
			t.Fatalf("command %d: %s and %s", i, ja, jb)
		}
		if ra.Err != nil {
			codes[ra.Err.Code]++
		}
		r.log = append(r.log, c)
		if r.IntN(100) == 0 {
			if b, err = Load(bytes.NewReader(saveBytes(t, b))); err != nil {
				t.Fatal(err)
			}
		}
		for _, region := range []string{"us-east", "eu-west"} {
			ua, _ := a.Update(region, r.now)
			ub, _ := b.Update(region, r.now)
			if !bytes.Equal(ua.Policy, ub.Policy) || !slices.Equal(ua.Verdicts, ub.Verdicts) {
				t.Fatalf("command %d: %s is sent\n%s\nand\n%s", i, region, ua.Policy, ub.Policy)
			}
		}
	}
	saved := saveBytes(t, a)
	if !bytes.Equal(saved, saveBytes(t, b)) {
		t.Fatal("two nodes differ after the same log")
	}
	if codes[Stale] < n/50 || codes[Invalid] < n/50 || len(a.Revisions) < n/10 && len(a.Revisions) < MaxRevisions {
		t.Fatalf("the log did little: %d revisions, refused %v", len(a.Revisions), codes)
	}
	return saved
}

// TestSameBytes: nodes come to the same bytes, in processes with other threads, zones of time and orders of maps.
func TestSameBytes(t *testing.T) {
	seed, child := uint64(time.Now().UnixNano()), os.Getenv("SEGUE_STATE_SEED")
	if child != "" {
		var err error
		if seed, err = strconv.ParseUint(child, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("seed", seed)
	r := &everyKind{Rand: rand.New(rand.NewPCG(seed, 2)), now: epoch}
	sum := sha256.Sum256(r.run(t, 600))
	line := "state " + hex.EncodeToString(sum[:])
	if child != "" {
		fmt.Println(line)
		return
	}
	for _, env := range [][]string{{"GOMAXPROCS=1", "TZ=Asia/Kolkata"}, {"GOMAXPROCS=8", "TZ=America/New_York", "GOGC=10"}} {
		run := exec.Command(os.Args[0], "-test.run=^TestSameBytes$")
		run.Env = append(append(os.Environ(), env...), "SEGUE_STATE_SEED="+strconv.FormatUint(seed, 10))
		out, err := run.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", env, err, out)
		}
		if !strings.Contains(string(out), line) {
			t.Fatalf("%v: this process comes to %s, that one says\n%s", env, line, out)
		}
	}
}
