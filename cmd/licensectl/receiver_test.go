package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/local"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/webhook"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// receiver is a running `licensectl local` for one source, with a License API of the test's own.
type receiver struct {
	*running
	api    *licenseapitest.Server
	source *source.Source
	secret string
	sample sample.Sample // one that deactivates; of a sender that names no device one that is unmappable
	field  string        // the field of the form that holds the signature, of a sender that signs there
	signed []string      // the headers that signing sets; none: the token is in the address
	worked int           // outcomes that must have been printed by now
}

const receiverSecretPrefix = "canary-"

// namesNoDevice says whether no event of the sender names a license with its device.
func namesNoDevice(source string) bool {
	return slices.Contains([]string{"recurly", "square", "appsumo", "zoho-payments", "maxio"}, source)
}

func newReceiver(t *testing.T, sources *source.Sources, samples []sample.Sample, name string) *receiver {
	t.Helper()
	var mine []sample.Sample
	for _, s := range samples {
		if s.Source == name {
			mine = append(mine, s)
		}
	}
	r := &receiver{secret: receiverSecret(name), field: map[string]string{"paypro": "SIGNATURE", "2checkout": "SIGNATURE_SHA3_256"}[name]}
	r.source, _ = sources.Get(name)
	r.sample = mine[slices.IndexFunc(mine, func(s sample.Sample) bool {
		if namesNoDevice(name) || r.field != "" {
			return s.Answer == deactivation.Unmappable
		}
		return len(s.Requests) == 1 && s.Requests[0].Outcome == deactivation.Deactivated
	})]
	var err error
	if r.api, err = local.NewFakeAPI(secrets.License{APIKey: "key", SharedKey: "canary-shared"}, "", mine); err != nil {
		t.Fatal(err)
	}
	address := startAPI(t, r.api)
	stored := map[string]any{
		"license_api": map[string]string{"api_key": "key", "shared_key": "canary-shared"},
		"webhooks":    map[string]any{name: []string{receiverSecret(name), receiverSecret(name + "-old")}, other(name): receiverSecret(other(name))},
	}
	raw, err := json.Marshal(stored)
	if err != nil {
		t.Fatal(err)
	}
	r.running = start(t, "local", "--json", quick, "--secrets", file(t, "s.json", string(raw)), "--license-api", address)
	req := r.request(t, r.sample.Body, time.Now(), r.secret)
	for header := range req.Header {
		if !slices.ContainsFunc(keys(r.sample.Headers), func(h string) bool { return strings.EqualFold(h, header) }) {
			r.signed = append(r.signed, header)
		}
	}
	return r
}

// other is a source to which a delivery is re-pointed.
func other(name string) string {
	if name == "shopify" {
		return "woocommerce"
	}
	return "shopify"
}

func receiverSecret(name string) string {
	switch {
	case strings.HasPrefix(name, "standard"), strings.HasPrefix(name, "dodo"):
		return "whsec_" + base64.StdEncoding.EncodeToString([]byte("canary secret of "+name))
	case strings.HasPrefix(name, "chargebee"):
		return "user:" + receiverSecretPrefix + name
	}
	return receiverSecretPrefix + name
}

func keys(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

// request signs a body as the sender does.
func (r *receiver) request(t *testing.T, body []byte, at time.Time, secret string) *http.Request {
	t.Helper()
	sample := r.sample
	sample.Body = body
	req, err := sample.Signed(r.source, r.address, secret, at)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// send posts it and returns the status.
func (r *receiver) send(t *testing.T, req *http.Request) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	resp, err := http.DefaultClient.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode
}

// settled waits until the outcomes of so many more requests are printed, and returns how many calls the API got.
func (r *receiver) settled(t *testing.T, more int) int {
	t.Helper()
	r.worked += more
	r.stdout.await(t, fmt.Sprintf("%d outcomes", r.worked), func(text string) bool { return strings.Count(text, "\n") >= r.worked })
	return r.api.Counts().Calls
}

// TestTheReceiverOfEverySource delivers over real HTTP what senders, proxies and attackers deliver: a refused delivery
// makes no call to the License API, an accepted one exactly its own.
func TestTheReceiverOfEverySource(t *testing.T) {
	t.Parallel()
	sources := builtInSources(t)
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range sources.Names() {
		if source, _ := sources.Get(name); source.Certified() {
			continue // nobody but PayPal can sign for this receiver: TestTheSamplesKeyCountsWithTheFakeAPIAlone
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReceiver(t, sources, samples, name)
			r.refusesWhatItMust(t)
			r.refusesMalformedSignatures(t)
			r.keepsWhatItCannotRead(t)
			if calls := r.settled(t, 0); calls != 0 {
				t.Fatalf("%d calls for deliveries that were refused", calls)
			}
			r.takesWhatItMust(t)
			if text := r.stdout.String() + r.stderr.String(); strings.Contains(text, "canary") || holdsKey(text, r.sample) {
				t.Error("a secret or a license key is in the output")
			}
		})
	}
}

func holdsKey(text string, s sample.Sample) bool {
	return slices.ContainsFunc(s.Requests, func(q sample.Request) bool {
		return (q.LicenseKey != "" && strings.Contains(text, q.LicenseKey)) || strings.Contains(text, q.HardwareID)
	})
}

func (r *receiver) refusesWhatItMust(t *testing.T) {
	t.Helper()
	now, body := time.Now(), r.sample.Body
	signed := func(body []byte) *http.Request { return r.request(t, body, now, r.secret) }
	change := func(f func(*http.Request)) *http.Request {
		req := signed(body)
		f(req)
		return req
	}
	withBody := func(req *http.Request, body []byte) *http.Request {
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		return req
	}
	altered := append(bytes.Clone(body), ' ')
	if r.provesNothingOfTheBody() { // then it has to be forged to be refused
		altered = nil
	}
	for name, c := range map[string]struct {
		req  *http.Request
		want []int
	}{
		"wrong secret":       {r.request(t, body, now, receiverSecret(r.source.Name+"-forged")), []int{401}},
		"altered":            {withBody(signed(body), altered), []int{401, map[bool]int{true: 200, false: 401}[altered == nil]}},
		"empty and unsigned": {withBody(change(r.unsign), nil), []int{401}},
		"oversized":          {signed(append(bytes.Clone(body), bytes.Repeat([]byte(" "), webhook.MaxBodyBytes)...)), []int{413}},
		"GET":                {change(func(q *http.Request) { q.Method = http.MethodGet }), []int{405}},
		"PUT":                {change(func(q *http.Request) { q.Method = http.MethodPut }), []int{405}},
		"DELETE":             {change(func(q *http.Request) { q.Method = http.MethodDelete }), []int{405}},
		"gzip":               {change(func(q *http.Request) { q.Header.Set("Content-Encoding", "gzip") }), []int{415}},
		"re-pointed":         {change(func(q *http.Request) { q.URL.Path = "/webhooks/" + other(r.source.Name) }), []int{401}},
		"unknown source":     {change(func(q *http.Request) { q.URL.Path = "/webhooks/nobody" }), []int{404}},
		"a path below":       {change(func(q *http.Request) { q.URL.Path += "/x" }), []int{404}},
	} {
		if got := r.send(t, c.req); !slices.Contains(c.want, got) {
			t.Errorf("%s: %d, want %v", name, got, c.want)
		}
	}
	if slices.Contains([]string{"stripe", "standard", "paddle", "hubspot", "recurly", "appsumo", "zoho-payments", "polar", "dodo"}, r.source.Name) {
		for name, at := range map[string]time.Time{"stale": now.Add(-6 * time.Minute), "future": now.Add(6 * time.Minute), "years ahead": now.AddDate(9, 0, 0)} {
			if got := r.send(t, r.request(t, body, at, r.secret)); got != 401 {
				t.Errorf("%s: %d, want 401", name, got)
			}
		}
	}
}

// keepsWhatItCannotRead: a verified body that is not an event causes no call, and the sender gets success.
func (r *receiver) keepsWhatItCannotRead(t *testing.T) {
	t.Helper()
	body := r.sample.Body
	bodies := map[string][]byte{
		"empty":         nil,
		"malformed":     body[:len(body)/2],
		"invalid UTF-8": bytes.Replace(body, []byte("a"), []byte("\xFF"), 1),
		"deep":          []byte(strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)),
		"deep XML":      []byte(strings.Repeat("<a>", 30_000) + strings.Repeat("</a>", 30_000)),
	}
	if r.field != "" { // what is no form has no signature in it
		bodies = map[string][]byte{
			"invalid UTF-8":   bytes.ReplaceAll(body, []byte("%40"), []byte("%FF")),
			"a contradiction": append(bytes.Clone(body), "&a=1&a[b]=2"...),
			"deep":            append(bytes.Clone(body), ("&a" + strings.Repeat("[b]", 300) + "=1")...),
		}
	}
	for name, unreadable := range bodies {
		if got := r.send(t, r.request(t, unreadable, time.Now(), r.secret)); got != http.StatusOK {
			t.Errorf("%s: %d, want 200", name, got)
		}
	}
}

// unsign removes the signature.
func (r *receiver) unsign(q *http.Request) {
	for _, header := range r.signed {
		q.Header.Del(header)
	}
	q.URL.RawQuery = ""
}

// provesNothingOfTheBody reports whether the source sends a token and signs nothing: with the token anything can be sent.
func (r *receiver) provesNothingOfTheBody() bool {
	return slices.Contains([]string{"chargebee", "salesforce", "salesforce-flow", "gumroad"}, r.source.Name)
}

func (r *receiver) refusesMalformedSignatures(t *testing.T) {
	t.Helper()
	malformed := []func(string) string{
		func(string) string { return "" }, func(string) string { return "=" }, func(string) string { return "," },
		func(string) string { return ";" }, func(string) string { return "t=" }, func(string) string { return "t=,v1=" },
		func(string) string { return "ts=1;h1=" }, func(string) string { return "v1," }, func(string) string { return "sha256=" },
		func(string) string { return "Basic" }, func(string) string { return "Basic !!!" }, func(string) string { return "Bearer" },
		func(string) string { return strings.Repeat("a", 9000) }, func(string) string { return strings.Repeat("v1=00,", 1000) },
		func(string) string { return "null" }, func(string) string { return "é" }, func(string) string { return strings.Repeat("0", 64) },
		func(v string) string { return v[:len(v)/2] }, func(v string) string { return v[1:] }, func(v string) string { return v[:len(v)-1] },
		func(v string) string { return v + "x" }, func(v string) string { return "x" + v }, strings.ToUpper, strings.ToLower,
		func(v string) string { return v[:len(v)/2] + " " + v[len(v)/2:] },
		func(v string) string { return strings.Map(func(c rune) rune { return c ^ 1 }, v) },
	}
	for i, change := range malformed {
		req := r.request(t, r.sample.Body, time.Now(), r.secret)
		same := r.field == "" || !changeField(t, req, r.field, change)
		for _, header := range r.signed {
			value := req.Header.Get(header)
			if changed := change(value); changed != value && !strings.ContainsAny(changed, "\x7f\x00") {
				req.Header.Set(header, changed)
				same = false
			}
		}
		if len(r.signed) == 0 && r.field == "" {
			query := req.URL.Query()
			value := query.Get("token")
			query.Set("token", change(value))
			req.URL.RawQuery, same = query.Encode(), change(value) == value
		}
		if same {
			continue
		}
		if got := r.send(t, req); got != http.StatusUnauthorized && got != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("malformed signature %d: %d, want 401", i, got)
		}
	}
}

// changeField changes the first field of that name in the form of a request, and reports whether it is another now.
func changeField(t *testing.T, q *http.Request, name string, change func(string) string) bool {
	t.Helper()
	body, err := io.ReadAll(q.Body)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(body), name+"=")
	value, after, more := strings.Cut(rest, "&")
	if !found {
		t.Fatalf("no field %s", name)
	}
	if more {
		after = "&" + after
	}
	changed := before + name + "=" + url.QueryEscape(change(value)) + after
	q.Body, q.ContentLength = io.NopCloser(strings.NewReader(changed)), int64(len(changed))
	return change(value) != value
}

func (r *receiver) takesWhatItMust(t *testing.T) {
	t.Helper()
	n := len(r.sample.Requests) // 1, or 0 of a sender that cannot deactivate without look-up
	body, calls := r.sample.Body, 0
	expect := func(what string, deliveries int, requests ...*http.Request) {
		t.Helper()
		var group sync.WaitGroup
		for _, req := range requests {
			group.Go(func() {
				resp, err := http.DefaultClient.Do(req.WithContext(t.Context()))
				if err != nil {
					t.Errorf("%s: %v", what, errors.Unwrap(err))
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %d, want 200", what, resp.StatusCode)
				}
			})
		}
		group.Wait()
		calls += deliveries * n
		if got := r.settled(t, deliveries*n); got != calls {
			t.Errorf("%s: %d calls so far, want %d", what, got, calls)
		}
	}
	signed := func() *http.Request { return r.request(t, body, time.Now(), r.secret) }
	with := func(f func(*http.Request)) *http.Request {
		req := signed()
		f(req)
		return req
	}
	expect("first", 1, signed())
	for _, l := range r.api.State().Licenses {
		if n > 0 && l.LicenseKey == r.sample.Requests[0].LicenseKey && l.Product == r.sample.Requests[0].Product && slices.Contains(l.Devices, r.sample.Requests[0].HardwareID) {
			t.Error("the device is still active")
		}
	}
	expect("duplicate", 1, signed())
	var twenty []*http.Request
	for range 20 {
		twenty = append(twenty, signed())
	}
	expect("twenty at the same time", 20, twenty...)
	expect("the old secret of a rotation", 1, r.request(t, body, time.Now(), receiverSecret(r.source.Name+"-old")))
	wrongType := 1
	if strings.HasPrefix(r.sample.Headers["Content-Type"], "application/x-www-form-urlencoded") {
		wrongType = 0 // a form that says that it is none is kept as unreadable
	}
	expect("a wrong content type", wrongType, with(func(q *http.Request) { q.Header.Set("Content-Type", "image/png") }))
	expect("no content type", 1, with(func(q *http.Request) { q.Header.Del("Content-Type") }))
	expect("chunked", 1, with(func(q *http.Request) { q.ContentLength = -1 }))
	expect("identity encoding", 1, with(func(q *http.Request) { q.Header.Set("Content-Encoding", "identity") }))

	seen := map[string]bool{}
	for line := range strings.Lines(r.stdout.String()) {
		var o outcomeLine
		if err := json.Unmarshal([]byte(line), &o); err != nil {
			t.Fatal(err)
		}
		seen[o.ID] = true
	}
	if len(seen) != n {
		t.Errorf("one event has the ids %v", seen)
	}
	bom := []byte("\xEF\xBB\xBF") // where the id is made of the body, it is another
	expect("a byte order mark", 1, r.request(t, append(bom, bytes.TrimPrefix(body, bom)...), time.Now(), r.secret))
}
