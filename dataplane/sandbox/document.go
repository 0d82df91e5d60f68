package sandbox

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// document is a JSON body, or a query, of which single values are read by a dotted name.
type document struct {
	text  string
	value any
	query url.Values
}

// readDocument reads the body of an effect, and the query of a read.
func readDocument(refuse func(detail string) *apiError) func(*call, *http.Request, []byte) *apiError {
	return func(c *call, r *http.Request, body []byte) *apiError {
		c.doc.query = r.URL.Query()
		if !c.effect || len(bytes.TrimSpace(body)) == 0 {
			c.doc.value = map[string]any{}
			return nil
		}
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber()
		if d.Decode(&c.doc.value) != nil {
			return refuse("The request body is not valid JSON.")
		}
		c.doc.text = string(body)
		return nil
	}
}

// get is a text or a number of the document, "" if it is not there.
func (d *document) get(name string) string {
	at := d.value
	for part := range strings.SplitSeq(name, ".") {
		switch v := at.(type) {
		case map[string]any:
			at = v[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(v) {
				return ""
			}
			at = v[i]
		default:
			return ""
		}
	}
	switch v := at.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	default:
		return ""
	}
}

// payment is a payment at one of the APIs that speak JSON.
type payment struct {
	id, reference, currency, status, of string
	amount                              int64
	made                                time.Time
}

// enter puts a payment, or what follows one, onto its shelf and into the books.
func (b *bank) enter(c *call, p *payment, status string) {
	p.made = b.now()
	b.payments.put(p.id, p)
	b.record(c, p.id, p.amount, p.currency, map[string]string{"order": p.reference}, status)
}
