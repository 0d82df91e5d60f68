package storm

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"time"

	"segue/controlplane/query"
	"segue/dataplane/sandbox"
)

// withinAll is how soon after the faults' end every outcome is resolved or in front of an operator.
const withinAll = 60 * time.Second

// reckon waits until everything came to rest, holds all against all, asks again under keys, and holds all against all once more.
func reckon(w *world, j *journal, ended time.Time) (*record, error) {
	r := &record{}
	if err := r.rest(w, ended); err != nil {
		return nil, err
	}
	first, err := gather(w, j)
	if err != nil {
		return nil, err
	}
	r.verdict = judge(first)
	if len(r.verdict.wrongs()) > 0 {
		return r, nil
	}
	asked := replay(w, first)
	second, err := gather(w, j)
	if err != nil {
		return nil, err
	}
	r.verdict = judge(second)
	r.replayed = asked
	r.wrongs = append(r.wrongs, changed(first, second)...)
	for _, t := range first {
		if t.Row.Known && t.settled() == "" {
			r.verdict.Unknown++
		}
	}
	return r, nil
}

// rest waits until nothing is under way any more, and notes how long that took.
func (r *record) rest(w *world, ended time.Time) error {
	var left []query.Transaction
	err := eventually(time.Until(ended.Add(withinAll)), "every transaction is resolved or held", func() error {
		var err error
		if left, err = w.transactions(url.Values{"state": {"intent"}, "limit": {"500"}}); err != nil {
			return err
		}
		if len(left) > 0 {
			return fmt.Errorf("%d are under way", len(left))
		}
		return nil
	})
	r.rested = time.Since(ended)
	if err != nil && len(left) == 0 {
		return err
	}
	return nil // the judge names what is left
}

// gather puts together what is known of every order.
func gather(w *world, j *journal) ([]*trial, error) {
	done := map[string][]execution{}
	for _, s := range w.suppliers {
		entries, err := s.books()
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			if e.Status != sandbox.StatusDeclined {
				done[e.Order] = append(done[e.Order], execution{s.title(), e.ID, e.At})
			}
		}
	}
	shown, all, err := heldShown(w)
	if err != nil {
		return nil, err
	}
	trials := make([]*trial, len(j.orders))
	var errs []error
	var mu sync.Mutex
	inParallel(4, len(trials), func(i int) {
		o := j.orders[i]
		t := &trial{order: o, Executions: done[o.Name]}
		found, err := rowOf(w, o)
		t.Row = found
		t.Row.Shown = t.Row.State == "held" && (shown[t.Row.ID] || !all)
		trials[i] = t
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	})
	return trials, errors.Join(errs...)
}

// heldShown is what an operator sees by `segue tx list --state held`; all is false where there is more than fits the list.
func heldShown(w *world) (shown map[string]bool, all bool, err error) {
	out, err := w.segue("tx", "list", "--state", "held", "--limit", "500", "-o", "json")
	if err != nil {
		return nil, false, err
	}
	var list []query.Transaction
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, false, err
	}
	shown = map[string]bool{}
	for _, t := range list {
		shown[t.ID] = true
	}
	return shown, len(list) < 500, nil
}

// rowOf asks what Segue knows of an order. Two rows under one key are two transactions: the first one that is found is not all.
func rowOf(w *world, o *order) (row, error) {
	var list []query.Transaction
	asked := 0
	err := eventually(30*time.Second, "agents answer about "+o.Name, func() error {
		var err error
		list, err = w.transactions(url.Values{"key": {o.Name}, "service": {services[o.Service].name}, "limit": {"10"}})
		if asked++; err == nil && len(list) == 0 && len(o.Sayings) > 0 && asked < 4 { // one agent may have taken it over from another meanwhile
			return errors.New("nobody knows it")
		}
		return err
	})
	switch {
	case err != nil:
		return row{}, err
	case len(list) == 0:
		return row{}, nil
	case len(list) > 1:
		return row{}, fmt.Errorf("%s has %d transactions: %+v", o.Name, len(list), list)
	}
	return row{Known: true, ID: list[0].ID, State: list[0].State, Object: list[0].Object}, nil
}

// replay asks again under the keys of all that was not settled, and of some that were: the answers must be the same.
func replay(w *world, trials []*trial) int {
	rng := rand.New(rand.NewPCG(w.seed, 600))
	var again, sure []*trial
	for _, t := range trials {
		if t.settled() == "" && len(t.Sayings) > 0 {
			again = append(again, t)
		} else if t.settled() != "" {
			sure = append(sure, t)
		}
	}
	again = append(again, pick(rng, sure, 150)...)
	inParallel(8, len(again), func(i int) {
		t := again[i]
		for n, a := range w.agents {
			if a.name == t.Sayings[0].Agent {
				c := newCustomer(w, []*agent{a}, 1000+n, 0, nil)
				s := c.ask(t.order, answerIn)
				s.Replay = true
				t.Sayings = append(t.Sayings, s)
				c.http.CloseIdleConnections()
			}
		}
	})
	return len(again)
}

// changed lists what was final and did not stay so.
func changed(first, second []*trial) []string {
	var list []string
	for i, t := range first {
		was, is := t.Row, second[i].Row
		if (was.State == "succeeded" || was.State == "declined") && was != is {
			list = append(list, fmt.Sprintf("%s was %+v and is %+v", t.Name, was, is))
		}
	}
	return list
}

// inParallel does n things with so many hands.
func inParallel(hands, n int, do func(int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range hands {
		group.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}
