package policy

import (
	"math"
	"strconv"
	"strings"
)

// operand reads what rules want to know: the first of its places that has something.
func (s *Service) operand(at *OperandAt, o *Operation, path, contentType string, body []byte, header func(name string) string) Operand {
	for _, f := range at.From {
		if text, ok := o.Value(f, path, contentType, body, header); ok {
			return s.read(at.As, text)
		}
	}
	return Operand{}
}

// read takes a text for what it is compared with; what is not of that kind is Missing.
func (s *Service) read(as OperandKind, text string) Operand {
	switch as {
	case IsNumber:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) || strings.ContainsAny(text, "xXpP_") {
			return Operand{}
		}
		return Operand{Kind: IsNumber, Number: n + 0}
	case IsYes:
		switch text {
		case "true":
			return Operand{Kind: IsYes}
		case "false":
			return Operand{Kind: IsNo}
		}
		return Operand{}
	default:
		return Operand{Kind: IsText, Text: s.Intern(text)}
	}
}
