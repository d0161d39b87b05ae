package main

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"license-deactivator/internal/webhook"
)

// localPage is the page of a running licensectl local.
type localPage struct {
	*running
	base, token string
}

var localConsoleLine = regexp.MustCompile(`^Console +(http://127\.0\.0\.1:[0-9]+/)#([A-Z2-7]{26})\n`)

// startPage starts licensectl local and waits until the samples have their outcomes.
func startPage(t *testing.T, args ...string) localPage {
	t.Helper()
	r := start(t, append([]string{"local", quick}, args...)...)
	text := r.stdout.await(t, "end of the samples", func(text string) bool { return strings.Contains(text, "\nListening on ") })
	line := localConsoleLine.FindStringSubmatch(text)
	if line == nil {
		t.Fatalf("the first line is not the page's address:\n%.200s", text)
	}
	return localPage{r, line[1], line[2]}
}

// ask sends a request of the page, and returns the status and the answer.
func (p localPage) ask(t *testing.T, method, view string, form url.Values) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.base+"view/"+view, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Console-Token", p.token)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// want asks for a view and requires texts in it.
func (p localPage) want(t *testing.T, method, view string, form url.Values, texts ...string) string {
	t.Helper()
	status, body := p.ask(t, method, view, form)
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", view, status, body)
	}
	for _, text := range texts {
		if !strings.Contains(body, text) {
			t.Errorf("%s lacks %q\n%.3000s", view, text, body)
		}
	}
	return body
}

// TestThePageOfLocalShowsWhatArrivesAndWhatBecameOfIt sends a sample, finds its event, its explanation and its order, and redrives
// a dead letter with its count.
func TestThePageOfLocalShowsWhatArrivesAndWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	p := startPage(t)
	p.want(t, http.MethodGet, "overview", nil, "Licenses are deactivated.", "stripe", "dead letters wait for a decision", "License API")

	body := p.want(t, http.MethodPost, "samples/send", url.Values{"name": {"stripe/full-refund"}}, "200")
	link := regexp.MustCompile(`href="/(event\?id=[^"]+)"`).FindStringSubmatch(body)
	if link == nil {
		t.Fatalf("the answer to a sample names no event: %s", body)
	}
	event := p.want(t, http.MethodGet, link[1], nil, "deactivated", "refunded in full", "SIGNATURE", "<p>valid</p>", "YES: deactivate, cause refund")
	order := regexp.MustCompile(`pi_[0-9A-Za-z]+`).FindString(event)
	p.want(t, http.MethodPost, "orders", url.Values{"by": {"order"}, "text": {order}}, "order "+order+": ", strings.TrimPrefix(link[1], "event?id=")+".0")

	plan := p.want(t, http.MethodPost, "plan", url.Values{"do": {"redrive"}, "reason": {"rejected"}, "code": {"license_not_found"}, "source": {"hubspot"}}, "Redrive 1 letter")
	name := func(plan string) string {
		return regexp.MustCompile(`name="plan" value="([A-Z2-7]{26})"`).FindStringSubmatch(plan)[1]
	}
	if status, body := p.ask(t, http.MethodPost, "act", url.Values{"plan": {name(plan)}, "count": {"2"}, "comment": {"ticket 4711"}}); status != http.StatusConflict || !strings.Contains(body, "nothing was done") {
		t.Errorf("a wrong count: %d %s", status, body)
	}
	plan = p.want(t, http.MethodPost, "plan", url.Values{"do": {"redrive"}, "reason": {"rejected"}, "code": {"license_not_found"}, "source": {"hubspot"}})
	p.want(t, http.MethodPost, "act", url.Values{"plan": {name(plan)}, "count": {"1"}, "comment": {"ticket 4711"}}, "1 of 1 letter redriven")
	p.stdout.await(t, "outcome of the redriven letter", func(text string) bool {
		return strings.Count(text[strings.Index(text, "\nListening on "):], "license_not_found") > 0
	})
	if stdout, stderr := p.stdout.String(), p.stderr.String(); strings.Count(stdout, p.token) != 1 || strings.Contains(stderr, p.token) {
		t.Error("the token is printed elsewhere than in the first line")
	}
}

// TestThePageExplainsADeliveryOfEverySender: its signature is checked again, as it was at its arrival.
func TestThePageExplainsADeliveryOfEverySender(t *testing.T) {
	t.Parallel()
	p := startPage(t)
	first := map[string]string{} // sample by sender
	for _, name := range regexp.MustCompile(`name="name" value="([^"]+)"`).FindAllStringSubmatch(p.want(t, http.MethodGet, "samples", nil), -1) {
		sender, _, _ := strings.Cut(name[1], "/")
		if first[sender] == "" {
			first[sender] = name[1]
		}
	}
	if want := len(builtInSources(t).Names()); len(first) != want {
		t.Errorf("samples of %d senders, want %d", len(first), want)
	}
	for sender, name := range first {
		body := p.want(t, http.MethodPost, "samples/send", url.Values{"name": {name}}, "200")
		link := regexp.MustCompile(`href="/(event\?id=[^"]+)"`).FindStringSubmatch(body)
		if link == nil {
			t.Errorf("%s: the answer names no event: %s", name, body)
			continue
		}
		if explained := p.want(t, http.MethodGet, strings.ReplaceAll(link[1], "&amp;", "&"), nil, "<h3>SIGNATURE</h3>"); !strings.Contains(explained, "<p>valid</p>") {
			t.Errorf("%s: the signature of %s is not valid\n%s", sender, name, explained)
		}
	}
}

// TestThePageHasAnAddressOfThisMachine: --addr may be open to others, the page is not.
func TestThePageHasAnAddressOfThisMachine(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0"} {
		code, _, stderr := command(t, "local", "--addr", "127.0.0.1:0", "--console-addr", addr)
		if code != exitUsage || !strings.Contains(stderr, "can be reached from other machines") {
			t.Errorf("%s: exit code %d, %q", addr, code, stderr)
		}
	}
}

// TestOnceServesNoPage: the command ends by itself, before a person can open a page.
func TestOnceServesNoPage(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "local", "--once", "--addr", "127.0.0.1:0", quick)
	if code != exitDone || strings.Contains(stdout+stderr, "Console ") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}

// TestTheFrontDoorServesNoPage: senders reach it, maybe through a tunnel that rewrites Host.
func TestTheFrontDoorServesNoPage(t *testing.T) {
	t.Parallel()
	p := startPage(t)
	for _, path := range []string{"/", "/view/overview", "/static/console.js"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Console-Token", p.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, resp.StatusCode)
		}
	}
}

// TestDeliveriesAreKeptForTheirExplanation: accepted ones alone, and no more than the bounds allow. Anybody may post a delivery.
func TestDeliveriesAreKeptForTheirExplanation(t *testing.T) {
	t.Parallel()
	kept := &receivedDeliveries{sources: builtInSources(t)}
	answer := http.StatusOK
	var seen []byte
	door := kept.handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen, _ = io.ReadAll(r.Body)
		w.WriteHeader(answer)
	}))
	post := func(source, body string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1:8080/webhooks/"+source, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		door.ServeHTTP(discardAnswer{}, req)
		if len(seen) != len(body) {
			t.Errorf("the front door got %d bytes of %d", len(seen), len(body))
		}
	}
	const first = `{"id":"evt_1","type":"charge.refunded","data":{"object":{"refunded":true,"metadata":{"license_key":"AAAA","hardware_id":"hw","product":"XY"}}}}`
	post("stripe", first)
	for _, id := range []string{"stripe.evt_1", "stripe.evt_1.0"} {
		if d, ok := kept.find(id); !ok || string(d.delivery.Body) != first || time.Since(d.at) > time.Hour {
			t.Errorf("%s: found %v, %q", id, ok, d.delivery.Body)
		}
	}
	answer = http.StatusUnauthorized
	post("stripe", strings.Replace(first, "evt_1", "evt_2", 1))
	answer = http.StatusOK
	post("nobody", strings.Replace(first, "evt_1", "evt_3", 1))
	post("stripe", strings.Repeat(" ", webhook.MaxBodyBytes+1))
	if len(kept.all) != 1 {
		t.Errorf("%d deliveries are kept, want that of the accepted one", len(kept.all))
	}
	for range maxReceived {
		post("stripe", "{}")
	}
	if _, ok := kept.find("stripe.evt_1"); ok || len(kept.all) != maxReceived {
		t.Errorf("%d deliveries are kept, the first one too: %v", len(kept.all), ok)
	}
	for range 60 {
		post("stripe", "{"+strings.Repeat(" ", webhook.MaxBodyBytes-2)+"}")
	}
	if kept.bytes > maxReceivedBytes {
		t.Errorf("%d bytes are kept, more than %d", kept.bytes, maxReceivedBytes)
	}
}

// discardAnswer is a client that reads nothing.
type discardAnswer struct{}

func (discardAnswer) Header() http.Header         { return http.Header{} }
func (discardAnswer) Write(p []byte) (int, error) { return len(p), nil }
func (discardAnswer) WriteHeader(int)             {}

// TestThePageOfLocalKnowsItsMode: a plan warns of letters that come back, and names no flag of another command.
func TestThePageOfLocalKnowsItsMode(t *testing.T) {
	t.Parallel()
	p := startPage(t, "--mode", "watch")
	p.stdout.await(t, "a watched request", func(text string) bool { return strings.Contains(text, "watched") })
	p.want(t, http.MethodGet, "overview", nil, "Events are decided, and nothing is deactivated.")
	plan := p.want(t, http.MethodPost, "plan", url.Values{"do": {"redrive"}, "reason": {"watched"}}, "is in watch mode. Each letter becomes a letter again")
	if strings.Contains(plan, "--stack") {
		t.Errorf("the plan names a flag that licensectl local does not have\n%s", plan)
	}
}
