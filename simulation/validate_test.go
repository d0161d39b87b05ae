package simulation

import (
	"fmt"
	"slices"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/lookup"
)

// validate compares the history with the model.
func (h *harness) validate() {
	h.seeds, h.messages = 1, len(h.scenario.requests)
	if h.scenario.hasOutageDay() {
		h.outageDays = 1
	}
	h.managementLimited = h.managementReached - h.managementServed
	if h.managementLimited > h.managementConnectionsLost {
		h.violation("the Management API's limits refused %d calls, and only %d were repeats by the transport", h.managementLimited, h.managementConnectionsLost)
	}
	h.limited = h.reached - h.served
	if h.limited > h.connectionsLost && len(h.scenario.skews) == 0 { // a clock that jumps keeps a window full
		h.violation("the API's limits refused %d calls, and only %d were repeats by the transport", h.limited, h.connectionsLost)
	}
	if n := h.delayed.Load(); n > 0 {
		h.violation("%d delayed sends never became visible", n)
	}
	letters := h.validateDeadLetters()
	state := h.validateLicenses()
	h.validateWrites()
	accepted := map[*request]bool{}
	for id, q := range h.accepted {
		accepted[q] = true
		h.validateRequest(id, q, letters[id], state)
	}
	for _, q := range h.scenario.requests {
		if q.lookUp != nil && !accepted[q] && !q.lookUp.mayEnd {
			h.violation("the look-up of %s was never accepted", q.lookUp.asked.Lookup.Order[0].ID)
		}
	}
}

// validateRequest checks that an accepted request has its expected result.
func (h *harness) validateRequest(id string, q *request, letter deadLetter, state []licenseState) {
	outcome := h.outcomes[id]
	left := q.leftOver(state)
	switch {
	case q.expectation == rejected && letter == deadLetter{deactivation.ReasonRejected, q.code}:
		h.deadLettered++
	case q.findsNothing() && h.scenario.killChance > 0 && letter == deadLetter{deactivation.ReasonExhausted, lookup.CodeNoLicense}:
		h.deadLettered++ // each kill forgets the first look, after which a second one ends the message
	case q.expectation == rejected:
		h.violation("%s is not in the dead-letter queue as %s: its outcome is %q, its dead letter %+v", id, q.code, outcome, letter)
	case letter.refused() && h.refusedTwice(q):
		// Refused in two spans, with successes of others between them: for the worker that concerns this license.
		h.deadLettered++
	case letter != deadLetter{}:
		h.violation("%s is dead-lettered without cause: %+v", id, letter)
	case left != "":
		h.violation("%s is lost: %s, its outcome is %q, and there is no dead letter", id, left, outcome)
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
			if before, twice := found[q.ID]; twice && before != letter && (before.code != lookup.CodeNoLicense || letter.code != lookup.CodeNoLicense) {
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

// licenseState is the state of a license at the end.
type licenseState struct {
	active  map[string]bool
	enabled bool
}

// leftOver says what a request has not reached; "" for nothing.
func (q *request) leftOver(state []licenseState) string {
	for _, i := range q.licenses {
		if state[i].active[q.license.HardwareID] {
			return "its device is active"
		}
	}
	if q.lookUp == nil {
		return ""
	}
	for _, t := range q.lookUp.targets {
		for _, device := range t.devices {
			if state[t.license].active[device] {
				return fmt.Sprintf("the device %s of license %d is active", device, t.license+1)
			}
		}
		if t.disable && state[t.license].enabled {
			return fmt.Sprintf("license %d is enabled", t.license+1)
		}
	}
	return ""
}

// findsNothing reports whether a look-up has no license.
func (q *request) findsNothing() bool {
	return q.code == lookup.CodeNoLicense || q.lookUp != nil && q.lookUp.asked.Lookup.None == deactivation.NoneIgnore
}

// refusedTwice reports whether a license of a request was refused in two spans.
func (h *harness) refusedTwice(q *request) bool {
	if q.lookUp == nil {
		return len(h.refusals[q.license.LicenseKey+q.license.Username]) > 1
	}
	return slices.ContainsFunc(q.identities(&h.scenario), func(name string) bool { return len(h.refusals[name]) > 1 })
}

// validateLicenses checks that no device without a request is inactive and that no license is disabled without one, and
// returns each license's state.
func (h *harness) validateLicenses() []licenseState {
	s := &h.scenario
	asked, disabled := make([]map[string]bool, len(s.licenses)), make([]bool, len(s.licenses))
	ask := func(license int, device string) {
		if asked[license] == nil {
			asked[license] = map[string]bool{}
		}
		asked[license][device] = true
	}
	for _, q := range s.requests {
		for _, i := range q.licenses {
			ask(i, q.license.HardwareID)
		}
		if q.lookUp == nil {
			continue
		}
		for _, t := range q.lookUp.targets {
			disabled[t.license] = t.disable
			for _, device := range t.devices {
				ask(t.license, device)
			}
		}
	}
	state := make([]licenseState, len(s.licenses))
	for _, l := range h.api.State().Licenses {
		i := int(l.ID - 1)
		state[i] = licenseState{active: map[string]bool{}, enabled: l.Enabled == nil || *l.Enabled}
		for _, device := range l.Devices {
			state[i].active[device] = true
		}
		was := s.licenses[i]
		for _, device := range was.Devices {
			if !state[i].active[device] && !asked[i][device] {
				h.violation("%s of %s%s is inactive, and no request named it", device, l.LicenseKey, l.Username)
			}
		}
		if !state[i].enabled && was.Enabled == nil && !disabled[i] {
			h.violation("%s%s is disabled, and no request says so", l.LicenseKey, l.Username)
		}
	}
	return state
}

// validateWrites checks that every write, also one without an effect, went to a license and a device that a request is
// about.
func (h *harness) validateWrites() {
	s := &h.scenario
	type write struct {
		license string
		device  string // "": the license is disabled
	}
	allowed := map[write]bool{}
	for _, q := range s.requests {
		if q.lookUp == nil {
			allowed[write{q.license.LicenseKey + q.license.Username, q.license.HardwareID}] = true
			continue
		}
		h.lookUps++
		for _, t := range q.lookUp.targets {
			name := s.licenses[t.license].LicenseKey + s.licenses[t.license].Username
			for _, device := range t.devices {
				allowed[write{name, device}] = true
			}
			if t.disable {
				allowed[write{name, ""}] = true
			}
		}
	}
	for _, w := range h.api.Ledger() {
		l := s.licenses[w.License-1]
		if !allowed[write{l.LicenseKey + l.Username, w.Device}] {
			h.violation("a write to license %d (%s%s), %s of device %q: no request is about it", w.License, l.LicenseKey, l.Username, w.Act, w.Device)
		}
	}
}
