package dataplane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"segue/dataplane/repair"
)

// mirrorPath is where an agent takes the hints of others, on its own listener.
const mirrorPath = "/mirror/"

// mirrorWithin bounds a hint's way to the mirror: the caller of an application waits for it.
const mirrorWithin = 2 * time.Second

// maxBeat bounds what an agent says of its hints at once.
const maxBeat = 16 << 20

// mirror is the way to another agent that keeps this one's hints too.
type mirror struct {
	base   string
	client *http.Client
}

func newMirror(address, agent string) (*mirror, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return nil, fmt.Errorf("dataplane: the mirror %q is no address: write that of the other agent's own listener, like http://127.0.0.1:7091", address)
	}
	if !loopback(u.Hostname()) {
		return nil, fmt.Errorf("dataplane: the mirror %s is not on a loopback address; until there are certificates, nothing else is spoken to", address)
	}
	return &mirror{base: "http://" + u.Host + mirrorPath + url.PathEscape(agent), client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: 30 * time.Second}}}, nil
}

// Keep returns when the copy is on the other agent's disk.
func (m *mirror) Keep(c repair.Copy) error {
	return m.post("/hints", "application/octet-stream", repair.EncodeCopy(c))
}

// Beat says that this agent lives, and which of its hints are over.
func (m *mirror) Beat(b repair.Beat) error {
	body, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("dataplane: mirror: %w", err)
	}
	return m.post("/beat", "application/json", body)
}

func (m *mirror) post(path, kind string, body []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), mirrorWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.base+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("dataplane: mirror: %w", err)
	}
	r.Header.Set("Content-Type", kind)
	answer, err := m.client.Do(r)
	if err != nil {
		return fmt.Errorf("dataplane: mirror: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if err != nil {
		return fmt.Errorf("dataplane: mirror: %w", err)
	}
	if answer.StatusCode != http.StatusNoContent {
		return fmt.Errorf("dataplane: mirror: %s: %s", answer.Status, strings.TrimSpace(string(text)))
	}
	return nil
}

// takeCopies takes the hints of other agents, on the agent's own listener.
func (a *Agent) takeCopies(mux *http.ServeMux) {
	mux.HandleFunc("POST "+mirrorPath+"{agent}/hints", a.mirroring(repair.MaxHint+4<<10, func(agent string, body []byte) error {
		c, err := repair.DecodeCopy(body)
		if err != nil {
			return err
		}
		return a.parts.hints.mirrored.Keep(agent, c)
	}))
	mux.HandleFunc("POST "+mirrorPath+"{agent}/beat", a.mirroring(maxBeat, func(agent string, body []byte) error {
		var b repair.Beat
		if err := json.Unmarshal(body, &b); err != nil {
			return fmt.Errorf("the beat does not parse: %w", err)
		}
		return a.parts.hints.mirrored.Beat(agent, b)
	}))
}

func (a *Agent) mirroring(limit int64, take func(agent string, body []byte) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.parts.hints == nil {
			http.Error(w, "this agent's store is its own: it could not replay the hints of another", http.StatusConflict)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			http.Error(w, "the body cannot be read: "+err.Error(), http.StatusBadRequest)
			return
		}
		switch err := take(r.PathValue("agent"), body); {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case errors.Is(err, repair.ErrFull), errors.Is(err, repair.ErrOld), errors.Is(err, repair.ErrClosed):
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		default:
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	}
}
