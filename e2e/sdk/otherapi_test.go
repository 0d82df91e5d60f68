package sdk

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// vendors starts the simulated providers of other APIs, and an agent whose services have nobody else. It returns the URL of a service.
func vendors(t *testing.T) func(service string) string {
	t.Helper()
	runtime.LockOSThread() // the processes end with this thread
	t.Cleanup(runtime.UnlockOSThread)
	const secret = "key:secret-of-the-providers"
	bin, apis := filepath.Join(t.TempDir(), "vendors"), []string{"adyen", "checkout", "paypal", "vonage"}
	run := func(name string, args ...string) *process {
		p, err := start(here.dir, name, args...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := p.stop(); err != nil {
				t.Error(err)
			}
		})
		return p
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(goBuild("../..", "./e2e/vendors", bin))
	box := run(bin, append([]string{secret}, apis...)...)
	_, err := box.says("all are there")
	must(err)
	offset, err := freeOffset()
	must(err)
	dir := t.TempDir()
	must(os.WriteFile(filepath.Join(dir, "secret"), []byte(secret+"\n"), 0o600))
	var services, providers strings.Builder
	for i, api := range apis {
		at, err := box.says(api + " at ")
		must(err)
		contract := map[string]string{"adyen": "adyen/v71", "checkout": "checkout/v3", "paypal": "paypal/v2", "vonage": "vonage/v1"}[api]
		speaks := map[bool]string{true: "twilio/2010", false: "stripe/v1"}[api == "vonage"]
		fmt.Fprintf(&services, "  to-%s: {speaks: %s, listen: %d, strategy: priority, priority: [%s], breaker: {failures: 1000}}\n", api, speaks, servicePort+i, api)
		fmt.Fprintf(&providers, "  %s: {contract: %s, endpoint: %q, credential: %q}\n", api, contract, at, "file:"+filepath.Join(dir, "secret"))
	}
	policy := filepath.Join(dir, "policy.yaml")
	must(os.WriteFile(policy, []byte("segue: v1\nservices:\n"+services.String()+"providers:\n"+providers.String()), 0o600))
	agent := run(here.bin, "dev", "--policy", policy, "--dir", filepath.Join(dir, "data"), "--port-offset", fmt.Sprint(offset))
	must(agent.until(func() error { return serves(offset + servicePort + len(apis) - 1) }))
	return func(service string) string {
		for i, api := range apis {
			if api == service {
				return "http://" + addr(offset+servicePort+i)
			}
		}
		panic("no service " + service)
	}
}

// TestAnotherAPI: each SDK takes what a provider of another API did for an answer of its own, its refund too, and its decline for an error of
// its own.
func TestAnotherAPI(t *testing.T) {
	at := vendors(t)
	for _, api := range []string{"adyen", "checkout", "paypal"} {
		for _, lib := range speaking("stripe") {
			t.Run(api+"/"+lib.name, func(t *testing.T) {
				f := newFront(t, at(api))
				a := lib.keyed(f.URL, fresh("order"))
				a.Call, a.Amount = "pay", 1290
				e := lib.make(t, a)
				if !e.returned() || !strings.HasPrefix(e.ID, "pi_") || e.Reason != "succeeded" || e.Text != "1290" || f.requests() != 1 {
					t.Fatalf("a payment: %+v after %d requests", e, f.requests())
				}
				a = lib.keyed(f.URL, e.ID)
				a.Call, a.Amount, a.Idempotency = "repay", 205, fresh("back")
				if back := lib.make(t, a); !back.returned() || !strings.HasPrefix(back.ID, "re_") || back.Text != "205" || f.requests() != 2 {
					t.Errorf("a refund: %+v after %d requests", back, f.requests())
				}
				a = lib.keyed(f.URL, "DECLINED")
				a.Call, a.Amount, a.Idempotency = "pay", 1251, fresh("no")
				if api == "paypal" {
					a.Text = "CCREJECT-IF"
				}
				if no := lib.make(t, a); !no.threw() || no.Status != 402 || no.Code != "card_declined" || !strings.Contains(no.Class, "Card") || f.requests() != 3 {
					t.Errorf("a decline: %+v after %d requests", no, f.requests())
				}
			})
		}
	}
	for _, lib := range speaking("twilio") {
		t.Run("vonage/"+lib.name, func(t *testing.T) {
			f := newFront(t, at("vonage"))
			if e := lib.make(t, lib.call(f.URL, fresh("order"))); !e.returned() || !strings.HasPrefix(e.ID, "SM") || len(e.ID) != 34 || f.requests() != 1 {
				t.Errorf("a message: %+v after %d requests", e, f.requests())
			}
			a := lib.call(f.URL, fresh("order"))
			a.To = "+1"
			if e := lib.make(t, a); !e.threw() || e.Status != 400 || e.Code != "20422" || f.requests() != 2 {
				t.Errorf("a refusal: %+v after %d requests", e, f.requests())
			}
		})
	}
}
