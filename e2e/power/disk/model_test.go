package main

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// world is a directory with one file that was synced under its name.
func world() (dir, file *object) {
	dir, file = newObject(1, true, 0o700), newObject(2, false, 0o600)
	dir.move(move{"a": file})
	dir.sync()
	file.edit(edit{0, bytes.Repeat([]byte("1"), 2*sector)})
	file.sync()
	return dir, file
}

// TestSyncedSurvives: whatever chance does, what was synced is there, and what was not may be gone.
func TestSyncedSurvives(t *testing.T) {
	gone, kept, torn := 0, 0, 0
	for seed := range uint64(500) {
		dir, file := world()
		file.edit(edit{2 * sector, bytes.Repeat([]byte("2"), 4*sector)})
		dir.survivor(rand.New(rand.NewPCG(seed, 1)))
		if dir.hardNames["a"] != file || !bytes.HasPrefix(file.hard, bytes.Repeat([]byte("1"), 2*sector)) {
			t.Fatalf("seed %d: what was synced is gone", seed)
		}
		switch n := bytes.Count(file.hard, []byte("2")); n {
		case 0:
			gone++
		case 4 * sector:
			kept++
		default:
			torn++
			if n%sector != 0 {
				t.Fatalf("seed %d: a part of a sector", seed)
			}
		}
	}
	if gone == 0 || kept == 0 || torn == 0 {
		t.Errorf("gone %d, kept %d, torn %d: this disk is too good", gone, kept, torn)
	}
}

// TestNamesAreTheDirectorys: a file that was synced under a name that was not may be gone; a rename comes whole or not at all.
func TestNamesAreTheDirectorys(t *testing.T) {
	gone, before, after := 0, 0, 0
	for seed := range uint64(500) {
		dir, file := world()
		fresh := newObject(3, false, 0o600)
		dir.move(move{"b": fresh})
		fresh.edit(edit{0, []byte("x")})
		fresh.sync()
		dir.move(move{"a": nil, "c": file})
		dir.survivor(rand.New(rand.NewPCG(seed, 1)))
		if dir.hardNames["b"] == nil {
			gone++
		}
		switch a, c := dir.hardNames["a"], dir.hardNames["c"]; {
		case a == file && c == nil:
			before++
		case a == nil && c == file:
			after++
		default:
			t.Fatalf("seed %d: half a rename", seed)
		}
	}
	if gone == 0 || before == 0 || after == 0 {
		t.Errorf("gone %d, before %d, after %d: this disk is too good", gone, before, after)
	}
}

// TestLengths: cut and grown, a file has no old bytes.
func TestLengths(t *testing.T) {
	f := newObject(1, false, 0o600)
	f.edit(edit{0, []byte("secret")})
	f.edit(edit{at: 2})
	f.edit(edit{at: 4})
	f.edit(edit{6, []byte("x")})
	f.sync()
	if want := "se\x00\x00\x00\x00x"; string(f.hard) != want || string(f.seen) != want {
		t.Errorf("%q %q", f.hard, f.seen)
	}
}

// TestLoadSave: what is saved is what is loaded.
func TestLoadSave(t *testing.T) {
	dir, _ := world()
	inner := newObject(4, true, 0o700)
	dir.move(move{"d": inner})
	dir.sync()
	to := t.TempDir()
	if err := dir.save(to); err != nil {
		t.Fatal(err)
	}
	n := uint64(0)
	again, err := load(to, func() uint64 { n++; return n })
	if err != nil || len(again.names) != 2 || !again.names["d"].dir || len(again.hardNames["a"].hard) != 2*sector {
		t.Errorf("%+v %v", again, err)
	}
}
