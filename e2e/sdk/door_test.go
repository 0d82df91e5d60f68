package sdk

import (
	"net"
	"net/http"
	"testing"
)

// door is an address of the recorder at which nobody listens while it is shut.
type door struct {
	at       string
	recorder *recorder
	server   *http.Server
	ended    chan struct{}
}

func newDoor(r *recorder) (*door, error) {
	d := &door{at: "127.0.0.1:0", recorder: r}
	return d, d.open()
}

func (d *door) open() error {
	l, err := net.Listen("tcp", d.at)
	if err != nil {
		return err
	}
	d.at, d.server, d.ended = l.Addr().String(), &http.Server{Handler: d.recorder}, make(chan struct{})
	d.server.SetKeepAlivesEnabled(false) // a warm connection would take a request after the door was shut, and nobody knew what became of it
	go func() {                          // ends with the server
		_ = d.server.Serve(l)
		close(d.ended)
	}()
	return nil
}

func (d *door) shut() {
	_ = d.server.Close()
	<-d.ended
}

func (d *door) url() string { return "http://" + d.at }

// holdSession makes a call in a session, pins something to the provider that took it, and shuts that provider's door.
func holdSession(t *testing.T, f *front, lib library, a *ask) {
	name := fresh("session")
	agent := here.agent("held-" + lib.speaks)
	put("Session-Id", name)(t, f, lib, a)
	first := newFront(t, agent)
	put("Session-Id", name)(t, first, lib, a)
	if e := lib.make(t, lib.keyed(first.URL, fresh("first"))); !e.returned() {
		t.Fatalf("the first call: %+v", e)
	}
	q, err := http.NewRequest(http.MethodPut, agent+"/.segue/v1/sessions/"+name+"/fields/challenge", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusNoContent {
		t.Fatalf("the field was answered %d, %v", answer.StatusCode, err)
	}
	here.door.shut()
	t.Cleanup(func() {
		if err := here.door.open(); err != nil {
			t.Fatal(err)
		}
	})
}
