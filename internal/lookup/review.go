package lookup

import (
	"fmt"
	"slices"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// tolerance is how much later than the event a license may be created, or a device activated, and still belong to the
// event: clocks differ, and a fulfilment may be late.
const tolerance = 24 * time.Hour

// target is one license on which the look-up acts.
type target struct {
	managementapi.License
	free    []managementapi.Device // devices to deactivate
	late    []managementapi.Device // active devices that are left alone
	disable bool
	waits   bool // the API refuses it for now
	report  int  // index into Report.Licenses
}

// review selects the licenses of the request and checks whether acting on them is safe.
func (s *saga) review(f found) ([]*target, *Result) {
	licenses, stop := s.selectLicenses(f)
	for _, l := range licenses {
		s.report.Licenses = append(s.report.Licenses, LicenseReport{
			ID: l.ID, Product: l.Product.ShortCode, License: deactivation.Shorten(l.Key), Hash: deactivation.HashLicense(l.Key),
			WasEnabled: l.Enabled, Disable: s.request.Disable && l.Enabled,
		})
		s.targets = append(s.targets, &target{License: l, disable: s.request.Disable && l.Enabled, report: len(s.targets)})
	}
	if stop != nil {
		return nil, stop
	}
	for _, check := range []func(found, []managementapi.License) *Result{s.checkProducts, s.checkCount, s.checkTimes} {
		if stop := check(f, licenses); stop != nil {
			return nil, stop
		}
	}
	return s.targets, nil
}

// selectLicenses returns the licenses of the request: the one that it names, the whole order's, or those of the
// refunded items.
func (s *saga) selectLicenses(f found) ([]managementapi.License, *Result) {
	named := slices.DeleteFunc(slices.Clone(f.records), func(l managementapi.License) bool { return !s.isNamed(l) })
	switch {
	case !s.wholeLicense() && len(named) == 0 && s.request.Buyer && s.job.Released:
		return nil, nil // only the named device, as a person has decided
	case !s.wholeLicense() && len(named) == 0:
		return nil, s.rejected(CodeUnconfirmed, "the license that the request names is none of those that were found")
	case len(named) > 0 && (!s.request.Buyer || s.request.Scope == deactivation.ScopeItems || !s.wholeLicense()):
		return named, nil // not for a whole order with a key that a buyer wrote: the buyer must not exempt the other licenses
	case f.isKey || s.request.Scope != deactivation.ScopeItems && s.request.Cause != deactivation.CauseSubscriptionEnded:
		return f.records, nil
	case s.request.Scope != deactivation.ScopeItems:
		return s.selectSubscription(f, named)
	}
	return s.selectItems(f)
}

// selectSubscription returns the licenses of a subscription that ended. The order that it began with may hold other
// licenses, which are still paid for. Without the subscription's id in LicenseSpring it is certain which are the
// subscription's only if the licenses do not differ, or the event names one of them.
func (s *saga) selectSubscription(f found, named []managementapi.License) ([]managementapi.License, *Result) {
	ended := s.request.Lookup.Subscription.ID
	if ended == "" {
		return f.records, nil // the sender says that the order has ended
	}
	own := slices.DeleteFunc(slices.Clone(f.records), func(l managementapi.License) bool { return l.Subscription != ended })
	first := f.records[0]
	differ := slices.ContainsFunc(f.records, func(l managementapi.License) bool {
		return l.Product.ID != first.Product.ID || l.Product.ShortCode != first.Product.ShortCode || l.Subscription != first.Subscription
	})
	switch {
	case len(own) > 0:
		return own, nil
	case len(named) > 0:
		return named, nil
	case differ:
		return f.records, s.reviewed(CodePartial, fmt.Sprintf("the subscription %q ended, and which of the order's %s are the subscription's "+
			"is not known: none has its id; to release this acts on all of them", ended, count(f.count, "license")))
	}
	return f.records, nil
}

// isNamed reports whether the request names the license itself.
func (s *saga) isNamed(l managementapi.License) bool {
	r := s.request
	if r.Product != "" && l.Product.ShortCode != r.Product {
		return false
	}
	return r.LicenseKey != "" && l.Key == r.LicenseKey || r.Username != "" && slices.Contains(l.Users, r.Username)
}

// selectItems returns the licenses of refunded items. They are certain only if the number of refunded items of a
// product equals the number of its licenses.
func (s *saga) selectItems(f found) ([]managementapi.License, *Result) {
	counts := map[string]int{}
	for _, p := range s.request.Products {
		counts[p.Product] += p.Count
	}
	var licenses []managementapi.License
	for _, l := range f.records {
		if counts[l.Product.ShortCode] > 0 || s.job.Released && len(counts) == 0 {
			licenses = append(licenses, l)
		}
	}
	if len(counts) == 0 {
		return licenses, s.reviewed(CodePartial,
			fmt.Sprintf("part of the order was refunded, and the request does not say which; the order has %s", count(f.count, "license")))
	}
	for _, p := range s.request.Products {
		n := 0
		for _, l := range licenses {
			if l.Product.ShortCode == p.Product {
				n++
			}
		}
		if n != counts[p.Product] {
			if stop := s.reviewed(CodePartial, fmt.Sprintf("%d of the product %q were refunded, and the order has %s of it; "+
				"to release this acts on all of them", counts[p.Product], p.Product, count(n, "license"))); stop != nil {
				return licenses, stop
			}
		}
	}
	if len(licenses) == 0 {
		return nil, s.rejected(CodePartial, "the order has no license of a refunded product")
	}
	return licenses, nil
}

// checkProducts refuses two products with one short code: codes can be used again, ids cannot.
func (s *saga) checkProducts(_ found, licenses []managementapi.License) *Result {
	ids := map[string]int64{}
	for _, l := range licenses {
		if id, other := ids[l.Product.ShortCode]; other && id != l.Product.ID {
			return s.rejected(CodeMismatch, fmt.Sprintf("two products have the code %q: %d and %d", l.Product.ShortCode, id, l.Product.ID))
		}
		ids[l.Product.ShortCode] = l.Product.ID
	}
	return nil
}

func (s *saga) checkCount(f found, licenses []managementapi.License) *Result {
	if !f.whole {
		return s.rejected(CodeTooMany, fmt.Sprintf("%d licenses were found, more than are read", f.count))
	}
	if s.job.Released && len(licenses) > s.l.cfg.MaxReleased {
		return s.rejected(CodeTooMany, fmt.Sprintf("%d licenses were found, more than the %d that one message can act on in time; "+
			"licensectl resolve sends a message for each license", len(licenses), s.l.cfg.MaxReleased))
	}
	if len(licenses) > s.l.cfg.MaxLicenses {
		return s.reviewed(CodeTooMany, fmt.Sprintf("%d licenses were found, more than %d", len(licenses), s.l.cfg.MaxLicenses))
	}
	return nil
}

// checkTimes refuses licenses that were created or given back after the event.
func (s *saga) checkTimes(_ found, licenses []managementapi.License) *Result {
	event := s.eventTime()
	if event.IsZero() {
		return nil
	}
	for _, l := range licenses {
		if l.CreatedAt.After(event.Add(tolerance)) {
			if stop := s.reviewed(CodeNewerThanEvent, fmt.Sprintf("license %d was made at %s, more than a day after the event of %s",
				l.ID, rfc3339(l.CreatedAt), rfc3339(event))); stop != nil {
				return stop
			}
		}
	}
	for _, l := range licenses {
		if l.Enabled && l.TimeDisabled.After(event) {
			if stop := s.reviewed(CodeGivenBack, fmt.Sprintf("license %d was disabled at %s, after the event of %s, "+
				"and is enabled: somebody gave it back", l.ID, rfc3339(l.TimeDisabled), rfc3339(event))); stop != nil {
				return stop
			}
		}
	}
	return nil
}

func rfc3339(t time.Time) string { return t.UTC().Format(time.RFC3339) }
