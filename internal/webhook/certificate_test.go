package webhook_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/signing/signingtest"
)

// fakeCertificates stands for PayPal's address of certificates.
type fakeCertificates struct {
	chain []byte
	err   error
	roots *x509.CertPool
	asked []string
}

func (f *fakeCertificates) Get(_ context.Context, address string) ([]byte, error) {
	f.asked = append(f.asked, address)
	return f.chain, f.err
}

func (f *fakeCertificates) Roots() *x509.CertPool { return f.roots }

// payPalDelivery is the delivery of PayPal's sandbox of 2017 in pkg/signing/testdata/paypal, and its webhook id.
func payPalDelivery(t *testing.T) (d delivery, at time.Time, chain []byte, roots *x509.CertPool, secrets string) {
	t.Helper()
	read := func(name string) []byte {
		content, err := os.ReadFile("../../pkg/signing/testdata/paypal/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	var vector struct {
		Headers   map[string]string `json:"headers"`
		WebhookID string            `json:"webhook_id"`
		VerifyAt  time.Time         `json:"verify_at"`
	}
	if err := json.Unmarshal(read("vector.json"), &vector); err != nil {
		t.Fatal(err)
	}
	vector.Headers["paypal-cert-url"] = "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42-fca2a594-a5cafa77"
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(read("root.pem"))
	return delivery{source: "paypal", body: string(read("body.json")), headers: vector.Headers}, vector.VerifyAt,
		slices.Concat(read("chain.pem"), []byte("\n"), read("intermediate.pem")), roots, `{"paypal":"sandbox:` + vector.WebhookID + `"}`
}

// newPayPalHarness is a harness at the time of PayPal's delivery.
func newPayPalHarness(t *testing.T) (*harness, *fakeCertificates, delivery) {
	t.Helper()
	d, at, chain, roots, secrets := payPalDelivery(t)
	certificates := &fakeCertificates{chain: chain, roots: roots}
	h := newHarness(t, "", func(c *webhook.Config) {
		c.Certificates = certificates
		c.Now = func() time.Time { return at }
	})
	h.secrets.text = secrets
	return h, certificates, d
}

func TestPayPalsOwnDeliveryIsAnswered(t *testing.T) {
	t.Parallel()
	h, certificates, d := newPayPalHarness(t)
	reply := h.post(t, d)
	if reply.StatusCode != 200 || !strings.Contains(reply.Body, `"ignored"`) {
		t.Errorf("got %d %s", reply.StatusCode, reply.Body)
	}
	if len(certificates.asked) != 1 || certificates.asked[0] != d.headers["paypal-cert-url"] {
		t.Errorf("asked for %v", certificates.asked)
	}
}

// What is refused without a certificate causes no fetch: anybody can post it.
func TestNothingIsFetchedForADeliveryThatIsRefusedAnyway(t *testing.T) {
	t.Parallel()
	header := func(name, value string) func(*harness, *delivery) {
		return func(_ *harness, d *delivery) { d.headers["paypal-"+name] = value }
	}
	for name, c := range map[string]struct {
		change func(*harness, *delivery)
		want   int
	}{
		"no secret":                {func(h *harness, _ *delivery) { h.secrets.text = `{}` }, 404},
		"an unusable secret":       {func(h *harness, _ *delivery) { h.secrets.text = `{"paypal":"WEBHOOK_ID"}` }, 503},
		"a live webhook id alone":  {func(h *harness, _ *delivery) { h.secrets.text = `{"paypal":"96605875FF6516633"}` }, 401},
		"another host":             {header("cert-url", "https://evil.example/v1/notifications/certs/CERT-1"), 401},
		"the metadata service":     {header("cert-url", "http://169.254.169.254/latest/meta-data/"), 401},
		"a port":                   {header("cert-url", "https://api.sandbox.paypal.com:8443/v1/notifications/certs/CERT-1"), 401},
		"a query":                  {header("cert-url", "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-1?x"), 401},
		"another path":             {header("cert-url", "https://api.sandbox.paypal.com/v1/oauth2/token"), 401},
		"no signature":             {header("transmission-sig", ""), 401},
		"another algorithm":        {header("auth-algo", "SHA1withRSA"), 401},
		"a year old":               {header("transmission-time", "2016-03-30T20:04:05Z"), 401},
		"from the future":          {header("transmission-time", "2017-03-31T20:04:05Z"), 401},
		"no id":                    {header("transmission-id", ""), 401},
		"a separator in its id":    {header("transmission-id", "a|b"), 401},
		"a header of nine KiB":     {header("cert-url", strings.Repeat("x", 9<<10)), 401},
		"a signature that is none": {header("transmission-sig", "no base64!"), 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, certificates, d := newPayPalHarness(t)
			d.headers = maps.Clone(d.headers)
			c.change(h, &d)
			if reply := h.post(t, d); reply.StatusCode != c.want {
				t.Errorf("got %d %s, want %d", reply.StatusCode, reply.Body, c.want)
			}
			if len(certificates.asked) > 0 {
				t.Errorf("asked for %v", certificates.asked)
			}
		})
	}
}

// Out of reach is our fault: PayPal sends it again, and the log says why.
func TestACertificateOutOfReachIsAnsweredWith503(t *testing.T) {
	t.Parallel()
	h, certificates, d := newPayPalHarness(t)
	certificates.chain, certificates.err = nil, errors.New("no route to host")
	if reply := h.post(t, d); reply.StatusCode != 503 || strings.Contains(reply.Body, "route") {
		t.Errorf("got %d %s", reply.StatusCode, reply.Body)
	}
	if log := h.log.String(); !strings.Contains(log, "certificate unavailable") || !strings.Contains(log, "no route to host") || !strings.Contains(log, `"source":"paypal"`) {
		t.Errorf("the log does not say why: %s", log)
	}
	if strings.Contains(h.log.String(), "ConfigurationFault") {
		t.Error("anybody could raise the alarm of a configuration fault")
	}
}

func TestWithoutCertificatesPayPalIsAnsweredWith503(t *testing.T) {
	t.Parallel()
	h, _, d := newPayPalHarness(t)
	h.Certificates = nil
	if reply := h.post(t, d); reply.StatusCode != 503 {
		t.Errorf("got %d %s", reply.StatusCode, reply.Body)
	}
}

func TestAnotherCertificateIsAnsweredWith401(t *testing.T) {
	t.Parallel()
	h, certificates, d := newPayPalHarness(t)
	certificates.chain = signingtest.PayPalChain()
	if reply := h.post(t, d); reply.StatusCode != 401 || !strings.Contains(reply.Body, "trusted root") {
		t.Errorf("got %d %s", reply.StatusCode, reply.Body)
	}
}

// In a network without access to PayPal the certificate is among the secrets.
func TestAStoredCertificateNeedsNoFetch(t *testing.T) {
	t.Parallel()
	h, certificates, d := newPayPalHarness(t)
	_, _, chain, _, _ := payPalDelivery(t)
	texts, err := json.Marshal(map[string][]string{"paypal": {"sandbox:96605875FF6516633", strings.TrimSpace(string(chain))}})
	if err != nil {
		t.Fatal(err)
	}
	h.secrets.text, certificates.err = string(texts), errors.New("no route to host")
	if reply := h.post(t, d); reply.StatusCode != 200 || len(certificates.asked) > 0 {
		t.Errorf("got %d %s, asked for %v", reply.StatusCode, reply.Body, certificates.asked)
	}
	d.body += " " // not what was signed: perhaps another certificate
	if reply := h.post(t, d); reply.StatusCode != 503 || len(certificates.asked) != 1 || !strings.Contains(h.log.String(), "does not verify the delivery either") {
		t.Errorf("got %d %s, asked for %v", reply.StatusCode, reply.Body, certificates.asked)
	}
}

// A webhook id that was just stored is read at once.
func TestANewWebhookIDCountsAtOnce(t *testing.T) {
	t.Parallel()
	h, _, d := newPayPalHarness(t)
	h.secrets.text, h.secrets.fresh = `{"paypal":"sandbox:OLD"}`, h.secrets.text
	if reply := h.post(t, d); reply.StatusCode != 200 || h.secrets.refreshes != 1 {
		t.Errorf("got %d %s after %d refreshes", reply.StatusCode, reply.Body, h.secrets.refreshes)
	}
}

func TestExplainSaysWhyACertificateIsMissing(t *testing.T) {
	t.Parallel()
	h, certificates, d := newPayPalHarness(t)
	certificates.err = errors.New("no route to host")
	src, _ := h.Sources.Get("paypal")
	e := webhook.Explain(src, signingDelivery(d), h.Now(), parseSecrets(t, h.secrets.text), webhook.Policy{Certificates: certificates})
	if e.Status != 503 || !strings.Contains(e.Refused, "no route to host") {
		t.Errorf("got %d %s", e.Status, e.Refused)
	}
}
