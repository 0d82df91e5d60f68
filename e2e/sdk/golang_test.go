package sdk

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/option"
	"github.com/stripe/stripe-go/v82"
	"github.com/twilio/twilio-go"
	twilioclient "github.com/twilio/twilio-go/client"
	api "github.com/twilio/twilio-go/rest/api/v2010"
)

// outcome is what an application in Go was told.
func outcome(id string, err error) ending {
	e := ending{Outcome: "returned", ID: id}
	if err == nil {
		return e
	}
	e.Outcome, e.Class, e.Message = "threw", fmt.Sprintf("%T", err), err.Error()
	var paid *stripe.Error
	var said *openai.Error
	var sent *twilioclient.TwilioRestError
	switch {
	case errors.As(err, &paid):
		e.Class, e.Kind, e.Status, e.Code, e.Message = fmt.Sprintf("%T", paid.Err), string(paid.Type), paid.HTTPStatusCode, string(paid.Code), paid.Msg
	case errors.As(err, &said):
		e.Kind, e.Status, e.Code, e.Message = said.Type, said.StatusCode, said.Code, said.Message
	case errors.As(err, &sent):
		e.Status, e.Code, e.Message = sent.Status, strconv.Itoa(sent.Code), sent.Message
	}
	e.Class = e.Class[strings.LastIndexAny(e.Class, "*.")+1:]
	return e
}

func stripeGo(t testing.TB, a ask) ending {
	c := stripe.NewClient(a.Key, stripe.WithBackends(&stripe.Backends{API: stripe.GetBackendWithConfig(stripe.APIBackend, &stripe.BackendConfig{
		URL: stripe.String(a.URL), LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
	})}))
	if a.Call == "unknown" {
		made, err := c.V1Customers.Create(t.Context(), &stripe.CustomerCreateParams{Description: &a.Text})
		return outcome(made.ID, err)
	}
	if a.Call == "pay" || a.Call == "repay" {
		return stripeGoPays(t, c, a)
	}
	p := &stripe.ChargeCreateParams{Amount: &a.Amount, Currency: stripe.String("eur"), Description: &a.Text}
	p.Source = &stripe.PaymentSourceSourceParams{Token: stripe.String("tok_visa")}
	if a.Idempotency != "" {
		p.SetIdempotencyKey(a.Idempotency)
	}
	made, err := c.V1Charges.Create(t.Context(), p)
	return outcome(made.ID, err)
}

// stripeGoPays makes a payment with the card in it, or gives one back.
func stripeGoPays(t testing.TB, c *stripe.Client, a ask) ending {
	if a.Call == "repay" {
		p := &stripe.RefundCreateParams{PaymentIntent: &a.Text, Amount: &a.Amount}
		p.SetIdempotencyKey(a.Idempotency)
		made, err := c.V1Refunds.Create(t.Context(), p)
		if err != nil {
			return outcome("", err)
		}
		e := outcome(made.ID, nil)
		e.Text, e.Reason = strconv.FormatInt(made.Amount, 10), string(made.Status)
		return e
	}
	p := &stripe.PaymentIntentCreateParams{Amount: &a.Amount, Currency: stripe.String("eur"), Confirm: stripe.Bool(true)}
	p.PaymentMethodData = &stripe.PaymentIntentCreatePaymentMethodDataParams{Type: stripe.String("card"), BillingDetails: &stripe.PaymentIntentCreatePaymentMethodDataBillingDetailsParams{Name: &a.Text}}
	for name, value := range map[string]string{"number": "4242424242424242", "exp_month": "3", "exp_year": "2030", "cvc": "737"} {
		p.AddExtra("payment_method_data[card]["+name+"]", value) // the SDK has no field for it
	}
	p.SetIdempotencyKey(a.Idempotency)
	made, err := c.V1PaymentIntents.Create(t.Context(), p)
	if err != nil {
		return outcome("", err)
	}
	e := outcome(made.ID, nil)
	e.Text, e.Reason = strconv.FormatInt(made.Amount, 10), string(made.Status)
	return e
}

func openaiGo(t testing.TB, a ask) ending {
	c := openai.NewClient(option.WithAPIKey(a.Key), option.WithBaseURL(a.URL+"/v1/"))
	var with []option.RequestOption
	if a.Idempotency != "" {
		with = append(with, option.WithHeader("Idempotency-Key", a.Idempotency))
	}
	if a.Call == "unknown" {
		made, err := c.FineTuning.Jobs.New(t.Context(), openai.FineTuningJobNewParams{Model: "m", TrainingFile: a.Text}, with...)
		if err != nil {
			return outcome("", err)
		}
		return outcome(made.ID, nil)
	}
	p := openai.ChatCompletionNewParams{
		Model: a.Model, Messages: []openai.ChatCompletionMessageParamUnion{openai.UserMessage(a.Text)},
		MaxCompletionTokens: openai.Int(a.Amount),
	}
	if a.Call == "stream" {
		return streamed(t, c, p, with)
	}
	whole, err := c.Chat.Completions.New(t.Context(), p, with...)
	if err != nil {
		return outcome("", err)
	}
	e := outcome(whole.ID, nil)
	e.Text, e.Reason = whole.Choices[0].Message.Content, whole.Choices[0].FinishReason
	return e
}

func streamed(t testing.TB, c openai.Client, p openai.ChatCompletionNewParams, with []option.RequestOption) ending {
	stream := c.Chat.Completions.NewStreaming(t.Context(), p, with...)
	defer stream.Close()
	var so ending
	for stream.Next() {
		piece := stream.Current()
		so.ID = piece.ID
		if len(piece.Choices) > 0 {
			so.Text += piece.Choices[0].Delta.Content
			if r := piece.Choices[0].FinishReason; r != "" {
				so.Reason = r
			}
		}
	}
	e := outcome(so.ID, stream.Err())
	e.Text, e.Reason = so.Text, so.Reason
	return e
}

// elsewhere sends what is meant for Twilio to url: twilio-go has no base URL.
type elsewhere struct{ host string }

func (to elsewhere) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.Host = "http", to.host, ""
	return http.DefaultTransport.RoundTrip(r)
}

func twilioGo(_ testing.TB, a ask) ending {
	c := &twilioclient.Client{
		Credentials: twilioclient.NewCredentials(a.Account, a.Key),
		HTTPClient:  &http.Client{Transport: elsewhere{strings.TrimPrefix(a.URL, "http://")}},
	}
	c.SetAccountSid(a.Account)
	client := twilio.NewRestClientWithParams(twilio.ClientParams{Client: c})
	if a.Call == "unknown" {
		made, err := client.Api.CreateCall((&api.CreateCallParams{}).SetTo(a.To).SetFrom(a.From).SetTwiml("<Response/>"))
		if err != nil {
			return outcome("", err)
		}
		return outcome(*made.Sid, nil)
	}
	p := (&api.CreateMessageParams{}).SetTo(a.To).SetFrom(a.From)
	if a.Text != "" {
		p.SetBody(a.Text)
	} else {
		p.SetMediaUrl([]string{"https://pictures.example/1.png"})
	}
	made, err := client.Api.CreateMessage(p)
	if err != nil {
		return outcome("", err)
	}
	return outcome(*made.Sid, nil)
}
