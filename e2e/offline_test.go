package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// pinnedService is a service beside the demo's, whose charges have an offline pin; its refunds have none. Its providers are accounts of the demo's.
const pinnedService = `  pinned:
    speaks: stripe/v1
    listen: 7104
    operations:
      charge: {match: POST /v1/charges, key: required, offline_pin: {provider: pin-main}}
      intent: {match: POST /v1/payment_intents, key: required}
    strategy: priority
    priority: [pin-backup, pin-main]
    without_quorum: offline_pin
`

// withPinned adds the service and its providers to the demo's policy.
func withPinned(t *testing.T, text string) string {
	t.Helper()
	providers := ""
	for _, name := range []string{"main", "backup"} {
		block := regexp.MustCompile(`(?m)^  ` + name + `:[^\n]*\n(?:    [^\n]*\n)+`).FindString(text)
		if block == "" {
			t.Fatalf("no %s in\n%s", name, text)
		}
		providers += strings.Replace(block, "  "+name+":", "  pin-"+name+":", 1)
	}
	text = strings.Replace(text, "\nproviders:\n", "\nproviders:\n"+providers, 1)
	return strings.Replace(text, "\nservices:\n", "\nservices:\n"+pinnedService, 1)
}

// TestOfflinePinByProcesses: a region is cut off from the store. An operation with an offline pin goes on there, one without is refused with figures, and
// a region that has the store meets what was sent. When the store is back it has all of it, once.
func TestOfflinePinByProcesses(t *testing.T) {
	dir, offset := t.TempDir(), devOffset(t)
	p := newProcess(t, dir, "dev", "dev", "--port-offset", fmt.Sprint(offset), "--seed", fmt.Sprint(seed(t)), "--rate", "1")
	p.start()
	w := &world{t: t, dir: dir, ports: ports{api: []string{fmt.Sprintf("127.0.0.1:%d", 7070+offset)}}}
	eventually(t, 30*time.Second, "the regions serve", func() error {
		return wants(http.StatusOK, fmt.Sprintf("http://127.0.0.1:%d/.segue/region", 7201+offset))
	})
	file := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(file, []byte(withPinned(t, w.segue("policy", "get").fine(t).out)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.segue("policy", "apply", file, "--reason", "a pin", "--yes").fine(t)
	east, west := newCaller(t, fmt.Sprintf("http://127.0.0.1:%d", 7104+offset)), newCaller(t, fmt.Sprintf("http://127.0.0.1:%d", 7204+offset))
	for _, c := range []*caller{east, west} {
		eventually(t, 30*time.Second, "the new service is served", func() error { return wants(http.StatusOK, c.base+"/.segue/region") })
	}
	if a := east.charge("before", "").must(t); a.via() != "pin-main" {
		t.Errorf("with the store: %v", a)
	}
	var given struct{ Order string }
	w.segue("drill", "run", "cut-store", "--region", "us-east", "--for", "5m", "--sandbox", "-o", "json").decode(t, &given)
	intent := chargeOf("guarded", "")
	intent.path = "/v1/payment_intents"
	eventually(t, 20*time.Second, "an operation without a pin is refused", func() error {
		a := east.do(intent)
		if a.problem() != "no-quorum" || a.status != 503 || a.header.Get("Retry-After") == "" || !strings.Contains(string(a.body), `"alive":0,"needed":1`) {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	during := east.charge("during", "").must(t)
	if during.via() != "pin-main" || !strings.HasSuffix(during.header.Get("Segue-Decision"), ";offline") {
		t.Errorf("without the store: %v %v", during, during.header)
	}
	if a := east.charge("during", "").must(t); a.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("once more: %v", a)
	}
	if a := west.charge("during", "").must(t); a.document().ID != during.document().ID {
		t.Errorf("in a region that has the store: %v, not %v", a, during)
	}
	w.healed([]string{given.Order})
	var row struct {
		State    string
		Attempts []struct{ Provider string }
	}
	shown := w.segue("tx", "show", during.header.Get("Segue-Transaction"), "-o", "json").fine(t)
	if shown.decode(t, &row); row.State != "succeeded" || len(row.Attempts) != 1 || row.Attempts[0].Provider != "pin-main" {
		t.Errorf("the ledger has %s", shown.out)
	}
	p.signal(15)
	if code := p.await(25 * time.Second); code != 0 {
		t.Errorf("segue dev ended with %d", code)
	}
}
