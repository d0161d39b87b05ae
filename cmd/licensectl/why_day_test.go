package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history/historytest"
	"license-deactivator/internal/local"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// A shopDay is a day of the stack shop: both handlers, with every kind of answer to an event and every outcome of a message. What
// they log is in a fake of CloudWatch Logs, each line in the log group of its function.
type shopDay struct {
	t    *testing.T
	logs *historytest.Logs
	api  *licenseapitest.Server

	mu       sync.Mutex
	changed  chan struct{}
	outcomes map[string]string // the latest, by request
	unwell   bool              // the License API answers 503
}

const (
	dayWebhooks = "/aws/lambda/shop-webhook"
	dayWorker   = "/aws/lambda/shop-worker"
)

// dayKey is the key of a license of the day.
func dayKey(n int) string { return fmt.Sprintf("AAAA-BBBB-CCCC-%04d", n) }

func newDay(t *testing.T) *shopDay {
	t.Helper()
	d := &shopDay{t: t, changed: make(chan struct{}), outcomes: map[string]string{}, logs: historytest.New(historytest.Config{
		Groups: []string{dayWebhooks, dayWorker}, Indexed: deactivation.IndexedLogFields(),
		Fields: []string{
			deactivation.LogOrder, deactivation.LogLicenseHash, deactivation.LogID, deactivation.LogRun, deactivation.LogText, deactivation.LogCommand, deactivation.LogPhase,
		},
	})}
	var licenses []licenseapitest.License
	for n := range 20 {
		licenses = append(licenses, licenseapitest.License{Product: "acme-pro", LicenseKey: dayKey(n), Devices: []string{dayDevice(n)}})
	}
	api, err := licenseapitest.New(licenseapitest.State{APIKeys: map[string]string{local.APIKey: local.SharedKey}, Licenses: licenses})
	if err != nil {
		t.Fatal(err)
	}
	api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.unwell {
			return licenseapitest.Fault{Status: http.StatusServiceUnavailable}
		}
		return licenseapitest.Fault{Delay: time.Millisecond} // so that there is a latency
	})
	d.api = api
	return d
}

func dayDevice(n int) string { return fmt.Sprintf("hardware-%04d", n) }

// Write puts a log line into the group of its function.
func (d *shopDay) Write(text []byte) (int, error) {
	var line struct {
		Message string `json:"message"`
	}
	group := dayWebhooks
	if json.Unmarshal(text, &line) == nil && line.Message == deactivation.LogMessage {
		group = dayWorker
	}
	d.logs.Put(group, time.Now(), string(bytes.TrimSpace(text)))
	return len(text), nil
}

// stack starts the system with another configuration.
func (d *shopDay) stack(change func(*local.Config)) *local.Stack {
	d.t.Helper()
	stored := local.FixedSecrets(builtInSources(d.t))
	license, webhooks := stored.Readers("")
	config := local.Config{
		Sources: builtInSources(d.t), LicenseSecret: license, WebhookSecrets: webhooks, LicenseAPI: startAPI(d.t, d.api),
		CallsPerSecond: 1000, CallsInFlight: 10, FirstRetry: 10 * time.Millisecond, MaxEventAge: 336 * time.Hour,
		Recorder: telemetry.New(d, slog.LevelInfo, ""),
		OnOutcome: func(m telemetry.Message) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.outcomes[m.ID] = string(m.Outcome)
			close(d.changed)
			d.changed = make(chan struct{})
		},
	}
	change(&config)
	stack, err := local.New(config)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { stack.Run(ctx) })
	d.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return stack
}

// await waits until a request has that outcome.
func (d *shopDay) await(id, outcome string) {
	d.t.Helper()
	for late := time.After(patience); ; {
		d.mu.Lock()
		got, changed := d.outcomes[id], d.changed
		d.mu.Unlock()
		if got == outcome {
			return
		}
		select {
		case <-changed:
		case <-late:
			d.t.Fatalf("%s is %q, want %s", id, got, outcome)
		}
	}
}

// is sets whether the License API answers 503.
func (d *shopDay) is(unwell bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unwell = unwell
}

// order is a refund of the source generic, as the shop sends it.
func order(id, number string, license int, more string) string {
	data := fmt.Sprintf(`"order_id":%q,"metadata":{"license_key":%q,"hardware_id":%q,"product":"acme-pro"}`, number, dayKey(license), dayDevice(license))
	return fmt.Sprintf(`{"id":%q,"type":"order.refunded","timestamp":%q,"test":false,"data":{%s%s}}`, id, time.Now().UTC().Format(time.RFC3339), data, more)
}

// post delivers a body as the shop does, signed with that secret, and wants that status.
func (d *shopDay) post(stack http.Handler, body, secret string, want int) {
	d.t.Helper()
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(body))
	r := httptest.NewRequestWithContext(d.t.Context(), http.MethodPost, "/webhooks/generic", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	d.serve(stack, r, want)
}

// invoke invokes the webhook function directly.
func (d *shopDay) invoke(stack http.Handler, payload string) {
	d.t.Helper()
	d.serve(stack, httptest.NewRequestWithContext(d.t.Context(), http.MethodPost, "/2015-03-31/functions/webhook/invocations", strings.NewReader(payload)), http.StatusOK)
}

func (d *shopDay) serve(stack http.Handler, r *http.Request, want int) {
	d.t.Helper()
	w := httptest.NewRecorder()
	stack.ServeHTTP(w, r)
	if w.Code != want || strings.Contains(w.Body.String(), "errorMessage") {
		d.t.Fatalf("%s: status %d, want %d: %s", r.URL, w.Code, want, w.Body)
	}
}

// letter takes the one letter with that reason from the dead-letter queue, and letterOf that of a request.
func (d *shopDay) letter(stack *local.Stack, reason string) string {
	d.t.Helper()
	return d.take(stack, "reason", reason)
}

func (d *shopDay) letterOf(stack *local.Stack, id string) string {
	d.t.Helper()
	return d.take(stack, "request_id", id)
}

func (d *shopDay) take(stack *local.Stack, attribute, value string) string {
	d.t.Helper()
	letters, err := stack.DeadLetters.Receive(d.t.Context(), 10, time.Second, time.Minute)
	if err != nil {
		d.t.Fatal(err)
	}
	i := slices.IndexFunc(letters, func(l queue.Received) bool { return l.Attributes[attribute] == value })
	if i < 0 {
		d.t.Fatalf("no letter with the %s %s among %d", attribute, value, len(letters))
	}
	stack.DeadLetters.Delete(d.t.Context(), []string{letters[i].Receipt})
	for _, l := range letters {
		stack.DeadLetters.Defer(d.t.Context(), []queue.Deferral{{Receipt: l.Receipt}})
	}
	return letters[i].Body
}

const (
	daySecret   = "local-generic"
	otherSecret = "the shop's old secret"
)

// run lets the day pass.
func (d *shopDay) run() {
	d.t.Helper()
	s := d.stack(func(*local.Config) {})

	// 1001 is refunded. The sender delivers it a second time.
	d.post(s, order("evt-1001", "1001", 1, ""), daySecret, 200)
	d.await("generic.evt-1001.0", "deactivated")
	d.post(s, order("evt-1001", "1001", 1, ""), daySecret, 200)
	d.await("generic.evt-1001.0", "already_inactive")

	// 1002 is refunded in part.
	d.post(s, order("evt-1002", "1002", 2, `,"amount":9900,"amount_refunded":2500`), daySecret, 200)

	// 1003 names no device.
	d.post(s, strings.Replace(order("evt-1003", "1003", 3, ""), `"hardware_id"`, `"machine"`, 1), daySecret, 200)

	// 1004 is refunded while the License API is down.
	d.is(true)
	d.post(s, order("evt-1004", "1004", 4, ""), daySecret, 200)
	d.await("generic.evt-1004.0", "deferred")
	d.is(false)
	d.await("generic.evt-1004.0", "deactivated")

	// 1005 has a mistyped key. A person corrects it and sends the request again.
	d.post(s, strings.Replace(order("evt-1005", "1005", 5, ""), dayKey(5), "AAAA-BBBB-CCCC-5OO5", 1), daySecret, 200)
	d.await("generic.evt-1005.0", "rejected")
	letter := strings.Replace(d.letter(s, "rejected"), "AAAA-BBBB-CCCC-5OO5", dayKey(5), 1)
	d.invoke(s, `{"source":"ops","by":"ada@example.com","comment":"ticket 4711: O for 0","requests":[`+letter+`]}`)
	d.await("generic.evt-1005.0", "deactivated")

	// 1006 comes with the secret before the last.
	d.post(s, order("evt-1006", "1006", 6, ""), otherSecret, 401)

	// 1007 was refunded a year ago, and the shop sends it today.
	lastYear := `"timestamp":"` + time.Now().UTC().AddDate(-1, 0, 0).Format(time.RFC3339) + `"`
	d.post(s, regexp.MustCompile(`"timestamp":"[^"]*"`).ReplaceAllLiteralString(order("evt-1007", "1007", 7, ""), lastYear), daySecret, 200)

	// 1008 and 1009 are a surge: the brake holds the second one, and a person releases it.
	if left := time.Until(time.Now().Truncate(time.Hour).Add(time.Hour)); left < 10*time.Second {
		<-time.After(left) // the brake counts by the hour
	}
	b := d.stack(func(c *local.Config) { c.SurgeLimit = 1 })
	d.post(b, order("evt-1008", "1008", 8, ""), daySecret, 200)
	d.await("generic.evt-1008.0", "deactivated")
	d.post(b, order("evt-1009", "1009", 9, ""), daySecret, 200)
	d.await("generic.evt-1009.0", "rejected")
	held := d.letter(b, "held")
	d.commanded("licensectl dlq redrive", requestItem(d.t, held, deactivation.AuditReleased), "ada@example.com", "refunds of the spring sale, checked")
	release := fmt.Sprintf(`{"released":{"by":"ada@example.com","at":%q,"reason":"refunds of the spring sale, checked"},`, time.Now().UTC().Format(time.RFC3339))
	b.Queue.Send(d.t.Context(), []queue.Entry{{Body: release + held[1:], Group: "generic"}})
	d.await("generic.evt-1009.0", "deactivated")

	// 1010 is pending, so a person decides.
	d.post(s, order("evt-1010", "1010", 10, `,"refund_status":"pending"`), daySecret, 200)

	// A run of two rows: the second license is not known.
	d.invoke(s, `{"source":"ops","run":"2026-11-campus","by":"jo@example.com","comment":"contract 7 has ended","requests":[`+
		campusRow(11, dayKey(11))+","+campusRow(12, "AAAA-BBBB-CCCC-9999")+`]}`)
	d.await("campus-11", "deactivated")
	d.await("campus-12", "rejected")

	// 1011 is not known to the API at first. Its letter is redriven unchanged: the command writes who did it, the message does not.
	unknown := strings.Replace(order("evt-1011", "1011", 12, ""), dayKey(12), "AAAA-BBBB-CCCC-8888", 1)
	d.post(s, unknown, daySecret, 200)
	d.await("generic.evt-1011.0", "rejected")
	if err := d.api.Add(licenseapitest.License{Product: "acme-pro", LicenseKey: "AAAA-BBBB-CCCC-8888", Devices: []string{dayDevice(12)}}); err != nil {
		d.t.Fatal(err)
	}
	again := d.letterOf(s, "generic.evt-1011.0")
	d.commanded("licensectl dlq redrive", requestItem(d.t, again, deactivation.AuditUnchanged), "arn:aws:sts::123456789012:assumed-role/Support/sam", "license created by hand")
	s.Queue.Send(d.t.Context(), []queue.Entry{{Body: again, Group: "generic"}})
	d.await("generic.evt-1011.0", "deactivated")

	// 1012 names no device, and the refund is not a real one: its letter is purged.
	d.post(s, strings.Replace(order("evt-1012", "1012", 14, ""), `"hardware_id"`, `"machine"`, 1), daySecret, 200)
	d.commanded("licensectl dlq purge", deactivation.AuditItem{
		ID: "generic.evt-1012", Source: "generic", Event: "evt-1012", Order: "1012", Reason: deactivation.ReasonUnmappable, Decision: deactivation.AuditPurged,
	}, "ada@example.com", "a test order of the shop")

	// The license of 1008 is given back.
	back := deactivation.AuditItem{
		ID: "restore-q7z3k2ma.0", Order: "1008", LicenseHash: deactivation.HashLicense(dayKey(8)), License: deactivation.Shorten(dayKey(8)), Product: "acme-pro",
		Decision: deactivation.AuditEnable,
	}
	d.commanded("licensectl restore", back, "ada@example.com", "the refund was a mistake, ticket 4712")
	back.Outcome = deactivation.AuditEnabled
	d.commanded("licensectl restore", back, "ada@example.com", "the refund was a mistake, ticket 4712")

	// 1013 is decided in watch mode, before the stack is switched to act.
	w := d.stack(func(c *local.Config) { c.Watch = true })
	d.post(w, order("evt-1013", "1013", 13, ""), daySecret, 200)
	d.await("generic.evt-1013.0", "rejected")
}

// requestItem is the letter with that body as a command's item.
func requestItem(t *testing.T, body, decision string) deactivation.AuditItem {
	t.Helper()
	r, _, err := deactivation.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return r.AuditItem(decision)
}

// commanded writes the lines of a command of licensectl: those of its end for an item with an outcome.
func (d *shopDay) commanded(command string, item deactivation.AuditItem, by, comment string) {
	d.t.Helper()
	line := deactivation.Audit{At: time.Now().UTC(), Phase: deactivation.AuditBegin, Command: command, Actor: by, Comment: comment}
	if item.Outcome != "" {
		line.Phase = deactivation.AuditEnd
	}
	texts, err := logTexts(line, []deactivation.AuditItem{item})
	if err != nil {
		d.t.Fatal(err)
	}
	for _, text := range texts {
		d.logs.Put(dayWebhooks, time.Now(), text)
	}
}

func campusRow(n int, key string) string {
	return fmt.Sprintf(`{"id":"campus-%d","product":"acme-pro","license_key":%q,"hardware_id":%q}`, n, key, dayDevice(n))
}
