package policy

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"segue/regions"
)

func TestCompile(t *testing.T) {
	s, err := Compile(good(t, "three-regions"), "eu-west", 412)
	if err != nil {
		t.Fatal(err)
	}
	pay, ok := s.Service("payments")
	if !ok || s.Region != "eu-west" || s.Revision != 412 || !reflect.DeepEqual(s.Standby, []string{"us-east", "ap-south"}) {
		t.Fatalf("%+v", s)
	}
	other := pay.Candidates[1]
	for _, c := range []struct {
		what      string
		got, want any
	}{
		{"weights", []float64{pay.Candidates[0].Weight, other.Weight, pay.Candidates[2].Weight}, []float64{40, 50, 10}},
		{"endpoint of the region", other.Endpoint, "https://eu.example.com/api"},
		{"endpoint of the contract", pay.Candidates[0].Endpoint, "https://api.stripe.com"},
		{"credential", other.Credential, Credential{CredentialFile, "/etc/segue/other eu"}},
		{"caller", pay.Candidates[0].Credential, Credential{Kind: CredentialCaller}},
		{"account", other.Account, "acct_1A"},
		{"account by default", pay.Candidates[0].Account, "stripe"},
		{"keys of the own contract", other.Contract.Keys.Enforced, false},
		{"keys of stripe", pay.Candidates[0].Contract.Keys.Enforced, true},
		{"native", other.SpeaksNative, true},
		{"contract shared", pay.Candidates[0].Contract == pay.Candidates[2].Contract, true},
		{"digests", pay.Candidates[0].Digest == pay.Speaks.Digest(), true},
		{"digests differ", pay.Candidates[0].Digest == other.Digest, false},
		{"limits", pay.Candidates[0].Limits, Limits{200, 100}},
		{"check", pay.Candidates[0].Checks[0], Check{Method: "GET", Path: "/v1/balance", Every: 10 * time.Second}},
		{"own operations", pay.Operations[2].Name, "note"},
		{"index", pay.Operations[5].Index, 5},
		{"order of preference", s.Services[1].Candidates[0].Provider, "acme"},
	} {
		if !reflect.DeepEqual(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestCompileFillsDefaults(t *testing.T) {
	s := snapshot(t).Services[0]
	if s.Attempts != (Attempts{Max: 2, PerTry: 4 * time.Second, Deadline: 10 * time.Second, Budget: RetryBudget{0.2, 3}}) || s.Breaker != (Breaker{Failures: 5, Successes: 5}) {
		t.Errorf("%+v %+v", s.Attempts, s.Breaker)
	}
	if s.Operations[0].Name != "charge" {
		t.Errorf("operations are not the contract's: %+v", s.Operations[0])
	}
	p := good(t, "smallest")
	if p.Services[0].Attempts != (Attempts{}) {
		t.Error("the defaults stand in the policy: a later version could not change them")
	}
}

func TestCompileDropsTheLastSlash(t *testing.T) {
	s, err := Compile(good(t, "three-regions"), "ap-south", 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Services[0].Candidates[1].Endpoint; got != "https://us.example.com" {
		t.Errorf("got %s", got)
	}
	if got := s.Services[1].Candidates[0].Provider; got != "123" {
		t.Errorf("the region's own order does not hold: %s first", got)
	}
}

func TestCompileRefuses(t *testing.T) {
	if _, err := Compile(good(t, "smallest"), "nowhere", 1); err == nil || !strings.Contains(err.Error(), `no region "nowhere"; known: local`) {
		t.Errorf("an unknown region: %v", err)
	}
	p := good(t, "smallest")
	p.Providers[0].Contract = "nope/v1"
	_, err := Compile(p, Local, 1)
	var problems Problems
	if !errors.As(err, &problems) || problems[0].Path != "providers.main.contract" {
		t.Errorf("a bad policy: %v", err)
	}
	if _, err := Compile(&Policy{}, Local, 1); err == nil {
		t.Error("an empty policy compiles")
	}
}

// An agent decides the same by its cut as by the whole policy, and sees nothing of the other regions.
func TestCutCompilesToTheSameSnapshot(t *testing.T) {
	for _, name := range []string{"smallest", "three-regions", "flat"} {
		p := good(t, name)
		for _, r := range p.Regions.Names() {
			cut := must(t, Marshal(Cut(p, r)))
			whole, err := Compile(p, r, 7)
			if err != nil {
				t.Fatal(err)
			}
			part, err := Compile(cut, r, 7)
			if err != nil {
				t.Fatal(err)
			}
			withoutPrograms(whole)
			withoutPrograms(part)
			if !reflect.DeepEqual(answered(whole), answered(part)) {
				t.Errorf("%s / %s: the cut decides otherwise", name, r)
			}
		}
	}
}

func TestCutHidesOtherRegions(t *testing.T) {
	p := good(t, "three-regions")
	text := string(Marshal(Cut(p, "eu-west")))
	for _, secret := range []string{"OTHER_US", "us.example.com", "70"} {
		if strings.Contains(text, secret) {
			t.Errorf("the cut for eu-west still says %s:\n%s", secret, text)
		}
	}
	p.Services = p.Services[:1]
	p.Services[0].Weights[1].Weights = []Weight{{"stripe", 100}}
	cut := Cut(p, "eu-west")
	if len(cut.Providers) != 1 || len(cut.Contracts) != 0 || len(cut.Regions) != 3 {
		t.Errorf("providers and contracts that the region does not use are still there: %+v", cut)
	}
	if len(p.Services[0].Weights) != 3 || len(p.Providers) != 9 {
		t.Error("the cut changed the policy that it was made from")
	}
	if cut := Cut(p, "ap-south"); len(cut.Contracts) != 1 || cut.Contracts[0].Name != "unkeyed/v1" {
		t.Errorf("contracts of ap-south: %+v", cut.Contracts)
	}
}

// large is the largest policy that the bounds allow for, by services and providers.
func large() *Policy {
	p := &Policy{}
	for i := range maxRegions {
		p.Regions = append(p.Regions, regions.Region{Name: fmt.Sprint("region-", i)})
	}
	for i := range maxServices {
		s := ServiceSpec{Name: fmt.Sprint("service-", i), Speaks: "stripe/v1", Listen: Listen{Port: 7000 + i}, Strategy: Weighted}
		for _, r := range p.Regions {
			w := RegionWeights{Region: r.Name}
			for j := range maxProviders / maxServices {
				w.Weights = append(w.Weights, Weight{fmt.Sprintf("provider-%d-%d", i, j), 100 / float64(maxProviders/maxServices)})
			}
			s.Weights = append(s.Weights, w)
		}
		p.Services = append(p.Services, s)
		for j := range maxProviders / maxServices {
			p.Providers = append(p.Providers, ProviderSpec{Name: fmt.Sprintf("provider-%d-%d", i, j), Contract: "stripe/v1",
				Credential: []RegionValue{{Value: "caller"}}})
		}
	}
	return p
}

func TestTheLargestPolicyFitsIntoADocument(t *testing.T) {
	src := Marshal(large())
	if len(src) > MaxDocument {
		t.Fatalf("%d bytes", len(src))
	}
	if p := must(t, src); !reflect.DeepEqual(p, large()) {
		t.Error("read back as another policy")
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range []string{"smallest", "three-regions"} {
		src := read(b, "testdata/good/"+name+".yaml")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, problems := Parse("p.yaml", src); problems != nil {
					b.Fatal(problems)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for name, p := range map[string]*Policy{"smallest": good(b, "smallest"), "largest": large()} {
		region := p.Regions[0].Name
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(p, region, 1); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
