package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"segue/controlplane/policy"
	"segue/controlplane/state"
)

// note begins the lines that edit puts above the document, and takes away again.
const note = "# segue: "

func newPolicyEdit(s *settings) *cobra.Command {
	return &cobra.Command{
		Use: "edit", Short: "Change the policy in force in your editor", Args: cobra.NoArgs,
		Long: `Opens the policy in force in $VISUAL or $EDITOR (else vi), and puts in force what you save.
What others change meanwhile is merged with it. Where the policy is not valid or the same
field was changed by somebody else, the editor opens again with the reasons at the top.
Saving it unchanged gives up; the command then says where your text is.`,
		Example: "  segue policy edit --reason 'shorter time-outs'\n  EDITOR='code --wait' segue policy edit",
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := s.document(c.Context(), "")
			var problems policy.Problems
			if err != nil && !errors.As(err, &problems) { // a policy that is not valid any more must be mended somehow
				return err
			}
			return s.edit(c.Context(), d)
		},
	}
}

// draft is a document that is being edited.
type draft struct {
	base uint64
	path string
	text []byte // as it was opened last, without notes
}

func (s *settings) edit(ctx context.Context, from documented) error {
	dir, err := os.MkdirTemp("", "segue-policy-")
	if err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	d := &draft{base: from.Revision, path: filepath.Join(dir, "policy.yaml"), text: []byte(from.Source)}
	done, changed, err := s.editUntilApplied(ctx, d)
	if err != nil {
		return fmt.Errorf("%w\n%syour text is in %s", err, ended(err), d.path)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("edit: %w", err)
	}
	if !changed {
		fmt.Fprintln(s.io.err, "nothing was changed")
		return nil
	}
	return s.print(done, func() { s.tellRevision(done) })
}

// ended says what is sure. Where nobody answered, the text may be in force.
func ended(err error) string {
	var refused *state.Error
	if errors.As(err, &refused) && refused.Code == state.Unknown {
		return ""
	}
	return "nothing was applied; "
}

// editUntilApplied opens the editor again and again while what it leaves can be mended.
func (s *settings) editUntilApplied(ctx context.Context, d *draft) (done changed, yes bool, err error) {
	var wrong []string
	for {
		text, err := s.open(ctx, d, wrong)
		switch {
		case err != nil:
			return done, false, err
		case bytes.Equal(text, d.text) && len(wrong) == 0:
			return done, false, nil
		case bytes.Equal(text, d.text):
			return done, false, errors.New("given up, because the text was not changed again: " + wrong[0])
		}
		d.text = text
		var mendable bool
		if done, mendable, err = s.submit(ctx, d); err == nil {
			return done, true, nil
		} else if !mendable {
			return done, false, err
		}
		wrong = strings.Split(explain(err).Error(), "\n")
	}
}

// submit puts the draft in force. A refusal that another text could mend says so.
func (s *settings) submit(ctx context.Context, d *draft) (done changed, mendable bool, err error) {
	err = s.request(ctx, call{
		method: http.MethodPut, path: "/policy", body: d.text, kind: "application/yaml", match: fmt.Sprint(d.base), origin: string(state.FromEdit), reason: s.because("edit"),
	}, &done)
	var refused *state.Error
	mendable = errors.As(err, &refused) && (refused.Code == state.Invalid || refused.Code == state.Stale)
	return done, mendable, err
}

// open writes the draft, with what is wrong with it above, and lets the editor change it.
func (s *settings) open(ctx context.Context, d *draft, wrong []string) ([]byte, error) {
	var b bytes.Buffer
	for _, line := range wrong {
		fmt.Fprintln(&b, note+line)
	}
	if len(wrong) > 0 {
		fmt.Fprintf(&b, note+"(lines are counted without these %d; save unchanged to give up)\n", len(wrong)+1)
	}
	b.Write(d.text)
	if err := os.WriteFile(d.path, b.Bytes(), 0o600); err != nil {
		return nil, fmt.Errorf("edit: %w", err)
	}
	editor := envOr("VISUAL", envOr("EDITOR", "vi"))
	run := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", d.path) // the variable may hold arguments, as it does for git
	run.Stdin, run.Stdout, run.Stderr = s.io.in, s.io.err, s.io.err
	if err := run.Run(); err != nil {
		return nil, fmt.Errorf("the editor %q failed: %w", editor, err)
	}
	text, err := os.ReadFile(d.path)
	if err != nil {
		return nil, fmt.Errorf("edit: %w", err)
	}
	return withoutNotes(text, bytes.Count(b.Bytes(), []byte("\n"))-bytes.Count(d.text, []byte("\n"))), nil
}

// withoutNotes takes away as many notes as were put above. What looks like one and stands below them is the document's own comment.
func withoutNotes(text []byte, notes int) []byte {
	for range notes {
		if !bytes.HasPrefix(text, []byte(strings.TrimSpace(note))) { // editors cut blanks at the ends of lines
			break
		}
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	return text
}
