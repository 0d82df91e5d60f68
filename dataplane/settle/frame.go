package settle

import (
	"encoding/binary"
	"errors"

	"segue/dataplane/message"
)

var errFrame = errors.New("settle: what was sealed is no answer")

// appendAnswer writes a header and a body as the bytes that are sealed: the number of fields, each name and value behind its length, the body.
func appendAnswer(b []byte, h message.Header, body []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(h)))
	for i := range h {
		for _, s := range [...]string{h[i].Name, h[i].Value} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
	}
	return append(b, body...)
}

// splitAnswer reads what appendAnswer wrote.
func splitAnswer(b []byte) (message.Header, []byte, error) {
	fields, n := binary.Uvarint(b)
	if n <= 0 || fields > uint64(len(b)) {
		return nil, nil, errFrame
	}
	b = b[n:]
	var h message.Header
	for range fields {
		var pair [2]string
		for i := range pair {
			size, n := binary.Uvarint(b)
			if n <= 0 || size > uint64(len(b)-n) {
				return nil, nil, errFrame
			}
			pair[i], b = string(b[n:n+int(size)]), b[n+int(size):]
		}
		h = append(h, message.Field{Name: pair[0], Value: pair[1]})
	}
	return h, b, nil
}
