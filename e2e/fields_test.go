package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
)

// holding is the smallest world whose sessions hold fields of every class, at providers that take cards of a vault.
func holding() plan {
	p := alone()
	p.edit = func(policy string) string {
		policy = strings.Replace(policy, "    attempts:", `    session:
      card: {class: replicated, map: vault/cards, at: body.source}
      cart: {class: rebuilt, kind: set}
      stock: {class: rebuilt, kind: counter, floor: 0}
      challenge: {class: pinned}
      scratch: {class: pinned, lose: report}
    attempts:`, 1)
		return strings.ReplaceAll(policy, "{contract: stripe/v1", "{contract: vaulted/v1") + `  vaulted/v1:
    like: stripe/v1
    session:
      vault/cards: {import: {match: POST /v1/vault/cards, put: body.card, form: form, id: id}}
`
	}
	return p
}

const talk = "ses-talk"

// put writes a field of the session.
func (c *caller) put(name, body string) told {
	return c.do(ask{method: http.MethodPut, path: "/.segue/v1/sessions/" + talk + "/fields/" + name, raw: body, header: map[string]string{"Content-Type": "text/plain"}})
}

// says wants a field of the session to hold that.
func (c *caller) says(name, want string) {
	c.t.Helper()
	if a := c.get("/.segue/v1/sessions/"+talk+"/fields/"+name, "").must(c.t); string(a.body) != want {
		c.t.Errorf("%s says %s, want %s", name, a.body, want)
	}
}

// pays charges a card in the session, and wants to see it charged once, at one provider.
func (w *world) pays(c *caller, order, card, at string) {
	w.t.Helper()
	a := c.do(ask{method: http.MethodPost, path: "/v1/charges", key: order, session: talk, form: url.Values{"amount": {"1290"}, "currency": {"eur"}, "source": {card}, "metadata[order]": {order}}}).must(w.t)
	if a.via() != at || w.provider(at).Books().Executed(order) != 1 || executed(w.box.Books(), order) != 1 {
		w.t.Errorf("%s: %v, executed %d times, want it at %s", order, a, executed(w.box.Books(), order), at)
	}
}

// shows is what the command shows of the session's one service.
func (w *world) shows() query.SessionService {
	w.t.Helper()
	var shown struct{ Session query.Session }
	r := w.segue("session", "show", talk, "-o", "json")
	r.decode(w.t, &shown)
	w.discreet("session show", r.out)
	if len(shown.Session.Services) != 1 {
		w.t.Fatalf("%s", r.out)
	}
	return shown.Session.Services[0]
}

// TestFieldsOutliveTheProvider: the provider dies in mid-session, and the agent with kill -9 beside it. The card is carried, cart and stock
// stay, a pinned field refuses to be left or is reported lost, all as the command said before; and the next calls are right.
func TestFieldsOutliveTheProvider(t *testing.T) {
	t.Parallel()
	w := newWorld(t, holding())
	c := w.caller("local")
	for name, body := range map[string]string{"card": "vault-77", "cart": `{"add": ["tea", "pot"]}`, "stock": `{"add": 3}`, "scratch": "left behind", "challenge": "3ds"} {
		c.put(name, body).must(t)
	}
	w.pays(c, "o-before", "vault-77", mainProvider)
	if said := w.shows(); said.Provider != mainProvider || said.Goes != "" || !strings.Contains(said.Next, "challenge is pinned at main") {
		t.Errorf("%+v", said)
	}
	w.faults(mainProvider, sandbox.Fault{Kind: sandbox.Refuse})
	held := c.do(ask{method: http.MethodPost, path: "/v1/charges", key: "o-held", session: talk, form: url.Values{"amount": {"1"}, "currency": {"eur"}, "source": {"vault-77"}, "metadata[order]": {"o-held"}}})
	if held.problem() != "session-cannot-move" || executed(w.box.Books(), "o-held") != 0 {
		t.Errorf("it left its challenge: %v", held)
	}
	w.agents["local"].kill()
	w.agents["local"].start()
	w.agentReady("local", 20*time.Second)
	c.do(ask{method: http.MethodDelete, path: "/.segue/v1/sessions/" + talk + "/fields/challenge"}).must(t)
	said := w.shows()
	if said.Goes != backupProvider || !strings.Contains(said.Next, "card is brought there first; cart and stock stay in the session; scratch stays behind, which is reported") {
		t.Errorf("%+v", said)
	}
	w.pays(c, "o-after", "vault-77", said.Goes)
	if there := w.shows(); there.Provider != backupProvider || !slices.Contains(there.Fields[0].At, backupProvider) {
		t.Errorf("%+v", there)
	}
	if n := w.done(sandbox.OpVault, backupProvider); n != 1 {
		t.Errorf("the card was brought %d times", n)
	}
	c.says("cart", `{"items":["pot","tea"]}`)
	c.says("stock", `{"value":3}`)
	if gone := c.get("/.segue/v1/sessions/"+talk+"/fields/scratch", ""); gone.status != http.StatusNotFound {
		t.Errorf("scratch: %v", gone)
	}
	if over := c.put("stock", `{"add": -4}`); over.problem() != "field-floor" {
		t.Errorf("below the floor: %v", over)
	}
	eventually(t, 10*time.Second, "the loss is told", func() error {
		if r := w.segue("events"); !strings.Contains(r.out, "left scratch behind at main") {
			return fmt.Errorf("%s%s", r.out, r.err)
		}
		return nil
	})
	if r := w.segue("session", "verify", talk).fine(t); !strings.Contains(r.out, "is what its history says") {
		t.Errorf("%s", r.out)
	}
}

// TestTwentyTurns: the provider of a chat dies after eleven of twenty turns, and the agent is killed at the fifteenth. Each next answer has
// read the whole conversation, and what the session counts beside it is complete.
func TestTwentyTurns(t *testing.T) {
	t.Parallel()
	p := talking()
	p.edit = func(policy string) string {
		return strings.Replace(policy, "    priority: ["+strings.Join(chatters, ", "), "    session: {turns: {class: rebuilt, kind: counter}}\n    priority: ["+strings.Join(chatters, ", "), 1)
	}
	w := newWorld(t, p)
	c := w.chatter()
	type turn struct {
		Role    string `json:"role"`
		Content string `json:"content"`
	}
	var said []turn
	at := chatters[0]
	for n := range 20 {
		switch n {
		case 11:
			w.provider(chatters[0]).Kill()
			at = chatters[1]
		case 15:
			w.agents["local"].kill()
			w.agents["local"].start()
			w.agentReady("local", 20*time.Second)
		}
		said = append(said, turn{"user", fmt.Sprint("question ", n)})
		body, err := json.Marshal(map[string]any{"model": "gpt-4o-mini", "messages": said})
		if err != nil {
			t.Fatal(err)
		}
		a := c.do(ask{method: http.MethodPost, path: "/v1/chat/completions", session: talk, raw: string(body), header: map[string]string{"Content-Type": "application/json"}}).must(t)
		text, whole := a.spoken()
		if want := fmt.Sprintf("You said \"question %d\". I have read %d messages", n, len(said)); !whole || a.via() != at || !strings.HasPrefix(text, want) {
			t.Fatalf("turn %d by %s: %q, want %q by %s", n, a.via(), text, want, at)
		}
		said = append(said, turn{"assistant", text})
		c.put("turns", `{"add": 1}`).must(t)
	}
	c.says("turns", `{"value":20}`)
	if svc := w.shows(); svc.Provider != at || svc.Fields[0].Sum != 20 {
		t.Errorf("%+v", svc)
	}
}

// TestCutOffRegionsMerge: two regions are cut off from the store and so from each other, and both write one session. When the store is back,
// every region has of the value the later, of the set what either added, of the counter the sum; both histories are kept; and what must
// not be merged was refused meanwhile.
func TestCutOffRegionsMerge(t *testing.T) {
	t.Parallel()
	dir, offset := t.TempDir(), devOffset(t)
	p := newProcess(t, dir, "dev", "dev", "--port-offset", fmt.Sprint(offset), "--seed", fmt.Sprint(seed(t)), "--rate", "1")
	p.start()
	w := &world{t: t, dir: dir, ports: ports{api: []string{fmt.Sprintf("127.0.0.1:%d", 7070+offset)}}}
	east, west := newCaller(t, fmt.Sprintf("http://127.0.0.1:%d", 7101+offset)), newCaller(t, fmt.Sprintf("http://127.0.0.1:%d", 7201+offset))
	for _, c := range []*caller{east, west} {
		eventually(t, 30*time.Second, "the regions serve", func() error { return wants(http.StatusOK, c.base+"/.segue/region") })
	}
	eventually(t, 20*time.Second, "sessions are written", func() error {
		if a := east.put("note", "before"); a.status != http.StatusNoContent {
			return fmt.Errorf("%v", a)
		}
		return nil
	})
	east.put("cart", `{"add": ["tea", "cup"]}`).must(t)
	west.says("note", "before")
	var cuts []string
	for _, region := range []string{"us-east", "eu-west"} {
		var given struct{ Order string }
		w.segue("drill", "run", "cut-store", "--region", region, "--for", "5m", "--sandbox", "-o", "json").decode(t, &given)
		cuts = append(cuts, given.Order)
	}
	for _, c := range []*caller{east, west} {
		eventually(t, 20*time.Second, "a region is cut off", func() error {
			if a := c.put("stock", `{"add": 1}`); a.problem() != "no-quorum" {
				return fmt.Errorf("a guarded write: %v", a)
			}
			return nil
		})
	}
	east.put("cart", `{"add": ["pot"], "remove": ["cup"]}`).must(t)
	west.put("cart", `{"add": ["cup", "jar"]}`).must(t) // adds what is removed there meanwhile: of this add nobody knew
	for range 5 {
		east.put("points", `{"add": 2}`).must(t)
		west.put("points", `{"add": -1}`).must(t)
	}
	east.put("note", "of the east").must(t)
	then := time.Now().UnixMilli()
	eventually(t, time.Second, "a millisecond passes: what is written within one is not in the order of time", func() error {
		if now := time.Now().UnixMilli(); now <= then {
			return fmt.Errorf("it is still %d", now)
		}
		return nil
	})
	west.put("note", "of the west").must(t)
	east.says("note", "of the east")
	west.says("note", "of the west")
	east.says("points", `{"value":10}`)
	west.says("points", `{"value":-5}`)
	w.healed(cuts)
	for _, c := range []*caller{east, west} {
		c.says("cart", `{"items":["cup","jar","pot","tea"]}`)
		c.says("points", `{"value":5}`)
		c.says("note", "of the west")
	}
	var shown struct{ Session query.Session }
	w.segue("session", "show", talk, "-o", "json", "--limit", "500").decode(t, &shown)
	wrote := map[string]int{}
	for _, e := range shown.Session.History {
		region, _, _ := strings.Cut(e.By, "-1/")
		wrote[region]++
	}
	if wrote["us-east"] < 9 || wrote["eu-west"] < 7 {
		t.Errorf("the history has lost writes: %v of %+v", wrote, shown.Session.History)
	}
	w.segue("session", "verify", talk).fine(t)
	p.signal(15)
	if code := p.await(25 * time.Second); code != 0 {
		t.Errorf("segue dev ended with %d", code)
	}
}

// healed ends drills, and waits until no hint is left.
func (w *world) healed(drills []string) {
	w.t.Helper()
	for _, id := range drills {
		w.segue("drill", "stop", id, "--sandbox").fine(w.t)
	}
	eventually(w.t, 60*time.Second, "every hint is in the store", func() error {
		var logs []struct {
			query.HintLog
			Agent string
		}
		r := w.segue("hint", "list", "-o", "json")
		if r.code != 0 || json.Unmarshal([]byte(r.out), &logs) != nil || len(logs) != 3 {
			return fmt.Errorf("%s%s", r.out, r.err)
		}
		for _, l := range logs {
			if l.Away || l.Waiting > 0 || l.Held > 0 {
				return fmt.Errorf("%s: away %t, %d wait, %d held", l.Agent, l.Away, l.Waiting, l.Held)
			}
		}
		return nil
	})
}
