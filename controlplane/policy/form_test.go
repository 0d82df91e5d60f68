package policy

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestFormsAreTrees(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    `{}`,
		"a=1&b=":                              `{"a":"1","b":""}`,
		"a":                                   `{"a":""}`,
		"metadata[order]=o%201&metadata[x]=+": `{"metadata":{"order":"o 1","x":" "}}`,
		"metadata%5Border%5D=1":               `{"metadata":{"order":"1"}}`,
		"items[0][id]=a&items[1][id]=b":       `{"items":[{"id":"a"},{"id":"b"}]}`,
		"items[1]=b&items[0]=a":               `{"items":["a","b"]}`,
		"e[]=a&e[]=b":                         `{"e":["a","b"]}`,
		"e[]=a":                               `{"e":["a"]}`,
		"x[y][]=a&x[y][]=b":                   `{"x":{"y":["a","b"]}}`,
		"MediaUrl=a&MediaUrl=b":               `{"MediaUrl":["a","b"]}`,
		"items[1]=b":                          `{"items":{"1":"b"}}`,
		"&&a=1&":                              `{"a":"1"}`,
		"a=b=c":                               `{"a":"b=c"}`,
	} {
		m, err := ReadForm([]byte(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		same(t, text, written(WriteTree(m)), want)
	}
	for _, text := range []string{
		"a[=1", "a]=1", "[a]=1", "=1", "a[b=1", "a[b]c=1", "a[b]]=1", "a[[b]]=1", "a=1&a[b]=2", "a[b]=2&a=1", "a[][b]=1", "a=1&a[]=2", "a%zz=1", "a=%zz", "a=%ff", "%ff=1",
		"a[b][c][d][e][f][g][h][i]=1", strings.Repeat("a&", maxPairs) + "a&a", "0=a&1=b", "a[]b=1",
	} {
		if m, err := ReadForm([]byte(text)); err == nil {
			t.Errorf("%.40s is read as %v", text, m)
		}
	}
	if _, err := ReadForm(make([]byte, MaxTree+1)); err == nil {
		t.Error("a form of any size is read")
	}
}

func TestTreesThatAreNoForms(t *testing.T) {
	deep := map[string]any{}
	for range 12 {
		deep = map[string]any{"a": deep}
	}
	deep["b"] = "x"
	innermost := deep
	for len(innermost) > 0 && innermost["a"] != nil {
		next, _ := innermost["a"].(map[string]any)
		if len(next) == 0 {
			innermost["a"] = "x"
			break
		}
		innermost = next
	}
	for name, tree := range map[string]map[string]any{
		"a name with brackets": {"a[b]": "x"}, "no name": {"": "x"}, "something else": {"a": struct{}{}}, "no number": {"a": nan()}, "depth": {"a": deep}, "size": {"a": strings.Repeat("x", MaxTree)},
	} {
		if b, err := WriteForm(tree); err == nil {
			t.Errorf("%s is written as %.60s", name, b)
		}
	}
	b, err := WriteForm(map[string]any{"n": nil, "e": []any{}, "m": map[string]any{}, "i": 7, "f": 1.5, "t": true, "z": "ä &="})
	if err != nil || string(b) != "f=1.5&i=7&t=true&z=%C3%A4+%26%3D" {
		t.Errorf("%s %v", b, err)
	}
}

func nan() any {
	zero := 0.0
	return zero / zero
}

// formTree draws a tree that a form can say.
func formTree(t *rapid.T, depth int) any {
	name := rapid.StringMatching(`[a-zA-Z_][a-z0-9 &=+%ä]{0,6}`)
	switch kind := rapid.IntRange(0, 5).Draw(t, "kind"); {
	case depth == 0 || kind < 3:
		return rapid.StringN(0, 12, 40).Draw(t, "text")
	case kind == 3:
		var list []any
		for range rapid.IntRange(1, 3).Draw(t, "length") {
			list = append(list, formTree(t, depth-1))
		}
		return list
	default:
		m := map[string]any{}
		for range rapid.IntRange(1, 3).Draw(t, "fields") {
			m[name.Draw(t, "name")] = formTree(t, depth-1)
		}
		return m
	}
}

func TestFormRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := map[string]any{"a": formTree(t, 5), "b": formTree(t, 4)}
		b, err := WriteForm(tree)
		if err != nil {
			t.Fatal(err)
		}
		again, err := ReadForm(b)
		if err != nil || !reflect.DeepEqual(again, tree) {
			t.Fatalf("%s\n%v\n%v %v", b, tree, again, err)
		}
	})
}

// What can be read is written so that it reads the same, whatever wrote it.
func FuzzForm(f *testing.F) {
	for _, s := range []string{"a=1&b[c]=2", "a[]=1&a[]=2", "a[0][b]=1", "a=%zz", "%5B=1", "a[b][c]=", "a=1&a=2"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := ReadForm(text)
		if err != nil {
			return
		}
		b, err := WriteForm(tree)
		if err != nil {
			t.Fatalf("%q is read and not written: %v", text, err)
		}
		again, err := ReadForm(b)
		if err != nil || !reflect.DeepEqual(again, tree) {
			t.Fatalf("%q → %q: %v, %v %v", text, b, tree, again, err)
		}
	})
}

func FuzzTree(f *testing.F) {
	for _, s := range []string{`{"a":1}`, `[1.50,1e9,-0,12345678901234567890]`, `{"a":1,"a":2}`, `{"a":`, `"\ud800"`, `[[[[]]]]`, `nul`, `{} {}`, "\"\xff\"", `1e999`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := ReadTree(text)
		if err != nil {
			return
		}
		b, err := WriteTree(v)
		if err != nil {
			return // larger than what is written
		}
		again, err := ReadTree(b)
		if err != nil || !reflect.DeepEqual(again, v) {
			t.Fatalf("%q → %q: %v", text, b, err)
		}
	})
}

// FuzzMapping gives hostile bodies to the programs of every shipped mapping: no panic, no loop, and what comes out is a call.
func FuzzMapping(f *testing.F) {
	svc := serviceOf(f, chatByTwo)
	m := svc.Candidates[1].Mapped("complete")
	for _, s := range []string{
		`{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}`, `{"model":[],"messages":{}}`, `{"model":"gpt-4o","messages":[{"role":"tool","content":null}]}`,
		`{"model":"gpt-4o","messages":[null],"tools":[1],"stop":{}}`, `{"id":"msg_1","content":[{"type":"text"}],"usage":{"input_tokens":1e400}}`, strings.Repeat(`[`, 1000), `{"a":1,"a":2}`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		heard := &Heard{Method: "POST", Path: "/v1/chat/completions", Header: noHeader, Type: "application/json", Body: body}
		if made, err := m.Request(context.Background(), heard); err == nil {
			if _, err := ReadTree(made.Body); err != nil || made.Path != "/v1/messages" {
				t.Fatalf("%q → %s %q", body, made.Path, made.Body)
			}
		}
		call := askedJSON("/v1/chat/completions", `{"model":"gpt-4o","messages":[]}`)
		for _, status := range []int{200, 400, 529} {
			said, err := m.Answer(context.Background(), call, &Told{Status: status, Header: noHeader, Type: "application/json", Body: body, Succeeded: status == 200})
			if err == nil && (said.Status < 200 || (said.Status < 300) != (status == 200)) {
				t.Fatalf("%q → %+v", body, said)
			}
		}
		if s, err := m.Events(call, &Told{Status: 200, Header: noHeader}); err == nil {
			for _, name := range []string{"message_start", "content_block_delta", "message_delta", "error", "message_stop"} {
				if out, err := s.Event(context.Background(), name, body, nil); err == nil && strings.Count(string(out), "data: ") != strings.Count(string(out), "\n\n") && !strings.Contains(string(body), "data: ") {
					t.Fatalf("%q → %q", body, out)
				}
			}
		}
	})
}

func BenchmarkMap(b *testing.B) {
	m := serviceOf(b, chatByTwo).Candidates[1].Mapped("complete")
	turns := make([]string, 20)
	for i := range turns {
		turns[i] = fmt.Sprintf(`{"role":"%s","content":"This is turn %d of a conversation of ordinary length."}`, []string{"user", "assistant"}[i%2], i)
	}
	body := `{"model":"gpt-4o","messages":[` + strings.Join(turns, ",") + `]}`
	b.Run("Request", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Request(context.Background(), askedJSON("/v1/chat/completions", body)); err != nil {
				b.Fatal(err)
			}
		}
	})
	answer := []byte(`{"id":"msg_1","model":"claude-x","content":[{"type":"text","text":"An answer of ordinary length to that."}],"stop_reason":"end_turn","usage":{"input_tokens":300,"output_tokens":9}}`)
	b.Run("Answer", func(b *testing.B) {
		b.ReportAllocs()
		call := askedJSON("/v1/chat/completions", body)
		for b.Loop() {
			if _, err := m.Answer(context.Background(), call, &Told{Status: 200, Header: noHeader, Type: "application/json", Body: answer, Succeeded: true}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Event", func(b *testing.B) {
		b.ReportAllocs()
		s, err := m.Events(askedJSON("/v1/chat/completions", body), &Told{Status: 200, Header: noHeader})
		if err != nil {
			b.Fatal(err)
		}
		out, _ := s.Event(context.Background(), "message_start", []byte(`{"message":{"id":"msg_1","model":"m","usage":{"input_tokens":1}}}`), nil)
		for b.Loop() {
			if out, err = s.Event(context.Background(), "content_block_delta", []byte(`{"index":0,"delta":{"type":"text_delta","text":"word "}}`), out[:0]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
