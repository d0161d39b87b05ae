package integration

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/source"
	"license-deactivator/internal/telemetry"
	"license-deactivator/internal/webhook"
	"license-deactivator/internal/worker"
	"license-deactivator/pkg/licenseapi"
	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/managementapi"
	"license-deactivator/sources"
)

const (
	alarmAPIKey    = "key"
	alarmSharedKey = "shared-1"

	alarmManagementKey = "management-1"
	senderKey          = "sender-key-1"
)

// system is the deployed system in one process and in virtual time: the two handlers as their mains wire them, the
// queues and the License API in memory. The metrics that AWS publishes are measured here by AWS's documented rules.
type system struct {
	t     *testing.T
	cloud *cloudWatch

	api           *licenseapitest.Server
	webhook       *webhook.Handler
	front, back   *telemetry.Recorder // of the webhook and of the worker
	jobs, letters *measuredQueue
	start         func(watch, lookUp bool) // starts a new environment of the worker, in act or watch mode, with or without look-up
	licenseSecret *storedSecret
	senderSecret  *storedSecret

	mu        sync.Mutex
	refunds   int
	unwell    licenseapitest.Fault // how the License API fails; zero: it does not fail
	worker    lambdaemu.BatchHandler
	throttled bool
}

// runSystem runs a scenario for that long and returns what CloudWatch has of it.
func runSystem(t *testing.T, length time.Duration, callsPerSecond float64, scenario func(*system)) *cloudWatch {
	t.Helper()
	s := &system{
		t: t, cloud: newCloudWatch(),
		licenseSecret: &storedSecret{text: licenseSecretWith(alarmManagementKey)},
		senderSecret:  &storedSecret{text: fmt.Sprintf(`{"generic":%q}`, senderKey)},
	}
	ctx, cancel := context.WithCancel(t.Context())
	listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.build(listener, callsPerSecond)
	server := &http.Server{Handler: s.api, ReadHeaderTimeout: time.Minute}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	running.Go(func() { s.sample(ctx) })
	running.Go(func() {
		lambdaemu.EventSource{
			Queue: s.jobs, Function: s.invokeWorker, BatchSize: 20, Concurrency: 1, OnError: func(error) {},
		}.Run(ctx)
	})

	scenario(s)
	s.until(length)
	cancel()
	_ = server.Close()
	running.Wait()
	return s.cloud
}

// licenseSecretWith is the license secret with that key of the Management API.
func licenseSecretWith(managementKey string) string {
	return fmt.Sprintf(`{"api_key":%q,"shared_key":%q,"management_api_key":%q}`, alarmAPIKey, alarmSharedKey, managementKey)
}

func (s *system) build(listener *pipes, callsPerSecond float64) {
	var rows []licenseapitest.License
	for i := range 2000 {
		rows = append(rows, licenseapitest.License{Product: "XY", LicenseKey: licenseKey(i), Devices: []string{"hw1"}, Order: orderID(i)})
	}
	var err error
	if s.api, err = licenseapitest.New(licenseapitest.State{
		APIKeys: map[string]string{alarmAPIKey: alarmSharedKey}, ManagementAPIKeys: []string{alarmManagementKey}, Licenses: rows,
	}); err != nil {
		s.t.Fatal(err)
	}
	s.api.OnCall(func(licenseapitest.Call) licenseapitest.Fault {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.unwell
	})
	s.letters = newMeasuredQueue(s.cloud, "DeadLetterQueue", queue.MemoryConfig{})
	s.jobs = newMeasuredQueue(s.cloud, "Queue", queue.MemoryConfig{
		Visibility: lambdaemu.VisibilityTimeout, MaxReceiveCount: lambdaemu.MaxReceiveCount, DeadLetter: s.letters.Memory,
	})

	s.front, s.back = telemetry.New(s.cloud, slog.LevelInfo, "WebhookFunction"), telemetry.New(s.cloud, slog.LevelInfo, "WorkerFunction")
	known, err := source.Load(sources.FS())
	if err != nil {
		s.t.Fatal(err)
	}
	if s.webhook, err = webhook.New(webhook.Config{
		Sources: known, Secrets: secrets.NewCache(s.senderSecret, secrets.ParseWebhooks), Queue: s.jobs, DeadLetters: s.letters,
		Recorder: s.front,
	}); err != nil {
		s.t.Fatal(err)
	}
	s.start = func(watch, lookUp bool) { s.startWorker(listener, callsPerSecond, watch, lookUp) }
	s.start(false, false)
}

// defaultSurgeLimit is the template's.
const defaultSurgeLimit = 50

// startWorker starts a new environment of the worker, which takes the place of the one before.
func (s *system) startWorker(listener *pipes, callsPerSecond float64, watch, lookUp bool) {
	api, err := licenseapi.New(licenseapi.Config{BaseURL: "http://127.0.0.1" + licenseapitest.Base, DialContext: listener.dial})
	if err != nil {
		s.t.Fatal(err)
	}
	stack := worker.Stack{CallsPerSecond: callsPerSecond, Instances: 1, LiveShare: 0.5, SurgeLimit: defaultSurgeLimit, LookUp: lookUp, ManagementCallsPerMinute: 180}
	handler, err := worker.New(worker.Config{
		API: api, Secrets: secrets.NewCacheWithPrevious(s.licenseSecret, noSecret{}, secrets.ParseLicense), Queue: s.jobs, DeadLetters: s.letters,
		Recorder: s.back, CallsInFlight: 10, CallsPerSecond: stack.PerInstance(), Limits: stack.Limits(),
		SurgeLimit: stack.SurgePart(), Watch: watch,
		Backoff: worker.ProductionBackoff(),
		LookUp: stack.LookUpPart(managementapi.Config{BaseURL: "http://127.0.0.1" + licenseapitest.ManagementBase, DialContext: listener.dial},
			secrets.NewCache(s.licenseSecret, secrets.ParseManagement), lambdaemu.WorkerTimeout),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.workerIs(handler.Handle)
}

func licenseKey(i int) string { return fmt.Sprintf("AAAA-%04d", i) }

func orderID(i int) string { return fmt.Sprintf("order-%04d", i) }

// until sleeps until that long after the start.
func (s *system) until(after time.Duration) { time.Sleep(after - time.Since(s.cloud.start)) }

// every calls do in each step from the time from to before the time to, and sleeps until to.
func (s *system) every(step, from, to time.Duration, do func()) {
	for at := from; at < to; at += step {
		s.until(at)
		do()
	}
	s.until(to)
}

// is sets the fault of the License API from now on.
func (s *system) is(fault licenseapitest.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unwell = fault
}

// unavailable is an outage of the License API.
func unavailable() licenseapitest.Fault {
	return licenseapitest.Fault{Status: http.StatusServiceUnavailable}
}

// refund delivers the refund of one more order.
func (s *system) refund() { s.deliver(s.order(licenseKey(s.nextRefund())), senderKey) }

func (s *system) nextRefund() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refunds++
	return s.refunds
}

// order is a delivery of the source generic. An empty key makes an event that cannot be mapped.
func (s *system) order(key string) string {
	return fmt.Sprintf(`{"id":"refund-%d","type":"order.refunded","data":{"order_id":"1001","metadata":{"license_key":%q,"hardware_id":"hw1","product":"XY"}}}`,
		s.nextRefund(), key)
}

// deliver posts a body as the sender does, signed with that key, and returns the HTTP status. The HTTP API counts it.
func (s *system) deliver(body, key string) int {
	mac := hmac.New(sha256.New, []byte(key))
	_, _ = mac.Write([]byte(body))
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "https://hooks.example.com/webhooks/generic", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	var answer struct {
		StatusCode int `json:"statusCode"`
	}
	if err := s.invokeWebhook(lambdaemu.NewHTTPEvent(r, []byte(body)), &answer); err != nil {
		answer.StatusCode = http.StatusInternalServerError // what the HTTP API makes of a function's error
	}
	s.cloud.put(metricKey("AWS/ApiGateway", "Count", "ApiId=WebhookApi"), 1)
	s.cloud.put(metricKey("AWS/ApiGateway", "4xx", "ApiId=WebhookApi"), truth(answer.StatusCode/100 == 4))
	s.cloud.put(metricKey("AWS/ApiGateway", "5xx", "ApiId=WebhookApi"), truth(answer.StatusCode/100 == 5))
	return answer.StatusCode
}

// invokeWebhook invokes the function as Lambda does and counts its errors.
func (s *system) invokeWebhook(event, answer any) error {
	payload, err := json.Marshal(event)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), lambdaemu.WebhookTimeout)
	defer cancel()
	out, err := s.webhook.Invoke(ctx, payload)
	s.cloud.put(metricKey("AWS/Lambda", "Errors", "FunctionName=WebhookFunction"), truth(err != nil))
	if err != nil {
		return err
	}
	return json.Unmarshal(out, answer)
}

// errThrottled is the error of an invocation that Lambda throttles.
var errThrottled = errors.New("throttled")

// invokeWorker runs the worker function as Lambda does for the event source mapping. A throttled or failed invocation
// deletes nothing, and its messages become visible again after the visibility timeout.
func (s *system) invokeWorker(ctx context.Context, e events.SQSEvent) (events.SQSEventResponse, error) {
	s.mu.Lock()
	handle, throttled := s.worker, s.throttled
	s.mu.Unlock()
	if throttled {
		s.cloud.put(metricKey("AWS/Lambda", "Throttles", "FunctionName=WorkerFunction"), 1)
		return events.SQSEventResponse{}, errThrottled
	}
	response, err := handle(ctx, e)
	s.cloud.put(metricKey("AWS/Lambda", "Throttles", "FunctionName=WorkerFunction"), 0)
	s.cloud.put(metricKey("AWS/Lambda", "Errors", "FunctionName=WorkerFunction"), truth(err != nil))
	return response, err
}

// workerIs replaces the worker from now on.
func (s *system) workerIs(handler lambdaemu.BatchHandler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worker = handler
}

// sample measures the queues once a minute, as SQS does.
func (s *system) sample(ctx context.Context) {
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(time.Minute):
			s.jobs.sample()
			s.letters.sample()
		}
	}
}

// storedSecret is a secret in Secrets Manager.
type storedSecret struct {
	mu      sync.Mutex
	text    string
	version int
}

// Read implements secrets.Reader.
func (s *storedSecret) Read(context.Context) (secrets.Value, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		return secrets.Value{}, secrets.ErrEmpty
	}
	return secrets.Value{Text: s.text, Version: fmt.Sprint("v", s.version)}, nil
}

// store adds a new version.
func (s *storedSecret) store(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text, s.version = text, s.version+1
}

// noSecret is a secret without a previous version.
type noSecret struct{}

// Read implements secrets.Reader.
func (noSecret) Read(context.Context) (secrets.Value, error) {
	return secrets.Value{}, secrets.ErrEmpty
}

// measuredQueue is a queue in memory with the metrics that SQS publishes of it.
type measuredQueue struct {
	*queue.Memory
	cloud *cloudWatch
	name  string

	mu       sync.Mutex
	down     bool
	stopped  bool
	unread   map[time.Time]int // never received: how many were sent then
	received map[string]*seen  // by message id
}

type seen struct {
	sentAt   time.Time
	receives int
	receipts []string
}

func newMeasuredQueue(cloud *cloudWatch, name string, config queue.MemoryConfig) *measuredQueue {
	return &measuredQueue{Memory: queue.NewMemory(config), cloud: cloud, name: name, unread: map[time.Time]int{}, received: map[string]*seen{}}
}

// outOfReach makes every Send fail from now on; false ends that.
func (q *measuredQueue) outOfReach(down bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = down
}

// stop makes the event source mapping receive nothing from now on, as when it is disabled; false ends that.
func (q *measuredQueue) stop(stopped bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.stopped = stopped
}

var errOutOfReach = errors.New("the queue is out of reach")

// Send implements webhook.Sender and worker.DeadLetters.
func (q *measuredQueue) Send(ctx context.Context, entries []queue.Entry) []queue.Failure {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		var failures []queue.Failure
		for i := range entries {
			failures = append(failures, queue.Failure{Index: i, Err: errOutOfReach})
		}
		return failures
	}
	failures := q.Memory.Send(ctx, entries)
	q.unread[time.Now().Truncate(time.Millisecond)] += len(entries) - len(failures)
	return failures
}

// Receive implements lambdaemu.Queue.
func (q *measuredQueue) Receive(ctx context.Context, most int, wait, visibility time.Duration) ([]queue.Received, error) {
	q.mu.Lock()
	stopped := q.stopped
	q.mu.Unlock()
	if stopped {
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		return nil, ctx.Err()
	}
	received, err := q.Memory.Receive(ctx, most, wait, visibility)
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, r := range received {
		message := q.received[r.ID]
		if message == nil {
			message = &seen{sentAt: r.SentAt}
			q.received[r.ID] = message
			if q.unread[r.SentAt]--; q.unread[r.SentAt] == 0 {
				delete(q.unread, r.SentAt)
			}
		}
		message.receives, message.receipts = r.ReceiveCount, append(message.receipts, r.Receipt)
	}
	return received, err
}

// Delete implements lambdaemu.Queue.
func (q *measuredQueue) Delete(ctx context.Context, receipts []string) []queue.Failure {
	q.mu.Lock()
	defer q.mu.Unlock()
	deleted := map[string]bool{}
	for _, receipt := range receipts {
		deleted[receipt] = true
	}
	for id, message := range q.received {
		if deleted[message.receipts[len(message.receipts)-1]] {
			delete(q.received, id)
		}
	}
	return q.Memory.Delete(ctx, receipts)
}

// sample publishes the metrics of the queue. ApproximateAgeOfOldestMessage excludes a message that was received more
// than three times, and has no value for an empty queue.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
func (q *measuredQueue) sample() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.cloud.put(metricKey("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName="+q.name), float64(q.Len()-q.InFlight()))
	if q.Len() == 0 {
		return
	}
	var age time.Duration
	for sentAt := range q.unread {
		age = max(age, time.Since(sentAt))
	}
	for _, message := range q.received {
		if message.receives <= 3 {
			age = max(age, time.Since(message.sentAt))
		}
	}
	q.cloud.put(metricKey("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName="+q.name), age.Seconds())
}

// pipes is a listener for connections in memory, since a bubble of testing/synctest allows no sockets.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// rows is a direct invocation with that many requests.
func (s *system) rows(n int) {
	var requests []map[string]string
	for range n {
		requests = append(requests, map[string]string{"license_key": licenseKey(s.nextRefund()), "hardware_id": "hw1", "product": "XY"})
	}
	var answer struct{ Accepted int }
	err := s.invokeWebhook(map[string]any{"source": "ops", "requests": requests}, &answer)
	if err != nil || answer.Accepted != n {
		s.t.Errorf("a direct invocation: %d of %d accepted (%v)", answer.Accepted, n, err)
	}
}

// letter makes the worker reject a message: the License API has no such license.
func (s *system) letter() { s.deliver(s.order("ZZZZ-0000"), senderKey) }

// unmappable delivers an event without license data.
func (s *system) unmappable() { s.deliver(s.order(""), senderKey) }

// noMessage puts a text into the queue that is no message of this system.
func (s *system) noMessage() {
	s.jobs.Send(s.t.Context(), []queue.Entry{{Body: "not a message"}})
}

// waitingForItsOrder is a receive of a message whose order is not in LicenseSpring yet.
func (s *system) waitingForItsOrder() {
	s.back.Message(s.t.Context(), telemetry.Message{
		ID: "stripe.evt_1.0", Outcome: deactivation.Deferred, Code: deactivation.CodeNoLicense, Attempts: 7, RetryIn: 15 * time.Minute,
	})
	s.back.Flush()
}

// lookUp puts the request of an event into the queue that names an order and no license.
func (s *system) lookUp(source, order string) {
	id := fmt.Sprint(source, ".evt_", s.nextRefund(), ".0")
	body, err := deactivation.Request{
		ID: id, Source: source, Cause: deactivation.CauseRefund, Origin: deactivation.OriginEvent, ReceivedAt: time.Now(), Disable: true,
		Lookup: deactivation.Lookup{Order: []deactivation.Candidate{{ID: order}}},
	}.Wire()
	if err != nil {
		s.t.Fatal(err)
	}
	if failed := s.jobs.Send(s.t.Context(), []queue.Entry{{Body: body, Group: source}}); len(failed) > 0 {
		s.t.Fatal(failed[0].Err)
	}
}

// findable looks up one more order that LicenseSpring knows, unknown one that it does not know.
func (s *system) findable(source string) { s.lookUp(source, orderID(s.nextRefund())) }
func (s *system) unknown(source string)  { s.lookUp(source, fmt.Sprint("unknown-", s.nextRefund())) }

// managementIs sets the fault of the Management API from now on.
func (s *system) managementIs(fault licenseapitest.Fault) {
	s.api.OnManagementCall(func(licenseapitest.ManagementCall) licenseapitest.Fault { return fault })
}

// throttle makes Lambda refuse the worker's invocations from now on; false ends that.
func (s *system) throttle(throttled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.throttled = throttled
}
