package policy

import (
	"strconv"
	"strings"
	"time"
)

// span writes a span of time as people do: 24h, not 24h0m0s.
func span(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// percent writes a share so that reading it gives the same number.
func percent(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func appendPercent(text []byte, f float64) []byte { return strconv.AppendFloat(text, f, 'f', -1, 64) }

func (w writer) span(key string, d time.Duration) {
	if d != 0 {
		w.text(key, span(d))
	}
}
