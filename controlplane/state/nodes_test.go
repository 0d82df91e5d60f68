package state

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"
)

func TestNodesAnnounceThemselves(t *testing.T) {
	w := newWorld(t)
	w.must("a", Command{Announce: &Announce{Node{ID: "c2", API: "127.0.0.1:7071"}}})
	w.must("b", Command{Announce: &Announce{Node{ID: "c1", API: "127.0.0.1:7070"}}})
	w.must("c", Command{Announce: &Announce{Node{ID: "c2", API: "127.0.0.1:9999"}}})
	want := []Node{{ID: "c1", API: "127.0.0.1:7070"}, {ID: "c2", API: "127.0.0.1:9999"}}
	if !reflect.DeepEqual(w.s.Nodes, want) {
		t.Fatalf("nodes %v, want %v", w.s.Nodes, want)
	}
	index := w.s.Index
	w.must("d", Command{Announce: &Announce{want[1]}})
	if w.s.Index != index {
		t.Error("an announcement that says nothing new changed the state")
	}
	if n, ok := w.s.Node("c1"); !ok || n != want[0] {
		t.Errorf("c1 is found as %v %v", n, ok)
	}
	var saved bytes.Buffer
	if err := w.s.Save(&saved); err != nil {
		t.Fatal(err)
	}
	back, err := Load(&saved)
	if err != nil || !reflect.DeepEqual(back.Nodes, want) {
		t.Errorf("loaded %v, %v", back, err)
	}
}

func TestAnnouncementsAreBounded(t *testing.T) {
	w := newWorld(t)
	w.refused(Invalid, "api", "x", Command{Announce: &Announce{Node{ID: "c1"}}})
	for i := range MaxNodes {
		w.must(fmt.Sprint("r", i), Command{Announce: &Announce{Node{ID: fmt.Sprint("c", i), API: "a"}}})
	}
	w.refused(Invalid, "limit", "y", Command{Announce: &Announce{Node{ID: "more", API: "a"}}})
}
