package storm

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"segue/e2e/patience"
)

// A killpoint is a place in the product's sources at which an agent can be killed or frozen: a comment, as with etcd's gofail. The product's own
// binary knows nothing of it; the storm's is built with an overlay, in which each comment is a call.
var marker = regexp.MustCompile(`(?m)^(\s*)// killpoint: ([a-z]+\.[a-z-]+)$`)

// known are places that the product's own tests of the hint log name already, by a call.
var known = regexp.MustCompile(`(?m)^(\s*)(\w+\.opts\.at\("((?:append|replay|mark)\.[a-z-]+)"\))$`)

// shared are the rooms that agents with a store of their own do not pass.
const shared = "dataplane/repair/"

// killpoint is the source of that call: whoever finds the order of SIGKILL or SIGSTOP for this place, for the nth time, takes the file away and
// sends itself the signal.
const killpoint = `package %s

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
)

var killpointVisits struct {
	sync.Mutex
	order string
	n     int
}

func killpoint(name string) {
	file := os.Getenv("` + ordersVariable + `")
	text, err := os.ReadFile(file)
	if file == "" || err != nil {
		return
	}
	var place, signal, nonce string
	var visit int
	if _, err := fmt.Sscan(strings.TrimSpace(string(text)), &place, &visit, &signal, &nonce); err != nil || place != name {
		return
	}
	v := &killpointVisits
	v.Lock()
	defer v.Unlock()
	if v.order != string(text) {
		v.order, v.n = string(text), 0
	}
	if v.n++; v.n != visit || os.Rename(file, file+".reached") != nil {
		return
	}
	if signal == "stop" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
`

// ordersVariable names the file in which an agent of the storm finds where it is to end.
const ordersVariable = "SEGUE_KILLPOINT_ORDERS"

// fewest are the points that there must be.
const fewest = 12

// starting are the points that an agent passes only while it starts.
var starting = []string{"start.opened", "fence.earlier", "adopt.before", "adopt.written"}

// change is one edit of a source, beside the points: a defect.
type change struct{ file, old, new string }

// sources are the files in which points stand, by their path from the module's root.
func sources(root string) (map[string]string, error) {
	found := map[string]string{}
	err := filepath.WalkDir(filepath.Join(root, "dataplane"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if marker.Match(text) || known.Match(text) {
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			found[name] = string(text)
		}
		return nil
	})
	return found, err
}

// names are the points of the sources, with those that only agents with a shared store pass, or without.
func names(sources map[string]string, all bool) []string {
	var list []string
	for file, text := range sources {
		if strings.HasPrefix(file, shared) && !all {
			continue
		}
		for _, m := range marker.FindAllStringSubmatch(text, -1) {
			list = append(list, m[2])
		}
		for _, m := range known.FindAllStringSubmatch(text, -1) {
			list = append(list, m[3])
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// buildWith makes a binary with points, and with defects if any are given.
func buildWith(name string, defects ...change) (product, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return product{}, err
	}
	files, err := sources(root)
	if err != nil {
		return product{}, err
	}
	made := product{filepath.Join(workshop, name), names(files, false), names(files, true)}
	for _, c := range defects {
		text, ok := files[c.file]
		if !ok {
			b, err := os.ReadFile(filepath.Join(root, c.file))
			if err != nil {
				return product{}, err
			}
			text = string(b)
		}
		if n := strings.Count(text, c.old); n != 1 {
			return product{}, fmt.Errorf("%s: the place of the defect is there %d times", c.file, n)
		}
		files[c.file] = strings.Replace(text, c.old, c.new, 1)
	}
	list, err := overlay(root, filepath.Join(workshop, name+".sources"), files)
	if err != nil {
		return product{}, err
	}
	cmd := exec.Command("go", "build", "-overlay", list, "-o", made.bin, "segue/cmd/segue")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return product{}, fmt.Errorf("go build: %w\n%s", err, out)
	}
	return made, nil
}

// overlay writes the changed sources beside the tree, with a file that defines the call in each of their packages.
func overlay(root, dir string, files map[string]string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	replace, n := map[string]string{}, 0
	put := func(path, text string) error {
		n++
		file := filepath.Join(dir, fmt.Sprintf("%d.go", n))
		replace[path] = file
		return os.WriteFile(file, []byte(text), 0o600)
	}
	var errs []error
	for name, text := range files {
		path := filepath.Join(root, name)
		if marker.MatchString(text) || known.MatchString(text) {
			f, err := parser.ParseFile(token.NewFileSet(), path, text, parser.PackageClauseOnly)
			if err != nil {
				return "", err
			}
			errs = append(errs, put(filepath.Join(filepath.Dir(path), "killpoint.go"), fmt.Sprintf(killpoint, f.Name.Name)))
		}
		text = marker.ReplaceAllString(text, `${1}killpoint("${2}")`)
		errs = append(errs, put(path, known.ReplaceAllString(text, "${1}${2}\n${1}killpoint(\"${3}\")")))
	}
	list := filepath.Join(dir, "overlay.json")
	b, err := json.Marshal(map[string]any{"Replace": replace})
	return list, errors.Join(append(errs, err, os.WriteFile(list, b, 0o600))...)
}

// order tells an agent where to end; it stands until it is reached or withdrawn.
func (x *agent) order(place string, visit int, signal string) error {
	x.withdraw()
	_ = os.Remove(x.orders + ".reached")
	x.nonce++
	fresh := x.orders + ".new"
	if err := os.WriteFile(fresh, fmt.Appendf(nil, "%s %d %s %d\n", place, visit, signal, x.nonce), 0o600); err != nil {
		return err
	}
	return os.Rename(fresh, x.orders)
}

// withdraw tells whether the order stood.
func (x *agent) withdraw() bool { return os.Remove(x.orders) == nil }

// reached waits for the agent to come to the place of its order.
func (s *storm) reached(x *agent, within time.Duration) bool {
	return patience.Promise(within, 20*time.Millisecond, func() error { _, err := os.Stat(x.orders + ".reached"); return err }) == nil
}

// reach is how long an agent may take to come to a point.
const reach = 3 * time.Second

// atPoint kills or freezes an agent where the schedule says. One that does not come there is killed where it is, and may come there in its
// next life: a takeover is not met in any other way.
func (s *storm) atPoint(x *agent, a act) error {
	signal := map[deed]string{killAt: "kill", freezeAt: "stop"}[a.What]
	if err := x.order(a.Point, a.Visit, signal); err != nil {
		return err
	}
	if slices.Contains(starting, a.Point) || !s.reached(x, reach) {
		s.count(string(kill))
		x.kill()
		if err := x.order(a.Point, a.Visit, signal); err != nil { // the life that ended may just have taken the first one
			return err
		}
		if err := x.start(); err != nil {
			return err
		}
		if !s.reached(x, reach) && x.withdraw() {
			return s.serving(x)
		}
	}
	if a.What == freezeAt {
		s.note(a)
		wait(s.calm, a.For)
		x.signal(syscall.SIGCONT)
		return s.serving(x)
	}
	<-x.ended()
	s.note(a)
	return s.back(x, a.For)
}

// note counts a point that was reached.
func (s *storm) note(a act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.What == killAt {
		s.points[a.Point]++
		return
	}
	s.done[string(freezeAt)]++
}

// TestPoints wants the points where the schedules look for them.
func TestPoints(t *testing.T) {
	files, err := sources("../..")
	if err != nil {
		t.Fatal(err)
	}
	list := names(files, false)
	t.Logf("with a cluster: %s", strings.Join(names(files, true), ", "))
	t.Logf("%d points: %s", len(list), strings.Join(list, ", "))
	if len(list) < fewest {
		t.Errorf("%d points, at least %d are wanted", len(list), fewest)
	}
	for _, name := range starting {
		if !slices.Contains(list, name) {
			t.Errorf("%s is gone", name)
		}
	}
}
