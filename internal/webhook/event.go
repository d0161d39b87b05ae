package webhook

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
)

// ruleTestEvent is the "rule" that ignores an event of the sender's test mode.
const ruleTestEvent = "test event"

// maxOrders bounds the ids under which an order is remembered in a message.
const maxOrders = 10

// maxDeliveryRequests bounds what all events of one delivery may ask for together: fifty for each of the hundred events
// that senders document, and 500 batches, which the queue takes within the time that it is given. Without it a body of
// short keys asks for 50,000 and becomes half a gigabyte.
const maxDeliveryRequests = 5000

// Verified is a delivery that passed one of its source's schemes.
type Verified struct {
	signing.Delivery
	ReceivedAt time.Time
	scheme     *signing.Scheme
	bodyHash   func() string // in hex; one pass over the body for all events that have no id of their own
}

// Mapping is what one event of a delivery becomes, and why.
type Mapping struct {
	Event    string // the sender's event id
	Answer   deactivation.Answer
	Rule     string // that decided; "" where none matched
	Requests []deactivation.Request
	Missing  []string // unmappable: the fields by name
	Problem  string   // unmappable for another cause
}

// errNotRequired: the delivery verifies, but it is not one that the source's file asks for.
var errNotRequired = errors.New("the delivery is not from whom the source's file requires")

// Map reads a verified delivery and says what becomes of each of its events. acceptTests takes events of the sender's
// test mode as real ones. An error means that the body cannot be read (400), or that the source requires something
// that it does not have (errNotRequired, 401).
func (s *Source) Map(v Verified, acceptTests bool) ([]Mapping, error) {
	return s.mapTraced(v, acceptTests, nil)
}

// mapTraced is Map for somebody who asks why: trace, unless it is nil, makes the trace of each event.
func (s *Source) mapTraced(v Verified, acceptTests bool, trace func(facts) *trace) ([]Mapping, error) {
	whole, records, err := s.readBody(v.Body)
	if err != nil {
		return nil, err
	}
	if err := s.checkRequired(v, whole); err != nil {
		return nil, err
	}
	v.bodyHash = sync.OnceValue(func() string {
		sum := sha256.Sum256(v.Body)
		return hex.EncodeToString(sum[:])
	})
	mappings := make([]Mapping, len(records))
	requests := 0
	for i, r := range records {
		f := facts{exact: r.exact, normalised: r.normalised, headers: v.Header, scheme: v.scheme}
		if trace != nil {
			f.trace = trace(f)
		}
		m := s.mapEvent(f, v, i, acceptTests)
		if requests += len(m.Requests); requests > maxDeliveryRequests && len(m.Requests) > 0 {
			m.Answer, m.Requests = deactivation.Unmappable, nil
			m.Problem = fmt.Sprintf("its delivery asks for more than %d deactivations", maxDeliveryRequests)
		}
		mappings[i] = m
	}
	return mappings, nil
}

func (s *Source) checkRequired(v Verified, whole record) error {
	if len(s.require) == 0 {
		return nil
	}
	f := facts{exact: whole.exact, normalised: whole.normalised, headers: v.Header, scheme: v.scheme}
	if holds, err := s.require.holds(f); err != nil || !holds {
		return errNotRequired
	}
	return nil
}

func (s *Source) mapEvent(f facts, v Verified, place int, acceptTests bool) Mapping {
	id, err := s.eventID(f, v, place)
	m := Mapping{Event: id, Answer: deactivation.Unmappable}
	if err != nil {
		m.Problem = "event id: " + err.Error()
		return m
	}
	test, err := s.event.test.holds(f)
	if err != nil {
		m.Problem = "test mode: " + err.Error()
		return m
	}
	f.trace.testMode(test)
	if test && !acceptTests {
		m.Answer, m.Rule = deactivation.Ignored, ruleTestEvent
		return m
	}
	s.decide(&m, f, v.ReceivedAt)
	return m
}

// decide applies the first rule that matches. A rule for lines refunded in full matches only where there is such a
// line with a license of its own.
func (s *Source) decide(m *Mapping, f facts, receivedAt time.Time) {
	kind, err := s.event.kind.find(f)
	if err != nil {
		m.Problem = "event type: " + err.Error()
		return
	}
	for i := range s.rules {
		r := &s.rules[i]
		verdict, err := r.judge(kind, f)
		var licenses []deactivation.License
		var problem *unmappable
		if verdict == Decides && !r.ignore {
			if licenses, problem = s.licenses(f, r.refunded); problem == nil && len(licenses) == 0 {
				verdict = NoSuchLine
			}
		}
		f.trace.rule(r, verdict)
		switch {
		case err != nil:
			m.Rule, m.Problem = r.name, err.Error()
		case verdict != Decides:
			continue
		case r.ignore:
			m.Rule, m.Answer = r.name, deactivation.Ignored
		case problem != nil:
			m.Rule, m.Missing, m.Problem = r.name, problem.missing, problem.problem
		default:
			m.Rule, m.Answer = r.name, deactivation.Accepted
			m.Requests = s.requests(m.Event, r, f, receivedAt, licenses)
		}
		return
	}
	m.Answer = deactivation.Ignored
}

// Verdict says why a rule decides about an event, or why it does not.
type Verdict string

// The verdicts on a rule.
const (
	Off        Verdict = "off"          // it is switched off in its file
	OtherType  Verdict = "other type"   // it is for events of another type
	DoesNot    Verdict = "does not"     // its condition does not hold
	Fails      Verdict = "fails"        // its condition is neither true nor false: the event is unmappable
	NoSuchLine Verdict = "no such line" // no line with a license of its own was refunded in full
	Decides    Verdict = "decides"
)

// judge says whether the rule matches, as far as its own fields say. The error is that of the verdict Fails.
func (r *rule) judge(kind string, f facts) (Verdict, error) {
	switch {
	case !r.enabled:
		return Off, nil
	case len(r.kinds) > 0 && !slices.Contains(r.kinds, kind):
		return OtherType, nil
	case len(r.when) == 0:
		return Decides, nil
	}
	switch holds, err := r.when.holds(f); {
	case err != nil:
		return Fails, err
	case !holds:
		return DoesNot, nil
	}
	return Decides, nil
}

// requests gives each license its request.
func (s *Source) requests(event string, r *rule, f facts, receivedAt time.Time, licenses []deactivation.License) []deactivation.Request {
	order, occurredAt := s.order(r, f), s.occurredAt(f)
	requests := make([]deactivation.Request, len(licenses))
	for n, license := range licenses {
		requests[n] = deactivation.Request{
			ID: requestID(s.Name, event, n), Source: s.Name, Cause: r.cause, Rule: r.name, Event: shortID(event),
			Order: order, OccurredAt: occurredAt, ReceivedAt: receivedAt, License: license,
		}
	}
	return requests
}

// order lists what the order can be found by, for people and for logs. What is no id is left out: it is not what
// decides about a license.
func (s *Source) order(r *rule, f facts) []string {
	var order []string
	for _, candidate := range s.lookupOf(r).order {
		id, err := candidate.find(f)
		if err != nil || id == "" || deactivation.CheckText("order", id) != nil {
			continue
		}
		if order = appendNew(order, []string{id}); len(order) == maxOrders {
			break
		}
	}
	return order
}

// lookupOf is the file's look-up, with the rule's in place of it key by key.
func (s *Source) lookupOf(r *rule) lookup {
	of := s.lookup
	if r.lookup.order != nil {
		of.order = r.lookup.order
	}
	if r.lookup.subscription != nil {
		of.subscription = r.lookup.subscription
	}
	if r.lookup.email != nil {
		of.email = r.lookup.email
	}
	return of
}

// eventID is the sender's own event id; where there is none, the SHA-256 of the body with the record's place.
func (s *Source) eventID(f facts, v Verified, place int) (string, error) {
	id, err := s.event.id.find(f)
	if err == nil && id != "" {
		return id, nil
	}
	hashed := v.bodyHash()
	if s.event.records != nil {
		hashed += "-" + strconv.Itoa(place)
	}
	return hashed, err
}

// Lengths of an id in characters. 80 is what the queue takes for an entry of a batch, and it fits a line of a log.
const (
	maxIDLength  = 80
	idHashLength = 16 // 64 bits of SHA-256, enough to tell the events of one sender apart
)

// requestID is <source>.<event id>.<n>: the same at every redelivery. An event id with other characters than letters,
// digits, dots, underscores and hyphens, or one that makes the whole longer than 80, gets a hash of it appended.
func requestID(source, event string, n int) string {
	place := "." + strconv.Itoa(n)
	clean := cleanID(event)
	room := maxIDLength - len(source) - 1 - len(place)
	if clean == event && len(clean) <= room {
		return source + "." + event + place
	}
	sum := sha256.Sum256([]byte(event))
	suffix := "-" + hex.EncodeToString(sum[:])[:idHashLength]
	return source + "." + clean[:min(len(clean), room-len(suffix))] + suffix + place
}

// cleanID replaces what a request's id cannot hold.
func cleanID(event string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
			return r
		}
		return '_'
	}, event)
}

// shortID is an event id as messages and logs carry it: itself, or what requestID makes of it.
func shortID(event string) string {
	clean := cleanID(event)
	if clean == event && len(event) <= maxIDLength {
		return event
	}
	sum := sha256.Sum256([]byte(event))
	suffix := "-" + hex.EncodeToString(sum[:])[:idHashLength]
	return clean[:min(len(clean), maxIDLength-len(suffix))] + suffix
}

// occurredAt reads the event's time: seconds, milliseconds or RFC 3339; without a zone it is UTC. The zero time where
// there is none: nothing depends on it but what people read.
func (s *Source) occurredAt(f facts) time.Time {
	at, err := s.event.at.find(f)
	if err != nil || at == "" {
		return time.Time{}
	}
	if number, err := strconv.ParseInt(at, 10, 64); err == nil {
		return unixTime(number)
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05"} {
		if t, err := time.Parse(layout, at); err == nil && marshalable(t) {
			return t.UTC()
		}
	}
	return time.Time{}
}

// millisecondsFrom tells milliseconds from seconds: as seconds it is the year 5138, as milliseconds 1973.
const millisecondsFrom = 100_000_000_000

func unixTime(number int64) time.Time {
	t := time.Unix(number, 0)
	if number >= millisecondsFrom {
		t = time.UnixMilli(number)
	}
	if number < 0 || !marshalable(t) {
		return time.Time{}
	}
	return t.UTC()
}

// marshalable says whether encoding/json can write the time: it refuses years beyond 9999.
func marshalable(t time.Time) bool { return t.UTC().Year() >= 1 && t.UTC().Year() <= 9999 }
