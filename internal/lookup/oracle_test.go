package lookup_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/licenseapi/licenseapitest"
)

// verdict is the expected result of a world, by the rules of the look-up: the decision of a person who knows all
// licenses.
type verdict struct {
	freed    map[int64]map[string]bool // active devices that must be inactive in the end, by license
	disabled map[int64]bool            // enabled licenses that must be disabled in the end
	touched  map[int64]bool            // licenses that a write may go to
	outcome  deactivation.Outcome
	codes    []string // of a letter: any of these; of another outcome: this one, nil for any
}

// free has the effect of a deactivation: by the License API, which does not change the devices of a disabled license,
// or by a reset.
func (v *verdict) free(l licenseapitest.License, device string, reset bool) {
	v.touched[l.ID] = true
	if l.Enabled != nil && !reset || !slices.Contains(l.Devices, device) {
		return
	}
	if v.freed[l.ID] == nil {
		v.freed[l.ID] = map[string]bool{}
	}
	v.freed[l.ID][device] = true
}

func letter(v *verdict, codes ...string) *verdict {
	v.outcome, v.codes = deactivation.Rejected, codes
	return v
}

// judge works without an API: it checks every row.
func judge(w *world) *verdict {
	r := w.request
	v := &verdict{freed: map[int64]map[string]bool{}, disabled: map[int64]bool{}, touched: map[int64]bool{}}
	named := r.HardwareID != ""
	namedOutcome, namedCode := deactivation.Outcome(""), ""
	if named && !r.Buyer {
		namedOutcome, namedCode = v.callLicenseAPI(w, r.License)
		if !r.Disable {
			return v.end(namedOutcome, namedCode)
		}
	}
	whole := !named || r.Disable && r.Origin != deactivation.OriginDirect

	// Which licenses does the first candidate find that finds any? Ids from the sender come before ids that a buyer can
	// write.
	var rows []licenseapitest.License
	byKey, usable, unconfirmed := false, false, false
	for _, c := range judgedCandidates(r) {
		if unusable(c.value) {
			continue
		}
		usable = true
		hits := slices.DeleteFunc(slices.Clone(w.rows), func(l licenseapitest.License) bool { return c.field(l) != c.value })
		if len(hits) == 0 {
			continue
		}
		if c.key && r.Product != "" {
			hits = slices.DeleteFunc(hits, func(l licenseapitest.License) bool { return l.Product != r.Product })
			if len(hits) == 0 {
				return letter(v, "mismatch")
			}
		}
		if (c.weak || c.buyer) && !allConfirmed(hits, r) {
			if !c.buyer {
				continue
			}
			if !w.released {
				unconfirmed = true
				continue
			}
		}
		rows, byKey = hits, c.key
		break
	}
	switch {
	case len(rows) > 0:
	case unconfirmed:
		return letter(v, "unconfirmed")
	case namedOutcome != "" && (!usable || r.Lookup.None != "" || namedOutcome == deactivation.Rejected):
		return v.end(namedOutcome, namedCode)
	case r.Lookup.None != "":
		v.outcome, v.codes = deactivation.AlreadyInactive, []string{"no_license"}
		return v
	default:
		return letter(v, "no_license")
	}

	// Which of them does the request concern?
	var codes []string
	isNamed := func(l licenseapitest.License) bool {
		return (r.Product == "" || l.Product == r.Product) && (r.LicenseKey != "" && l.LicenseKey == r.LicenseKey || r.Username != "" && l.Username == r.Username)
	}
	switch {
	case !whole && !slices.ContainsFunc(rows, isNamed):
		if !r.Buyer || !w.released {
			return letter(v, "unconfirmed")
		}
		rows = nil
	case slices.ContainsFunc(rows, isNamed) && (!r.Buyer || !whole || r.Scope == deactivation.ScopeItems):
		rows = slices.DeleteFunc(rows, func(l licenseapitest.License) bool { return !isNamed(l) })
	case !byKey && r.Scope == deactivation.ScopeItems:
		refunded, has := map[string]int{}, map[string]int{}
		for _, p := range r.Products {
			refunded[p.Product] += p.Count
		}
		if len(r.Products) > 0 {
			rows = slices.DeleteFunc(rows, func(l licenseapitest.License) bool { return refunded[l.Product] == 0 })
		}
		for _, l := range rows {
			has[l.Product]++
		}
		if !maps.Equal(refunded, has) {
			codes = append(codes, "partial")
		}
		if len(rows) == 0 {
			return letter(v, "partial")
		}
	case !byKey && r.Cause == deactivation.CauseSubscriptionEnded && r.Lookup.Subscription.ID != "":
		// Of the order only what the subscription paid for: by its id, else by the license that the event names.
		paid := slices.DeleteFunc(slices.Clone(rows), func(l licenseapitest.License) bool { return l.Subscription != r.Lookup.Subscription.ID })
		if len(paid) == 0 {
			paid = slices.DeleteFunc(slices.Clone(rows), func(l licenseapitest.License) bool { return !isNamed(l) })
		}
		kinds := map[string]bool{}
		for _, l := range rows {
			kinds[fmt.Sprint(l.Product, l.ProductID, l.Subscription)] = true
		}
		switch {
		case len(paid) > 0:
			rows = paid
		case len(kinds) > 1:
			codes = append(codes, "partial")
		}
	}
	ids := map[string]int64{}
	for _, l := range rows {
		if id, ok := ids[l.Product]; ok && id != l.ProductID {
			return letter(v, "mismatch", "partial")
		}
		ids[l.Product] = l.ProductID
	}

	// Which reviews apply?
	if len(rows) > 10 {
		codes = append(codes, "too_many")
	}
	devices := 0
	left := map[int64][]string{} // late devices that stay active
	for _, l := range rows {
		if l.CreatedAt.After(noon().Add(24 * time.Hour)) {
			codes = append(codes, "newer_than_event")
		}
		if l.Enabled == nil && l.TimeDisabled.After(noon()) {
			codes = append(codes, "given_back")
		}
		for _, device := range l.Devices {
			switch {
			case !whole, v.freed[l.ID][device]: // already deactivated
			case !w.released && l.Activated[device].After(noon().Add(24*time.Hour)):
				left[l.ID] = append(left[l.ID], device)
				if r.Disable && l.Enabled == nil && l.TimeDisabled.IsZero() {
					codes = append(codes, "given_back")
				}
			default:
				devices++
			}
		}
	}
	if devices > 50 {
		codes = append(codes, "too_many")
	}
	if len(codes) > 0 && !w.released {
		return letter(v, codes...)
	}

	// Act.
	v.outcome = deactivation.AlreadyInactive
	if namedOutcome == deactivation.Deactivated {
		v.outcome = deactivation.Deactivated
	}
	if namedOutcome == deactivation.Rejected && !whole {
		v.outcome, v.codes = deactivation.Rejected, []string{namedCode}
	}
	if r.Buyer && !whole {
		outcome, code := v.callLicenseAPI(w, r.License)
		v.end(outcome, code)
	}
	for _, l := range rows {
		for _, device := range l.Devices {
			if whole && !slices.Contains(left[l.ID], device) {
				v.free(l, device, l.Username != "")
			}
		}
		if r.Disable && l.Enabled == nil {
			v.touched[l.ID], v.disabled[l.ID] = true, true
		}
		if (len(v.freed[l.ID]) > 0 || v.disabled[l.ID]) && v.outcome == deactivation.AlreadyInactive {
			v.outcome = deactivation.Deactivated
		}
	}
	return v
}

func (v *verdict) end(outcome deactivation.Outcome, code string) *verdict {
	v.outcome = outcome
	if outcome == deactivation.Rejected {
		v.codes = []string{code}
	}
	return v
}

// callLicenseAPI has the effect and the answer of deactivate_license.
func (v *verdict) callLicenseAPI(w *world, asked deactivation.License) (outcome deactivation.Outcome, code string) {
	product := false
	for _, l := range w.rows {
		product = product || l.Product == asked.Product
		if l.Product != asked.Product || l.LicenseKey != asked.LicenseKey || l.Username != asked.Username {
			continue
		}
		v.free(l, asked.HardwareID, false)
		if v.freed[l.ID][asked.HardwareID] {
			return deactivation.Deactivated, ""
		}
		return deactivation.AlreadyInactive, ""
	}
	if !product {
		return deactivation.Rejected, "unknown_product"
	}
	return deactivation.Rejected, "license_not_found"
}

type judgedCandidate struct {
	value            string
	field            func(licenseapitest.License) string
	key, weak, buyer bool
}

func judgedCandidates(r deactivation.Request) []judgedCandidate {
	var sender, buyer []judgedCandidate
	add := func(c judgedCandidate) {
		switch {
		case c.value == "":
		case c.buyer:
			buyer = append(buyer, c)
		default:
			sender = append(sender, c)
		}
	}
	add(judgedCandidate{r.LicenseKey, func(l licenseapitest.License) string { return l.LicenseKey }, true, false, r.Buyer})
	for _, c := range r.Lookup.Order {
		add(judgedCandidate{c.ID, func(l licenseapitest.License) string { return l.Order }, false, c.Weak, c.Buyer})
	}
	c := r.Lookup.Subscription
	add(judgedCandidate{c.ID, func(l licenseapitest.License) string { return l.Subscription }, false, c.Weak, c.Buyer})
	return append(sender, buyer...)
}

// allConfirmed: the customer's address is the order's, or an id from the sender also finds the license.
func allConfirmed(rows []licenseapitest.License, r deactivation.Request) bool {
	for _, l := range rows {
		ok := l.CustomerEmail != "" && strings.EqualFold(l.CustomerEmail, r.Lookup.Email)
		for _, c := range judgedCandidates(r) {
			ok = ok || !c.weak && !c.buyer && !unusable(c.value) && c.field(l) == c.value
		}
		if !ok {
			return false
		}
	}
	return true
}

// unusable: LicenseSpring itself creates orders of trials, which no store knows.
func unusable(value string) bool {
	return slices.Contains(garbage(), value) || strings.HasPrefix(value, "trial_")
}
