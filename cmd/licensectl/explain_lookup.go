package main

import (
	"fmt"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

// acts says what a request asks for.
func acts(r deactivation.Request) string {
	name := r.LicenseKey
	if name == "" {
		name = r.Username
	}
	switch {
	case r.HardwareID != "":
		text := fmt.Sprintf("deactivate %s of %s on device %s", deactivation.Shorten(name), r.Product, deactivation.Shorten(r.HardwareID))
		if r.Disable {
			text += ", then all its devices, and disable it"
		}
		return text
	case name != "" && r.Disable:
		return "look up " + deactivation.Shorten(name) + ", deactivate all its devices and disable it"
	case name != "":
		return "look up " + deactivation.Shorten(name) + ", and deactivate all its devices"
	}
	of := "the whole order"
	switch {
	case r.Scope == deactivation.ScopeItems:
		of = "the refunded items"
	case r.Cause == deactivation.CauseSubscriptionEnded && r.Lookup.Subscription.ID != "":
		of = "the subscription"
	}
	if r.Disable {
		return "look up the licenses of " + of + ", deactivate all their devices and disable them"
	}
	return "look up the licenses of " + of + ", and deactivate all their devices"
}

// lookUp prints what a request is looked up by, for which part of the order, and its marks.
func (p *page) lookUp(r deactivation.Request) {
	var rows []row
	add := func(name, text, note string) { rows = append(rows, row{"  " + name, text, note}) }
	if r.LicenseKey != "" {
		add("license_key", deactivation.Shorten(r.LicenseKey), buyerNote(r.Buyer))
	}
	for _, c := range r.Lookup.Order {
		add("order", visible(c.ID), candidateNote(c))
	}
	if c := r.Lookup.Subscription; c.ID != "" {
		add("subscription", visible(c.ID), candidateNote(c))
	}
	if at := strings.LastIndex(r.Lookup.Email, "@"); at > 0 {
		add("e-mail", "…"+visible(r.Lookup.Email[at:]), "confirms, and never finds")
	}
	scope := r.Scope
	for i, product := range r.Products {
		scope += map[bool]string{true: ": ", false: ", "}[i == 0] + fmt.Sprintf("%d of %s", product.Count, visible(product.Product))
	}
	note := ""
	if r.Scope == deactivation.ScopeItems && r.Identity() == "" && len(r.Products) == 0 {
		note = "which items is not certain, so the worker keeps what it finds for an operator"
	}
	add("scope", scope, note)
	add("disable", fmt.Sprint(r.Disable), "")
	if r.Lookup.None != "" {
		add("none", r.Lookup.None, "it is a normal result that no license is found")
	}
	p.table(rows)
}

func candidateNote(c deactivation.Candidate) string {
	if c.Weak {
		return "weak: counts only with the customer's e-mail address"
	}
	return buyerNote(c.Buyer)
}

func buyerNote(buyer bool) string {
	if buyer {
		return "buyer: a buyer can write it, so it counts only if it is confirmed"
	}
	return ""
}

// asksFor counts the requests of an event: deactivations of a named device, and look-ups.
func asksFor(e source.ExplainedEvent) string {
	devices, lookUps := 0, 0
	for _, r := range e.Requests {
		if r.HardwareID != "" || r.IsOffline() {
			devices++
		} else {
			lookUps++
		}
	}
	switch {
	case lookUps == 0:
		return count(devices, "deactivation")
	case devices == 0:
		return count(lookUps, "look-up")
	}
	return count(devices, "deactivation") + " and " + count(lookUps, "look-up")
}
