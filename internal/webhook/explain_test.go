package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"license-deactivator/events"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
)

// TestExplainSaysWhatMapSays checks on every sample that tracing changes nothing.
func TestExplainSaysWhatMapSays(t *testing.T) {
	t.Parallel()
	sources := load(t, "")
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, sample := range samples {
		t.Run(sample.Name(), func(t *testing.T) {
			t.Parallel()
			src, _ := sources.Get(sample.Source)
			secret := "c2VjcmV0OmZvciB0aGUgc2FtcGxlcw==" // valid Base64, since some schemes need it
			if src.Certified() {
				secret = "webhook-id"
			}
			req, err := sample.Signed(src, "https://hooks.example.com", secret, clock)
			if err != nil {
				t.Fatal(err)
			}
			d := signing.Delivery{Method: req.Method, URL: req.URL.String(), Header: map[string]string{}, Body: bodyOf(t, req), Certificate: signingtest.Certificate()}
			for name := range req.Header {
				d.Header[strings.ToLower(name)] = req.Header.Get(name)
			}
			verified, err := src.Verify(d, clock, []string{secret})
			if err != nil {
				t.Fatal(err)
			}
			verified.ReceivedAt = clock
			want, err := src.Map(verified, source.Options{})
			if err != nil {
				t.Fatal(err)
			}
			parsed := parseSecrets(t, fmt.Sprintf(`{%q:%q}`, sample.Source, secret))
			for _, from := range []*secrets.Webhooks{parsed, nil} {
				e := webhook.Explain(src, d, clock, from, webhook.Policy{Certificates: signingtest.Certificates{}})
				var got []source.Mapping
				for _, event := range e.Events {
					got = append(got, event.Mapping)
					if len(event.Requests) > 0 && len(event.Licenses) != len(event.Requests) {
						t.Errorf("%d licenses and %d requests", len(event.Licenses), len(event.Requests))
					}
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("checked %v:\n%s", from != nil, diff)
				}
			}
		})
	}
}

func parseSecrets(t *testing.T, text string) *secrets.Webhooks {
	t.Helper()
	parsed, err := secrets.ParseWebhooks(text)
	if err != nil {
		t.Fatal(err)
	}
	return &parsed
}

// TestExplainAnswersAsTheHandlerDoes compares status and body with those of the whole function.
func TestExplainAnswersAsTheHandlerDoes(t *testing.T) {
	t.Parallel()
	stale := clock.Add(-time.Hour)
	for name, c := range map[string]struct {
		source, secret, body string
		at                   time.Time
		headers              map[string]string
		secrets              string
		want                 int
	}{
		"accepted":       {"stripe", stripeSecret, refundBody, clock, nil, secretsText, 200},
		"ignored":        {"stripe", stripeSecret, `{"id":"e","type":"x","livemode":true}`, clock, nil, secretsText, 200},
		"unmappable":     {"stripe", stripeSecret, `{"id":"e","type":"customer.subscription.deleted","livemode":true}`, clock, nil, secretsText, 200},
		"unreadable":     {"stripe", stripeSecret, `[]`, clock, nil, secretsText, 200},
		"empty":          {"stripe", stripeSecret, ``, clock, nil, secretsText, 200},
		"wrong secret":   {"stripe", "whsec_wrong", refundBody, clock, nil, secretsText, 401},
		"stale":          {"stripe", stripeSecret, refundBody, stale, nil, secretsText, 401},
		"no secret":      {"stripe", stripeSecret, refundBody, clock, nil, `{"shopify":"x"}`, 404},
		"useless secret": {"standard", "c2VjcmV0", `{}`, clock, map[string]string{"webhook-id": "m"}, `{"standard":"whsec_%%%"}`, 503},
		"encoded":        {"stripe", stripeSecret, refundBody, clock, map[string]string{"content-encoding": "gzip"}, secretsText, 415},
		"too large":      {"stripe", stripeSecret, strings.Repeat(" ", webhook.MaxBodyBytes+1), clock, nil, secretsText, 413},
		"salesforce":     {"salesforce", "t", soap("00D", notification("n", "K")), clock, nil, `{"salesforce":"t"}`, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newHarness(t, "")
			b.secrets.text = c.secrets
			d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + c.source, Header: map[string]string{}, Body: []byte(c.body)}
			for name, text := range c.headers {
				d.Header[name] = text
			}
			src, _ := b.Sources.Get(c.source)
			if err := src.Sign(&d, c.at, c.secret); err != nil {
				t.Fatal(err)
			}
			_, query, _ := strings.Cut(d.URL, "?")
			want := b.post(t, delivery{source: c.source, query: query, body: c.body, headers: d.Header})
			got := webhook.Explain(src, d, clock, parseSecrets(t, c.secrets), webhook.Policy{})
			if got.Status != c.want || got.Status != want.StatusCode || got.Body != strings.TrimSpace(want.Body) {
				t.Errorf("explained as %d %s, answered with %d %s, want %d", got.Status, got.Body, want.StatusCode, want.Body, c.want)
			}
			if (got.Refused != "") != (c.want != 200) || got.Verified != (c.want == 200) {
				t.Errorf("refused %q, verified %v", got.Refused, got.Verified)
			}
		})
	}
}

func TestExplainKnowsAPing(t *testing.T) {
	t.Parallel()
	src, _ := load(t, "").Get("woocommerce")
	for _, from := range []*secrets.Webhooks{nil, parseSecrets(t, `{"woocommerce":"x"}`)} {
		if e := webhook.Explain(src, signing.Delivery{Body: []byte("webhook_id=17")}, clock, from, webhook.Policy{}); !e.Ping || e.Status != 200 || len(e.Events) > 0 {
			t.Errorf("%+v", e)
		}
	}
}
