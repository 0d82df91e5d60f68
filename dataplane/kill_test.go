package dataplane

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"segue/controlplane/state"
	"segue/dataplane/ledger"
	"segue/dataplane/sandbox"
	"segue/e2e/patience"
)

// childEnv makes the test binary an agent process: the directory to use. Its policy is in the file beside it.
const childEnv = "SEGUE_TEST_AGENT_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		child(dir)
		return
	}
	goleak.VerifyTestMain(m)
}

// child serves until it is killed.
func child(dir string) {
	doc, err := os.ReadFile(dir + ".policy")
	if err != nil {
		panic(err)
	}
	a, err := New(Config{ID: "here-1", Region: "here", Dir: dir, Listen: Listen{Any: true}})
	if err != nil {
		panic(err)
	}
	if err := a.Start(context.Background()); err != nil {
		panic(err)
	}
	if err := a.Apply(state.Update{Position: state.Position{Incarnation: "one", Index: 1}, Revision: 1, Policy: doc, Now: time.Now()}); err != nil {
		panic(err)
	}
	fmt.Println("ready", a.Addr("payments"))
	select {}
}

// kill -9 between INTENT and answer: after the restart the attempt is there, open, and is not sent again on a guess.
func TestKillBetweenIntentAndAnswer(t *testing.T) {
	w := newWorld(t, priority("legacy, backup"))
	w.stop()
	w.cfg.Dir = patience.Dir(t)
	must(t, os.WriteFile(w.cfg.Dir+".policy", []byte(w.doc("legacy, backup")), 0o600))
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+w.cfg.Dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	addr := strings.TrimSpace(strings.TrimPrefix(line, "ready "))
	w.fault("legacy", sandbox.Fault{Kind: sandbox.Hang, Executed: true})
	called := make(chan struct{})
	go func() {
		defer close(called)
		_, _ = w.callAt(context.Background(), addr, "POST", "/v1/charges", charge("o1"), "Idempotency-Key", "k1") // the agent dies under it
	}()
	eventually(t, "the execution", func() bool { return w.executed("o1") == 1 })
	must(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	<-called
	w.box.Provider("legacy").ClearFaults()
	w.start()
	row := w.row("k1")
	if row.State != ledger.Held || len(row.Attempts) != 1 || row.Current().Outcome != ledger.Unknown || row.Current().Provider != "legacy" {
		t.Fatalf("row %+v", row)
	}
	w.charge("k1", "o1").problem(t, 504, "outcome-unknown")
	if n := w.executed("o1"); n != 1 {
		t.Errorf("executed %d times", n)
	}
	if q := w.why(row.ID); !strings.Contains(q.Sentence, "the agent ended before legacy's answer came") {
		t.Errorf("why: %s", q.Sentence)
	}
}
