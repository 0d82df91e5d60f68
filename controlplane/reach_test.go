package controlplane

import (
	"fmt"
	"testing"

	"segue/controlplane/feed"
)

// An agent that moved from node to node is heard once; two runs under one id are heard both; the silence of a run that was replaced is left out.
func TestOneAnswerOfEachRun(t *testing.T) {
	answer := func(agent, run, err string) feed.Answer { return feed.Answer{Agent: agent, Run: run, Err: err} }
	for _, c := range []struct {
		all  []feed.Answer
		want string
	}{
		{[]feed.Answer{answer("b", "1", ""), answer("a", "1", ""), answer("a", "1", "")}, "[a/1 b/1]"},
		{[]feed.Answer{answer("a", "1", "no answer"), answer("a", "1", "")}, "[a/1]"},
		{[]feed.Answer{answer("a", "1", ""), answer("a", "2", "")}, "[a/1 a/2]"},
		{[]feed.Answer{answer("a", "1", "gone"), answer("a", "2", "")}, "[a/2]"},
		{[]feed.Answer{answer("a", "1", "gone")}, "[a/1]"},
		{nil, "[]"},
	} {
		var got []string
		for _, a := range oneEach(c.all) {
			got = append(got, a.Agent+"/"+a.Run)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%v, want %s", got, c.want)
		}
	}
}
