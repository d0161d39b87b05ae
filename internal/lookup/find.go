package lookup

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/managementapi"
)

// The most records that are read of a list, independent of the caps: a message that a person has released may have
// more.
const (
	readLicenses         = 100 // one page
	readLicensesReleased = 1000
	readDevices          = 200
	readDevicesReleased  = 2000
)

// candidate is one id by which the licenses may be found.
type candidate struct {
	by    managementapi.Filter
	value string
	isKey bool
	weak  bool
	buyer bool
}

// certain reports whether a license that it finds needs no confirmation.
func (c candidate) certain() bool { return !c.weak && !c.buyer }

// shown is the value in the form in which it may be shown.
func (c candidate) shown() string {
	if c.isKey {
		return deactivation.Shorten(c.value)
	}
	return c.value
}

// found is the first candidate with records, and its records.
type found struct {
	candidate
	records []managementapi.License
	whole   bool // records are all that there are
	count   int
}

// candidates are in the order in which they are tried: the key, the orders, the subscription. Ids that a buyer can
// write come after those that the sender made itself.
func (s *saga) candidates() []candidate {
	r := s.request
	var all []candidate
	add := func(c candidate) {
		known := func(other candidate) bool {
			return other.by == c.by && (other.certain() || other.weak == c.weak && other.buyer == c.buyer)
		}
		if c.value != "" && !slices.ContainsFunc(all, known) {
			all = append(all, c)
		}
	}
	add(candidate{by: managementapi.ByLicenseKey(r.LicenseKey), value: r.LicenseKey, isKey: true, buyer: r.Buyer})
	for _, c := range r.Lookup.Order {
		add(candidate{by: managementapi.ByOrder(c.ID), value: c.ID, weak: c.Weak, buyer: c.Buyer})
	}
	c := r.Lookup.Subscription
	add(candidate{by: managementapi.BySubscription(c.ID), value: c.ID, weak: c.Weak, buyer: c.Buyer})
	slices.SortStableFunc(all, func(a, b candidate) int {
		if a.buyer == b.buyer {
			return 0
		}
		if b.buyer {
			return -1
		}
		return 1
	})
	return all
}

// find tries one candidate after another; the first with records that are confirmed wins.
func (s *saga) find(ctx context.Context) (found, *Result) {
	candidates := s.candidates()
	var unconfirmed, refused *Result
	usable, certain := false, false
	for _, c := range candidates {
		if err := c.by.Check(); err != nil {
			s.recordAttempt(c, 0, "no id: the API is not asked for it")
			continue
		}
		usable, certain = true, certain || c.certain()
		f, stop := s.list(ctx, c)
		if stop != nil && stop.Outcome != deactivation.Rejected {
			return found{}, stop
		}
		switch {
		case stop != nil && stop.Code == CodeMismatch:
			return found{}, stop
		case stop != nil: // this value is refused
			s.recordAttempt(c, 0, stop.Detail)
			refused = stop
		case len(f.records) == 0:
			s.recordAttempt(c, 0, "")
		case !c.certain() && !s.confirmed(candidates, f.records):
			s.recordAttempt(c, f.count, s.unconfirmedNote(c))
			if !c.buyer {
				continue // another shop's number
			}
			if unconfirmed = s.reviewed(CodeUnconfirmed, "a buyer can write "+c.by.Name()+" "+strconv.Quote(c.shown())+
				", and neither the e-mail address nor an id of the sender's own confirms what it finds"); unconfirmed == nil {
				return f, nil
			}
		default:
			s.recordAttempt(c, f.count, "")
			s.l.forget(s.request.ID)
			return f, nil
		}
	}
	switch {
	case !usable:
		return found{}, s.nothingToFindBy()
	case unconfirmed != nil && !certain:
		return found{}, unconfirmed
	}
	return found{}, s.notFound(unconfirmed, refused)
}

func (s *saga) recordAttempt(c candidate, count int, note string) {
	s.report.Tried = append(s.report.Tried, Attempt{By: c.by.Name(), Value: c.shown(), Found: count, Note: note})
}

// list queries the API for one candidate and compares every record with it. A Rejected result concerns only this value.
func (s *saga) list(ctx context.Context, c candidate) (found, *Result) {
	if stop := s.trusted(ctx, c.by.Name()); stop != nil {
		return found{}, stop
	}
	most := readLicenses
	if s.job.Released {
		most = readLicensesReleased
	}
	list, err := s.job.Management.Licenses(ctx, c.by, most)
	if err != nil {
		if stop := transient(err); stop != nil {
			return found{}, stop
		}
		if stop := s.probeAgain(ctx, c.by.Name()); stop != nil { // does the API refuse only this value, or every one?
			return found{}, stop
		}
		return found{}, s.rejected(managementapi.CodeOf(err), err.Error())
	}
	for _, l := range list.Records {
		if !c.by.Matches(l) {
			return found{}, s.mismatch(ctx, c.by.Name(),
				fmt.Sprintf("%s %q was asked for, and license %d came back, which has another", c.by.Name(), c.shown(), l.ID))
		}
		if l.Key == "" && !l.UserBased() {
			return found{}, s.mismatch(ctx, c.by.Name(), fmt.Sprintf("license %d has neither a key nor users", l.ID))
		}
	}
	f := found{candidate: c, records: list.Records, whole: list.Whole, count: list.Count}
	if c.isKey && s.request.Product != "" && len(f.records) > 0 {
		f.records = slices.DeleteFunc(slices.Clone(f.records), func(l managementapi.License) bool {
			return l.Product.ShortCode != s.request.Product
		})
		if len(f.records) == 0 {
			return found{}, s.mismatch(ctx, c.by.Name(), fmt.Sprintf("license %d has the key, but is of the product %q, and the request says %q",
				list.Records[0].ID, list.Records[0].Product.ShortCode, s.request.Product))
		}
	}
	return f, nil
}

// mismatch handles a record that does not match the filter: nothing is written, and the filter is probed again.
func (s *saga) mismatch(ctx context.Context, filter, detail string) *Result {
	if stop := s.probeAgain(ctx, filter); stop != nil {
		return stop
	}
	return s.rejected(CodeMismatch, detail)
}

// confirmed reports whether every record is confirmed as the order's by something that the buyer cannot write: the
// customer's e-mail address is the sender's, or the record has an id that the sender made itself and that is not weak.
func (s *saga) confirmed(candidates []candidate, records []managementapi.License) bool {
	return !slices.ContainsFunc(records, func(l managementapi.License) bool {
		return !sameAddress(l.Customer.Email, s.request.Lookup.Email) && !slices.ContainsFunc(candidates, func(c candidate) bool {
			return c.certain() && c.by.Check() == nil && c.by.Matches(l)
		})
	})
}

// sameAddress compares two e-mail addresses without regard to the case of A to Z. An empty one equals no other.
func sameAddress(a, b string) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	return a != "" && len(a) == len(b) && lowered(a) == lowered(b)
}

// lowered changes only ASCII letters: for Unicode some other letters are lower-case forms of ASCII ones, but for a
// server they are another mailbox.
func lowered(address string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, address)
}

func (s *saga) unconfirmedNote(c candidate) string {
	why := "another e-mail address than the order's"
	if s.request.Lookup.Email == "" {
		why = "the order's e-mail address is not known"
	}
	if c.buyer {
		return "not confirmed, and a buyer can write the id: " + why
	}
	return "not confirmed, and the number is weak: " + why
}
