package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// The credentials of the tests; another version of the secret has another shared key.
const (
	testAPIKey    = "canary-api-key"
	testSharedKey = "canary-shared-key"

	testManagementKey = "canary-management-key"
)

// harness is a worker between real queues in memory, a secret that a test can change and an API on loopback.
type harness struct {
	t       *testing.T
	handler *worker.Handler
	cfg     worker.Config // of the handler
	source  *recordingQueue
	dead    *deadLetters
	secret  *secret
	log     *lockedBuffer

	mu       sync.Mutex
	outcomes []telemetry.Message
}

// newHarness makes a harness that calls api. change may alter the configuration.
func newHarness(t *testing.T, api http.Handler, change ...func(*worker.Config)) *harness {
	t.Helper()
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return newHarnessAt(t, server.URL+licenseapitest.Base, change...)
}

func newHarnessAt(t *testing.T, address string, change ...func(*worker.Config)) *harness {
	t.Helper()
	client, err := licenseapi.New(licenseapi.Config{BaseURL: address, Authorizer: unsigned{}})
	if err != nil {
		t.Fatal(err)
	}
	dead := queue.NewMemory(queue.MemoryConfig{})
	r := &harness{
		t:      t,
		dead:   &deadLetters{Memory: dead},
		source: &recordingQueue{Memory: queue.NewMemory(queue.MemoryConfig{Visibility: time.Hour, MaxReceiveCount: 300, DeadLetter: dead})},
		secret: &secret{text: secretText(testSharedKey), version: "v1"},
		log:    &lockedBuffer{},
	}
	cfg := worker.Config{
		API: client, Secrets: secrets.NewCache(r.secret, secrets.ParseLicense), Queue: r.source, DeadLetters: r.dead,
		Recorder: telemetry.New(r.log, slog.LevelDebug, "worker"), CallsInFlight: 10, CallsPerSecond: 1000, Backoff: production(),
		OnOutcome: func(m telemetry.Message) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.outcomes = append(r.outcomes, m)
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	if cfg.LookUp != nil && cfg.LookUp.API.BaseURL == "" {
		cfg.LookUp.API.BaseURL = licenseapitest.ManagementURL(address)
	}
	if cfg.LookUp != nil && cfg.LookUp.Keys == nil {
		cfg.LookUp.Keys = secrets.NewCache(r.secret, secrets.ParseManagement)
	}
	r.cfg = cfg
	if r.handler, err = worker.New(cfg); err != nil {
		t.Fatal(err)
	}
	return r
}

// unsigned is the client's own authorizer, which the worker must never use.
type unsigned struct{}

func (unsigned) Authorize(context.Context, string) (string, error) {
	return "", errors.New("the worker did not sign with the secret")
}

// request is a valid one for the license with that number.
func request(n int) deactivation.Request {
	return deactivation.Request{
		ID: fmt.Sprintf("stripe.evt_%d.0", n), Source: "stripe", Cause: deactivation.CauseRefund, Rule: "refunded in full",
		Event: fmt.Sprintf("evt_%d", n), License: deactivation.License{
			Product: "XY", LicenseKey: licenseKey(n), HardwareID: fmt.Sprintf("hardware-%d", n),
		},
	}
}

func licenseKey(n int) string { return fmt.Sprintf("AAAA-BBBB-CCCC-%04d", n) }

// requests are the valid ones from 1 to n.
func requests(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = wire(request(i + 1))
	}
	return bodies
}

func wire(r deactivation.Request) string {
	body, err := r.Wire()
	if err != nil {
		panic(err)
	}
	return body
}

// batch puts the bodies into the queue and receives everything that is visible, as Lambda's event source mapping does.
func (r *harness) batch(bodies ...string) events.SQSEvent {
	r.t.Helper()
	var entries []queue.Entry
	for _, body := range bodies {
		entries = append(entries, queue.Entry{Body: body})
	}
	if failed := r.source.Send(context.Background(), entries); len(failed) > 0 {
		r.t.Fatalf("send: %v", failed[0].Err)
	}
	var event events.SQSEvent
	for {
		received, err := r.source.Receive(context.Background(), 10, 0, 0)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(received) == 0 {
			return event
		}
		for _, m := range received {
			event.Records = append(event.Records, events.SQSMessage{
				MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body, EventSource: "aws:sqs",
				Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.ReceiveCount)},
			})
			if r.cfg.LookUp != nil { // which decides by the message's age
				event.Records[len(event.Records)-1].Attributes["SentTimestamp"] = strconv.FormatInt(m.SentAt.UnixMilli(), 10)
			}
		}
	}
}

// handle processes a batch and then deletes what was not listed, as strictly as Lambda: an unknown, empty or repeated
// id fails the test.
func (r *harness) handle(ctx context.Context, event events.SQSEvent) {
	r.t.Helper()
	response, err := r.handler.Handle(ctx, event)
	if err != nil {
		r.t.Fatalf("handle: %v", err)
	}
	var listed []string
	for _, failure := range response.BatchItemFailures {
		id := failure.ItemIdentifier
		known := slices.ContainsFunc(event.Records, func(m events.SQSMessage) bool { return m.MessageId == id })
		if id == "" || !known || slices.Contains(listed, id) {
			r.t.Fatalf("listed %q, which fails the whole batch", id)
		}
		listed = append(listed, id)
	}
	var done []string
	for _, record := range event.Records {
		if !slices.Contains(listed, record.MessageId) {
			done = append(done, record.ReceiptHandle)
		}
	}
	if failed := r.source.Delete(context.Background(), done); len(failed) > 0 {
		r.t.Fatalf("delete: %v", failed[0].Err)
	}
}

// work puts the bodies into the queue and processes them as one batch. It returns what the worker logged of each.
func (r *harness) work(bodies ...string) []telemetry.Message {
	r.t.Helper()
	before := len(r.logged())
	r.handle(r.t.Context(), r.batch(bodies...))
	return r.logged()[before:]
}

func (r *harness) logged() []telemetry.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.outcomes)
}

// letters receives everything from the dead-letter queue.
func (r *harness) letters() []queue.Received {
	r.t.Helper()
	var all []queue.Received
	for {
		received, err := r.dead.Receive(context.Background(), 10, 0, time.Hour)
		if err != nil {
			r.t.Fatal(err)
		}
		if len(received) == 0 {
			return all
		}
		all = append(all, received...)
	}
}

// count returns how many messages had each outcome.
func count(logged []telemetry.Message) map[deactivation.Outcome]int {
	n := make(map[deactivation.Outcome]int)
	for _, m := range logged {
		n[m.Outcome]++
	}
	return n
}

// faults is how many configuration faults the metric counted.
func (r *harness) faults() int {
	return bytes.Count(r.log.Bytes(), []byte(`"ConfigurationFaults":1`))
}

// licenseOf is the license key in a request to the API.
func licenseOf(r *http.Request) string {
	var body struct {
		LicenseKey string `json:"license_key"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return "not JSON"
	}
	return body.LicenseKey
}

// fakeAPI is the fake License API with the licenses of request(1) to request(n), each active on its device.
func fakeAPI(t *testing.T, n int) *licenseapitest.Server {
	t.Helper()
	state := licenseapitest.State{APIKeys: map[string]string{testAPIKey: testSharedKey}}
	for i := range n {
		license := request(i + 1).License
		state.Licenses = append(state.Licenses, licenseapitest.License{
			Product: license.Product, LicenseKey: license.LicenseKey, Devices: []string{license.HardwareID},
		})
	}
	server, err := licenseapitest.New(state)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

// active is how many devices the fake still has.
func active(api *licenseapitest.Server) int {
	n := 0
	for _, license := range api.State().Licenses {
		n += len(license.Devices)
	}
	return n
}
