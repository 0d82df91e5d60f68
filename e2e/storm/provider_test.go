package storm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"segue/dataplane/sandbox"
)

// providerVariable makes the test's binary one provider in a process of its own: its value is a station.
const providerVariable = "SEGUE_STORM_PROVIDER"

// station is what a provider's process is told.
type station struct {
	Port     int // of its sandbox's own listener; the provider's is the next
	Seed     uint64
	Provider sandbox.ProviderConfig
}

// provide serves until it is killed: its books live as long as it does.
func provide(config string) error {
	var s station
	if err := json.Unmarshal([]byte(config), &s); err != nil {
		return err
	}
	box, err := sandbox.New(sandbox.Config{Port: s.Port, Seed: s.Seed, Keep: 1 << 20, Providers: []sandbox.ProviderConfig{s.Provider}})
	if err != nil {
		return err
	}
	if err := box.Start(); err != nil {
		return err
	}
	select {}
}

// supplier is a provider, as the judge and the schedule see it.
type supplier struct {
	*process
	class string // of promise
	admin string // its sandbox's own listener
	addr  string // the provider's
}

func newSupplier(dir, name string, of service, port int, seed uint64) (*supplier, error) {
	config, err := json.Marshal(station{port, seed, sandbox.ProviderConfig{
		Name: name, Keys: of.keys, References: of.class == "F", Credential: credential, Latency: sandbox.Latency{Median: 8 * time.Millisecond},
	}})
	if err != nil {
		return nil, err
	}
	p := newProcess(dir, "provider-"+name, os.Args[0])
	p.env = []string{providerVariable + "=" + string(config)}
	return &supplier{p, of.class, fmt.Sprintf("http://127.0.0.1:%d", port), fmt.Sprintf("http://127.0.0.1:%d", port+1)}, nil
}

func (s *supplier) title() string { return strings.TrimPrefix(s.name, "provider-") }

// control asks for something at the sandbox's own listener, which no fault closes.
func (s *supplier) control(method, what string, body any) error {
	var content io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(raw)
	}
	r, err := http.NewRequest(method, s.admin+"/providers/"+s.title()+"/"+what, content)
	if err != nil {
		return err
	}
	answer, err := quick.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode >= 300 {
		text, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("%s: %s: %s", s.title(), answer.Status, text)
	}
	return nil
}

// quick is for what answers at once.
var quick = &http.Client{Timeout: time.Minute}

// ready returns when the provider answers.
func (s *supplier) ready() error {
	return eventually(20*time.Second, s.name+" is ready", func() error { return s.control(http.MethodGet, "_faults", nil) })
}

// heal ends every fault and every death.
func (s *supplier) heal() error {
	return errors.Join(s.control(http.MethodDelete, "_faults", nil), s.control(http.MethodPost, "_revive", nil))
}

// books are all entries of the provider.
func (s *supplier) books() ([]sandbox.Entry, error) {
	answer, err := (&http.Client{Timeout: time.Minute}).Get(s.admin + "/providers/" + s.title() + "/_books?limit=10000000")
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	var report struct{ Entries []sandbox.Entry }
	if err := json.NewDecoder(answer.Body).Decode(&report); err != nil {
		return nil, fmt.Errorf("%s: books: %w", s.title(), err)
	}
	return report.Entries, nil
}
