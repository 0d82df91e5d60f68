package web

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"segue/web/view"
)

// Naive of the tests' sandbox charges once in a while.
func (b *box) Naive() Naive {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.naive
}

func (b *box) SwitchNaive(on bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	b.naive.On, b.naive.Ends, b.naive.Providers = on, time.Time{}, b.Providers()
	if b.switched++; on {
		b.naive.Ends = b.now().Add(10 * time.Minute)
	}
	return nil
}

func TestTheNaiveClientByAPI(t *testing.T) {
	s := newSite(t, options{})
	const path = "/api/v1/sandbox/naive"
	var n Naive
	if s.json(http.MethodGet, path, "", 200, &n); n.On {
		t.Errorf("%+v", n)
	}
	for range 2 { // a repeat is answered as the first was
		if s.json(http.MethodPost, path, "", 200, &n, "Segue-Reason", "to see", "Idempotency-Key", "n1"); !n.On || !n.Ends.Equal(s.now.Add(10*time.Minute)) {
			t.Errorf("%+v", n)
		}
	}
	if s.box.switched != 1 {
		t.Errorf("switched %d times", s.box.switched)
	}
	s.json(http.MethodDelete, path, "", 422, nil, "Segue-Reason", "enough", "Idempotency-Key", "n1")
	s.json(http.MethodDelete, path, "", 412, nil, "Segue-Reason", "enough", "If-Match", `"999"`)
	s.json(http.MethodDelete, path, "", 422, nil)
	n = Naive{}
	if s.json(http.MethodDelete, path, "", 200, &n, "Segue-Reason", "enough"); n.On || !n.Ends.IsZero() {
		t.Errorf("%+v", n)
	}
	s.box.err = errors.New("naive: there is no simulated provider of payments")
	var p problem
	if s.json(http.MethodPost, path, "", 422, &p, "Segue-Reason", "to see"); !strings.Contains(p.Detail, "no simulated provider") {
		t.Errorf("%+v", p)
	}
	newSite(t, options{noSandbox: true}).json(http.MethodGet, path, "", 404, nil)
}

// The switch is a form; the card says how it stands, where to break something, and what the books say of both.
func TestTheNaiveClientOnTheOverview(t *testing.T) {
	s := newSite(t, options{})
	wants(t, s.get("/", 200), "Naive retry", "<b>Off</b>", "Switch on", "nothing sets them apart", "!Now press")
	if r := s.ask(http.MethodPost, "/naive", "switch=on"); r.Code != http.StatusSeeOther || r.Header().Get("Location") != "/#naive-title" {
		t.Errorf("%d to %q", r.Code, r.Header().Get("Location"))
	}
	s.box.naive.Charges, s.box.naive.Twice = 1204, 37
	wants(t, s.get("/", 200), "<b>On</b>", "ends by itself at 14:12", "Switch off", "at main, backup or legacy", "<b>37</b> twice", "of 1,204 charges",
		"<b>0</b> twice", "<b>0</b> lost", "charged a second time elsewhere")
	if r := s.ask(http.MethodPost, "/naive", "switch=off"); r.Code != http.StatusSeeOther || s.box.Naive().On {
		t.Errorf("%d, %+v", r.Code, s.box.Naive())
	}
	wants(t, s.get("/", 200), "<b>Off</b>", "<b>37</b> twice") // what was seen stays
	for _, form := range []string{"", "switch=maybe"} {
		if r := s.ask(http.MethodPost, "/naive", form); r.Code != 422 {
			t.Errorf("%q: %d", form, r.Code)
		}
	}
	bare := newSite(t, options{noSandbox: true})
	wants(t, bare.get("/", 200), "!Naive retry")
	if r := bare.ask(http.MethodPost, "/naive", "switch=on"); r.Code != http.StatusNotFound {
		t.Errorf("without a sandbox: %d", r.Code)
	}
}

// The stream carries the counts, and the switch only when it changed.
func TestTheNaiveClientIsLive(t *testing.T) {
	s := newSite(t, options{})
	last := map[string]string{}
	draw := func() string {
		t.Helper()
		text, err := render(t.Context(), s.web.overviewParts(s.web.scene(), view.Prefs{}), last)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	wants(t, draw(), `#naive-switch`, `#naive-counts`)
	s.box.naive.Twice = 3
	wants(t, draw(), `#naive-counts`, "<b>3</b> twice", "!#naive-switch")
	if err := s.box.SwitchNaive(true); err != nil {
		t.Fatal(err)
	}
	wants(t, draw(), `#naive-switch`, "!#naive-counts")
}
