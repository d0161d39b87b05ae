package source

// ExplainedEvent is one event of a delivery: its mapping, and each step to it. It is for a person to read: values that
// may name a license are shortened, and texts of the event are bounded and hold no control characters. Only Requests
// and Licenses hold whole keys; they print themselves shortened.
type ExplainedEvent struct {
	Mapping
	About    []Fact // id, type and time, if the event has them
	TestMode bool
	Tests    []Test // of the test mode
	Rules    []ExplainedRule
	Licenses []ExplainedLicense  // licenses that the matching rule found, complete or not
	Searched map[string][]string // for each field in Missing: where it was searched
	Lookup   []Fact              // ids by which the order can be found
}

// Explain maps a verified delivery as Map does and returns each step to the mapping of each event. Its errors are those of
// Map.
func (s *Source) Explain(v Verified, o Options) ([]ExplainedEvent, error) {
	read := map[int]facts{}
	mappings, err := s.mapEach(v, o, func(i int, f facts) *trace {
		f.trace = &trace{hidden: s.licenses.named(f)}
		read[i] = f
		return f.trace
	})
	if err != nil {
		return nil, err
	}
	events := make([]ExplainedEvent, len(mappings))
	for i, m := range mappings {
		f, ok := read[i]
		if !ok { // it cannot be read
			events[i] = ExplainedEvent{Mapping: m, About: []Fact{{"id", m.EventID(), "the body's SHA-256"}}}
			continue
		}
		t := f.trace
		f.trace = nil // what follows is not a step of the mapping
		events[i] = s.explainEvent(m, f, t, o.LookUp)
	}
	return events, nil
}

func (s *Source) explainEvent(m Mapping, f facts, t *trace, lookUp bool) ExplainedEvent {
	e := ExplainedEvent{
		Mapping: m, About: s.event.explain(m.EventID(), f), TestMode: t.testMode, Tests: t.modeTests, Rules: t.rules, Licenses: t.licenses,
	}
	for i := range s.rules {
		r := &s.rules[i]
		switch {
		case i >= len(e.Rules):
			e.Rules = append(e.Rules, r.explain(""))
		case r.name == m.Rule && !r.ignore:
			e.Lookup = s.lookup.overriddenBy(r.lookup).explain(f, lookUp)
		}
	}
	for _, field := range m.Missing {
		if e.Searched == nil {
			e.Searched = map[string][]string{}
		}
		e.Searched[field] = s.licenses.describe(field)
	}
	return e
}
