package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

// finder looks for secrets in every form in which they could lie somewhere.
type finder struct {
	secrets secrets
	needles map[string][][]byte // by the secret's name
	found   map[string]string   // where → what
	mu      sync.Mutex
	texts   int
}

func newFinder(s secrets) *finder {
	f := &finder{secrets: s, needles: map[string][][]byte{}, found: map[string]string{}}
	for name, secret := range s {
		f.needles[name] = forms(secret)
	}
	return f
}

// forms are what a secret can look like inside other bytes.
func forms(secret string) [][]byte {
	quoted, _ := json.Marshal(secret) // a string always marshals
	list := []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), strings.Trim(string(quoted), `"`), html.EscapeString(secret), fmt.Sprintf("%q", secret)[1 : len(secret)+1],
		hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))), reversed(secret),
	}
	for shift := range 3 { // base64 of text in which the secret begins at any place
		for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			whole := enc.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
			list = append(list, whole[(shift*8+5)/6:len(whole)-len(whole)%4-1])
		}
	}
	if len(secret) == 16 && strings.Trim(secret, "0123456789") == "" { // a card as people write it
		for _, gap := range []string{" ", "-"} {
			list = append(list, secret[:4]+gap+secret[4:8]+gap+secret[8:12]+gap+secret[12:])
		}
	}
	var out [][]byte
	for _, s := range list {
		out = append(out, []byte(s))
	}
	return out
}

func reversed(s string) string {
	b := []byte(s)
	for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return string(b)
}

// text looks through an output.
func (f *finder) text(where, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts++
	f.look(where, []byte(text), 0)
}

// look looks through bytes, and through what is packed in them.
func (f *finder) look(where string, b []byte, depth int) {
	for name, needles := range f.needles {
		for _, n := range needles {
			if i := bytes.Index(b, n); i >= 0 {
				f.found[where+" ("+name+")"] = fmt.Sprintf("holds the %s: …%q", name, b[max(0, i-60):min(len(b), i+len(n)+20)])
				break
			}
		}
	}
	if depth == 3 {
		return
	}
	for _, p := range packings {
		for from := 0; ; {
			i := bytes.Index(b[from:], p.magic)
			if i < 0 {
				break
			}
			if plain := p.open(b[from+i:]); len(plain) > 0 {
				f.look(fmt.Sprintf("%s, %s at %d", where, p.name, from+i), plain, depth+1)
			}
			from += i + 1
		}
	}
	if plain, err := s2.Decode(nil, b); err == nil && len(plain) > 0 && len(b) < 1<<20 { // a block has no mark
		f.look(where+", s2 block", plain, depth+1)
	}
}

// packings are what compressed bytes begin with, and how much of them can be read.
var packings = []struct {
	name  string
	magic []byte
	open  func([]byte) []byte
}{
	{"gzip", []byte{0x1f, 0x8b, 8}, func(b []byte) []byte {
		r, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return nil
		}
		r.Multistream(false)
		plain, _ := io.ReadAll(io.LimitReader(r, 16<<20)) // as far as it goes
		return plain
	}},
	{"s2", []byte("\xff\x06\x00\x00S2sTwO"), unpackS2},
	{"snappy", []byte("\xff\x06\x00\x00sNaPpY"), unpackS2},
	{"zstd", []byte{0x28, 0xb5, 0x2f, 0xfd}, func(b []byte) []byte {
		r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil
		}
		defer r.Close()
		plain, _ := io.ReadAll(io.LimitReader(r, 16<<20))
		return plain
	}},
}

func unpackS2(b []byte) []byte {
	plain, _ := io.ReadAll(io.LimitReader(s2.NewReader(bytes.NewReader(b)), 16<<20))
	return plain
}

// tree looks through every file under a directory, by name and content.
func (f *finder) tree(t *testing.T, dir string) int {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		short := strings.TrimPrefix(p, dir+"/")
		f.look("file "+short, append([]byte(short+"\n"), bytes.TrimRight(b, "\x00")...), 0) // some are made longer than what is in them
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// store looks through every row of an agent's store, which has ended: its tables are compressed.
func (f *finder) store(t *testing.T, dir string) int {
	t.Helper()
	db, err := pebble.Open(dir, &pebble.Options{ReadOnly: true, Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	it, err := db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for ok := it.First(); ok; ok = it.Next() {
		rows++
		f.look(fmt.Sprintf("row %.40q", it.Key()), append(append([]byte(nil), it.Key()...), it.Value()...), 0)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(f string, a ...any) {
	panic(fmt.Sprintf(f, a...))
}

// TestCanaryFinder plants secrets in every form, and finds each: the test above can fail.
func TestCanaryFinder(t *testing.T) {
	s := secrets{"card": "4000123412341234", "key": "sk&/+0123456789abcdef"}
	pack := func(w io.WriteCloser, b *bytes.Buffer, text string) string {
		_, err := io.WriteString(w, text)
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return "before" + b.String() + "after"
	}
	for name, secret := range s {
		long := strings.Repeat("long text ", 50) + secret + strings.Repeat(" and more", 50)
		var gz, sz, zs bytes.Buffer
		zw, err := zstd.NewWriter(&zs)
		if err != nil {
			t.Fatal(err)
		}
		planted := map[string]string{
			"raw": long, "url": "a=" + url.QueryEscape(secret) + "&b", "json": fmt.Sprintf("{%q:1}", secret), "html": html.EscapeString(long), "hex": hex.EncodeToString([]byte(long)),
			"gzip": pack(gzip.NewWriter(&gz), &gz, long), "s2": pack(s2.NewWriter(&sz), &sz, long), "zstd": pack(zw, &zs, long), "s2 block": string(s2.Encode(nil, []byte(long))),
		}
		for shift := range 3 {
			planted[fmt.Sprint("base64 ", shift)] = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("y", shift) + long))
			planted[fmt.Sprint("base64 for URLs ", shift)] = base64.URLEncoding.EncodeToString([]byte(strings.Repeat("y", shift) + long))
		}
		for how, text := range planted {
			f := newFinder(s)
			f.text("there", text)
			if len(f.found) == 0 {
				t.Errorf("the %s as %s: found %v", name, how, f.found)
			}
		}
	}
	dir := t.TempDir()
	db, err := pebble.Open(dir, &pebble.Options{Logger: quiet{}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := db.Set(fmt.Appendf(nil, "row %d", i), []byte(strings.Repeat("filling ", 100)+s["card"]), pebble.Sync); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	f := newFinder(s)
	if rows := f.store(t, dir); rows != 50 || len(f.found) != 50 {
		t.Errorf("%d rows, %d found", rows, len(f.found))
	}
}
