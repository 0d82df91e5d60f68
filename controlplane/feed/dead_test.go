package feed

import (
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}
func (l *lines) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// A control list may hold nodes that are dead: the log says what is wrong with each, and the agent finds the one that lives.
func TestDeadNodesAreNamedAndPassedOver(t *testing.T) {
	src := newSource()
	src.set(1, "segue: v1")
	_, live := serve(t, src)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = dead.Close()
	log := &lines{}
	for i := range 10 { // an agent begins at a random node
		l := &local{}
		a, err := NewAgent(AgentConfig{Control: []string{dead.Addr().String(), live}, Agent: "a", Region: "eu", Local: l, Log: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		a.Start()
		eventually(t, "the agent is served", func() bool { _, n := l.last(); return n > 0 })
		a.Stop()
		if i > 2 && strings.Contains(log.String(), "connection refused") {
			break
		}
	}
	if said := log.String(); !strings.Contains(said, "connection refused") || strings.Contains(said, "EOF") {
		t.Errorf("said %s", said)
	}
}
