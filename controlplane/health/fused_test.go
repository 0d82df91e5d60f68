package health

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestNothingIsFused looks into the code that the compiler makes for arm64: where it fused a product with a sum, a decision would come out
// with other bits than on amd64. (Histograms are shown, and decide nothing.)
func TestNothingIsFused(t *testing.T) {
	if !long() {
		t.Skip("compiles for another machine: make detect")
	}
	fused, place := regexp.MustCompile(`\bFN?M(ADD|SUB)[SD]\b`), regexp.MustCompile(`[a-z_]+\.go:\d+`)
	for _, pkg := range []string{"segue/controlplane/health", "segue/dataplane/breaker"} {
		cmd := exec.Command("go", "build", "-gcflags=-S", pkg)
		cmd.Env = append(os.Environ(), "GOARCH=arm64")
		out, err := cmd.CombinedOutput()
		if err != nil || len(out) < 10_000 {
			t.Fatalf("%s: %v, %d bytes of code", pkg, err, len(out))
		}
		for line := range strings.Lines(string(out)) {
			if at := place.FindString(line); fused.MatchString(line) && !strings.HasPrefix(at, "histogram.go") {
				t.Errorf("%s: %s is fused", pkg, at)
			}
		}
	}
}
