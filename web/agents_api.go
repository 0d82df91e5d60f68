package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"segue/controlplane/health"
	"segue/controlplane/state"
)

// agentShown is an agent as the API shows it.
type agentShown struct {
	ID       string            `json:"id"`
	Region   string            `json:"region"`
	Run      string            `json:"run"`
	Revision uint64            `json:"revision"` // that it serves, by its last report
	Acked    uint64            `json:"acked"`    // the revision of its last acknowledgement or refusal; 0: none since this leader leads
	Heard    bool              `json:"heard"`
	LastSeen time.Time         `json:"last_seen"` // the leader's clock
	SkewMS   int64             `json:"skew_ms"`   // its clock minus the leader's, the way included
	Addr     map[string]string `json:"addr"`      // service → address that it listens on
	Problem  string            `json:"problem,omitempty"`
}

// agents lists who was heard, and what is wrong with whom.
func (w *Web) agents(c echo.Context) error {
	s := w.scene()
	if !s.Seen {
		return refusal(state.NoLeader, "no reports have been put together yet")
	}
	list := []agentShown{}
	for _, a := range s.View.World.Agents {
		one := agentShown{ID: a.ID, Region: a.Region, Run: a.Run, Revision: a.Revision, Heard: a.Heard, LastSeen: a.LastSeen, SkewMS: a.SkewMS, Addr: a.Addr}
		var refused string
		for _, ack := range s.View.Acks {
			if ack.Agent == a.ID {
				one.Acked, refused = ack.Revision, ack.Reason
			}
		}
		one.Problem = problemsOf(a, refused)
		list = append(list, one)
	}
	return c.JSON(http.StatusOK, list)
}

// mostSkew is how far an agent's clock may be from the leader's before it is said.
const mostSkew = 2 * time.Second

func problemsOf(a health.AgentSeen, refused string) string {
	var all []string
	if a.Twin != "" {
		all = append(all, fmt.Sprintf("another process reports under this id too (run %s): give one of them another --id", a.Twin))
	}
	if refused != "" {
		all = append(all, "it refused the last update: "+refused)
	}
	if !a.Heard {
		all = append(all, fmt.Sprintf("it was last heard %d s ago", a.AgeMS/1000))
	}
	if skew := time.Duration(a.SkewMS) * time.Millisecond; a.Heard && skew.Abs() > mostSkew {
		all = append(all, fmt.Sprintf("its clock is %s off the leader's", skew))
	}
	return strings.Join(all, "; ")
}
