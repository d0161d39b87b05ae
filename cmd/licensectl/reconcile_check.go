package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"license-deactivator/internal/bulk"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/deadline"
	"license-deactivator/internal/lookup"
	"license-deactivator/pkg/managementapi"
)

// States of a row.
const (
	stateActive    = "active"
	stateNoDevice  = "no_device"
	stateDisabled  = "disabled"
	stateNotFound  = "not_found"
	stateReview    = "review"
	stateRejected  = "rejected"
	stateDuplicate = "duplicate"
)

// rowStates lists the states in the order in which the sum has them.
func rowStates() []string {
	return []string{stateActive, stateNoDevice, stateDisabled, stateNotFound, stateReview, stateRejected, stateDuplicate}
}

// codeUserBased is the code of a review: a row of a file cannot name the device of a user's license.
const codeUserBased = "user_based"

// codeOddValue is the code of a review: a cell of a file would be read as something else.
const codeOddValue = "odd_value"

// A look-up that fails by an outage is tried again a few times, with growing waits: half a minute in all.
const (
	lookAttempts   = 4
	firstLookAgain = 5 * time.Second
)

// checkedRow is the result for one row.
type checkedRow struct {
	Event    string         `json:"event"` // row
	Line     int            `json:"line"`
	State    string         `json:"state"`
	By       string         `json:"by,omitempty"` // what it was looked up by, a key shortened
	Devices  int            `json:"devices"`      // active ones, of the licenses that are enabled
	Licenses []foundLicense `json:"licenses,omitempty"`
	Code     string         `json:"code,omitempty"`
	Reason   string         `json:"reason,omitempty"`

	found []bulk.Found
}

// rowChecker looks the licenses of rows up, by the checks of the worker's look-up.
type rowChecker struct {
	finder     *lookup.Lookup
	management lookup.Management
	export     shopExport
	firstRetry time.Duration
}

func newRowChecker(management lookup.Management, export shopExport, firstRetry time.Duration) (*rowChecker, error) {
	finder, err := lookup.New(lookup.Config{})
	return &rowChecker{finder, management, export, cmp.Or(firstRetry, firstLookAgain)}, err
}

// check returns what is left of a row's licenses. An error means that the row was not checked, and that the next one would
// not be, either.
func (c *rowChecker) check(ctx context.Context, row bulk.Row) (checkedRow, error) {
	checked := checkedRow{Event: "row", Line: row.Line}
	if row.Rejected != nil {
		checked.State, checked.Code, checked.Reason = stateRejected, row.Rejected.Code, row.Rejected.Message
		return checked, nil
	}
	if row.Duplicate {
		checked.State = stateDuplicate
		return checked, nil
	}
	request, err := lookUpOf(row.Request, c.export.email(row))
	if problem, ok := errors.AsType[*deactivation.FieldError](err); ok {
		checked.State, checked.Code, checked.Reason = stateRejected, problem.Code, problem.Error()
		return checked, nil
	}
	checked.By = lookedUpBy(request)
	p, err := c.preview(ctx, request)
	if err != nil {
		return checked, err
	}
	checked.judge(p, row.Request.HardwareID)
	switch {
	case p.Acts() && request.LicenseKey != "" && !slices.ContainsFunc(p.Licenses, func(l lookup.Planned) bool { return l.License.Key == request.LicenseKey }):
		checked.hold(lookup.CodeUnconfirmed, "the key is none of the licenses that were found by the order")
		return checked, nil
	case checked.State != stateActive:
		return checked, nil
	case c.export.isPartial(row):
		checked.hold(lookup.CodePartial, "the export says that only a part of the order was refunded")
		return checked, nil
	}
	other, err := c.otherOrder(ctx, request, p)
	if other != "" {
		checked.hold(lookup.CodeMismatch, "the license of the key is none of the row's order "+other+", which has others")
	}
	return checked, err
}

// otherOrder returns the order of a row whose licenses do not include the one of its key; "" for none. A buyer can write
// another's key. An order that LicenseSpring does not know says nothing.
func (c *rowChecker) otherOrder(ctx context.Context, r deactivation.Request, p lookup.Preview) (string, error) {
	if r.LicenseKey == "" || r.Source != bulk.Source || r.Lookup.HasCandidates() {
		return "", nil
	}
	for _, l := range p.Licenses {
		if slices.Contains(r.Order, l.License.Order) {
			return "", nil
		}
	}
	for _, id := range r.Order {
		if managementapi.ByOrder(id).Check() != nil {
			continue
		}
		byOrder := r
		byOrder.License, byOrder.Lookup = deactivation.License{}, deactivation.Lookup{Order: []deactivation.Candidate{{ID: id}}}
		other, err := c.preview(ctx, byOrder)
		if err != nil {
			return "", err
		}
		if wasFound(other.Result) {
			return id, nil
		}
	}
	return "", nil
}

// wasFound reports whether an id has found licenses, also where they do not count.
func wasFound(r lookup.Result) bool {
	return slices.ContainsFunc(r.Report.Tried, func(a lookup.Attempt) bool { return a.Found > 0 })
}

// lookUpOf returns the request that finds the licenses of a row with all their devices. A key finds its license alone: a row
// with a mistyped one must not concern the other licenses of its order. The number of an order exists in other shops, too:
// where the export has the customer's e-mail address, the license's must be the same.
func lookUpOf(r deactivation.Request, email string) (deactivation.Request, error) {
	invalid := func(field, why string) (deactivation.Request, error) {
		return deactivation.Request{}, &deactivation.FieldError{Code: deactivation.CodeInvalidField, Field: field, Why: why}
	}
	if r.Action != "" && r.Action != deactivation.ActionDeactivateLicense {
		return invalid("action", "is not looked up; only "+deactivation.ActionDeactivateLicense+" is")
	}
	r.HardwareID = ""
	switch {
	case r.Lookup.HasCandidates(): // the body of a dead letter
	case r.LicenseKey != "" && managementapi.ByLicenseKey(r.LicenseKey).Check() != nil:
		return invalid("license_key", "is too short, or a placeholder: no license is looked up by it")
	case r.LicenseKey != "":
	case r.Source != bulk.Source: // a letter's order is for the log: the sender's file says by which ids a license is found
		return deactivation.Request{}, &deactivation.FieldError{Code: deactivation.CodeMissingField, Field: "lookup", Why: "is missing in the dead letter: it has no id that a license is looked up by"}
	case len(r.Order) == 0:
		return deactivation.Request{}, &deactivation.FieldError{Code: deactivation.CodeMissingField, Field: "order", Why: "is missing, and so is license_key: there is nothing to look the license up by"}
	default:
		for _, id := range r.Order {
			if managementapi.ByOrder(id).Check() == nil {
				r.Lookup.Order = append(r.Lookup.Order, deactivation.Candidate{ID: id, Weak: email != "" && orderNumber.MatchString(id)})
			}
		}
		r.Lookup.Email = email
		if len(r.Lookup.Order) == 0 {
			return invalid("order", "holds no id that a license is looked up by: each is too short, or a placeholder")
		}
		if r.Product != "" {
			r.Scope, r.Products = deactivation.ScopeItems, []deactivation.Product{{Product: r.Product, Count: 1}}
		}
	}
	return r, r.Validate()
}

// lookedUpBy names the ids for a person.
func lookedUpBy(r deactivation.Request) string {
	switch {
	case r.LicenseKey != "":
		return "key " + deactivation.Shorten(r.LicenseKey)
	case len(r.Lookup.Order) > 0:
		return "order " + r.Lookup.Order[0].ID
	}
	return "subscription " + r.Lookup.Subscription.ID
}

// preview looks a request up. It tries again after an outage.
func (c *rowChecker) preview(ctx context.Context, r deactivation.Request) (lookup.Preview, error) {
	for attempt, wait := 1, c.firstRetry; ; attempt, wait = attempt+1, 2*wait {
		p := c.finder.Preview(ctx, lookup.Job{
			Request: r, Management: c.management,
			Deactivate: func(context.Context, deactivation.License) lookup.Answer { return lookup.Answer{} }, // a preview calls nothing
		})
		result := p.Result
		if result.Outcome != deactivation.Deferred || result.Code == lookup.CodeNoLicense {
			return p, nil
		}
		if err := ctx.Err(); err != nil {
			return p, err
		}
		if result.Fault != "" || attempt == lookAttempts {
			return p, failed(errors.New(result.Detail), lookupHint(result))
		}
		if err := deadline.Sleep(ctx, max(wait, min(result.RetryIn, time.Minute))); err != nil {
			return p, err
		}
	}
}

// judge decides the state. device is the one that the row names, "" for all.
func (r *checkedRow) judge(p lookup.Preview, device string) {
	enabled, late := 0, 0
	for _, l := range p.Licenses {
		r.Licenses = append(r.Licenses, foundOf(l))
		if l.License.Enabled {
			enabled++
		}
	}
	result := p.Result
	switch {
	case result.Code == lookup.CodeNoLicense && wasFound(result):
		r.State, r.Code, r.Reason = stateReview, lookup.CodeUnconfirmed, result.Report.String()
		return
	case result.Code == lookup.CodeNoLicense:
		r.State = stateNotFound
		return
	case !p.Acts():
		r.State, r.Code, r.Reason = stateReview, result.Code, result.Detail
		return
	case enabled == 0:
		r.State = stateDisabled
		return
	}
	for _, l := range p.Licenses {
		if !l.License.Enabled {
			continue
		}
		late += len(l.Late)
		for _, d := range l.Free {
			if device != "" && d.HardwareID != device {
				continue
			}
			r.Devices++
			if l.License.Key == "" {
				r.Code, r.Reason = codeUserBased, "a row cannot name the device of a user's license: licensectl resolve --order frees it"
				continue
			}
			r.found = append(r.found, bulk.Found{Product: l.License.Product.ShortCode, LicenseKey: l.License.Key, HardwareID: d.HardwareID})
		}
	}
	switch {
	case r.Code == codeUserBased:
		r.State, r.found = stateReview, nil
	case slices.ContainsFunc(r.found, func(f bulk.Found) bool { return !f.Fits() }):
		r.hold(codeOddValue, "the id of a device, the key or the product cannot be a cell of a file: licensectl resolve frees it")
	case r.Devices > 0:
		r.State = stateActive
	case late > 0:
		r.State, r.Code, r.Reason = stateReview, lookup.CodeGivenBack, fmt.Sprintf("%s activated more than a day after the refund", were(late, "device"))
	default:
		r.State = stateNoDevice
		if others := devicesToFree(p); others > 0 {
			r.Reason = "the device that the row names is not active; " + are(others, "other device") + " active"
		}
	}
}

// hold leaves the row to a person, whatever was found.
func (r *checkedRow) hold(code, reason string) {
	r.State, r.Code, r.Reason, r.Devices, r.found = stateReview, code, reason, 0, nil
}

// were is "1 device was", "2 devices were".
func were(n int, of string) string {
	if n == 1 {
		return count(n, of) + " was"
	}
	return count(n, of) + " were"
}

// reconciled counts the results.
type reconciled struct {
	rows, checked int
	states        map[string]int
}

func (s *reconciled) add(r checkedRow) {
	s.checked++
	s.states[r.State]++
}
