package deadletter

import (
	"cmp"
	"fmt"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// describeLetter says what a letter is, by its attributes.
func describeLetter(l *Letter) string {
	text := string(l.Reason)
	if l.Code != "" {
		text += ", " + l.Code
	}
	if l.Detail != "" {
		text += ": " + l.Detail
	}
	return text
}

// describeMapping says what becomes of one event.
func describeMapping(m source.Mapping, several bool) string {
	text := string(m.Answer)
	if m.Rule != "" {
		text += fmt.Sprintf(" by the rule %q", m.Rule)
	}
	switch {
	case m.Answer == deactivation.Accepted && len(m.Requests) == 1:
		text += ", 1 request"
	case m.Answer == deactivation.Accepted:
		text += fmt.Sprintf(", %d requests", len(m.Requests))
	case len(m.Missing) > 0:
		text += ": missing " + strings.Join(m.Missing, ", ")
	case m.Problem != "":
		text += ": " + m.Problem
	}
	if several {
		return m.EventID() + " " + text
	}
	return text
}

// DescribeRequest says what a request does, without a key.
func DescribeRequest(r deactivation.Request) string {
	text := fmt.Sprintf("%s: deactivate %s", r.ID, describeLicense(r))
	if r.HardwareID != "" {
		text += " on device " + deactivation.Shorten(r.HardwareID)
	} else {
		text += " on every device"
	}
	if r.Disable {
		text += " and disable it"
	}
	return text + ", cause " + r.Cause
}

// describeLicense names what a request acts on: a license, or with look-up every license that is found.
func describeLicense(r deactivation.Request) string {
	of := " of " + cmp.Or(r.Product, "-")
	switch {
	case r.LicenseKey != "":
		return "license " + deactivation.Shorten(r.LicenseKey) + of
	case r.Username != "":
		return "user " + deactivation.Shorten(r.Username) + of
	case len(r.Lookup.Order) > 0:
		return "every license of the order " + r.Lookup.Order[0].ID
	case r.Lookup.Subscription.ID != "":
		return "every license of the subscription " + r.Lookup.Subscription.ID
	}
	return "a license" + of // by an account's code and a token
}
