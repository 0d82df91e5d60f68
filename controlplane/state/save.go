package state

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"segue/controlplane/health"
	"segue/controlplane/policy"
)

// A saved State is lines of JSON: the header, each revision, each audit entry, each request id seen, and a checksum over all of it.
// Equal States give equal bytes.
const (
	saveFormat  = "segue-state"
	saveVersion = 1
	maxLine     = 8 << 20 // a revision's line is the longest: the longest policy in base64 and its summary
)

// header says what follows.
type header struct {
	Format      string
	Version     int
	Incarnation string
	Index       uint64
	Head, Root  string
	Orders      []policy.Order
	Verdicts    []health.Verdict `json:",omitempty"`
	Nodes       []Node
	Filed       *Filed  `json:",omitempty"`
	Shifts      []Shift `json:",omitempty"`
	Revisions   int
	Audit       int
	Seen        int
}

type checksum struct{ Sum string }

// ErrNewer means that a saved State was written by a newer version.
var ErrNewer = errors.New("the format is newer")

// Save writes the whole State, request ids included: a node restored from it must know the repeats too.
func (s *State) Save(w io.Writer) error {
	sum := sha256.New()
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(io.MultiWriter(out, sum))
	if err := s.saveLines(enc); err != nil {
		return fmt.Errorf("state: save: %w", err)
	}
	if err := json.NewEncoder(out).Encode(checksum{hex.EncodeToString(sum.Sum(nil))}); err != nil {
		return fmt.Errorf("state: save: %w", err)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("state: save: %w", err)
	}
	return nil
}

func (s *State) saveLines(enc *json.Encoder) error {
	err := enc.Encode(header{
		Format: saveFormat, Version: saveVersion, Incarnation: s.Incarnation, Index: s.Index, Head: s.Head, Root: s.root,
		Orders: s.Orders, Verdicts: s.Verdicts, Nodes: s.Nodes, Filed: s.Filed, Shifts: s.Shifts, Revisions: len(s.Revisions), Audit: len(s.Audit), Seen: len(s.seen.list),
	})
	return errors.Join(err, saveEach(enc, s.Revisions), saveEach(enc, s.Audit), saveEach(enc, s.seen.list))
}

func saveEach[T any](enc *json.Encoder, list []T) error {
	for i := range list {
		if err := enc.Encode(&list[i]); err != nil {
			return err
		}
	}
	return nil
}

// Load reads what Save wrote. It checks the checksum, the bounds and the audit chain; whatever does not fit is an error.
func Load(r io.Reader) (*State, error) {
	in := &lineReader{lines: bufio.NewScanner(r), sum: sha256.New()}
	in.lines.Buffer(nil, maxLine)
	in.lines.Split(wholeLines)
	s, err := loadLines(in)
	if err != nil {
		return nil, fmt.Errorf("state: load: %w", err)
	}
	return s, nil
}

func loadLines(in *lineReader) (*State, error) {
	var h header
	if err := in.first(&h); err != nil {
		return nil, err
	}
	if err := h.check(); err != nil {
		return nil, err
	}
	s := &State{Incarnation: h.Incarnation, Index: h.Index, Head: h.Head, root: h.Root, Orders: h.Orders, Verdicts: h.Verdicts, Nodes: h.Nodes, Filed: h.Filed, Shifts: h.Shifts}
	var err error
	if s.Revisions, err = loadEach[Revision](in, h.Revisions); err != nil {
		return nil, err
	}
	if s.Audit, err = loadEach[Entry](in, h.Audit); err != nil {
		return nil, err
	}
	seen, err := loadEach[Seen](in, h.Seen)
	if err != nil {
		return nil, err
	}
	if err := in.end(); err != nil {
		return nil, err
	}
	s.seen = remember(seen)
	return s, s.revive()
}

func (h *header) check() error {
	switch {
	case h.Format != saveFormat:
		return fmt.Errorf("this is no saved state (format %q)", h.Format)
	case h.Version != saveVersion:
		return fmt.Errorf("version %d, this node reads %d", h.Version, saveVersion)
	}
	for _, b := range []struct {
		name     string
		n, limit int
	}{
		{"revisions", h.Revisions, MaxRevisions}, {"orders", len(h.Orders), MaxOrders}, {"verdicts", len(h.Verdicts), health.MaxVerdicts},
		{"shifts", len(h.Shifts), MaxShifts}, {"audit entries", h.Audit, MaxAudit}, {"request ids", h.Seen, MaxSeen},
	} {
		if b.n < 0 || b.n > b.limit {
			return fmt.Errorf("%d %s, at most %d are kept", b.n, b.name, b.limit)
		}
	}
	return nil
}

// revive rebuilds what is not saved: the parsed policies and the cuts. An old revision that no longer parses stays as a text; the
// one in force must parse.
func (s *State) revive() error {
	for i := range s.Revisions {
		r := &s.Revisions[i]
		p, problems := policy.Parse("policy", r.Source)
		if len(problems) == 0 {
			r.Policy = p
			continue
		}
		if i == len(s.Revisions)-1 {
			return fmt.Errorf("revision %d does not parse: %w", r.Number, problems.Err())
		}
		r.Policy = &policy.Policy{}
	}
	if len(s.Revisions) > 0 {
		s.cuts = cutAll(s.Current().Policy)
	}
	return s.VerifyAudit()
}

// wholeLines splits as Save writes: each line ends in a newline, the last one too.
func wholeLines(data []byte, atEOF bool) (int, []byte, error) {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return 0, nil, errors.New("the last line is cut")
	}
	return 0, nil, nil
}

// lineReader reads line after line and sums them up.
type lineReader struct {
	lines *bufio.Scanner
	sum   hash.Hash
}

func (in *lineReader) read() ([]byte, error) {
	if in.lines.Scan() {
		return in.lines.Bytes(), nil
	}
	if err := in.lines.Err(); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// first reads the header. One of a newer version may have fields that are unknown here: then the version is what is told.
func (in *lineReader) first(h *header) error {
	line, err := in.read()
	if err != nil {
		return err
	}
	var only struct {
		Format  string
		Version int
	}
	if json.Unmarshal(line, &only) == nil && only.Format == saveFormat && only.Version > saveVersion {
		return fmt.Errorf("%w: it has version %d, this node reads %d", ErrNewer, only.Version, saveVersion)
	}
	return in.decode(line, h)
}

func (in *lineReader) next(v any) error {
	line, err := in.read()
	if err != nil {
		return err
	}
	return in.decode(line, v)
}

func (in *lineReader) decode(line []byte, v any) error {
	in.sum.Write(line)
	in.sum.Write([]byte{'\n'})
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// end compares the checksum and refuses anything behind it.
func (in *lineReader) end() error {
	line, err := in.read()
	if err != nil {
		return err
	}
	want, err := json.Marshal(checksum{hex.EncodeToString(in.sum.Sum(nil))})
	if err != nil {
		return err
	}
	if !bytes.Equal(line, want) { // byte for byte: JSON would let a damaged name or blank pass
		return fmt.Errorf("the last line is %.24q, the lines before it give %.24q", line, want)
	}
	if in.lines.Scan() {
		return errors.New("text after the checksum")
	}
	return in.lines.Err()
}

func loadEach[T any](in *lineReader, n int) ([]T, error) {
	var list []T
	for range n {
		var v T
		if err := in.next(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
