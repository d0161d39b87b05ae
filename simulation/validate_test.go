package simulation

import (
	"slices"

	"license-deactivator/internal/deactivation"
)

// validate compares the history with the model.
func (h *harness) validate() {
	h.seeds, h.messages = 1, len(h.scenario.requests)
	if h.scenario.hasOutageDay() {
		h.outageDays = 1
	}
	h.limited = h.reached - h.served
	if h.limited > h.connectionsLost && len(h.scenario.skews) == 0 { // a clock that jumps keeps a window full
		h.violation("the API's limits refused %d calls, and only %d were repeats by the transport", h.limited, h.connectionsLost)
	}
	if n := h.delayed.Load(); n > 0 {
		h.violation("%d delayed sends never became visible", n)
	}
	letters := h.validateDeadLetters()
	active := h.validateLicenses()
	for id, q := range h.accepted {
		h.validateRequest(id, q, letters[id], active)
	}
}

// validateRequest checks that an accepted request has its expected result.
func (h *harness) validateRequest(id string, q *request, letter deadLetter, active []map[string]bool) {
	outcome := h.outcomes[id]
	stillActive := slices.ContainsFunc(q.licenses, func(i int) bool { return active[i][q.license.HardwareID] })
	switch {
	case q.expectation == rejected && letter == deadLetter{deactivation.ReasonRejected, q.code}:
		h.deadLettered++
	case q.expectation == rejected:
		h.violation("%s is not in the dead-letter queue as %s: its outcome is %q, its dead letter %+v", id, q.code, outcome, letter)
	case letter.refused() && len(h.refusals[q.license.LicenseKey+q.license.Username]) > 1:
		// Refused in two spans, with successes of others between them: for the worker that concerns this license.
		h.deadLettered++
	case letter != deadLetter{}:
		h.violation("%s is dead-lettered without cause: %+v", id, letter)
	case stillActive:
		h.violation("%s is lost: its device is active, its outcome is %q, and there is no dead letter", id, outcome)
	case outcome == deactivation.AlreadyInactive:
		h.inactive++
	case q.expectation == inactive && outcome == deactivation.Deactivated:
		h.deactivated++
	default:
		h.violation("%s is lost: its outcome is %q, and there is no dead letter", id, outcome)
	}
}

// deadLetter is the reason and code of a request's dead letter; the zero deadLetter means none.
type deadLetter struct {
	reason deactivation.Reason
	code   string
}

// refused reports whether the license was rejected for a refusal that may have concerned the account.
func (d deadLetter) refused() bool {
	return d.reason == deactivation.ReasonRejected &&
		slices.Contains([]string{"http_401", "http_402", "http_403", "not_found", "account_suspended"}, d.code)
}

// validateDeadLetters empties the dead-letter queue, checks the foreign messages and the unmappable events in it, and
// returns the requests' dead letters by request id.
func (h *harness) validateDeadLetters() map[string]deadLetter {
	found := map[string]deadLetter{}
	var foreign int
	events := map[string]bool{}
	for _, m := range h.takeDeadLetters() {
		letter := deadLetter{deactivation.Reason(m.Attributes["reason"]), m.Attributes["code"]}
		q, event, err := deactivation.Parse(m.Body)
		switch {
		case err != nil && letter.reason == deactivation.ReasonInvalid || q.ID == foreignID:
			foreign++
		case err != nil:
			h.violation("a dead letter cannot be parsed: %v", err)
		case event != nil:
			events[m.Attributes["request_id"]] = true
			if letter.reason != deactivation.ReasonUnmappable {
				h.violation("an event is dead-lettered as %q", letter.reason)
			}
		default:
			if letter.reason == "" {
				letter.reason = "exhausted" // moved by SQS, which sets no attributes
			}
			if before, twice := found[q.ID]; twice && before != letter {
				h.violation("two dead letters of %s differ: %+v and %+v", q.ID, before, letter)
			}
			found[q.ID] = letter
		}
	}
	if foreign < foreignMessages {
		h.violation("%d of %d foreign messages are in the dead-letter queue", foreign, foreignMessages)
	}
	if len(events) < len(h.parked) {
		h.violation("%d of %d unmappable events are in the dead-letter queue", len(events), len(h.parked))
	}
	return found
}

// validateLicenses checks that no device without a request is inactive, and returns each license's active devices.
func (h *harness) validateLicenses() []map[string]bool {
	asked := make([]map[string]bool, len(h.scenario.licenses))
	for _, q := range h.scenario.requests {
		for _, i := range q.licenses {
			if asked[i] == nil {
				asked[i] = map[string]bool{}
			}
			asked[i][q.license.HardwareID] = true
		}
	}
	active := make([]map[string]bool, len(h.scenario.licenses))
	for i, l := range h.api.State().Licenses {
		active[i] = map[string]bool{}
		for _, device := range l.Devices {
			active[i][device] = true
		}
		for _, device := range h.scenario.licenses[i].Devices {
			if !active[i][device] && !asked[i][device] {
				h.violation("%s of %s%s is inactive, and no request named it", device, l.LicenseKey, l.Username)
			}
		}
	}
	return active
}
