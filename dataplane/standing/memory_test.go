package standing

import (
	"math"
	"reflect"
	"testing"
	"time"

	"segue/controlplane/health"
	"segue/controlplane/policy"
	"segue/dataplane/route"
)

// paid is a service with a budget, whose provider asks a quarter.
func paid(fixed policy.Money) *policy.Service {
	svc := payments("stripe")
	svc.Candidates[0].Cost = policy.Fee{Known: true, Tariff: policy.Tariff{Fixed: fixed}}
	svc.Spend = policy.Spend{Limit: policy.Unit, Per: 24 * time.Hour}
	return svc
}

// TestWhatARunLeavesToTheNext: spending and fees, to the service that they are of, once a policy brings it; the price must be the same.
func TestWhatARunLeavesToTheNext(t *testing.T) {
	const quarter = policy.Unit / 4
	svc := paid(quarter)
	first := boardOf(svc)
	for range 3 {
		p, ok := first.Choose(&route.Decision{}, svc, newCall(), t0)
		if !ok {
			t.Fatal("refused")
		}
		first.Done(p, health.Sample{Class: health.OK, Told: true, Stated: quarter}, health.Succeeded, t0)
	}
	left := first.Spent()
	if len(left) != 1 || left[0].Spending.Spent != 3*quarter || len(left[0].Fees) != 1 || left[0].Fees[0].Answers != 3 {
		t.Fatalf("%+v", left)
	}
	next := New()
	next.Remember(left)
	if got := next.Spent(); !reflect.DeepEqual(got, left) {
		t.Errorf("before a policy asks for it: %+v", got)
	}
	same := paid(quarter)
	next.Swap(snapshot(same))
	if got := next.Spent(); !reflect.DeepEqual(got, left) {
		t.Errorf("after: %+v", got)
	}
	if _, ok := next.Choose(&route.Decision{}, same, newCall(), t0); !ok {
		t.Error("the last quarter is refused")
	}
	if _, ok := next.Choose(&route.Decision{}, same, newCall(), t0); ok {
		t.Error("more was spent than the budget has")
	}
	if _, ok := next.Choose(&route.Decision{}, same, newCall(), t0.Add(24*time.Hour)); !ok {
		t.Error("the next day is refused")
	}
	other := New()
	other.Remember(left)
	other.Swap(snapshot(paid(quarter + 1)))
	if got := other.Spent(); len(got) != 1 || got[0].Spending.Spent != 3*quarter || got[0].Fees != nil {
		t.Errorf("at another price: %+v", got)
	}
}

// What no run can have left is not taken.
func TestWhatNoRunLeft(t *testing.T) {
	day := t0.Truncate(24 * time.Hour)
	for name, was := range map[string]route.Spending{
		"negative":       {Spent: -1, Since: day, Per: 24 * time.Hour},
		"too much":       {Spent: policy.MaxMoney + 1, Since: day, Per: 24 * time.Hour},
		"no stretch":     {Spent: 1, Since: day},
		"an odd stretch": {Spent: 1, Since: day.Add(time.Second), Per: 24 * time.Hour},
	} {
		b := New()
		b.Remember([]Spent{{Service: "payments", Spending: was}})
		b.Swap(snapshot(paid(1)))
		if got := b.Spent(); len(got) != 0 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	row := route.NewStanding("stripe")
	for _, told := range []route.Told{{}, {Said: math.NaN(), Stated: 1, Answers: 30}, {Said: math.Inf(1), Stated: 1, Answers: 30}, {Said: 1, Stated: -1, Answers: 30}, {Said: -1, Stated: 1, Answers: 30}} {
		if row.Remember(told); row.Told() != (route.Told{}) || row.Fees() != (route.Learned{}) {
			t.Errorf("%+v was taken: %+v", told, row.Fees())
		}
	}
	if row.Remember(route.Told{Said: 10, Stated: 20, Answers: 25}); row.Fees() != (route.Learned{Ratio: 2, Answers: 25}) {
		t.Errorf("%+v", row.Fees())
	}
	if row.Remember(route.Told{Said: 10, Stated: 20, Answers: 3}); row.Fees() != (route.Learned{Answers: 3}) {
		t.Errorf("of three answers: %+v", row.Fees())
	}
}
