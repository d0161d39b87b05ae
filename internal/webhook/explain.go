package webhook

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/secrets"
	"license-deactivator/pkg/signing"
)

// Explanation is what the webhook function would answer to a delivery, and every step to it. It is for a person's eye:
// values that may name a license are shortened, and texts of the event are bounded and hold no control characters.
// Only the Requests and Licenses of its events hold whole keys; they print themselves shortened.
type Explanation struct {
	Scheme   string // in words: the one that was passed or tried
	Checked  bool   // false: without secrets the signature was not looked at
	Believed bool   // the signature passed, or was not looked at
	Ping     bool   // it is the sender's ping, which is answered and nothing else
	Refused  string // why it goes no further; "" where it does
	Events   []ExplainedEvent
	Status   int    // HTTP status of the answer
	Body     string // of the answer, as it is sent
}

// ExplainedEvent is one event of a delivery: what it becomes, and why.
type ExplainedEvent struct {
	Mapping
	About    []Fact // id, type and time, where the event has them
	TestMode bool
	Tests    []Test // of the test mode
	Rules    []ExplainedRule
	Licenses []ExplainedLicense  // what the rule that decided found, complete or not
	Places   map[string][]string // where the fields that it lacks were looked for, by field
	Lookup   []Fact              // what the order can be found by
}

// Fact is a value that was read. From is the expression or the header that gave it.
type Fact struct{ Name, Text, From string }

// Test is one expression of a condition, on an event or on one line of it.
type Test struct {
	Text    string
	Line    int // of the order, from 1; 0: the event itself
	Holds   bool
	Problem string // why it is neither true nor false
	Reads   []Fact // the values that it was decided on
}

// ExplainedRule is one rule, as far as it was looked at.
type ExplainedRule struct {
	Name    string
	Verdict Verdict // "" where a rule before it had decided
	Types   []string
	Ignore  bool
	Cause   string
	Tests   []Test
}

// ExplainedLicense is a license that an event names, with where each field stood, by the License API's names.
type ExplainedLicense struct {
	deactivation.License
	From map[string][]Origin
}

// Origin is where a field was read.
type Origin struct {
	Place string // in the words of the source's file
	Line  int    // of the order, from 1; 0: the event itself
}

// Explain says what becomes of a delivery that comes at the given time, and why. It evaluates what Map evaluates, and
// watches. Without secrets the signature is not checked, and the delivery is believed. The names of d's headers are in
// lower case.
func (s *Source) Explain(d signing.Delivery, at time.Time, from *secrets.Webhooks) Explanation {
	e := Explanation{Checked: from != nil, Scheme: s.words(s.likely(d))}
	verified, refused := s.admit(d, at, from)
	switch {
	case refused != nil:
		e.refuse(s, refused)
		return e
	case verified == nil:
		e.Ping = true
		e.say(plain(http.StatusOK, deactivation.Ignored, nil, nil))
		return e
	}
	verified.ReceivedAt = at
	e.Believed = true
	e.Scheme = s.words(verified.scheme)
	var traces []*trace
	mappings, err := s.mapTraced(*verified, false, func(f facts) *trace {
		traces = append(traces, s.newTrace(f))
		return traces[len(traces)-1]
	})
	if err != nil {
		e.refuse(s, unread(err))
		return e
	}
	for i, m := range mappings {
		e.Events = append(e.Events, traces[i].explain(s, m))
	}
	e.say(s.answer(mappings, nil))
	return e
}

// admit is the way of a delivery up to its being believed. nil and no refusal is a ping.
func (s *Source) admit(d signing.Delivery, at time.Time, from *secrets.Webhooks) (*Verified, *refusal) {
	if refused := refuseEncoded(d.Header); refused != nil {
		return nil, refused
	}
	if len(d.Body) > MaxBodyBytes {
		return nil, tooLarge()
	}
	if from == nil {
		if s.ping != nil && s.ping.Match(d.Body) {
			return nil, nil
		}
		return &Verified{Delivery: d, scheme: s.likely(d)}, nil
	}
	verified, err := s.verifyWith(*from, d, at)
	return s.believe(verified, d, err)
}

// likely is the scheme that an unchecked delivery seems to be signed by: the first of which it has a header that
// carries a signature or is signed, else the first.
func (s *Source) likely(d signing.Delivery) *signing.Scheme {
	for _, scheme := range s.schemes {
		for name := range d.Header {
			if scheme.Signs(name) || slices.Contains(scheme.SecretHeaders(), name) {
				return scheme
			}
		}
	}
	return s.schemes[0]
}

func (e *Explanation) refuse(s *Source, r *refusal) {
	e.Refused = r.why
	e.say(s.refusal(r))
}

func (e *Explanation) say(r response) { e.Status, e.Body = r.StatusCode, strings.TrimSpace(r.Body) }

// explain puts together what the trace took down and what the event became.
func (t *trace) explain(s *Source, m Mapping) ExplainedEvent {
	e := t.event
	e.Mapping = m
	e.About = append(e.About, t.eventID(s, m))
	for _, v := range []struct {
		name  string
		value value
	}{{"type", s.event.kind}, {"time", s.event.at}} {
		e.About = append(e.About, t.facts.of(v.name, v.value)...)
	}
	if at := s.occurredAt(t.facts); !at.IsZero() {
		e.About[len(e.About)-1].Text = at.Format(time.DateTime) + " UTC"
	}
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case i >= len(e.Rules):
			e.Rules = append(e.Rules, explainRule(r, ""))
		case r.name == m.Rule && !r.ignore:
			e.Lookup = t.lookup(s.lookupOf(r))
		}
	}
	for _, field := range m.Missing {
		if e.Places == nil {
			e.Places = map[string][]string{}
		}
		e.Places[field] = s.placesOf(field)
	}
	return e
}

// placesOf says in words where a field is looked for.
func (s *Source) placesOf(field string) []string {
	var words []string
	add := func(places []place, of string) {
		for _, p := range places {
			if p.field == "" || p.field == field {
				words = append(words, p.named(field, nil)+of)
			}
		}
	}
	if s.lines != nil {
		add(s.lines.license, " of each line")
	}
	add(s.license, "")
	if field == "product" {
		words = append(words, "product_code or product_short_code in these places")
	}
	return words
}

func (t *trace) eventID(s *Source, m Mapping) Fact {
	id := t.facts.of("id", s.event.id)
	if len(id) == 0 {
		id = []Fact{{"id", "", "the body's SHA-256"}}
	}
	id[0].Text = shortID(m.Event)
	return id[0]
}

// lookup lists what the order can be found by, in the file's order and each once.
func (t *trace) lookup(from lookup) []Fact {
	var found []Fact
	for i := range from.order {
		for _, f := range t.facts.of("order", from.order[i:i+1]) {
			if !slices.ContainsFunc(found, func(other Fact) bool { return other.Text == f.Text }) {
				found = append(found, f)
			}
		}
	}
	found = append(found, t.facts.of("subscription", from.subscription)...)
	for _, f := range t.facts.of("email", from.email) {
		if at := strings.LastIndex(f.Text, "@"); at > 0 { // enough to tell that there is one
			f.Text = "…" + f.Text[at:]
		}
		found = append(found, f)
	}
	return found
}

// of reads a value, and says what gave it. Nothing where there is none.
func (f facts) of(name string, v value) []Fact {
	at, text, err := v.first(f)
	if err != nil || text == "" {
		return nil
	}
	from := "header " + v[at].header
	if !v[at].signed {
		from += " (not signed)"
	}
	if v[at].path != nil {
		from = oneLine(v[at].path.text)
	}
	if v[at].weak {
		from += " (a short number, so it counts for little)"
	}
	return []Fact{{name, printable(text), from}}
}

func explainRule(r *rule, verdict Verdict) ExplainedRule {
	return ExplainedRule{Name: r.name, Verdict: verdict, Types: r.kinds, Ignore: r.ignore, Cause: r.cause}
}
