package policy

import (
	"crypto/sha256"
	"strings"
	"testing"
)

// TestKeysAreMadeAsTheyAreTaken: what Segue makes, the provider takes, whatever it says of keys.
func TestKeysAreMadeAsTheyAreTaken(t *testing.T) {
	seen := map[string]bool{}
	for _, syntax := range append(syntaxes(), "") {
		for _, most := range []int{0, 32, 36, 40, 45, 46, 64, 255} {
			k := Keys{Enforced: true, Max: most, Syntax: Syntax(syntax)}
			if most > 0 && most < k.shortest() {
				continue
			}
			for _, text := range []string{"a", "b"} {
				sum := sha256.Sum256([]byte(text))
				key := k.Make([20]byte(sum[:20]))
				if !k.Takes(key) || len(key) < minKeyDigits || key != k.Make([20]byte(sum[:20])) {
					t.Errorf("%q of at most %d: %s", syntax, most, key)
				}
				seen[key] = true
			}
		}
	}
	if got := (Keys{}).Make([20]byte{1}); got != "segue-01"+strings.Repeat("0", 38) {
		t.Errorf("the keys that stand in ledgers are made otherwise: %s", got)
	}
	for _, c := range []struct {
		syntax Syntax
		key    string
		taken  bool
	}{
		{"", "anything, at all", true}, {SyntaxToken, "order_1-A", true}, {SyntaxToken, "order.1", false}, {SyntaxToken, "order 1", false},
		{SyntaxAlphanum, "order1", true}, {SyntaxAlphanum, "order-1", false}, {SyntaxUUID, "123e4567-e89b-42d3-a456-426614174000", true},
		{SyntaxUUID, "123e4567e89b42d3a456426614174000", false}, {SyntaxUUID, "123e4567-e89b-42d3-a456-42661417400g", false}, {SyntaxUUID, "", false},
	} {
		if got := (Keys{Syntax: c.syntax}).Takes(c.key); got != c.taken {
			t.Errorf("%q takes %q: %t", c.syntax, c.key, got)
		}
	}
	if (Keys{Max: 3}).Takes("four") {
		t.Error("a key that is too long is taken")
	}
}

// TestSyntaxAndFees: both are read, written, shown and checked; what cannot be is told with the fix.
func TestSyntaxAndFees(t *testing.T) {
	const head = "segue: v1\nservices:\n  payments: {speaks: acme/v1, listen: 7101, strategy: priority, priority: [acme]}\nproviders:\n  acme: {contract: acme/v1, credential: caller}\ncontracts:\n  acme/v1:\n    like: stripe/v1\n"
	p, problems := Parse("p.yaml", []byte(head+"    keys: {syntax: uuid, max: 36}\n    fees: {amount: body.fee.value, currency: body.fee.currency, unit: major}\n"))
	if problems != nil {
		t.Fatal(problems.Error())
	}
	c, err := p.Contract("acme/v1")
	if err != nil || c.Keys.Syntax != SyntaxUUID || !strings.Contains(c.Keys.text(), "a UUID") || c.feesText() != "fee.value in main units of fee.currency" {
		t.Errorf("%v %+v %s", err, c.Keys, c.feesText())
	}
	for line, want := range map[string]string{
		"    keys: {syntax: uid}\n":                            "did you mean uuid?",
		"    keys: {syntax: uuid, max: 30}\n":                  "at least 36 are needed",
		"    keys: {max: 31}\n":                                "at least 32 are needed",
		"    keys: {enforced: false, syntax: uuid}\n":          "cannot be: keys that are not enforced",
		"    fees: 3\n":                                        "write {amount: body.fee.value",
		"    use: {in: header.X-In}\n":                         "is no field of an answer's body",
		"    use: 3\n":                                         "write {in: body.usage.prompt_tokens",
		"    use: {inn: body.usage.in}\n":                      "did you mean in?",
		"    fees: {amount: body.fee}\n":                       "needs both amount and currency",
		"    fees: {amount: header.X-Fee, currency: body.c}\n": "is no field of an answer's body",
	} {
		if _, problems := Parse("p.yaml", []byte(head+line)); problems == nil || !strings.Contains(problems.Error(), want) {
			t.Errorf("%s: %v, want %q", line, problems, want)
		}
	}
}
