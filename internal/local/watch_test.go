package local

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/events"
	"license-deactivator/internal/certificate"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/sources"
)

// The test sends, in addition to the samples, events of one license each, of which a fifth are partial refunds, and rows.
var watchEvents = flag.Int("watch.events", 2000, "events that the test of watch mode generates") //nolint:gochecknoglobals // a flag of the test

const generatedRows = 1000

func generatedKey(n int) string { return fmt.Sprintf("GENERATED-%05d", n) }

// world is a fake License API that remembers every write, and the system over it in one mode or the other.
type world struct {
	t        *testing.T
	events   int // that everything generates
	sources  *source.Sources
	stored   Secrets
	samples  []sample.Sample
	api      *licenseapitest.Server
	url      string
	accepted atomic.Int64 // requests
}

// newWorld makes one with these licenses; nil: those of the samples and of what is generated.
func newWorld(t *testing.T, licenses []licenseapitest.License) *world {
	t.Helper()
	w := &world{t: t, events: *watchEvents}
	var err error
	if w.sources, err = source.Load(sources.FS()); err != nil {
		t.Fatal(err)
	}
	if w.samples, err = sample.ReadAll(events.FS()); err != nil {
		t.Fatal(err)
	}
	w.stored = FixedSecrets(w.sources)
	if licenses == nil {
		licenses = licensesOf(w.samples)
		for n := range w.events + generatedRows {
			licenses = append(licenses, licenseapitest.License{Product: "generated", LicenseKey: generatedKey(n), Devices: []string{"hw1", "hw2"}})
		}
	}
	w.api, err = licenseapitest.New(licenseapitest.State{APIKeys: map[string]string{APIKey: SharedKey}, Licenses: licenses}, licenseapitest.KeepLedger())
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := w.api.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	w.url = address
	return w
}

// run runs the system in that mode while send sends, until its queue is empty. It returns the system's dead letters.
func (w *world) run(watch bool, send func(*Stack)) []queue.Received {
	w.t.Helper()
	license, webhooks := w.stored.Readers("")
	stack, err := New(Config{
		Certificates: SampleCertificates(certificate.New(certificate.Config{}), true),
		Sources:      w.sources, LicenseSecret: license, WebhookSecrets: webhooks, LicenseAPI: w.url, CallsPerSecond: 1e6, CallsInFlight: 8,
		Watch: watch, Recorder: telemetry.New(io.Discard, slog.LevelError+1, ""),
		OnDelivery: func(d telemetry.Delivery) { w.accepted.Add(int64(len(d.Requests))) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(w.t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); stack.Run(ctx) }()
	send(stack)
	tick := time.NewTicker(5 * time.Millisecond) // the queue does not say when it is empty
	defer tick.Stop()
	for stack.Queue.Len() > 0 {
		<-tick.C
	}
	stop()
	<-ended

	var letters []queue.Received
	for {
		received, err := stack.DeadLetters.Receive(w.t.Context(), 10, 0, time.Hour)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(received) == 0 {
			return letters
		}
		letters = append(letters, received...)
	}
}

// everything sends every sample, the generated events and the rows of a bulk run.
func (w *world) everything(stack *Stack) {
	all := w.samples
	for n := range w.events {
		status := "refunded"
		if n%5 == 0 {
			status = "partially_refunded"
		}
		all = append(all, sample.Sample{Source: "generic", Headers: map[string]string{"Content-Type": "application/json"}, Body: fmt.Appendf(nil,
			`{"id":"generated-%d","type":"order.refunded","test":false,"data":{"order_id":"%d","status":%q,"metadata":{"license_key":%q,"product":"generated","hardware_id":"hw1"}}}`,
			n, n, status, generatedKey(n))})
	}
	webhooks, err := secrets.ParseWebhooks(string(w.stored.Webhooks))
	if err != nil {
		w.t.Fatal(err)
	}
	for _, s := range all {
		from, _ := w.sources.Get(s.Source)
		keys, err := webhooks.Keys(s.Source)
		if err != nil {
			w.t.Fatal(err)
		}
		req, err := s.Signed(from, "http://127.0.0.1", keys[0], time.Now())
		if err != nil {
			w.t.Fatal(err)
		}
		w.post(stack, req)
	}
	var rows []string
	for n := range generatedRows {
		rows = append(rows, fmt.Sprintf(`{"product":"generated","license_key":%q,"hardware_id":"hw2"}`, generatedKey(w.events+n)))
	}
	w.post(stack, httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/2015-03-31/functions/webhook/invocations",
		strings.NewReader(`{"source":"ops","requests":[`+strings.Join(rows, ",")+`]}`)))
}

func (w *world) post(stack *Stack, req *http.Request) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	stack.ServeHTTP(rec, req)
	if rec.Code >= http.StatusInternalServerError {
		w.t.Fatalf("%s: %d %s", req.URL.Path, rec.Code, rec.Body)
	}
}

// TestWhatIsWatchedWritesNothingAndCanBeActedOn sends everything there is to one system that acts and to one that watches.
// The second writes nothing; when its letters are redriven in act mode, both License APIs are in the same state.
func TestWhatIsWatchedWritesNothingAndCanBeActedOn(t *testing.T) {
	t.Parallel()
	acting := newWorld(t, nil)
	watching := newWorld(t, acting.api.State().Licenses)
	begin := watching.api.State()
	acted := acting.run(false, acting.everything)

	letters := watching.run(true, watching.everything)
	if calls, writes := watching.api.Counts().Calls, len(watching.api.Ledger()); calls+writes > 0 {
		t.Errorf("in watch mode: %d calls and %d writes, want none", calls, writes)
	}
	if diff := cmp.Diff(begin, watching.api.State()); diff != "" {
		t.Errorf("in watch mode the licenses change (-before +after):\n%.2000s", diff)
	}
	var watched []queue.Entry
	others := 0
	for _, m := range letters {
		letter := deactivation.ParseDeadLetter(m.Attributes)
		if letter.Reason != deactivation.ReasonWatched {
			others++
			continue
		}
		if !strings.HasPrefix(letter.Detail, "would deactivate ") || strings.Contains(letter.Detail, "GENERATED-") {
			t.Errorf("detail %q", letter.Detail)
		}
		watched = append(watched, queue.Entry{Body: m.Body})
	}
	if want := int(watching.accepted.Load()); len(watched) != want || want < generatedRows+watching.events*4/5 {
		t.Errorf("%d letters are watched, %d requests were accepted", len(watched), want)
	}

	redriven := watching.run(false, func(stack *Stack) { stack.Queue.Send(t.Context(), watched) })
	if diff := cmp.Diff(acting.api.State(), watching.api.State()); diff != "" {
		t.Errorf("acted on at once and acted on after watching differ (-at once +later):\n%.2000s", diff)
	}
	if len(acted) != others+len(redriven) {
		t.Errorf("%d letters of acting at once, %d of acting later", len(acted), others+len(redriven))
	}
	if got := len(acting.api.Ledger()); got < generatedRows+acting.events*4/5 {
		t.Errorf("acting made %d writes: the test shows nothing", got)
	}
}
