package main

import (
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"segue/controlplane/policy"
)

// programs are whole programs that point an unmodified SDK at a service. e2e/sdk runs each of them as it is printed.
//
//go:embed connect/*.tmpl
var programs embed.FS

// sdk is one client library, and the program that shows how it is pointed at Segue.
type sdk struct {
	name     string
	contract string // what it speaks
	program  string // a file in connect/
	file     string // what to save it as
	install  string
	run      string
	again    string   // what the same argument again does
	secrets  []string // what the program reads from its environment where the policy says credential: caller
}

const (
	payOnce  = ". The same ORDER again is the same payment: it is made once."
	sendOnce = ". The same ORDER again is the same message: it is sent once."
)

var (
	stripeSecret = []string{"STRIPE_SECRET_KEY"}
	openaiSecret = []string{"OPENAI_API_KEY"}
	twilioSecret = []string{"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"}
)

var sdks = []sdk{
	{"stripe-node", "stripe/v1", "stripe-node.mjs", "pay.mjs", "npm install stripe", "node pay.mjs [ORDER]", payOnce, stripeSecret},
	{"stripe-python", "stripe/v1", "stripe-python.py", "pay.py", "pip install stripe", "python pay.py [ORDER]", payOnce, stripeSecret},
	{"stripe-go", "stripe/v1", "stripe-go.go", "pay.go", "go get github.com/stripe/stripe-go/v82", "go run pay.go [ORDER]", payOnce, stripeSecret},
	{"openai-node", "openai/v1", "openai-node.mjs", "chat.mjs", "npm install openai", "node chat.mjs [CHAT]", "", openaiSecret},
	{"openai-python", "openai/v1", "openai-python.py", "chat.py", "pip install openai", "python chat.py [CHAT]", "", openaiSecret},
	{"openai-go", "openai/v1", "openai-go.go", "chat.go", "go get github.com/openai/openai-go/v3", "go run chat.go [CHAT]", "", openaiSecret},
	{"twilio-node", "twilio/2010", "twilio-node.mjs", "send.mjs", "npm install twilio", "node send.mjs [ORDER]", sendOnce, twilioSecret},
	{"twilio-python", "twilio/2010", "twilio-python.py", "send.py", "pip install twilio", "python send.py [ORDER]", sendOnce, twilioSecret},
	{"twilio-go", "twilio/2010", "twilio-go.go", "send.go", "go get github.com/twilio/twilio-go", "go run send.go [ORDER]", sendOnce, twilioSecret},
	{"curl", "stripe/v1", "curl-stripe.sh", "pay.sh", "", "sh pay.sh [ORDER]", payOnce, stripeSecret},
	{"curl", "openai/v1", "curl-openai.sh", "chat.sh", "", "sh chat.sh [CHAT]", "", openaiSecret},
	{"curl", "twilio/2010", "curl-twilio.sh", "send.sh", "", "sh send.sh [ORDER]", sendOnce, twilioSecret},
}

// speakers are the SDKs that speak a contract, or one that it is made like.
func speakers(doc *policy.Policy, contract string) []sdk {
	for range len(doc.Contracts) + 1 { // Validate refuses circles; nothing here relies on it
		var found []sdk
		for _, one := range sdks {
			if one.contract == contract {
				found = append(found, one)
			}
		}
		if len(found) > 0 {
			return found
		}
		i := slices.IndexFunc(doc.Contracts, func(c policy.Contract) bool { return c.Name == contract })
		if i < 0 {
			return nil
		}
		contract = doc.Contracts[i].Like
	}
	return nil
}

func sdkNames(list []sdk) []string {
	var names []string
	for _, one := range list {
		if !slices.Contains(names, one.name) {
			names = append(names, one.name)
		}
	}
	return names
}

// pickSDK finds the SDK by its name among those that speak the service's contract.
func pickSDK(doc *policy.Policy, svc *policy.ServiceSpec, name string) (sdk, error) {
	able := speakers(doc, svc.Speaks)
	for _, one := range able {
		if one.name == name {
			return one, nil
		}
	}
	if len(able) == 0 {
		return sdk{}, usageError{fmt.Errorf("%s speaks %s, of which no SDK is known here; call its address as %s", svc.Name, svc.Speaks, svc.Speaks)}
	}
	known := strings.Join(sdkNames(able), ", ")
	if slices.Contains(sdkNames(sdks), name) {
		return sdk{}, usageError{fmt.Errorf("--sdk %s: it does not speak %s, which %s speaks; these do: %s", name, svc.Speaks, svc.Name, known)}
	}
	return sdk{}, usageError{fmt.Errorf("--sdk %q is not known%s; these speak %s: %s", name, guess(name, sdkNames(able)), svc.Speaks, known)}
}

// filled is what a program's template may use.
type filled struct {
	Notes                         []string // comments at its head
	URL, Protocol, Host, HostPort string
	Port                          int
	Caller                        bool // the API-key slot carries the provider's own key
}

func (one sdk) render(f filled) (string, error) {
	t, err := template.New(one.program+".tmpl").Funcs(template.FuncMap{"quote": strconv.Quote}).ParseFS(programs, "connect/"+one.program+".tmpl")
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	var out strings.Builder
	if err := t.Execute(&out, f); err != nil {
		return "", fmt.Errorf("connect: %s: %w", one.program, err)
	}
	return out.String(), nil
}
