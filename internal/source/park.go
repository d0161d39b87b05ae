package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/pkg/signing"
)

// Bounds of the ids of a parked event's orders. A delivery of a hundred events may name a thousand, and the queue
// accepts 1 MiB: the largest body has 933 KiB, its headers 10 KiB. Restore reads the ids from the body again.
const (
	maxParkedOrderIDs   = 100
	maxParkedOrderBytes = 24 << 10
)

// Park returns a delivery as the event that the dead-letter queue keeps: its whole body, the headers that the file
// reads, and the name of the scheme that verified it, so that Restore can map it again. mappings are those of the
// delivery's events on which a person decides, at least one; the event has the id of the first.
func (s *Source) Park(v Verified, mappings []Mapping) deactivation.Event {
	event := deactivation.Event{
		Source: s.Name, ID: mappings[0].EventID(), ReceivedAt: v.ReceivedAt, Headers: s.headersToKeep(v), Body: s.bodyToKeep(v.Body),
	}
	if v.scheme != nil {
		event.Scheme = v.scheme.name
	}
	size := 0
	for _, m := range mappings {
		event.Missing = appendNew(event.Missing, m.Missing)
		for _, id := range m.Order {
			if size += len(id); size <= maxParkedOrderBytes && len(event.Order) < maxParkedOrderIDs {
				event.Order = appendNew(event.Order, []string{id})
			}
		}
	}
	return event
}

// headersToKeep are the headers that the file reads, and those that describe the delivery. Headers that carry a
// signature or a secret are never kept.
func (s *Source) headersToKeep(v Verified) map[string]string {
	kept := map[string]string{}
	for _, name := range append([]string{"content-type", "user-agent"}, s.headers...) {
		if text, ok := v.Header[name]; ok {
			kept[name] = text
		}
	}
	for _, scheme := range s.verification.schemes {
		for _, name := range scheme.SecretHeaders() {
			delete(kept, name)
		}
	}
	for _, name := range []string{"authorization", "cookie", "x-api-key"} {
		delete(kept, name)
	}
	return kept
}

// Restore returns a parked event as the verified delivery that it was, for Map and Explain. Its signature is not kept,
// so it counts as verified by the scheme that it names. An event of an older version names none: then it is the scheme
// that its headers seem to be signed by. A scheme that the file does not have any more is an error.
func (s *Source) Restore(e deactivation.Event) (Verified, error) {
	headers := make(map[string]string, len(e.Headers))
	for name, text := range e.Headers {
		headers[strings.ToLower(name)] = text
	}
	v := Verified{Delivery: signing.Delivery{Method: "POST", Header: headers, Body: e.Body}, ReceivedAt: e.ReceivedAt}
	v.scheme = s.verification.guess(v.Delivery)
	if e.Scheme == "" {
		return v, nil
	}
	schemes := map[string]*scheme{}
	for _, scheme := range s.verification.schemes {
		schemes[scheme.name] = scheme
	}
	named, ok := schemes[e.Scheme]
	if !ok {
		return Verified{}, fmt.Errorf("source: the event was verified by the scheme %q, which %s.yaml does not have; it has %s",
			e.Scheme, s.Name, strings.Join(slices.Sorted(maps.Keys(schemes)), ", "))
	}
	v.scheme = named
	return v, nil
}
