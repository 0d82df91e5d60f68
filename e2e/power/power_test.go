package power

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDir); dir != "" {
		fmt.Fprintln(os.Stderr, write(dir))
		os.Exit(3)
	}
	os.Exit(run(m))
}

// scratch is for what all tests share.
var scratch string

func run(m *testing.M) int {
	var err error
	if scratch, err = os.MkdirTemp("", "segue-power-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	return m.Run()
}

// lives is how often a directory sees the power go before the next begins with an empty one: what is put in order after a cut is cut, too.
const lives = 10

// TestCuts pulls the plug at a random change of the disk, again and again, SEGUE_POWER times. Whatever the process was told is written, in
// this life or an earlier one, is there when the power is back.
func TestCuts(t *testing.T) {
	disk := needDisk(t)
	cuts := 4
	if n, err := strconv.Atoi(os.Getenv("SEGUE_POWER")); err == nil {
		cuts = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("SEGUE_POWER_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var told []string
	dir, sum, hints := t.TempDir(), 0, 0
	for i := range cuts {
		if i%lives == 0 {
			dir, told = t.TempDir(), nil
		}
		l := life{disk: disk, from: dir, seed: rng.Uint64(), cutAt: 800 + rng.IntN(3200), first: i % lives * 2 * most}
		if i%3 == 0 {
			l.cutAt = 1 + rng.IntN(120) // while it opens
		}
		after, acks := l.run(t)
		told, sum, dir = append(told, acks...), sum+len(acks), after
		lost, waiting := check(t, after, told)
		for _, what := range lost {
			t.Errorf("cut %d (%+v): lost: %s", i, l, what)
		}
		hints += waiting
		if t.Failed() {
			return
		}
	}
	t.Logf("%d power cuts, %d acknowledged writes, %d hints waiting at the cuts, 0 lost", cuts, sum, hints)
	if cuts >= lives && (sum < cuts*20 || hints == 0) {
		t.Errorf("%d acknowledged writes and %d hints in %d cuts: this proves little", sum, hints, cuts)
	}
}

// TestDiskThatLies shows that the test above would notice: where a sync does nothing, acknowledged writes are lost, or the stores are not even
// there, or say that they are damaged.
func TestDiskThatLies(t *testing.T) {
	l := life{disk: needDisk(t), from: t.TempDir(), seed: 1, cutAt: 2500, lies: true}
	after, acks := l.run(t)
	if len(acks) == 0 {
		t.Fatal("nothing was acknowledged before the cut")
	}
	if p, err := open(after); err == nil {
		lost := missing(t, p, acks)
		must(t, p.close())
		if len(lost) == 0 {
			t.Errorf("none of %d writes was lost on a disk that syncs nothing: it proves nothing", len(acks))
		}
	}
}

// life is one process on one disk, until the power goes.
type life struct {
	disk, from string
	seed       uint64
	cutAt      int
	first      int
	lies       bool
}

// run returns what survived, as a directory, and what was acknowledged.
func (l life) run(t *testing.T) (after string, acks []string) {
	t.Helper()
	mount, after := t.TempDir(), filepath.Join(t.TempDir(), "after")
	d := exec.CommandContext(t.Context(), l.disk, "-from", l.from, "-to", after, "-seed", fmt.Sprint(l.seed), "-cut-at", fmt.Sprint(l.cutAt), "-lies="+fmt.Sprint(l.lies), mount)
	var said bytes.Buffer
	d.Stderr = &said
	in, err := d.StdinPipe()
	must(t, err)
	out, err := d.StdoutPipe()
	must(t, err)
	must(t, d.Start())
	defer func() { // whatever happened, nothing stays mounted
		_ = in.Close()
		if err := d.Wait(); err != nil {
			t.Errorf("the disk: %v %s", err, said.String())
		}
	}()
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "mounted" {
		t.Fatalf("the disk is not mounted: %q %s", lines.Text(), said.String())
	}
	acks = l.work(t, mount, func() { _, _ = io.WriteString(in, "!") })
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "cut") {
		t.Fatalf("the power did not go: %q %s", lines.Text(), said.String())
	}
	return after, acks
}

// work runs the process that writes until the power is gone, and returns what it was told. No write can be acknowledged after the cut: its
// sync fails.
func (l life) work(t *testing.T, mount string, cut func()) (acks []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute) // it takes a second
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), writerDir+"="+mount, writerFirst+"="+strconv.Itoa(l.first))
	c.Cancel, c.WaitDelay = func() error { return c.Process.Signal(syscall.SIGQUIT) }, 5*time.Second // it says where it stands
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		acks = append(acks, lines.Text())
	}
	err = c.Wait()
	_, gone := os.Stat(mount)
	cut() // should the process have ended before
	var exit *exec.ExitError
	if ctx.Err() != nil || err == nil || errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled() {
		t.Fatalf("the process was to end when the power went: %v %s", err, said.String())
	}
	if !errors.Is(gone, syscall.EIO) {
		t.Fatalf("the process ended before the power went: %s", said.String())
	}
	return acks
}

// check opens a copy of what survived and returns what of the acknowledged is not there, and how many hints waited.
func check(t *testing.T, dir string, told []string) (lost []string, hints int) {
	t.Helper()
	again := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(again, os.DirFS(dir)))
	p, err := open(again)
	if err != nil {
		return []string{"all: the stores do not open: " + err.Error()}, 0
	}
	defer func() { must(t, p.close()) }()
	hints = p.Stats().Pending
	lost = missing(t, p, told)
	must(t, p.Start()) // and the hints find their way into the store
	defer p.Stop()
	for deadline := time.Now().Add(3 * time.Minute); p.Stats().Pending > 0; {
		if time.Now().After(deadline) {
			return append(lost, fmt.Sprintf("%+v: hints do not reach the store", p.Stats())), hints
		}
		<-time.After(time.Millisecond)
	}
	if st := p.Stats(); st.Held > 0 {
		lost = append(lost, fmt.Sprintf("%d hints are held", st.Held))
	}
	return append(lost, missing(t, p, told)...), hints
}

func missing(t *testing.T, p *parts, told []string) (lost []string) {
	t.Helper()
	for _, line := range told {
		what, number, _ := strings.Cut(line, " ")
		n, err := strconv.Atoi(number)
		must(t, err)
		if err := p.has(t.Context(), what, n); err != nil {
			lost = append(lost, fmt.Sprintf("%s: %v", line, err))
		}
	}
	return lost
}

// needDisk returns the disk's program, or skips the test where there can be none.
func needDisk(t *testing.T) string {
	t.Helper()
	if f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0); err != nil {
		t.Skipf("a power cut needs a FUSE file system, and %v: `make power` says what to install", err)
	} else {
		must(t, f.Close())
	}
	if _, err := exec.LookPath("fusermount3"); err != nil && os.Getuid() != 0 {
		t.Skip("a power cut needs a FUSE file system: install fuse3, or be root")
	}
	name, err := built()
	must(t, err)
	return name
}

// built builds the disk, once.
var built = sync.OnceValues(func() (string, error) {
	c := exec.Command("go", "build", "-o", filepath.Join(scratch, "disk"), ".")
	c.Dir = "disk"
	if b, err := c.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the disk is not built: %w: %s", err, b)
	}
	return filepath.Join(scratch, "disk"), nil
})

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
