package ledger

// Definite tells whether an outcome is proven.
func (o Outcome) Definite() bool { return o == Succeeded || o == Declined || o == NotSent }

// String is the outcome's word. What is no outcome reads as unknown.
func (o Outcome) String() string {
	switch o {
	case Open:
		return "open"
	case Succeeded:
		return "succeeded"
	case Declined:
		return "declined"
	case NotSent:
		return "not_sent"
	case Unknown:
		return "unknown"
	default:
		return "unknown"
	}
}

// String is the state's word.
func (s State) String() string {
	switch s {
	case Intent:
		return "intent"
	case Held:
		return "held"
	case DoneSucceeded:
		return "succeeded"
	case DoneDeclined:
		return "declined"
	case Refused:
		return "not_sent"
	case Cancelling:
		return "cancelling"
	default:
		return "unknown"
	}
}

// ParseState reads a state's word.
func ParseState(word string) (State, bool) {
	for s := Intent; s <= lastState; s++ {
		if s.String() == word {
			return s, true
		}
	}
	return 0, false
}

// String is the step's word.
func (k StepKind) String() string {
	switch k {
	case Finish:
		return "finish"
	case Elsewhere:
		return "elsewhere"
	case Redrive:
		return "redrive"
	case Hold:
		return "hold"
	case Refuse:
		return "refuse"
	case LookUp:
		return "look_up"
	case Cancel:
		return "cancel"
	case Wait:
		return "wait"
	case Compensate:
		return "compensate"
	default:
		return "unknown"
	}
}

// String is the kind's word.
func (k EvidenceKind) String() string {
	switch k {
	case FromAnswer:
		return "answer"
	case FromTimeout:
		return "timeout"
	case FromStaleSend:
		return "stale_send"
	case FromLookup:
		return "lookup"
	case FromCancel:
		return "cancel"
	case FromWebhook:
		return "webhook"
	case FromStatement:
		return "statement"
	case FromOperator:
		return "operator"
	case FromTimer:
		return "timer"
	default:
		return "unknown"
	}
}

// String is the way's word.
func (c Closed) String() string {
	switch c {
	case NotClosed:
		return "open"
	case ByAnswer:
		return "answer"
	case ByCancel:
		return "cancel"
	case ByWindow:
		return "window"
	case ByOperator:
		return "operator"
	case ByPolicy:
		return "policy"
	default:
		return "unknown"
	}
}

// String is the finding's word.
func (f Finding) String() string {
	switch f {
	case NoFinding:
		return "nothing"
	case Absent:
		return "absent"
	case Voided:
		return "voided"
	case TooLate:
		return "too_late"
	case InProgress:
		return "in_progress"
	default:
		return "unknown"
	}
}
