package simulation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"license-deactivator/internal/queue"
)

// lookedUp reports whether a delivery is sent to a webhook with look-up: also one whose license a buyer can name, which the
// worker confirms by the e-mail address.
func (d *delivery) lookedUp() bool {
	return d.renewed != "" || d.asksForLookUp() || d.source == "lemonsqueezy" && len(d.requests) > 0
}

func (d *delivery) asksForLookUp() bool { return len(d.requests) > 0 && d.requests[0].lookUp != nil }

// sendLookUp delivers a look-up, at the same time as often as it has copies.
func (h *harness) sendLookUp(d *delivery) {
	var all sync.WaitGroup
	for range d.requests[0].lookUp.copies {
		all.Go(func() {
			if d.source == wireSource {
				h.enqueueLookUp(d)
			} else {
				h.sendEvent(d)
			}
		})
	}
	all.Wait()
}

// enqueueLookUp puts a message into the queue as the webhook does, until the queue accepts it.
func (h *harness) enqueueLookUp(d *delivery) {
	q := d.requests[0]
	r := q.lookUp.asked
	r.ID, r.Source, r.Rule, r.Event = fmt.Sprintf("%s.%s.0", wireSource, eventID(d)), wireSource, "refunded", eventID(d)
	r.OccurredAt = epoch.Add(d.at)
	to := &faultySender{h: h, label: "enqueue look-up", to: h.jobs}
	for try := 1; ; try++ {
		r.ReceivedAt = time.Now()
		wire, err := r.Wire()
		if err != nil {
			h.violation("%v", err)
			return
		}
		if len(to.Send(context.Background(), []queue.Entry{{Body: wire, Group: wireSource}})) == 0 {
			h.recordAccepted(r.ID, q)
			return
		}
		time.Sleep(retryDelay * time.Duration(min(try, 20)))
	}
}

// fulfil makes the licenses of orders that are fulfilled late, at their times.
func (h *harness) fulfil(all *sync.WaitGroup) {
	for at, when := range h.scenario.fulfilled {
		all.Go(func() {
			h.sleepUntil(when)
			if err := h.api.Add(h.scenario.licenses[at]); err != nil {
				h.violation("fulfilment: %v", err)
			}
		})
	}
}

// lookUpBody returns the body of an event without license data, or with it where the request names a device.
func lookUpBody(d *delivery) string {
	asked := d.requests[0].lookUp.asked
	metadata := "{}"
	if asked.HardwareID != "" {
		metadata = fmt.Sprintf(`{"license_key":%q,"product":%q,"hardware_id":%q}`, asked.LicenseKey, asked.Product, asked.HardwareID)
	}
	by, at := asked.Lookup, epoch.Add(d.at)
	switch {
	case d.source == "stripe" && asked.Disable && d.number%2 == 0: // a dispute that is lost
		return fmt.Sprintf(`{"id":%q,"type":"charge.dispute.closed","livemode":true,"created":%d,"data":{"object":{"id":"dp_%d","charge":"ch_%d","payment_intent":%q,"status":"lost","metadata":%s}}}`,
			eventID(d), at.Unix(), d.number, d.number, by.Order[0].ID, metadata)
	case d.source == "stripe" && asked.Disable:
		return fmt.Sprintf(`{"id":%q,"type":"charge.refunded","livemode":true,"created":%d,"data":{"object":{"id":"ch_%d","payment_intent":%q,"refunded":true,"receipt_email":%q,"metadata":%s}}}`,
			eventID(d), at.Unix(), d.number, by.Order[0].ID, by.Email, metadata)
	case d.source == "stripe":
		return fmt.Sprintf(`{"id":%q,"type":"customer.subscription.deleted","livemode":true,"created":%d,"data":{"object":{"id":%q,"metadata":{"order_id":%q}}}}`,
			eventID(d), at.Unix(), by.Subscription.ID, by.Order[0].ID)
	case d.source == "lemonsqueezy":
		return fmt.Sprintf(`{"meta":{"event_name":"order_refunded","test_mode":false},"data":{"id":%q,"attributes":{"identifier":%q,"user_email":%q,"refunded_at":%q,"refunded_amount":2,"total":2}}}`,
			by.Order[1].ID, by.Order[0].ID, by.Email, at.Format(time.RFC3339))
	}
	kind := "order.refunded"
	if !asked.Disable {
		kind = "subscription.ended"
	}
	return fmt.Sprintf(`{"id":%q,"type":%q,"timestamp":%q,"test":false,"data":{"order_id":%q,"subscription_id":%q,"billing_reason":"initial","email":%q,"metadata":%s}}`,
		eventID(d), kind, at.Format(time.RFC3339), by.Order[0].ID, by.Subscription.ID, by.Email, metadata)
}

// renewalBody returns the body of a renewal's refund.
func renewalBody(d *delivery) string {
	switch d.source {
	case "stripe":
		return fmt.Sprintf(`{"id":%q,"type":"charge.refunded","livemode":true,"data":{"object":{"id":"ch_%d","payment_intent":%q,"refunded":true,"invoice":{"billing_reason":"subscription_cycle"},"metadata":{}}}}`,
			eventID(d), d.number, d.renewed)
	case "lemonsqueezy":
		return fmt.Sprintf(`{"meta":{"event_name":"subscription_payment_refunded","test_mode":false},"data":{"id":%q,"attributes":{"subscription_id":%q,"billing_reason":"renewal","refunded_amount":2,"total":2}}}`,
			eventID(d), d.renewed)
	}
	return fmt.Sprintf(`{"id":%q,"type":"order.refunded","test":false,"data":{"order_id":%q,"subscription_id":%q,"billing_reason":"subscription_cycle","metadata":{}}}`,
		eventID(d), d.renewed, d.renewed)
}
