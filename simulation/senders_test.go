package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
	"license-deactivator/internal/webhook"
)

const (
	opsSource = "ops"
	publicURL = "https://hooks.example.com"
	senderKey = "simulated-sender-key"

	lemonSqueezyRetries = 3 // within two minutes, then it stops
	retryDelay          = 30 * time.Second
)

// senderSecrets are the webhook secrets.
type senderSecrets struct{}

// Read implements secrets.Reader.
func (senderSecrets) Read(context.Context) (secrets.Value, error) {
	keys := map[string]string{}
	for _, source := range senders() {
		keys[source] = senderKey
	}
	text, err := json.Marshal(keys)
	return secrets.Value{Text: string(text), Version: "v1"}, err
}

// send puts the foreign messages into the queue and starts every delivery at its time.
func (h *harness) send(all *sync.WaitGroup) {
	h.sendForeign()
	for _, d := range h.scenario.deliveries {
		h.sleepUntil(d.at)
		all.Go(func() {
			switch {
			case d.asksForLookUp():
				h.sendLookUp(d)
			case d.source == opsSource:
				h.sendRows(d)
			default:
				h.sendEvent(d)
			}
		})
	}
}

func (h *harness) sendForeign() {
	for n := range foreignMessages {
		h.jobs.Send(context.Background(), []queue.Entry{{Body: foreignMessage(n)}})
	}
}

// foreignID is the id of the only foreign message that has one.
const foreignID = "ops.1"

func foreignMessage(n int) string {
	return []string{"not JSON", `{"v":2,"id":"x"}`, `{"v":1,"id":"` + foreignID + `","source":"ops"}`}[n]
}

// invokeReceiver invokes the webhook function. delivered is false when its answer does not reach the caller: it was too
// late, or the environment was killed.
func (h *harness) invokeReceiver(receiver *webhook.Handler, payload []byte) (answer []byte, delivered bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lambdaemu.WebhookTimeout)
	defer cancel()
	answer, err := receiver.Invoke(ctx, payload)
	if err != nil {
		h.violation("the webhook function failed: %v", err)
	}
	if ctx.Err() != nil {
		h.violation("the webhook function ran into its time-out")
	}
	r, chance := h.awsFault("webhook")
	return answer, r.Float64() >= chance
}

// bulkRow is a request of a direct invocation.
type bulkRow struct {
	ID         string `json:"id,omitempty"`
	Action     string `json:"action,omitempty"`
	Product    string `json:"product"`
	LicenseKey string `json:"license_key,omitempty"`
	Username   string `json:"username,omitempty"`
	HardwareID string `json:"hardware_id,omitempty"`
}

// sendRows invokes the webhook function until every row is accepted. Every third row has its own id. One additional row
// lacks its device and must be rejected each time.
func (h *harness) sendRows(d *delivery) {
	left := make([]int, len(d.requests)) // indexes of d.requests
	for i := range left {
		left[i] = i
	}
	for try := 1; len(left) > 0; try++ {
		rows := make([]bulkRow, 0, len(left)+1)
		for _, i := range left {
			q := d.requests[i]
			row := bulkRow{Action: q.action, Product: q.license.Product, LicenseKey: q.license.LicenseKey, Username: q.license.Username, HardwareID: q.license.HardwareID}
			if i%3 == 0 {
				row.ID = fmt.Sprintf("bulk-%d-%d", d.number, i)
			}
			rows = append(rows, row)
		}
		rows = append(rows, bulkRow{Product: product, LicenseKey: untouchedKey(0)})
		payload, err := json.Marshal(map[string]any{"source": opsSource, "requests": rows})
		if err != nil {
			h.violation("%v", err)
			return
		}
		if answer, delivered := h.invokeReceiver(h.receiver, payload); delivered {
			left = h.readRowsAnswer(d, left, answer)
		}
		if len(left) > 0 {
			time.Sleep(retryDelay * time.Duration(min(try, 20)))
		}
	}
}

// readRowsAnswer records what was accepted and returns what was not.
func (h *harness) readRowsAnswer(d *delivery, sent []int, answer []byte) (left []int) {
	var body struct {
		IDs      []string
		Rejected []struct {
			Index int
			Code  string
		}
	}
	if err := json.Unmarshal(answer, &body); err != nil {
		h.violation("the answer to a direct invocation: %v", err)
		return nil
	}
	refused := map[int]bool{}
	for _, r := range body.Rejected {
		refused[r.Index] = true
		switch {
		case r.Index == len(sent) && r.Code == "missing_field":
		case r.Index < len(sent) && r.Code == "not_enqueued":
			left = append(left, sent[r.Index])
		default:
			h.violation("row %d of %d was rejected as %s", r.Index, len(sent), r.Code)
		}
	}
	ids := body.IDs
	for i, index := range sent {
		if refused[i] || len(ids) == 0 {
			continue
		}
		h.recordAccepted(ids[0], d.requests[index])
		ids = ids[1:]
	}
	if len(ids) > 0 || len(refused)+len(body.IDs) != len(sent)+1 {
		h.violation("%d rows: %d ids, %d rejected", len(sent)+1, len(body.IDs), len(refused))
	}
	return left
}

// sendEvent posts an event as its sender would, again and again until it is answered, and one in ten once more
// afterwards.
func (h *harness) sendEvent(d *delivery) {
	tries := 0
	for done := false; !done || tries == 1 && d.number%10 == 0; tries++ {
		if tries > 0 {
			time.Sleep(retryDelay * time.Duration(min(tries, 20)))
		}
		if d.source == "lemonsqueezy" && tries > lemonSqueezyRetries && !done {
			return // it stops without a success answer
		}
		receiver := h.receiver
		if d.lookedUp() {
			receiver = h.lookUpReceiver
		}
		answer, delivered := h.invokeReceiver(receiver, h.signed(d))
		if delivered {
			done = h.readEventAnswer(d, answer) || done
		}
	}
}

// signed returns the HTTP event of a delivery.
func (h *harness) signed(d *delivery) []byte {
	source, _ := h.files.Get(d.source)
	s := sample.Sample{Source: d.source, Body: []byte(eventBody(d)), Headers: map[string]string{"Content-Type": "application/json"}}
	key := senderKey
	if d.kind == "forged" {
		key = "another-key"
	}
	req, err := s.Signed(source, publicURL, key, time.Now())
	if err != nil {
		h.violation("sign: %v", err)
		return nil
	}
	payload, err := json.Marshal(lambdaemu.NewHTTPEvent(req, s.Body))
	if err != nil {
		h.violation("%v", err)
	}
	return payload
}

// readEventAnswer records what was accepted. It returns false when the sender will retry.
func (h *harness) readEventAnswer(d *delivery, out []byte) (done bool) {
	var answer struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	var body struct {
		Answer string
		IDs    []string
	}
	if json.Unmarshal(out, &answer) != nil || json.Unmarshal([]byte(answer.Body), &body) != nil {
		h.violation("the answer to an event of %s: %s", d.source, out)
		return true
	}
	if answer.StatusCode == http.StatusServiceUnavailable && d.kind != "forged" {
		return false
	}
	want, status := map[string]string{"": "accepted", "ignored": "ignored", "unmappable": "unmappable", "forged": "refused"}[d.kind], http.StatusOK
	if d.kind == "forged" {
		status = http.StatusUnauthorized
	}
	if body.Answer != want || answer.StatusCode != status || len(body.IDs) != len(d.requests) {
		h.violation("an event of %s (%s) was answered %d %s with %d ids, want %d %s with %d", d.source, d.kind,
			answer.StatusCode, body.Answer, len(body.IDs), status, want, len(d.requests))
		return true
	}
	for i, id := range body.IDs {
		h.recordAccepted(id, d.requests[i])
	}
	if d.kind == "unmappable" {
		h.recordParked(d)
	}
	return true
}

// eventBody returns the body of an event, with the fields that its source's file reads.
func eventBody(d *delivery) string {
	switch {
	case d.renewed != "":
		return renewalBody(d)
	case d.asksForLookUp():
		return lookUpBody(d)
	}
	key, devices, code := untouchedKey(d.number%untouched), untouchedDevice, product
	if len(d.requests) > 0 {
		var all []string
		for _, q := range d.requests {
			all = append(all, q.license.HardwareID)
		}
		key, devices, code = d.requests[0].license.LicenseKey, strings.Join(all, ";"), d.requests[0].license.Product
	}
	if d.kind == "unmappable" {
		devices = ""
	}
	license := fmt.Sprintf(`{"license_key":%q,"product":%q,"hardware_id":%q}`, key, code, devices)
	whole := d.kind != "ignored"
	switch d.source {
	case "stripe":
		return fmt.Sprintf(`{"id":%q,"type":"charge.refunded","livemode":true,"data":{"object":{"id":"ch_1","refunded":%t,"metadata":%s}}}`,
			eventID(d), whole, license)
	case "lemonsqueezy":
		kind := "subscription_expired" // a refund would also disable the license
		if !whole {
			kind = "order_refunded"
		}
		return fmt.Sprintf(`{"meta":{"event_name":%q,"test_mode":false,"custom_data":%s},"data":{"id":"1","attributes":{"identifier":%q,"user_email":%q,"refunded_amount":1,"total":2}}}`,
			kind, license, eventID(d), ownMail)
	}
	kind := "order.refunded"
	if !whole {
		kind = "order.paid"
	}
	return fmt.Sprintf(`{"id":%q,"type":%q,"test":false,"data":{"order_id":"1","metadata":%s}}`, eventID(d), kind, license)
}

func eventID(d *delivery) string { return fmt.Sprintf("evt_%d", d.number) }
