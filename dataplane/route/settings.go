package route

import (
	"time"

	"segue/controlplane/policy"
	"segue/dataplane/breaker"
)

// Settings are those of a provider's circuit. A probe has as long as any call has, and a second: by then it has ended or never will.
func Settings(svc *policy.Service, provider string) breaker.Settings {
	b := svc.Breaker
	s := breaker.Settings{
		Failures: b.Failures, Successes: b.Successes, Reset: b.Reset, Percent: b.Percent, Window: b.Window, Calls: b.Calls,
		Lease: svc.Attempts.PerTry + time.Second, Back: svc.Shift.Back, Away: svc.Shift.Away, Salt: salt(provider),
	}
	if s.Back == 0 {
		s.Back = breaker.DefaultBack
	}
	return s
}
