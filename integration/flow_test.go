//go:build integration

package integration

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	samples "license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// localGenericKey is the secret that signs events/webhook.json, the one of `licensectl local`.
const localGenericKey = "local-generic"

// The license of events/shopify/full-refund.json.
const (
	refundedKey    = "KBWN-6T3C-JG4K-2S2C"
	refundedDevice = "635ccaec-6c3a"
	otherDevice    = "11111111-1111" // of the same license, still in use
)

func refunded() []licenseapitest.License {
	return []licenseapitest.License{{Product: "acme-pro", LicenseKey: refundedKey, Devices: []string{refundedDevice, otherDevice}}}
}

// TestBuiltFunctions builds both functions once, as the Makefile builds them for Lambda. Each flow has its own
// emulators, queues and secrets.
func TestBuiltFunctions(t *testing.T) {
	t.Parallel()
	bootstraps := map[string]string{}
	for _, function := range []string{"WebhookFunction", "WorkerFunction"} {
		bootstraps[function] = build(t, function)
	}
	for name, flow := range map[string]func(*testing.T, map[string]string){
		"a refund becomes a deactivated license":              refundIsDeactivated,
		"an unknown license becomes a dead letter":            unknownLicenseIsADeadLetter,
		"an event without license data becomes a dead letter": unmappableIsADeadLetter,
		"a direct invocation is answered by index":            directInvocation,
		"while the API is down messages are kept":             apiDown,
		"a wrong key keeps messages and raises the alarm":     wrongKey,
		"a refund without a device is looked up":              refundIsLookedUp,
		"the samples for sam have their documented results":   samplesForSAM,
		"the dashboard shows what the functions write":        dashboardShowsWhatIsWritten,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flow(t, bootstraps)
		})
	}
}

func refundIsDeactivated(t *testing.T, bootstraps map[string]string) {
	key := rand.Text()
	d := deploy(t, bootstraps, refunded(), "", map[string][]string{"shopify": {"rolled-" + rand.Text(), key}})

	d.deliver(t, shopify(t, "full-refund", "forged "+key), 401)
	if waiting, inFlight := d.count(t, d.url); waiting+inFlight != 0 {
		t.Fatalf("a forged delivery left %d messages", waiting+inFlight)
	}

	d.deliver(t, shopify(t, "full-refund", key), 200)
	if waiting, _ := d.count(t, d.url); waiting != 1 {
		t.Fatalf("a refund left %d messages, want one", waiting)
	}

	d.drain(t)
	d.devices(t, refundedKey, otherDevice)
	d.noDeadLetter(t)
}

func unknownLicenseIsADeadLetter(t *testing.T, bootstraps map[string]string) {
	key := rand.Text()
	known := []licenseapitest.License{{Product: "acme-pro", LicenseKey: "ZZZZ-ZZZZ-ZZZZ-ZZZZ", Devices: []string{otherDevice}}}
	d := deploy(t, bootstraps, known, "", map[string][]string{"shopify": {key}})
	d.deliver(t, shopify(t, "full-refund", key), 200)
	d.drain(t)

	letter := d.deadLetter(t)
	request, _, err := deactivation.Parse(letter.Body)
	if err != nil {
		t.Fatalf("the dead letter is no message: %v", err)
	}
	want := map[string]string{
		"reason": "rejected", "code": "license_not_found", "attempts": "1", "source": "shopify", "request_id": request.ID,
	}
	for name, value := range want {
		if letter.Attributes[name] != value {
			t.Errorf("%s is %q, want %q", name, letter.Attributes[name], value)
		}
	}
	if letter.Attributes["detail"] == "" {
		t.Error("detail is empty")
	}
	if _, err := time.Parse(time.RFC3339, letter.Attributes["failed_at"]); err != nil {
		t.Errorf("failed_at: %v", err)
	}
	if strings.Contains(letter.Attributes["detail"], refundedKey) {
		t.Error("detail shows the license key")
	}
}

func unmappableIsADeadLetter(t *testing.T, bootstraps map[string]string) {
	key := rand.Text()
	d := deploy(t, bootstraps, refunded(), "", map[string][]string{"shopify": {key}})
	d.deliver(t, shopify(t, "no-license-data", key), 200)
	letter := d.deadLetter(t)
	if letter.Attributes["reason"] != "unmappable" || letter.Attributes["source"] != "shopify" {
		t.Errorf("attributes are %v", letter.Attributes)
	}
	if waiting, inFlight := d.count(t, d.url); waiting+inFlight != 0 {
		t.Errorf("%d messages in the queue, want none", waiting+inFlight)
	}
}

func directInvocation(t *testing.T, bootstraps map[string]string) {
	licenses := []licenseapitest.License{
		{Product: "acme-pro", LicenseKey: "CEGX-KB42-DYCQ-8REK", Devices: []string{"e58a99bf-2467"}},
		{Product: "acme-studio", LicenseKey: "VCKN-TL3A-GTLT-QS75", Devices: []string{"dcf886dc-06cc"}},
	}
	d := deploy(t, bootstraps, licenses, "", map[string][]string{"shopify": {rand.Text()}})
	answer, err := d.webhook.invoke(t.Context(), sample(t, "bulk.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Accepted int      `json:"accepted"`
		IDs      []string `json:"ids"`
		Rejected []struct {
			Index int    `json:"index"`
			Code  string `json:"code"`
		} `json:"rejected"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	if got.Accepted != 2 || len(got.IDs) != 2 || got.IDs[0] != "ops.2026-11-campus-a.0" {
		t.Errorf("got %s, want two accepted, the first by its own id", answer)
	}
	if len(got.Rejected) != 1 || got.Rejected[0].Index != 2 || got.Rejected[0].Code != "missing_field" {
		t.Errorf("got %s, want the third rejected for a missing field", answer)
	}
	d.drain(t)
	d.devices(t, "CEGX-KB42-DYCQ-8REK")
	d.devices(t, "VCKN-TL3A-GTLT-QS75")
	d.noDeadLetter(t)
}

func apiDown(t *testing.T, bootstraps map[string]string) {
	key := rand.Text()
	d := deploy(t, bootstraps, refunded(), "", map[string][]string{"shopify": {key}})
	d.api.OnCall(func(licenseapitest.Call) licenseapitest.Fault { return licenseapitest.Fault{Status: 503} })
	d.deliver(t, shopify(t, "full-refund", key), 200)
	d.isKept(t)
	d.devices(t, refundedKey, refundedDevice, otherDevice)
}

func wrongKey(t *testing.T, bootstraps map[string]string) {
	key := rand.Text()
	d := deploy(t, bootstraps, refunded(), "wrong-"+rand.Text(), map[string][]string{"shopify": {key}})
	d.deliver(t, shopify(t, "full-refund", key), 200)
	d.isKept(t)
	d.noDeadLetter(t)
	d.worker.stop()
	if !countsFault(d.worker.output.String(), "worker") {
		t.Error("no metric ConfigurationFaults of LicenseDeactivator with service = the function's name: the alarm would not fire")
	}
}

// refundIsLookedUp delivers a refund that says nothing of a license: webhook, queue, worker, both APIs. Two licenses are the
// order's, and one has an order whose id begins with the same digits.
func refundIsLookedUp(t *testing.T, bootstraps map[string]string) {
	const order = "11308927880605" // of events/shopify/no-license-data.json
	key := rand.Text()
	licenses := []licenseapitest.License{
		{ID: 1, Product: "acme-pro", LicenseKey: "LKUP-6T3C-JG4K-2S2C", Order: order, Devices: []string{"e58a99bf-2467", "dcf886dc-06cc"}},
		{ID: 2, Product: "acme-studio", LicenseKey: "LKUP-TL3A-GTLT-QS75", Order: order},
		{ID: 3, Product: "acme-pro", LicenseKey: "LKUP-9MZ3-P97P-44AC", Order: order + "1", Devices: []string{"a8e87b58-9876"}},
	}
	d := deployWith(t, bootstraps, licenses, "", map[string][]string{"shopify": {key}}, "on")
	d.deliver(t, shopify(t, "no-license-data", key), 200)
	if waiting, _ := d.count(t, d.url); waiting != 1 {
		t.Fatalf("a refund left %d messages, want one", waiting)
	}
	d.drain(t)
	d.noDeadLetter(t)
	d.areRefunded(t, map[int64]bool{1: true, 2: true})
	d.worker.stop()
	for _, want := range []string{
		`"outcome":"deactivated"`, `order__store_id \"` + order + `\": 2 licenses`, `2 deactivated, now disabled with 0 active devices`, `"ManagementAnswers":`,
	} {
		if !strings.Contains(d.worker.output.String(), want) {
			t.Errorf("the worker's log has no %s", want)
		}
	}
}

// areRefunded requires that exactly these licenses are disabled and have no device.
func (d *deployment) areRefunded(t *testing.T, refunded map[int64]bool) {
	t.Helper()
	for _, l := range d.api.State().Licenses {
		disabled := l.Enabled != nil && !*l.Enabled
		if disabled != refunded[l.ID] || refunded[l.ID] && len(l.Devices) > 0 || !refunded[l.ID] && len(l.Devices) == 0 {
			t.Errorf("license %d: disabled is %v, %d devices are active; refunded is %v", l.ID, disabled, len(l.Devices), refunded[l.ID])
		}
	}
}

// countsFault looks for the metric that template.yaml's alarms watch, as CloudWatch extracts it from a log line.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func countsFault(output, service string) bool {
	for line := range strings.Lines(output) {
		var metric struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
			Service string  `json:"service"`
			Faults  float64 `json:"ConfigurationFaults"`
		}
		if json.Unmarshal([]byte(line), &metric) != nil || metric.Service != service || metric.Faults < 1 {
			continue
		}
		for _, m := range metric.AWS.CloudWatchMetrics {
			byService, named := false, false
			for _, d := range m.Dimensions {
				byService = byService || len(d) == 1 && d[0] == "service"
			}
			for _, n := range m.Metrics {
				named = named || n.Name == "ConfigurationFaults"
			}
			if m.Namespace == "LicenseDeactivator" && byService && named {
				return true
			}
		}
	}
	return false
}

// samplesForSAM posts the events that are documented for `sam local invoke -e` and `sam remote invoke`.
func samplesForSAM(t *testing.T, bootstraps map[string]string) {
	licenses := append(refunded(), licenseapitest.License{
		Product: "acme-pro", LicenseKey: "245R-9MZ3-P97P-44AC", Devices: []string{"a8e87b58-9876"},
	})
	d := deploy(t, bootstraps, licenses, "", map[string][]string{"generic": {localGenericKey}})
	answer, err := d.webhook.invoke(t.Context(), sample(t, "webhook.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := status(t, answer); got != 200 {
		t.Errorf("webhook.json is answered %d, want 200", got)
	}
	answer, err = d.worker.invoke(t.Context(), sample(t, "worker-batch.json"))
	if err != nil {
		t.Fatal(err)
	}
	var event events.SQSEvent
	if err := json.Unmarshal(sample(t, "worker-batch.json"), &event); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range event.Records {
		ids = append(ids, r.MessageId)
	}
	if done, err := settled(answer, ids); err != nil || len(done) != len(ids) || len(ids) == 0 {
		t.Errorf("worker-batch.json: settled %v of %v: %v", done, ids, err)
	}
	d.devices(t, refundedKey, otherDevice)
	d.devices(t, "245R-9MZ3-P97P-44AC")
}

// deliver posts an event to the webhook's emulator and wants that status.
func (d *deployment) deliver(t *testing.T, event events.APIGatewayV2HTTPRequest, want int) {
	t.Helper()
	answer, err := d.webhook.invoke(t.Context(), marshal(t, event))
	if err != nil {
		t.Fatalf("webhook: %v", err)
	}
	if got := status(t, answer); got != want {
		t.Fatalf("webhook answered %d, want %d: %s", got, want, answer)
	}
}

func status(t *testing.T, answer []byte) int {
	t.Helper()
	var response events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatalf("the webhook's answer is no HTTP response: %v", err)
	}
	return response.StatusCode
}

// devices requires exactly these active devices of a license.
func (d *deployment) devices(t *testing.T, licenseKey string, want ...string) {
	t.Helper()
	for _, license := range d.api.State().Licenses {
		if license.LicenseKey == licenseKey {
			if got := strings.Join(license.Devices, " "); got != strings.Join(want, " ") {
				t.Errorf("the active devices are %q, want %q", got, strings.Join(want, " "))
			}
			return
		}
	}
	t.Error("the API has no such license any more")
}

// isKept runs the mapping until the message was handed out once, and requires it hidden in the queue: not deleted and
// not a dead letter.
func (d *deployment) isKept(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(drainPatience); d.round(t) == 0; {
		if time.Now().After(end) {
			t.Fatalf("no message within %v", drainPatience)
		}
	}
	if waiting, inFlight := d.count(t, d.url); waiting != 0 || inFlight != 1 {
		t.Errorf("%d messages wait and %d are hidden, want one, hidden", waiting, inFlight)
	}
	d.noDeadLetter(t)
}

func (d *deployment) noDeadLetter(t *testing.T) {
	t.Helper()
	if waiting, inFlight := d.count(t, d.deadURL); waiting+inFlight != 0 {
		t.Errorf("%d dead letters, want none", waiting+inFlight)
	}
}

// sample reads a file of events/.
func sample(t *testing.T, name string) []byte {
	t.Helper()
	content, err := fs.ReadFile(samples.FS(), name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// shopify is a delivery as API Gateway hands it over: its body encoded, its header names in lower case. This test signs
// it by itself, since pkg/signing verifies it.
// https://shopify.dev/docs/apps/build/webhooks/verify-deliveries
func shopify(t *testing.T, name, key string) events.APIGatewayV2HTTPRequest {
	t.Helper()
	body := sample(t, "shopify/"+name+".json")
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /webhooks/{source}", RawPath: "/webhooks/shopify",
		Headers: map[string]string{
			"content-type": "application/json", "x-shopify-topic": "orders/updated",
			"x-shopify-event-id": "test-" + rand.Text(), "x-shopify-webhook-id": "test-" + rand.Text(),
			"x-shopify-triggered-at": time.Now().UTC().Format(time.RFC3339Nano),
			"x-shopify-hmac-sha256":  base64.StdEncoding.EncodeToString(mac.Sum(nil)),
		},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			Stage: "$default", HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "POST", Path: "/webhooks/shopify"},
		},
		PathParameters:  map[string]string{"source": "shopify"},
		Body:            base64.StdEncoding.EncodeToString(body),
		IsBase64Encoded: true,
	}
}
