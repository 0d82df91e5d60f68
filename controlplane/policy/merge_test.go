package policy

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// filed is a file as somebody keeps it in git: with comments, blank lines and an order of its own.
const filed = `# kept in git
segue: v1
regions:
  us-east: {standby: [eu-west]} # first
  eu-west: {standby: [us-east]}

services:
  # cards
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights: # fees of May
      us-east: {main: 70, backup: 30}
      eu-west: {main: 40, backup: 60} # night

    attempts: {max: 2}

providers:
  main: {contract: stripe/v1, credential: caller} # ours
  backup: {contract: stripe/v1, credential: env:BACKUP_KEY}
# the end
`

func edited(t testing.TB, src string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(src, pairs[i]) {
			t.Fatalf("%q is not in the document", pairs[i])
		}
		src = strings.Replace(src, pairs[i], pairs[i+1], 1)
	}
	return src
}

func merged(t testing.TB, base, theirs, yours string) Merged {
	t.Helper()
	m, err := Merge([]byte(base), []byte(theirs), []byte(yours))
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Conflicts) > 0 {
		t.Fatalf("conflicts: %+v", m.Conflicts)
	}
	return m
}

// What the night changed is kept and what the file changed comes: not a byte else moves.
func TestMergeKeepsWeightsOfTheNight(t *testing.T) {
	night, err := SetWeights([]byte(filed), "payments", "eu-west", []Weight{{"main", 10}, {"backup", 90}})
	if err != nil {
		t.Fatal(err)
	}
	yours := edited(t, filed, "attempts: {max: 2}", "attempts: {max: 3, deadline: 8s} # more", "# ours", "# still ours")
	m := merged(t, filed, string(night), yours)
	want := edited(t, yours, "{main: 40, backup: 60} # night", "{main: 10, backup: 90} # night")
	if string(m.Source) != want {
		t.Errorf("got\n%s\nwant\n%s", m.Source, want)
	}
	if got := texts(m.Kept); !reflect.DeepEqual(got, []string{"payments / eu-west: main 40 → 10 %", "payments / eu-west: backup 60 → 90 %"}) {
		t.Errorf("kept %q", got)
	}
}

func TestMergeTakesWhatOneSideChanged(t *testing.T) {
	flat := edited(t, filed, "weights: # fees of May\n      us-east: {main: 70, backup: 30}\n      eu-west: {main: 40, backup: 60} # night\n\n",
		"weights: {main: 70, backup: 30} # everywhere\n")
	third := "  spare: {contract: stripe/v1, credential: env:SPARE} # of theirs\n"
	for _, c := range []struct {
		name                string
		base, theirs, yours string
		want                []string // lines of the document
	}{
		{"weights once for all", flat, edited(t, flat, "weights: {main: 70, backup: 30} # everywhere", "weights:\n      us-east: {main: 70, backup: 30}\n      eu-west: {main: 5, backup: 95}"),
			edited(t, flat, "max: 2", "max: 3"), []string{"default: {main: 70, backup: 30} # everywhere", "eu-west: {main: 5, backup: 95}", "max: 3"}},
		{"a credential once for all", filed, edited(t, filed, "env:BACKUP_KEY", "{default: env:BACKUP_KEY, eu-west: env:EU}"), filed,
			[]string{"{default: 'env:BACKUP_KEY', eu-west: 'env:EU'}"}},
		{"the region that the default covered", edited(t, filed, "us-east: {main: 70", "default: {main: 70"),
			edited(t, filed, "us-east: {main: 70, backup: 30}", "us-east: {main: 1, backup: 99}"),
			edited(t, filed, "us-east: {main: 70", "default: {main: 70", "max: 2", "max: 3"),
			[]string{"default: {main: 70, backup: 30}", "us-east: {main: 1, backup: 99}", "# night"}},
		{"a provider of theirs", filed, edited(t, filed, "# the end\n", third, "main: 70, backup: 30", "main: 70, backup: 30, spare: 0"),
			edited(t, filed, "max: 2", "max: 3"), []string{"spare: {contract: stripe/v1, credential: 'env:SPARE'} # of theirs", "{main: 70, backup: 30, spare: 0}", "max: 3"}},
		{"a breaker of theirs", filed, edited(t, filed, "attempts: {max: 2}", "attempts: {max: 2}\n    breaker: {reset: 9s}"), filed, []string{"breaker: {reset: 9s}", "# kept in git", "# the end"}},
		{"attempts of theirs, where the file says none", edited(t, filed, "    attempts: {max: 2}\n", ""), filed, edited(t, filed, "    attempts: {max: 2}\n", "", "# ours", "# x"), []string{"# x"}},
		{"a default that they wrote out", edited(t, filed, "    attempts: {max: 2}\n", ""), filed, edited(t, filed, "max: 2", "max: 4"), []string{"max: 4"}},
		{"both the same", filed, edited(t, filed, "max: 2", "max: 4"), edited(t, filed, "max: 2", "max: 4", "# ours", "# x"), []string{"max: 4", "# x"}},
	} {
		m := merged(t, c.base, c.theirs, c.yours)
		for _, line := range c.want {
			if !strings.Contains(string(m.Source), line) {
				t.Errorf("%s: %q is not in\n%s", c.name, line, m.Source)
			}
		}
	}
}

func TestMergeTakesARegion(t *testing.T) {
	small := string(read(t, "testdata/good/smallest.yaml"))
	theirs := edited(t, small, "services:", "regions: {local: {}, second: {standby: [local]}}\nservices:")
	m := merged(t, small, theirs, edited(t, small, "7101", "7102"))
	if names := m.Policy.Regions.Names(); !slices.Equal(names, []string{"local", "second"}) || m.Policy.Services[0].Listen.Port != 7102 {
		t.Errorf("%v\n%s", names, m.Source)
	}
	if !strings.Contains(string(m.Source), "# forwards the application's own key") {
		t.Errorf("the file's comment is lost:\n%s", m.Source)
	}
}

func TestMergeTellsConflicts(t *testing.T) {
	spare := edited(t, filed, "# the end\n", "  spare: {contract: stripe/v1, credential: env:SPARE}\n", "{main: 70, backup: 30}", "{main: 70, backup: 30, spare: 0}")
	for _, c := range []struct {
		name                string
		base, theirs, yours string
		want                []Conflict
	}{
		{"a value", filed, edited(t, filed, "max: 2", "max: 3"), edited(t, filed, "max: 2", "max: 4"),
			[]Conflict{{"services.payments.attempts.max", "2", "3", "4"}}},
		{"weights", filed, edited(t, filed, "{main: 40, backup: 60}", "{main: 10, backup: 90}"), edited(t, filed, "{main: 40, backup: 60}", "{main: 50, backup: 50}"),
			[]Conflict{{"services.payments.weights.eu-west.main", "40", "10", "50"}, {"services.payments.weights.eu-west.backup", "60", "90", "50"}}},
		{"shares that no longer add up", spare, edited(t, spare, "main: 70, backup: 30, spare: 0", "main: 60, backup: 40, spare: 0"), edited(t, spare, "main: 70, backup: 30, spare: 0", "main: 70, backup: 20, spare: 10"),
			[]Conflict{{"services.payments.weights.us-east.backup", "30", "40", "20"}}},
		{"only the sum is wrong", spare, edited(t, spare, "main: 70, backup: 30, spare: 0", "main: 65, backup: 35, spare: 0"), edited(t, spare, "main: 70, backup: 30, spare: 0", "main: 65, backup: 30, spare: 5"),
			[]Conflict{{"services.payments.weights.us-east.backup", "30", "35", "30"}, {"services.payments.weights.us-east.spare", "0", "0", "5"}}},
		{"taken away and changed", spare, edited(t, spare, "env:SPARE", "env:OTHER"), filed,
			[]Conflict{{"providers.spare.credential.us-east", "env:SPARE", "env:OTHER", ""}, {"providers.spare.credential.eu-west", "env:SPARE", "env:OTHER", ""}}},
		{"the same name, twice new", filed, spare, edited(t, spare, "env:SPARE", "env:OTHER"),
			[]Conflict{{"providers.spare.credential.us-east", "", "env:SPARE", "env:OTHER"}, {"providers.spare.credential.eu-west", "", "env:SPARE", "env:OTHER"}}},
	} {
		m, err := Merge([]byte(c.base), []byte(c.theirs), []byte(c.yours))
		if err != nil || m.Source != nil || !reflect.DeepEqual(m.Conflicts, c.want) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", c.name, err, m.Conflicts, c.want)
		}
	}
}

// Two changes that are each right and together are no policy: the problems are told, nothing is made.
func TestMergeRefusesWhatDoesNotFitTogether(t *testing.T) {
	spare := edited(t, filed, "# the end\n", "  spare: {contract: stripe/v1, credential: env:SPARE}\n")
	theirs := edited(t, spare, "{main: 70, backup: 30}", "{main: 70, backup: 30, spare: 0}")
	m, err := Merge([]byte(spare), []byte(theirs), []byte(filed))
	var problems Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), `no provider "spare"`) || m.Source != nil {
		t.Errorf("%v %+v", err, m)
	}
	for _, bad := range [][3]string{{"x: [", filed, filed}, {filed, "x: [", filed}, {filed, filed, "x: ["}} {
		if _, err := Merge([]byte(bad[0]), []byte(bad[1]), []byte(bad[2])); !errors.As(err, &problems) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestMergeOfOneSideIsThatSide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		q := redraw(t, p)
		if Validate(q) != nil {
			t.Skip("not a policy")
		}
		base, changed := Marshal(p), Marshal(q)
		for name, m := range map[string][2][]byte{"yours": {base, changed}, "both": {changed, changed}} {
			got, err := Merge(base, m[0], m[1])
			if err != nil || !bytes.Equal(got.Source, changed) || len(got.Kept) > 0 {
				t.Fatalf("%s: %v\n%s\nwant\n%s", name, err, got.Source, changed)
			}
		}
		got, err := Merge(base, changed, base)
		if err != nil || len(got.Conflicts) > 0 || len(Diff(got.Policy, q)) > 0 {
			t.Fatalf("theirs: %v %v\n%s\nwant\n%s", err, got.Conflicts, got.Source, changed)
		}
	})
}

// edits are changes of one field each; any two of different fields can stand together.
func edits(t *rapid.T, p *Policy) []func(*Policy) {
	var list []func(*Policy)
	n := rapid.IntRange(1, 9).Draw(t, "n")
	for i := range p.Services {
		list = append(list,
			func(q *Policy) {
				q.Services[i].Attempts = Attempts{Max: n + 1, PerTry: 3 * time.Second, Deadline: time.Minute}
			},
			func(q *Policy) { q.Services[i].Breaker.Reset = time.Duration(n) * time.Second },
			func(q *Policy) { q.Services[i].Listen = Listen{Port: 20000 + 10*i + n} })
		for _, r := range p.Regions {
			list = append(list, func(q *Policy) { resteer(q, i, r.Name, n) })
		}
	}
	for i := range p.Providers {
		list = append(list,
			func(q *Policy) { q.Providers[i].Limits.InFlight = 7000 + n },
			func(q *Policy) { q.Providers[i].Limits.Rate = float64(7000 + n) },
			func(q *Policy) { q.Providers[i].Account = fmt.Sprint("account-", n) },
			func(q *Policy) {
				q.Providers[i].Checks.Active = []Check{{Method: "GET", Path: "/changed", Every: time.Duration(n) * time.Minute}}
			},
			func(q *Policy) { q.Providers[i].Endpoint = everywhere(q, fmt.Sprintf("https://changed-%d.example", n)) },
			func(q *Policy) { q.Providers[i].Credential = everywhere(q, fmt.Sprint("env:CHANGED_", n)) })
	}
	list = append(list, func(q *Policy) {
		q.Contracts = append(slices.Clone(q.Contracts), Contract{Name: "added/v1", Like: "stripe/v1", ObjectID: "x"})
	})
	return list
}

func everywhere(p *Policy, value string) []RegionValue { return []RegionValue{{Value: value}} }

// resteer changes a service's weights or order in one region, as weights set by hand do: written out by region.
func resteer(p *Policy, service int, region string, n int) {
	s := &p.Services[service]
	old := *s
	s.Weights, s.Priority = nil, nil
	for _, r := range p.Regions {
		if w := slices.Clone(old.WeightsIn(r.Name)); w != nil {
			if r.Name == region {
				for i := range w {
					w[i].Percent = map[bool]float64{true: 100}[i == n%len(w)]
				}
			}
			s.Weights = append(s.Weights, RegionWeights{r.Name, w})
		}
		if order := slices.Clone(old.PriorityIn(r.Name)); order != nil {
			if r.Name == region {
				slices.Reverse(order)
			}
			s.Priority = append(s.Priority, RegionPriority{r.Name, order})
		}
	}
}

func with(p *Policy, changes []func(*Policy)) *Policy {
	q := *p
	q.Services, q.Providers = slices.Clone(p.Services), slices.Clone(p.Providers)
	for _, change := range changes {
		change(&q)
	}
	return &q
}

func TestMergeOfIndependentEditsHasBoth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		all := rapid.Permutation(edits(t, p)).Draw(t, "edits")
		cut := rapid.IntRange(0, len(all)).Draw(t, "cut")
		end := rapid.IntRange(cut, len(all)).Draw(t, "end")
		theirs, yours, want := with(p, all[:cut]), with(p, all[cut:end]), with(p, all[:end])
		if Validate(theirs) != nil || Validate(yours) != nil || Validate(want) != nil {
			t.Skip("not a policy")
		}
		m, err := Merge(Marshal(p), Marshal(theirs), Marshal(yours))
		if err != nil || len(m.Conflicts) > 0 {
			t.Fatalf("%v %+v", err, m.Conflicts)
		}
		if changes := Diff(want, m.Policy); len(changes) > 0 {
			t.Fatalf("%q differ in\n%s\nbase\n%s\ntheirs\n%s\nyours\n%s", texts(changes), m.Source, Marshal(p), Marshal(theirs), Marshal(yours))
		}
		if read, problems := Parse("", m.Source); problems != nil || !reflect.DeepEqual(read, m.Policy) {
			t.Fatalf("the policy is not what the text says: %v\n%s", problems, m.Source)
		}
	})
}

func TestMergeConflictsAreSymmetrical(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		a, b := redraw(t, p), redraw(t, p)
		if Validate(a) != nil || Validate(b) != nil {
			t.Skip("not a policy")
		}
		there, errThere := Merge(Marshal(p), Marshal(a), Marshal(b))
		back, errBack := Merge(Marshal(p), Marshal(b), Marshal(a))
		if (errThere == nil) != (errBack == nil) || len(there.Conflicts) != len(back.Conflicts) {
			t.Fatalf("%v %v\n%+v\n%+v", errThere, errBack, there.Conflicts, back.Conflicts)
		}
		for _, c := range there.Conflicts {
			if !slices.Contains(back.Conflicts, Conflict{c.Path, c.Base, c.Yours, c.Theirs}) {
				t.Fatalf("%+v is not in %+v", c, back.Conflicts)
			}
			if Values(a)[c.Path] != c.Theirs || Values(b)[c.Path] != c.Yours || Values(p)[c.Path] != c.Base {
				t.Fatalf("%+v: the policies say %q, %q, %q", c, Values(p)[c.Path], Values(a)[c.Path], Values(b)[c.Path])
			}
		}
		if errThere == nil && len(there.Conflicts) == 0 && len(Diff(there.Policy, back.Policy)) > 0 {
			t.Fatalf("there and back differ: %q", texts(Diff(there.Policy, back.Policy)))
		}
	})
}

func FuzzMerge(f *testing.F) {
	var good [][]byte
	for _, name := range documents(f, "good") {
		good = append(good, read(f, name))
	}
	for _, a := range append(good, []byte(filed)) {
		for _, b := range good {
			f.Add(a, b, []byte(filed))
		}
	}
	f.Fuzz(func(t *testing.T, base, theirs, yours []byte) {
		m, err := Merge(base, theirs, yours)
		if err != nil || len(m.Conflicts) > 0 {
			return
		}
		if _, problems := Parse("", m.Source); problems != nil {
			t.Fatalf("the merge is no policy: %v\n%s", problems, m.Source)
		}
	})
}

func TestWarnings(t *testing.T) {
	old := must(t, []byte(filed))
	for text, change := range map[string]func(*Policy){
		"provider backup is left with nothing: it gets new sessions in no region": func(p *Policy) {
			for i := range p.Services[0].Weights {
				p.Services[0].Weights[i].Weights = []Weight{{"main", 100}, {"backup", 0}}
			}
		},
		"payments / eu-west: main is alone: nothing can take over from it": func(p *Policy) { p.Services[0].Weights[1].Weights = []Weight{{"main", 100}} },
		"service payments listens elsewhere: its applications must follow": func(p *Policy) { p.Services[0].Listen.Port = 1 },
		"service payments goes: its applications are refused":              func(p *Policy) { p.Services[0].Name = "other" },
		"region eu-west goes: its agents get no more updates, they keep the last policy": func(p *Policy) {
			p.Regions = p.Regions[:1]
		},
	} {
		changed := must(t, []byte(filed))
		change(changed)
		if got := Warnings(old, changed); !slices.Contains(got, text) {
			t.Errorf("%q is not in %q", text, got)
		}
	}
	if got := Warnings(old, must(t, []byte(edited(t, filed, "main: 70, backup: 30", "main: 100, backup: 0")))); len(got) > 0 {
		t.Errorf("nothing to mind, but %q", got)
	}
	if got := Warnings(&Policy{}, old); len(got) > 0 {
		t.Errorf("the first policy: %q", got)
	}
}

func TestWarningsOfSteering(t *testing.T) {
	p := must(t, []byte(`segue: v1
regions: {eu: , us: }
services:
  a:
    speaks: stripe/v1
    listen: 7101
    strategy: adaptive
    providers: {eu: [one, two], us: [two]}
    rules:
      - {name: EU cards, when: 'card.region == "EU"', only: [one]}
      - {name: here, when: 'region == "eu"', only: [one]}
  b: {speaks: stripe/v1, listen: 7102, strategy: nearest, providers: [three]}
providers:
  one: {contract: stripe/v1, credential: env:A}
  two: {contract: stripe/v1, credential: env:A}
  three: {contract: stripe/v1, credential: env:A}
`))
	want := []string{`a / us: rule "EU cards" leaves nobody there: the calls that it is for are refused`,
		"a: no provider says what a call costs: only reliability and latency decide", "b: no provider says what it is near: all are equally far"}
	if got := Warnings(&Policy{}, p); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := Warnings(p, p); len(got) > 0 {
		t.Errorf("what was so before: %q", got)
	}
	q := must(t, Marshal(p))
	q.Services[0].Providers[0].Providers = []string{"two"}
	if got := Warnings(p, q); !slices.Contains(got, "provider one is left with nothing: it gets new sessions in no region") {
		t.Errorf("%q", got)
	}
}
