package settle

import (
	"segue/dataplane/ledger"
	"segue/dataplane/message"
)

// collector takes an effect's answer. It gives nothing to the caller: an effect is answered after its outcome is written. An answer
// that outgrows what is kept is written as done first and then passed on as it comes.
type collector struct {
	status    int
	header    message.Header
	body      []byte
	trailer   message.Header
	over      bool   // more than is kept came
	passed    bool   // the outcome is written, and the caller takes the rest
	whole     bool   // the answer ended cleanly
	begins    func() // an answer's header is there
	overflows func() (passed bool, err error)
	to        message.Reply
}

func (c *collector) reset() {
	c.status, c.header, c.body, c.trailer = 0, nil, c.body[:0], nil
	c.over, c.passed, c.whole = false, false, false
}

// Begin takes status and header. The header is copied: the provider may use its list again.
func (c *collector) Begin(status int, h message.Header) error {
	c.reset()
	c.begins()
	c.status, c.header = status, append(message.Header(nil), h...)
	return nil
}

// Write keeps the bytes while there is room for them.
func (c *collector) Write(p []byte) error {
	if c.passed {
		return c.to.Write(p)
	}
	if c.over {
		return nil // nobody wants this answer, but its end may say something
	}
	if len(c.body)+len(p) <= ledger.MaxAnswer {
		c.body = append(c.body, p...)
		return nil
	}
	return c.overflow(p)
}

func (c *collector) overflow(p []byte) error {
	c.over = true
	passed, err := c.overflows()
	if err != nil || !passed {
		return err
	}
	c.passed = true
	if err := c.to.Begin(c.status, c.header); err != nil {
		return err
	}
	if err := c.to.Write(c.body); err != nil {
		return err
	}
	return c.to.Write(p)
}

// Trail takes a trailer, which is passed on and not kept.
func (c *collector) Trail(h message.Header) {
	if c.passed {
		message.Trail(c.to, h)
		return
	}
	c.trailer = append(message.Header(nil), h...)
}

// End takes the end. A cut of what was passed on is passed on as a cut.
func (c *collector) End(cut error) error {
	c.whole = cut == nil
	if c.passed {
		return c.to.End(cut)
	}
	return nil
}

// answer is the whole answer, if there is one that can be passed on.
func (c *collector) answer() *message.Answer {
	if c.status == 0 || c.over || !c.whole {
		return nil
	}
	return &message.Answer{Status: c.status, Header: c.header, Body: c.body, Trailer: c.trailer}
}
