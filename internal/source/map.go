package source

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/expression"
)

// ruleTestEvent is the name of the "rule" that ignores an event of the sender's test mode.
const ruleTestEvent = "test event"

// maxDeliveryRequests bounds the requests of all events of one delivery together: fifty for each of the hundred events
// that senders document, and 500 batches, which the queue accepts within its time. Without it a body of short keys
// becomes 50,000 requests and half a gigabyte.
const maxDeliveryRequests = 5000

// ErrNotRequired is an error of Map and Explain: verify.require is not true for this delivery.
var ErrNotRequired = errors.New("verify.require is not true for this delivery")

// Options say how a delivery is mapped. The zero value ignores test events and looks nothing up.
type Options struct {
	AcceptTests bool // events of the sender's test mode are treated as real ones
	// LookUp makes requests of events that do not name their license or its device, if they hold ids by which the worker
	// can look it up, and requests that disable licenses. Without it such events are unmappable.
	LookUp bool
}

// Mapping is the result for one event of a delivery, and the reason.
type Mapping struct {
	Event    string // the sender's event id, or the body's SHA-256
	Type     string // of the event, for a dialect whose answer names it (AppSumo); else ""
	Answer   deactivation.Answer
	Rule     string                 // that matched; "" for none
	Values   string                 // on which that rule matched, in one line without keys; "" for none
	Order    []string               // the ids by which the order can be found, with every answer
	Requests []deactivation.Request // none unless accepted
	Missing  []string               // unmappable: the fields by name
	Problem  string                 // unmappable for another reason, or why a rule with a cause ignores the event
	Code     string                 // unmappable: deactivation.CodeReview, CodeUnknownShape or CodeUnreadable; else ""
}

// EventID is Event in the form of messages and logs: of bounded length and plain characters.
func (m Mapping) EventID() string { return shortID(m.Event) }

// Map reads a verified delivery and maps each of its events, in their order. A body, or an event in it, that cannot be
// read also has a mapping: unmappable. The error is ErrNotRequired.
func (s *Source) Map(v Verified, o Options) ([]Mapping, error) {
	return s.mapEach(v, o, func(int, facts) *trace { return nil })
}

// mapEach is Map with a trace for each event that can be read, by its index.
func (s *Source) mapEach(v Verified, o Options, newTrace func(int, facts) *trace) ([]Mapping, error) {
	bodyHash := sync.OnceValue(func() string { // one pass over the body for all events without an id
		sum := sha256.Sum256(s.bodyToKeep(v.Body))
		return hex.EncodeToString(sum[:])
	})
	whole, events, err := s.event.read(v)
	if err != nil {
		return []Mapping{unreadable(bodyHash(), err)}, nil
	}
	if err := s.checkRequired(v, whole); err != nil {
		return nil, err
	}
	mappings := make([]Mapping, len(events))
	requests := 0
	for i, event := range events {
		f := facts{Tree: event, headers: v.Header, scheme: v.signing(), large: len(v.Body) > maxValuesBody}
		if _, ok := event.Exact.(map[string]any); !ok {
			mappings[i] = unreadable(s.event.hashID(i, bodyHash), errNoObject)
			continue
		}
		f.trace = newTrace(i, f)
		m := s.mapEvent(f, i, bodyHash, v.ReceivedAt, o)
		if requests += len(m.Requests); requests > maxDeliveryRequests && len(m.Requests) > 0 {
			m.Answer, m.Requests = deactivation.Unmappable, nil
			m.Problem = fmt.Sprintf("its delivery needs more than %d deactivations", maxDeliveryRequests)
		}
		mappings[i] = m
	}
	return mappings, nil
}

// unreadable is the mapping of a body, or of one of its events, that cannot be read.
func unreadable(event string, err error) Mapping {
	return Mapping{Event: event, Answer: deactivation.Unmappable, Code: deactivation.CodeUnreadable, Problem: err.Error()}
}

func (s *Source) checkRequired(v Verified, whole expression.Tree) error {
	if len(s.verification.require) == 0 {
		return nil
	}
	f := facts{Tree: whole, headers: v.Header, scheme: v.signing()}
	if holds, err := s.verification.require.holds(f); err != nil || !holds {
		return ErrNotRequired
	}
	return nil
}

func (s *Source) mapEvent(f facts, index int, bodyHash func() string, receivedAt time.Time, o Options) Mapping {
	id, err := s.event.idOf(f, index, bodyHash)
	m := Mapping{Event: id, Answer: deactivation.Unmappable, Order: s.lookup.orderIDs(f)}
	if err != nil {
		m.Problem = "event id: " + err.Error()
		return m
	}
	if s.Dialect == AppSumo {
		m.Type, _ = s.event.kind.find(f) // applyRules reports its error
	}
	test, err := s.event.test.holds(f)
	if err != nil {
		m.Problem = "test mode: " + err.Error()
		return m
	}
	f.trace.endTestMode(test)
	if test && !o.AcceptTests {
		m.Answer, m.Rule = deactivation.Ignored, ruleTestEvent
		return m
	}
	s.applyRules(&m, f, receivedAt, o.LookUp)
	return m
}

// Problems of an event on which a person decides.
const (
	problemReview       = "for review"
	problemBuyer        = problemReview + ": nobody paid for the order, and a buyer can write the place that names the license"
	problemUnknownShape = "no rule knows its shape, and nothing signed says what it is"
)

// problemOtherGoods is why an event is ignored that a rule with a cause matches.
const problemOtherGoods = "it names no license, and lookup.when says that it is not about licensed goods"

// applyRules applies the first rule that matches. A rule for lines refunded in full matches only if there is such a
// line with its own license. An event that no rule matches is ignored if a signed type says what it is.
func (s *Source) applyRules(m *Mapping, f facts, receivedAt time.Time, lookUp bool) {
	typedBy, eventType, err := s.event.kind.first(f)
	if err != nil {
		m.Problem = "event type: " + err.Error()
		return
	}
	for i := range s.rules {
		r := &s.rules[i]
		result, err := r.match(eventType, f)
		var needs []need
		var problem *unmappable
		if result == Matched && r.deactivates() {
			if needs, problem = s.needsOf(r, f, lookUp); problem == nil && len(needs) == 0 {
				result = NoRefundedLine
			}
		}
		f.trace.endRule(r.explain(result))
		if result != Matched && result != ConditionError {
			continue
		}
		m.Rule, m.Values = r.name, s.valuesOf(r, eventType, f)
		if r.lookup.order != nil {
			m.Order = r.lookup.orderIDs(f)
		}
		switch {
		case err != nil:
			m.Problem = err.Error()
		case r.ignore:
			m.Answer = deactivation.Ignored
		case r.reversal:
			m.Answer = deactivation.Reversed
		case r.review:
			m.Code, m.Problem = deactivation.CodeReview, problemReview
		case problem != nil:
			m.setProblem(problem)
		default:
			m.setRequests(s.requests(m, r.cause, f, receivedAt, needs))
		}
		return
	}
	if eventType != "" && s.event.kind[typedBy].trusted() {
		m.Answer = deactivation.Ignored
		return
	}
	m.Code, m.Problem = deactivation.CodeUnknownShape, problemUnknownShape
}

// needsOf returns what an event needs by a rule with a cause that matches it.
func (s *Source) needsOf(r *rule, f facts, lookUp bool) ([]need, *unmappable) {
	found, problem := s.licenses.find(f, r.refunded)
	if problem != nil || !lookUp {
		if problem != nil {
			return nil, problem
		}
		return namedNeeds(found)
	}
	l := s.lookup.overriddenBy(r.lookup)
	meant, err := l.isMeant(f)
	switch {
	case err != nil:
		return nil, &unmappable{problem: "lookup.when: " + err.Error()}
	case meant:
		u := lookedUp{rule: r, by: l.read(f), found: found}
		return u.needsOf()
	case !r.refunded && !slices.ContainsFunc(found.licenses, func(license foundLicense) bool { return license.Identity() != "" }):
		return nil, &unmappable{ignored: true, problem: problemOtherGoods}
	}
	return namedNeeds(found)
}

func (m *Mapping) setProblem(u *unmappable) {
	if u.ignored {
		m.Answer, m.Problem = deactivation.Ignored, u.problem
		return
	}
	m.Missing, m.Problem = u.missing, u.problem
	if u.review {
		m.Code, m.Problem = deactivation.CodeReview, problemReview+": "+u.problem
	}
}

// setRequests accepts the event. It is unmappable if a request is not one that the worker can read, and a review if nobody
// paid for the order and a buyer may have written its license.
func (m *Mapping) setRequests(requests []deactivation.Request) {
	for _, r := range requests {
		if err := r.Validate(); err != nil {
			m.Problem = err.Error()
			return
		}
	}
	if slices.ContainsFunc(requests, func(r deactivation.Request) bool { return r.Buyer && r.Cause == deactivation.CauseOrderCancelled }) {
		m.Code, m.Problem = deactivation.CodeReview, problemBuyer
		return
	}
	m.Answer, m.Requests = deactivation.Accepted, requests
}

// requests makes a request from each need.
func (s *Source) requests(m *Mapping, cause string, f facts, receivedAt time.Time, needs []need) []deactivation.Request {
	id, eventID, occurredAt := requestIDs(s.Name, m.Event), m.EventID(), s.event.occurredAt(f)
	requests := make([]deactivation.Request, len(needs))
	for i, n := range needs {
		requests[i] = deactivation.Request{
			ID: id(i), Source: s.Name, Origin: deactivation.OriginEvent, Cause: cause, Rule: m.Rule, Event: eventID,
			Order: m.Order, OccurredAt: occurredAt, ReceivedAt: receivedAt,
			Lookup: n.lookup, Scope: n.scope, Products: n.products, Disable: n.disable, License: n.License, Buyer: n.buyer,
		}
	}
	return requests
}
