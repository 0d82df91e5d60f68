package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/controlplane/query"
	"segue/controlplane/state"
)

// document is the policy of the tests: weights in three regions, and a service that goes by order. The credential must never be shown.
const document = `segue: v1
regions:
  us-east: {standby: [eu-west, ap-south]}
  eu-west: {standby: [us-east, ap-south]}
  ap-south: {standby: [eu-west, us-east]}
services:
  payments:
    speaks: stripe/v1
    listen: 7101
    strategy: weighted
    weights: # fees of May
      us-east: {main: 70, backup: 30, legacy: 0}
      eu-west: {main: 40, backup: 50, legacy: 10}
      ap-south: {main: 60, backup: 0, legacy: 40}
  payouts:
    speaks: stripe/v1
    listen: 7102
    strategy: priority
    priority: {default: [bank, spare], ap-south: [spare, bank]}
providers:
  main: {contract: stripe/v1, endpoint: http://127.0.0.1:7601, credential: env:SECRET_NAME_OF_MAIN}
  backup: {contract: stripe/v1, endpoint: http://127.0.0.1:7602, credential: env:SECRET_NAME_OF_BACKUP}
  legacy: {contract: stripe/v1, endpoint: http://127.0.0.1:7603, credential: caller}
  bank: {contract: stripe/v1, endpoint: http://127.0.0.1:7604, credential: caller}
  spare: {contract: stripe/v1, endpoint: http://127.0.0.1:7605, credential: caller}
`

// plane is a control plane without a network: commands are applied to a real State.
type plane struct {
	mu      sync.Mutex
	now     func() time.Time
	st      *state.State
	index   uint64
	leader  string
	down    bool // every node is stopped
	view    View
	answers func(query.Question) []Answer
	asked   []query.Question
	took    []state.Command
	reports []health.Report
	changed func(*Cluster) // the last word on what Cluster says; nil: none
}

func newPlane(now func() time.Time) *plane {
	p := &plane{now: now, st: state.New("test"), leader: "c2"}
	return p
}

var errNobody = &state.Error{Code: state.NoLeader, Message: "no control node leads"}

func (p *plane) Propose(_ context.Context, c state.Command) (state.Result, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leader == "" {
		return state.Result{}, errNobody
	}
	p.took = append(p.took, c)
	p.index++
	next, result := p.st.Apply(c, p.index)
	p.st = next
	if result.Err != nil {
		return result, result.Err
	}
	return result, nil
}

func (p *plane) Read(context.Context) (*state.State, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leader == "" {
		return nil, errNobody
	}
	return p.st, nil
}

func (p *plane) State() *state.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil
	}
	return p.st
}

func (p *plane) Leader() (string, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.leader, 7
}

func (p *plane) View(context.Context) (View, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.leader == "" {
		return View{}, errNobody
	}
	v := p.view // a copy: the real one comes over a wire
	v.Acks, v.World.Cells, v.World.Agents = slices.Clone(v.Acks), slices.Clone(v.World.Cells), slices.Clone(v.World.Agents)
	v.World.Events = slices.Clone(v.World.Events)
	return v, nil
}

func (p *plane) Ask(_ context.Context, q query.Question) ([]Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, q)
	if p.answers == nil {
		return nil, nil
	}
	return p.answers(q), nil
}

func (p *plane) Cluster(context.Context) (Cluster, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return Cluster{}, errNobody
	}
	c := Cluster{Leader: p.leader, Term: 7, Quorum: 2, Alive: 3}
	for i, id := range []string{"c1", "c2", "c3"} {
		n := Node{
			ID: id, Raft: fmt.Sprintf("127.0.0.1:%d", 7080+i), API: fmt.Sprintf("127.0.0.1:%d", 7070+i), Role: "follower", Voter: true,
			Term: 7, Commit: 412, Applied: 412 - uint64(i), Snapshot: 400, SnapshotAt: p.now().Add(-time.Hour), LastContact: 40 * time.Millisecond, Version: "dev",
		}
		if id == p.leader {
			n.Role, n.LastContact = "leader", 0
		}
		c.Nodes = append(c.Nodes, n)
	}
	if p.changed != nil {
		p.changed(&c)
	}
	return c, nil
}

// Steer records what the real one would have had Raft do.
func (p *plane) Steer(ctx context.Context, c state.Command) (state.Result, error) {
	if c.Membership == nil {
		return state.Result{}, errors.New("no membership")
	}
	return p.Propose(ctx, c)
}

func (p *plane) Backup(ctx context.Context, to io.Writer) error {
	st, err := p.Read(ctx)
	if err != nil {
		return err
	}
	return st.Save(to)
}

func (p *plane) Restore(_ context.Context, c state.Command, from io.Reader) error {
	st, err := state.Load(from)
	if err != nil {
		return &state.Error{Code: state.Invalid, Message: "the file is no backup: " + err.Error()}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Restore = &state.Restore{Incarnation: "next"}
	p.index++
	next, result := st.Restored(p.st, c, p.index)
	if result.Err != nil {
		return result.Err
	}
	p.st = next
	return nil
}

// Pull waits as a node does, by looking again.
func (p *plane) Pull(ctx context.Context, region string, known state.Position) (state.Update, bool, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		p.mu.Lock()
		u, err := p.st.Update(region, p.now())
		p.mu.Unlock()
		if err != nil || u.Incarnation != known.Incarnation || u.Index > known.Index {
			return u, err == nil, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return u, false, nil
		}
	}
}

// Report keeps what was reported.
func (p *plane) Report(r health.Report) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports = append(p.reports, r)
	return nil
}

// set changes the plane while a test runs.
func (p *plane) set(f func(*plane)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

// apply is a change that somebody else makes.
func (p *plane) apply(t testing.TB, c state.Command) state.Result {
	t.Helper()
	p.set(func(p *plane) { p.index++; c.Request = "other-" + time.Unix(int64(p.index), 0).UTC().Format("150405") })
	c.Version, c.Actor, c.At = 1, "maria", p.now()
	if c.Reason == "" {
		c.Reason = "fees"
	}
	result, err := p.Propose(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// box is a sandbox without providers.
type box struct {
	mu      sync.Mutex
	faults  []Fault
	verdict Verdict
	err     error
	now     func() time.Time

	naive    Naive
	switched int
}

func (b *box) Providers() []string { return []string{"main", "backup", "legacy"} }

func (b *box) Faults() []Fault {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Fault(nil), b.faults...)
}

func (b *box) Run(_ context.Context, name, provider string, length time.Duration) (Fault, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if name == "earthquake" {
		return Fault{}, errors.New(`fault: "earthquake" is not known`)
	}
	f := Fault{ID: "f" + string(rune('1'+len(b.faults))), Name: name, Provider: provider, Ends: b.now().Add(length)}
	b.faults = append(b.faults, f)
	return f, nil
}

func (b *box) Stop(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, f := range b.faults {
		if f.ID == id {
			b.faults = append(b.faults[:i], b.faults[i+1:]...)
			return nil
		}
	}
	return errors.New("no fault " + id + " runs")
}

func (b *box) Books() (Verdict, error) { return b.verdict, b.err }

// site is the pages over a plane, served.
type site struct {
	t     testing.TB
	plane *plane
	box   *box
	web   *Web
	now   time.Time
}

// options of a site.
type options struct{ empty, noSandbox, quiet bool }

func newSite(t testing.TB, o options) *site {
	t.Helper()
	s := &site{t: t, now: time.Date(2026, 11, 21, 14, 2, 31, 0, time.UTC)}
	clock := func() time.Time { return s.now }
	s.plane = newPlane(clock)
	s.box = &box{now: clock, verdict: Verdict{Operations: 61204, Unknown: 1}}
	if !o.empty {
		s.plane.apply(t, state.Command{ApplyPolicy: &state.ApplyPolicy{Source: []byte(document)}, Reason: "the first policy"})
	}
	if !o.empty && !o.quiet {
		s.plane.view = busy(s.now, s.plane.st)
		s.plane.answers = agents(s.now)
	}
	cfg := Config{Control: s.plane, Env: "dev", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: clock}
	if !o.noSandbox {
		cfg.Sandbox = s.box
	}
	web, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.web = web
	t.Cleanup(func() {
		if err := web.Close(); err != nil {
			t.Error(err)
		}
	})
	web.look()
	return s
}

// ask sends one request; form is the body of a POST.
func (s *site) ask(method, path string, body string, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	r := httptest.NewRequest(method, "http://127.0.0.1:7070"+path, strings.NewReader(body))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	r.Header.Set("Accept", "text/html")
	if strings.HasPrefix(path, "/api/") {
		r.Header.Set("Accept", "*/*")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	s.web.Handler().ServeHTTP(rec, r)
	if strings.HasPrefix(path, "/api/") || path == "/openapi.json" { // whatever is asked is answered as the document says
		w, err := witness()
		if err != nil {
			s.t.Fatal(err)
		}
		if err := w.Check(r, []byte(body), rec.Code, rec.Header(), append([]byte{}, rec.Body.Bytes()...)); err != nil {
			s.t.Error(err)
		}
	}
	return rec
}

func (s *site) post(path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.ask(http.MethodPost, path, form.Encode(), headers...)
}

// get wants a page with a status.
func (s *site) get(path string, status int, headers ...string) string {
	s.t.Helper()
	rec := s.ask(http.MethodGet, path, "", headers...)
	if rec.Code != status {
		s.t.Fatalf("GET %s: %d, want %d\n%s", path, rec.Code, status, rec.Body)
	}
	return rec.Body.String()
}

// json asks the API.
func (s *site) json(method, path, body string, status int, into any, headers ...string) {
	s.t.Helper()
	rec := s.ask(method, path, body, append([]string{"Accept", "application/json", "Content-Type", "application/json"}, headers...)...)
	if rec.Code != status {
		s.t.Fatalf("%s %s: %d, want %d\n%s", method, path, rec.Code, status, rec.Body)
	}
	if into != nil {
		if err := json.Unmarshal(rec.Body.Bytes(), into); err != nil {
			s.t.Fatalf("%s %s: %v\n%s", method, path, err, rec.Body)
		}
	}
}

// busy is fifteen minutes of three regions: main opened in eu-west seven seconds ago.
func busy(now time.Time, st *state.State) View {
	w := health.NewWindow()
	rng := rand.New(rand.NewPCG(1, 2))
	seq := uint64(0)
	for at := now.Add(-16 * time.Minute); !at.After(now); at = at.Add(5 * time.Second) {
		seq++
		for i, region := range []string{"us-east", "eu-west", "ap-south"} {
			if err := w.Put(report(region, seq, at, now, rng, st, 70-20*i), at); err != nil {
				panic(err)
			}
		}
	}
	v := View{Term: 7, World: w.World(now)}
	r := st.Current()
	for i, region := range []string{"us-east", "eu-west", "ap-south"} {
		v.Acks = append(v.Acks, state.Ack{Agent: region + "-1", Region: region, Revision: r.Number, At: r.At.Add(time.Duration(80+40*i) * time.Millisecond)})
	}
	return v
}

func report(region string, seq uint64, at, now time.Time, rng *rand.Rand, st *state.State, rate int) health.Report {
	r := health.Report{Agent: region + "-1", Region: region, Run: "r1", Seq: seq, Revision: st.Current().Number, At: at, Addr: map[string]string{"payments": "127.0.0.1:7101"}}
	p := st.Current().Policy
	for i := range p.Services {
		svc := &p.Services[i]
		row := health.ServiceRow{Service: svc.Name}
		broken := region == "eu-west" && now.Sub(at) < 60*time.Second
		for _, name := range svc.ProvidersIn(region) {
			share, _, _ := configuredShare(svc, region, name)
			r.Rows = append(r.Rows, traffic(svc.Name, name, share, broken && name == "main", now, rng, rate))
		}
		for range rate*5 + rng.IntN(20) {
			row.Count(health.CallEnd{Outcome: health.Succeeded, FailedOver: broken && rng.IntN(30) == 0, Overhead: time.Duration(200+rng.IntN(1600)) * time.Microsecond})
		}
		if region == "eu-west" && i == 0 {
			row.UnknownOpen, row.OldestUnknown = 1, now.Add(-4*time.Second)
		}
		r.Services = append(r.Services, row)
	}
	if now.Sub(at) < 5*time.Second && region == "eu-west" {
		r.Events = []health.Event{
			{At: now.Add(-7 * time.Second), Kind: "breaker", Service: "payments", Provider: "main", Text: "main opened: 3 failures in a row", Level: "bad"},
			{At: now.Add(-4 * time.Second), Kind: "unknown", Service: "payments", Provider: "main", Transaction: "tx_01J9W2K7QH", Text: "main did not answer: the outcome is unknown", Level: "warn"},
			{At: now.Add(-2 * time.Second), Kind: "failover", Service: "payments", Provider: "backup", Transaction: "tx_01J9W2K7QJ", Text: "main refused the connection, backup took it", Level: "ok"},
		}
	}
	return r
}

// lanes are a provider's own checks.
func lanes(broken bool, now time.Time, rng *rand.Rand) []health.Lane {
	one := func(kind, name string, ms float64, every time.Duration) health.Lane {
		return health.Lane{
			Kind: kind, Name: name, Level: health.Good, At: now.Add(-every / 3), Since: now.Add(-9 * time.Minute), Next: now.Add(every / 2), MS: ms * (.8 + .4*rng.Float64()),
		}
	}
	list := []health.Lane{
		one(health.Active, "GET /v1/balance", 40, 10*time.Second), one(health.Active, "tcp", 2, 5*time.Second), one(health.Active, "tls", 12, time.Hour),
		one(health.Synthetic, "charge-and-void", 160, 5*time.Minute),
	}
	list[2].Why, list[3].Why = "the certificate holds for 61 days, until 2027-01-21", "2 steps as expected"
	if broken {
		list[0].Level, list[0].Why, list[0].Since = health.Bad, "connection refused", now.Add(-7*time.Second)
		list[1].Level, list[1].Why, list[1].Since = health.Bad, "connection refused", now.Add(-7*time.Second)
		list[2].Level, list[2].Why = health.Warned, "the certificate holds for 12 days, until 2026-12-03"
		list[3].Level, list[3].Why, list[3].Left, list[3].Since = health.Bad, "step void: no answer: connection_refused", 1, now.Add(-40*time.Second)
		list[0].Yields = now.Add(30 * time.Second)
	}
	return list
}

func traffic(service, name string, share float64, broken bool, now time.Time, rng *rand.Rand, rate int) health.Row {
	row := health.Row{Service: service, Provider: name, Condition: health.Condition{Breaker: "closed", Weight: share, CheckOK: 1, CheckAt: now}}
	if broken {
		row.Condition = health.Condition{Breaker: "open", Weight: share, Since: now.Add(-7 * time.Second), Why: "3 failures in a row", CheckOK: -1, CheckWhy: "connection refused"}
		share /= 6
	}
	row.Lanes = lanes(broken, now, rng)
	row.Sessions = uint32(share * float64(rate) / 40)
	for range int(share*float64(rate)/20) + rng.IntN(3) {
		s, o := health.Sample{Class: health.OK, Latency: time.Duration(40+rng.IntN(180)) * time.Millisecond}, health.Succeeded
		if broken && rng.IntN(2) == 0 {
			s.Class, o = health.Failure, health.NotSent
		}
		row.Attempt(s, o)
	}
	return row
}

// agents answer questions: two know transactions, the third does not answer.
func agents(now time.Time) func(query.Question) []Answer {
	rows := ledgerRows(now)
	return func(q query.Question) []Answer {
		if q.Kind == query.One {
			for _, t := range rows {
				if t.ID == q.Transaction {
					body, _ := json.Marshal(whyOf(t))
					return []Answer{{Agent: "us-east-1", Region: "us-east", Err: "us-east-1 has no transaction " + q.Transaction}, {Agent: "eu-west-1", Region: "eu-west", Body: body}}
				}
			}
			return []Answer{{Agent: "us-east-1", Err: "us-east-1 has no transaction " + q.Transaction}, {Agent: "eu-west-1", Err: "eu-west-1 has no transaction " + q.Transaction}}
		}
		var some []query.Transaction
		for _, t := range rows {
			if (q.Key == "" || t.Key == q.Key) && (q.State == "" || t.State == q.State) && (q.Service == "" || t.Service == q.Service) {
				some = append(some, t)
			}
		}
		body, _ := json.Marshal(some)
		return []Answer{
			{Agent: "us-east-1", Region: "us-east", Body: body}, {Agent: "eu-west-1", Region: "eu-west", Body: body},
			{Agent: "ap-south-1", Region: "ap-south", Err: "no answer within 3 s"},
		}
	}
}

func ledgerRows(now time.Time) []query.Transaction {
	refused := query.Attempt{ID: "a1", Provider: "main", Outcome: "not_sent", Error: "connection_refused", Endpoint: "http://127.0.0.1:7601", ProviderKey: "order-8812…", Sends: 1, At: now, Elapsed: 3 * time.Millisecond}
	took := query.Attempt{ID: "a2", Provider: "backup", Outcome: "succeeded", Endpoint: "http://127.0.0.1:7602", ProviderKey: "sg_5f1c09…", Sends: 1, Status: 200, At: now, Elapsed: 184 * time.Millisecond}
	lost := query.Attempt{ID: "a3", Provider: "legacy", Outcome: "unknown", Error: "http_response_timeout", Sends: 1, Elapsed: 4 * time.Second, ProviderKey: "order-8813…"}
	declined := query.Attempt{ID: "a4", Provider: "main", Outcome: "declined", Status: 402, Sends: 1, Elapsed: 96 * time.Millisecond, ProviderKey: "order-8814…"}
	base := query.Transaction{App: "default", Service: "payments", Operation: "charge", Region: "eu-west", Run: "eu-west-1/4"}
	make := func(id, key, st, object string, status int, age time.Duration, attempts ...query.Attempt) query.Transaction {
		t := base
		t.ID, t.Key, t.State, t.Object, t.Status, t.Attempts = id, key, st, object, status, attempts
		t.Created, t.Updated = now.Add(-age), now.Add(-age+191*time.Millisecond)
		return t
	}
	rows := []query.Transaction{
		make("tx_01J9W2K7QJ", "order-88121", "succeeded", "ch_8836aa41", 200, 2*time.Second, refused, took),
		make("tx_01J9W2K7QH", "order-88130", "held", "", 0, 4*time.Second, lost),
		make("tx_01J9W2K7QG", "order-88140", "declined", "", 402, 9*time.Second, declined),
		make("tx_01J9W2K7QF", "order-88141", "not_sent", "", 0, 15*time.Second, refused),
		make("tx_01J9W2K7QE", "order-88142", "intent", "", 0, time.Second, query.Attempt{Provider: "backup", Outcome: "open", Sends: 1, ProviderKey: "order-8814…"}),
	}
	for i := range 14 {
		one := took
		one.ProviderKey = "order-8" + string(rune('a'+i)) + "…"
		one.Elapsed = time.Duration(90+i*11) * time.Millisecond
		rows = append(rows, make("tx_01J9W2K7P"+string(rune('A'+i)), "order-87"+time.Unix(int64(i*37), 0).UTC().Format("0405"), "succeeded", "ch_77"+string(rune('a'+i))+"102", 200, time.Duration(20+i*7)*time.Second, one))
	}
	return rows
}

func whyOf(t query.Transaction) query.Why {
	return query.Why{
		Transaction: t, Sentence: "Charged once, at backup, after main refused the connection.",
		Timeline: []query.Moment{
			{After: 0, Level: "ok", Word: "matched", Text: "POST /v1/charges → operation charge"},
			{After: 100 * time.Microsecond, Level: "ok", Word: "decided", Text: "main: the session's draw, at 40 % of new sessions"},
			{After: 1200 * time.Microsecond, Level: "ok", Word: "claimed", Text: "attempt 1 is durable before the first byte leaves"},
			{After: 4400 * time.Microsecond, Level: "bad", Word: "not sent", Text: "no byte left: connection refused"},
			{After: 4500 * time.Microsecond, Level: "ok", Word: "decided", Text: "backup: attempt 2 recorded before the send"},
			{After: 189 * time.Millisecond, Level: "ok", Word: "succeeded", Text: "200, stored (sealed)"},
		},
		Decisions: []query.Decision{{Revision: 12, Winner: "backup", Why: "the session's draw, at 50 % of new sessions; main: this call was there already", Candidates: []query.Candidate{
			{Provider: "main", Gate: "tried", Why: "this call was there already", Weight: 40},
			{Provider: "backup", Gate: "passed", Why: "the session's draw, at 50 % of new sessions", Weight: 50, Rank: .731, Chosen: true},
			{Provider: "legacy", Gate: "passed", Why: "eligible, at 10 % of new sessions", Weight: 10, Rank: .118},
		}}},
	}
}

// weight is a change of weights in eu-west by somebody else.
func weight(main, backup, legacy float64) state.Command {
	return state.Command{SetWeights: &state.SetWeights{Service: "payments", Region: "eu-west", Weights: []policy.Weight{
		{Provider: "main", Percent: main}, {Provider: "backup", Percent: backup}, {Provider: "legacy", Percent: legacy},
	}}}
}
