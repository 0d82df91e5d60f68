package policy

import (
	"errors"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const weighted = `# top
segue: v1
regions: {a: {}, b: {}} # two

services:
    # what customers pay with
    payments:
        speaks: stripe/v1
        listen: 7101

        strategy: weighted
        weights:   # % of new sessions
            b:  {main: 10,   backup: 90}   # mostly the backup
            a:
                main: 70     # the good one
                # never first
                backup: 30
providers:
    main: {contract: stripe/v1, credential: caller}

    backup: {contract: stripe/v1, credential: env:B}
    spare: {contract: stripe/v1, credential: env:S} # not used yet
`

func TestSetWeightsChangesOnlyTheNumbers(t *testing.T) {
	for _, c := range []struct {
		region   string
		w        []Weight
		old, new string
	}{
		{"a", []Weight{{"main", 40}, {"backup", 60}}, "main: 70     # the good one\n                # never first\n                backup: 30",
			"main: 40     # the good one\n                # never first\n                backup: 60"},
		{"b", []Weight{{"backup", 0.5}, {"main", 99.5}}, "{main: 10,   backup: 90}", "{main: 99.5,   backup: 0.5}"},
		{"b", []Weight{{"main", 100}}, "{main: 10,   backup: 90}", "{main: 100,   backup: 0}"},
		{"a", []Weight{{"main", 70}, {"backup", 30}}, "", ""},
	} {
		got, err := SetWeights([]byte(weighted), "payments", c.region, c.w)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Replace(weighted, c.old, c.new, 1); string(got) != want {
			t.Errorf("%s %v:\n%s", c.region, c.w, got)
		}
	}
}

func TestSetWeightsKeepsCommentsWhereItMustRewrite(t *testing.T) {
	got, err := SetWeights([]byte(weighted), "payments", "a", []Weight{{"main", 50}, {"spare", 50}})
	if err != nil {
		t.Fatal(err)
	}
	p := must(t, got)
	s := p.Service("payments")
	if want := []Weight{{"main", 50}, {"backup", 0}, {"spare", 50}}; !reflect.DeepEqual(s.WeightsIn("a"), want) {
		t.Errorf("a has %v", s.WeightsIn("a"))
	}
	if want := []Weight{{"main", 10}, {"backup", 90}}; !reflect.DeepEqual(s.WeightsIn("b"), want) {
		t.Errorf("b has %v", s.WeightsIn("b"))
	}
	for _, comment := range []string{"# top", "# two", "# what customers pay with", "# % of new sessions", "# mostly the backup",
		"# the good one", "# never first", "# not used yet"} {
		if strings.Count(string(got), comment) != 1 {
			t.Errorf("%s is lost or doubled:\n%s", comment, got)
		}
	}
	if strings.Index(string(got), "b: {main") > strings.Index(string(got), "main: 50") {
		t.Errorf("the order changed:\n%s", got)
	}
}

func TestSetWeightsWritesFlatWeightsOutByRegion(t *testing.T) {
	src := string(read(t, "testdata/good/flat.yaml"))
	src = strings.Replace(src, "weights: {main: 99.5, backup: 0.5}", "weights: {main: 99.5, backup: 0.5} # everywhere", 1)
	got, err := SetWeights([]byte(src), "payments", "b", []Weight{{"main", 0}, {"backup", 100}})
	if err != nil {
		t.Fatal(err)
	}
	want := []RegionWeights{{"a", []Weight{{"main", 99.5}, {"backup", 0.5}}}, {"b", []Weight{{"main", 0}, {"backup", 100}}}}
	if w := must(t, got).Service("payments").Weights; !reflect.DeepEqual(w, want) {
		t.Errorf("%v", w)
	}
	if strings.Count(string(got), "# everywhere") != 1 {
		t.Errorf("the comment is lost or doubled:\n%s", got)
	}
}

func TestSetWeightsInTheOnlyRegion(t *testing.T) {
	src := strings.Replace(string(read(t, "testdata/good/flat.yaml")), "regions: {a: {}, b: {standby: [a]}}\n", "", 1)
	got, err := SetWeights([]byte(src), "payments", Local, []Weight{{"main", 20}, {"backup", 80}})
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(src, "{main: 99.5, backup: 0.5}", "{main: 20, backup: 80}", 1); string(got) != want {
		t.Errorf("more changed than two numbers:\n%s", got)
	}
}

func TestSetWeightsBesideADefault(t *testing.T) {
	src := read(t, "testdata/good/three-regions.yaml")
	got, err := SetWeights(src, "payments", "ap-south", []Weight{{"stripe", 100}})
	if err != nil {
		t.Fatal(err)
	}
	s := must(t, got).Service("payments")
	if want := []Weight{{"stripe", 100}, {"other", 0}, {"spare", 0}}; !reflect.DeepEqual(s.WeightsIn("ap-south"), want) {
		t.Errorf("ap-south has %v", s.WeightsIn("ap-south"))
	}
	if want := []Weight{{"stripe", 33.34}, {"other", 33.33}, {"spare", 33.33}}; !reflect.DeepEqual(s.WeightsIn(""), want) {
		t.Errorf("the default has %v", s.WeightsIn(""))
	}
	if c := Diff(must(t, src), must(t, got)); len(c) != 3 {
		t.Errorf("%d changes: %v", len(c), c)
	}
}

func TestSetWeightsRefuses(t *testing.T) {
	src := []byte(weighted)
	for _, c := range []struct {
		name, service, region string
		src                   []byte
		w                     []Weight
		want                  string
	}{
		{"service", "paymets", "a", src, nil, "did you mean payments?"},
		{"region", "payments", "moon", src, nil, `there is no region "moon"; known: a, b`},
		{"no region", "payments", "", src, nil, `there is no region ""`},
		{"sum", "payments", "a", src, []Weight{{"main", 50}, {"backup", 49}}, "services.payments.weights.a: the shares add up to 99"},
		{"nothing", "payments", "a", src, nil, "every weight is 0"},
		{"negative", "payments", "a", src, []Weight{{"main", -1}, {"backup", 101}}, "-1 is no share"},
		{"NaN", "payments", "a", src, []Weight{{"main", math.NaN()}, {"backup", 100}}, "not a number"},
		{"infinite", "payments", "a", src, []Weight{{"main", math.Inf(1)}, {"backup", 0}}, "not a number"},
		{"unknown provider", "payments", "a", src, []Weight{{"man", 100}}, "did you mean main?"},
		{"hostile provider", "payments", "a", src, []Weight{{"x: {y: 1}\n", 100}}, "there is no provider"},
		{"twice", "payments", "a", src, []Weight{{"main", 50}, {"main", 50}}, "main is there twice"},
		{"bad document", "payments", "a", []byte("a: b"), []Weight{{"main", 100}}, "unknown field"},
		{"priority", "payments", Local, read(t, "testdata/good/smallest.yaml"), []Weight{{"main", 100}}, "goes by priority"},
	} {
		got, err := SetWeights(c.src, c.service, c.region, c.w)
		var problems Problems
		if !errors.As(err, &problems) || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// Line breaks and quotes that are read otherwise than they look must not put a number in the wrong place.
func TestSetWeightsInOddDocuments(t *testing.T) {
	for name, src := range map[string]string{
		"CRLF":         strings.ReplaceAll(weighted, "\n", "\r\n"),
		"line breaks":  strings.Replace(weighted, "# top", "# top\u2028\u0085# more", 1),
		"other script": strings.Replace(weighted, "{main: 10,   backup", "{\"main\": 10, backup", 1),
		"plus sign":    strings.Replace(weighted, "main: 10,", "main: +10,", 1),
		"exponent":     strings.Replace(weighted, "main: 10,", "main: 1e1,", 1),
	} {
		got, err := SetWeights([]byte(src), "payments", "b", []Weight{{"main", 5}, {"backup", 95}})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		s := must(t, got).Service("payments")
		if !reflect.DeepEqual(s.WeightsIn("b"), []Weight{{"main", 5}, {"backup", 95}}) ||
			!reflect.DeepEqual(s.WeightsIn("a"), []Weight{{"main", 70}, {"backup", 30}}) {
			t.Errorf("%s: %v", name, s.Weights)
		}
	}
}

// Whatever the document, one region follows and no other moves.
func TestSetWeightsMovesOneRegionOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policies(t)
		service, ok := anyWeighted(p)
		if !ok {
			t.Skip("no weights")
		}
		region := rapid.SampledFrom(p.Regions.Names()).Draw(t, "region")
		var w []Weight
		names := service.ProvidersIn(region)
		for i, share := range shares(t, len(names)) {
			w = append(w, Weight{names[i], share})
		}
		got, err := SetWeights(Marshal(p), service.Name, region, w)
		if err != nil {
			t.Fatalf("refused: %v", err)
		}
		q, problems := Parse("q.yaml", got)
		if problems != nil {
			t.Fatal(problems)
		}
		if now := q.Service(service.Name).WeightsIn(region); !reflect.DeepEqual(now, w) {
			t.Fatalf("asked for %v, got %v", w, now)
		}
		for _, c := range Diff(p, q) {
			if c.Service != service.Name || c.Region != region {
				t.Fatalf("something else changed: %+v", c)
			}
		}
	})
}

func anyWeighted(p *Policy) (*ServiceSpec, bool) {
	for i := range p.Services {
		if p.Services[i].Strategy == Weighted {
			return &p.Services[i], true
		}
	}
	return nil, false
}

// What is spliced into a text must be what reading the text anew would give: the policy, and every number's place.
func TestReweighAgreesWithReading(t *testing.T) {
	for _, file := range []string{"smallest", "flat", "three-regions", "everything"} {
		src, err := os.ReadFile("testdata/good/" + file + ".yaml")
		if err != nil {
			continue // not every document has weights
		}
		rapid.Check(t, func(r *rapid.T) {
			doc, problems := Read("", src)
			if problems != nil {
				t.Fatal(problems)
			}
			cuts := map[string]Document{}
			for range 8 {
				s := &doc.Policy.Services[rapid.IntRange(0, len(doc.Policy.Services)-1).Draw(r, "service")]
				if s.Strategy != Weighted {
					return
				}
				region := rapid.SampledFrom(doc.Policy.Regions.Names()).Draw(r, "region")
				if _, ok := cuts[region]; !ok {
					cuts[region] = CutDocument(doc.Policy, region)
				}
				next, err := doc.Reweigh(s.Name, region, drawShares(r, s.WeightsIn(region)))
				if err != nil {
					continue
				}
				again, problems := Read("", next.Source)
				if problems != nil || !reflect.DeepEqual(again.Policy, next.Policy) {
					r.Fatalf("%v\n%s\nreads as %+v\nis taken for %+v", problems, next.Source, again.Policy, next.Policy)
				}
				if next.numerals != nil && !reflect.DeepEqual(locate(next.Source, next.Policy), next.numerals) {
					r.Fatalf("the numbers are not where they are thought:\n%s", next.Source)
				}
				if got, want := DiffWeights(doc.Policy, next.Policy, s.Name, region), Diff(doc.Policy, next.Policy); !slices.Equal(got, want) {
					r.Fatalf("changes %v, in full %v", got, want)
				}
				cuts[region] = cuts[region].Recut(next.Policy, s.Name, region)
				if want := Marshal(Cut(next.Policy, region)); string(cuts[region].Source) != string(want) {
					r.Fatalf("the cut is\n%s\nwant\n%s", cuts[region].Source, want)
				}
				for other := range cuts {
					if want := Marshal(Cut(next.Policy, other)); string(cuts[other].Source) != string(want) {
						r.Fatalf("the cut of %s is\n%s\nwant\n%s", other, cuts[other].Source, want)
					}
				}
				doc = next
			}
		})
	}
}

// drawShares draws weights for the same providers, now and then with a wrong sum, a hole or an odd number.
func drawShares(r *rapid.T, old []Weight) []Weight {
	w := slices.Clone(old)
	left := 100.0
	for i := range w {
		w[i].Percent = left
		if i < len(w)-1 {
			w[i].Percent = float64(rapid.IntRange(0, int(left*100)).Draw(r, "share")) / 100
		}
		left -= w[i].Percent
	}
	if rapid.IntRange(0, 5).Draw(r, "odd") == 0 {
		w[0].Percent = rapid.SampledFrom([]float64{-1, math.Copysign(0, -1), 1e-9, 101, 33.333333333333336}).Draw(r, "number")
	}
	if len(w) > 1 && rapid.IntRange(0, 5).Draw(r, "less") == 0 {
		w = w[1:]
	}
	return w
}
