package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"license-deactivator/internal/lambdaemu"
	"license-deactivator/internal/queue"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/secrets"
)

const (
	receivedAtOnce = 10 // messages of one ReceiveMessage

	opsSource   = "ops"
	publicURL   = "https://hooks.example.com"
	senderKey   = "simulated-sender-key"
	lemonTries  = 3 // Lemon Squeezy tries three times more within two minutes
	senderPause = 30 * time.Second
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

// send begins every delivery at its time, and puts some messages into the queue that are none of ours.
func (w *world) send(all *sync.WaitGroup) {
	for n := range strays {
		w.jobs.Send(context.Background(), []queue.Entry{{Body: stray(n)}})
	}
	for _, d := range w.plan.deliveries {
		w.until(d.at)
		all.Go(func() {
			if d.source == opsSource {
				w.invoke(d)
			} else {
				w.post(d)
			}
		})
	}
}

func stray(n int) string {
	return []string{"not JSON", `{"v":2,"id":"x"}`, `{"v":1,"id":"ops.1","source":"ops"}`}[n]
}

// function runs the webhook function. false means that its caller hears nothing, since it was too late or was killed
// with its answer.
func (w *world) function(payload []byte) ([]byte, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), lambdaemu.WebhookTimeout)
	defer cancel()
	out, err := w.front.Invoke(ctx, payload)
	if err != nil {
		w.violate("the webhook function failed: %v", err)
	}
	if ctx.Err() != nil {
		w.violate("the webhook function ran into its time-out")
	}
	r, chance := w.trouble("webhook")
	return out, r.Float64() >= chance
}

// row is a request of a direct invocation.
type row struct {
	ID         string `json:"id,omitempty"`
	Action     string `json:"action,omitempty"`
	Product    string `json:"product"`
	LicenseKey string `json:"license_key,omitempty"`
	Username   string `json:"username,omitempty"`
	HardwareID string `json:"hardware_id,omitempty"`
}

// invoke sends rows until each is accepted. Every third has an id of its own; the last of them lacks its device.
func (w *world) invoke(d *delivery) {
	left := make([]int, len(d.requests)) // places in d.requests
	for i := range left {
		left[i] = i
	}
	for try := 1; len(left) > 0; try++ {
		rows := make([]row, 0, len(left)+1)
		for _, i := range left {
			q := d.requests[i]
			r := row{Action: q.action, Product: q.license.Product, LicenseKey: q.license.LicenseKey, Username: q.license.Username, HardwareID: q.license.HardwareID}
			if i%3 == 0 {
				r.ID = fmt.Sprintf("bulk-%d-%d", d.number, i)
			}
			rows = append(rows, r)
		}
		rows = append(rows, row{Product: product, LicenseKey: bystander(0)})
		payload, err := json.Marshal(map[string]any{"source": opsSource, "requests": rows})
		if err != nil {
			w.violate("%v", err)
			return
		}
		if out, heard := w.function(payload); heard {
			left = w.heard(d, left, out)
		}
		if len(left) > 0 {
			time.Sleep(senderPause * time.Duration(min(try, 20)))
		}
	}
}

// heard notes what was accepted and returns what was not.
func (w *world) heard(d *delivery, sent []int, out []byte) (left []int) {
	var answer struct {
		IDs      []string
		Rejected []struct {
			Index int
			Code  string
		}
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		w.violate("the answer to a direct invocation: %v", err)
		return nil
	}
	refused := map[int]bool{}
	for _, r := range answer.Rejected {
		refused[r.Index] = true
		switch {
		case r.Index == len(sent) && r.Code == "missing_field":
		case r.Index < len(sent) && r.Code == "not_enqueued":
			left = append(left, sent[r.Index])
		default:
			w.violate("row %d of %d was rejected as %s", r.Index, len(sent), r.Code)
		}
	}
	ids := answer.IDs
	for i, place := range sent {
		if refused[i] || len(ids) == 0 {
			continue
		}
		w.accept(ids[0], d.requests[place])
		ids = ids[1:]
	}
	if len(ids) > 0 || len(refused)+len(answer.IDs) != len(sent)+1 {
		w.violate("%d rows: %d ids, %d rejected", len(sent)+1, len(answer.IDs), len(refused))
	}
	return left
}

// post sends an event as its sender would, again and again until it is taken, and one in ten once more after that.
func (w *world) post(d *delivery) {
	tries := 0
	for taken := false; !taken || tries == 1 && d.number%10 == 0; tries++ {
		if tries > 0 {
			time.Sleep(senderPause * time.Duration(min(tries, 20)))
		}
		if d.source == "lemonsqueezy" && tries > lemonTries && !taken {
			return // it has given up, and nobody told it that the event was taken
		}
		out, heard := w.function(w.signed(d))
		if heard {
			taken = w.answered(d, out) || taken
		}
	}
}

// signed makes the HTTP event of a delivery.
func (w *world) signed(d *delivery) []byte {
	source, _ := w.files.Get(d.source)
	s := sample.Sample{Source: d.source, Body: []byte(w.event(d)), Headers: map[string]string{"Content-Type": "application/json"}}
	key := senderKey
	if d.kind == "forged" {
		key = "another-key"
	}
	req, err := s.Signed(source, publicURL, key, time.Now())
	if err != nil {
		w.violate("sign: %v", err)
		return nil
	}
	payload, err := json.Marshal(lambdaemu.NewHTTPEvent(req, s.Body))
	if err != nil {
		w.violate("%v", err)
	}
	return payload
}

// answered reads the answer to an event; false means that its sender comes again.
func (w *world) answered(d *delivery, out []byte) bool {
	var answer struct {
		StatusCode int    `json:"statusCode"`
		Body       string `json:"body"`
	}
	var body struct {
		Answer string
		IDs    []string
	}
	if json.Unmarshal(out, &answer) != nil || json.Unmarshal([]byte(answer.Body), &body) != nil {
		w.violate("the answer to an event of %s: %s", d.source, out)
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
		w.violate("an event of %s (%s) was answered %d %s with %d ids, want %d %s with %d", d.source, d.kind,
			answer.StatusCode, body.Answer, len(body.IDs), status, want, len(d.requests))
		return true
	}
	for i, id := range body.IDs {
		w.accept(id, d.requests[i])
	}
	if d.kind == "unmappable" {
		w.acceptEvent(d)
	}
	return true
}

// event is the body of an event, with what matters of it.
func (w *world) event(d *delivery) string {
	key, devices, code := bystander(d.number%bystanders), keptDevice, product
	if len(d.requests) > 0 {
		var all []string
		for _, q := range d.requests {
			all = append(all, q.license.HardwareID)
		}
		key, devices, code = d.requests[0].license.LicenseKey, strings.Join(all, ","), d.requests[0].license.Product
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
		refunded := 1
		if whole {
			refunded = 2
		}
		return fmt.Sprintf(`{"meta":{"event_name":"order_refunded","test_mode":false,"custom_data":%s},"data":{"id":"1","attributes":{"identifier":%q,"refunded_amount":%d,"total":2}}}`,
			license, eventID(d), refunded)
	}
	kind := "order.refunded"
	if !whole {
		kind = "order.paid"
	}
	return fmt.Sprintf(`{"id":%q,"type":%q,"test":false,"data":{"order_id":"1","metadata":%s}}`, eventID(d), kind, license)
}

func eventID(d *delivery) string { return fmt.Sprintf("evt_%d", d.number) }

// redrive moves dead letters back to the queue by hand: what the queue had not taken in time, and some that the
// License API has rejected and will reject again.
func (w *world) redrive() {
	again := 3
	for _, letter := range w.takeLetters() {
		entry := queue.Entry{Body: letter.Body, Group: letter.Group, Attributes: letter.Attributes}
		to := w.letters
		switch reason := letter.Attributes["reason"]; {
		case reason == "undelivered":
			to = w.jobs
		case reason == "rejected" && again > 0:
			again--
			to = w.jobs
		}
		to.Send(context.Background(), []queue.Entry{entry})
	}
}

// takeLetters takes everything out of the dead-letter queue.
func (w *world) takeLetters() []queue.Received {
	var all []queue.Received
	for {
		received, err := w.letters.Receive(context.Background(), receivedAtOnce, 0, 0)
		if err != nil || len(received) == 0 {
			return all
		}
		var receipts []string
		for _, m := range received {
			receipts = append(receipts, m.Receipt)
		}
		w.letters.Delete(context.Background(), receipts)
		all = slices.Concat(all, received)
	}
}
