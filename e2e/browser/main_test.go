// Package browser holds the pages against what people do with them: a real Chromium on one side, `segue dev` with its agents, providers
// and books on the other, both as the tests' own.
//
// It owns one assembly and one browser, started when the first test needs them and ended by TestMain. Elements are found by role and
// name, as a screen reader finds them: a page that a person could not use fails here.
package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"segue/cmd/segue/dev"
	"segue/e2e/patience"
)

// usualSeed makes the shopper repeatable.
const usualSeed = 20261121

// house is the assembly and the browser that all tests share. Each test leaves it as it found it.
type house struct {
	dir     string
	dev     *dev.Dev
	browser context.Context
	ends    []func() error
}

var (
	mu     sync.Mutex // over shared
	shared *house
)

func TestMain(m *testing.M) {
	code := m.Run()
	if shared != nil {
		if err := shared.end(); err != nil {
			fmt.Fprintln(os.Stderr, "the end:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// open returns the shared house. Without Chromium there is nothing to show; that is a failure, so that nobody takes silence for a proof.
func open(t testing.TB) *house {
	t.Helper()
	if testing.Short() {
		t.Skip("-short: no browser")
	}
	mu.Lock()
	defer mu.Unlock()
	if shared == nil {
		h := &house{}
		if err := h.start(); err != nil {
			_ = h.end()
			t.Fatal(err)
		}
		shared = h
	}
	return shared
}

func (h *house) start() error {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		return fmt.Errorf("chromium is not installed: `make test` installs it (Debian's package); `go test -short` does without: %w", err)
	}
	if h.dir, err = os.MkdirTemp(patience.Quick(), "segue-browser-"); err != nil { // pages are tested here, not the disk
		return err
	}
	h.ends = append(h.ends, func() error { return os.RemoveAll(h.dir) })
	// A port that was free a moment ago may be somebody's by now.
	for range 3 {
		if err = h.startDev(); err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	return h.startBrowser(chromium)
}

func (h *house) startDev() error {
	offset, err := freeOffset()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(h.dir, "segue-")
	if err != nil {
		return err
	}
	h.dev, err = dev.New(dev.Config{
		Dir: dir, Ports: dev.DefaultPorts(offset), Seed: usualSeed, Rate: rate(),
		Log:   slog.New(slog.NewTextHandler(io.Discard, nil)),
		Fatal: func(err error) { fmt.Fprintln(os.Stderr, "segue dev cannot go on:", err); os.Exit(1) },
	})
	if err != nil {
		return err
	}
	if err := h.dev.Start(context.Background()); err != nil { // it has stopped what it had started
		return err
	}
	h.ends = append(h.ends, func() error {
		ctx, cancel := patience.Context(context.Background(), within)
		defer cancel()
		return h.dev.Stop(ctx)
	})
	return nil
}

// rate is the shopper's: enough that figures move each second, little enough for a machine that does other things.
func rate() float64 {
	if pictures() {
		return 12
	}
	return 4
}

func (h *house) startBrowser(chromium string) error {
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(filepath.Join(h.dir, "chromium")),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("force-device-scale-factor", "1"),
		chromedp.Flag("font-render-hinting", "none"), chromedp.WindowSize(1280, 900),
	)
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	ctx, stop := chromedp.NewContext(alloc)
	h.browser = ctx
	h.ends = append(h.ends, func() error {
		end, done := patience.Context(ctx, within)
		defer done()
		err := chromedp.Cancel(end)
		stop()
		cancel()
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	})
	if err := chromedp.Do(ctx); err != nil {
		return fmt.Errorf("chromium does not start: %w", err)
	}
	return nil
}

// end ends what was started, the last first.
func (h *house) end() error {
	var err error
	for i := len(h.ends) - 1; i >= 0; i-- {
		err = errors.Join(err, h.ends[i]())
	}
	return err
}

// freeOffset finds an offset at which every port of the assembly is free, below the ports of the other tests from end to end: those run
// beside these.
func freeOffset() (int, error) {
	for range 100 {
		offset := 100 * (1 + rand.IntN(43))
		if free(offset) {
			return offset, nil
		}
	}
	return 0, errors.New("no 15 free ports were found below 12000")
}

func free(offset int) bool {
	p := dev.DefaultPorts(offset)
	ports := []int{p.UI}
	for i := range 3 {
		ports = append(ports, p.Control+i, p.Raft+i, p.Agent+i)
		for service := range 3 {
			ports = append(ports, 7101+p.Services+100*i+service)
		}
	}
	for i := range 10 {
		ports = append(ports, p.Sandbox+i)
	}
	for _, port := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// slower is how many times slower than promised a page may be on a machine that many share.
const slower = 3

// promised wants what began at a moment to have come about by now, as soon as the product says it does. A disk that stood still excuses it.
func promised(t testing.TB, within time.Duration, began time.Time, what string) {
	t.Helper()
	took := time.Since(began)
	t.Logf("%s: after %v", what, took.Round(time.Millisecond))
	if took > slower*within && !patience.Excuses(began) {
		t.Errorf("%s: only after %v, %v is promised", what, took, within)
	}
}

// eventually wants it to hold within a time, half a minute at least.
func eventually(t testing.TB, within time.Duration, what string, holds func() error) {
	t.Helper()
	if err := patience.Await(within, 25*time.Millisecond, holds); err != nil {
		t.Fatalf("not within %v: %s: %v", within, what, err)
	}
}
