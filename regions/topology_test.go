package regions

import (
	"reflect"
	"testing"
)

func TestTopology(t *testing.T) {
	world := Topology{{"us-east", []string{"eu-west"}}, {"eu-west", []string{"us-east", "ap-south"}}, {"ap-south", nil}}
	if got := world.Names(); !reflect.DeepEqual(got, []string{"us-east", "eu-west", "ap-south"}) {
		t.Errorf("the document's order is lost: %v", got)
	}
	if r, ok := world.Find("eu-west"); !ok || !reflect.DeepEqual(r, world[1]) {
		t.Errorf("found %+v", r)
	}
	for _, name := range []string{"", "eu", "EU-WEST", "moon"} {
		if r, ok := world.Find(name); ok {
			t.Errorf("%q: found %+v", name, r)
		}
	}
	if got := (Topology)(nil).Names(); len(got) != 0 {
		t.Errorf("nothing has names: %v", got)
	}
}
