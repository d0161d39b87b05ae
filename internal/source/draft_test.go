package source_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
)

const draftFile = head + `
license: [order]
lines: {each: lines, license: [own], refunded: whole}
rules:
  - {name: for a person, when: state == 'pending', review: true}
  - {name: by line, when: kind == 'lines', lines: refunded, cause: dispute}
  - {name: refunded, when: state == 'refunded', cause: refund}
`

// drafts are the drafts of a body by draftFile.
func drafts(t *testing.T, body string) []source.Draft {
	t.Helper()
	s := get(t, load(t, draftFile), "tiny")
	all, err := s.Drafts(assumed(t, s, nil, body))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestADraftBecomesTheRequestThatTheCompleteEventWouldHaveMade: with the missing field filled in, every field is the same.
func TestADraftBecomesTheRequestThatTheCompleteEventWouldHaveMade(t *testing.T) {
	t.Parallel()
	const complete = `{"id":"e1","state":"refunded","at":"2026-11-20T10:00:00Z","order":{"license_key":"K1","hardware_id":"h1","product":"P"}}`
	want := one(t, draftFile, complete).Requests[0]
	for field, fill := range map[string]func(*deactivation.Request){
		`"license_key":"K1"`: func(r *deactivation.Request) { r.LicenseKey = "K1" },
		`"hardware_id":"h1"`: func(r *deactivation.Request) { r.HardwareID = "h1" },
		`"product":"P"`:      func(r *deactivation.Request) { r.Product = "P" },
	} {
		got := drafts(t, strings.Replace(complete, field, `"other":1`, 1))
		if len(got) != 1 {
			t.Fatalf("without %s: %d drafts", field, len(got))
		}
		if missing := strings.Join(got[0].Missing, " "); !strings.Contains(field, missing) || missing == "" {
			t.Errorf("without %s it lacks %q", field, missing)
		}
		fill(&got[0].Request)
		got[0].Order, want.Order = nil, nil
		if diff := cmp.Diff(asWire(t, want), asWire(t, got[0].Request)); diff != "" {
			t.Errorf("without %s: %s", field, diff)
		}
	}
}

func asWire(t *testing.T, r deactivation.Request) string {
	t.Helper()
	text, err := r.Wire()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryUnmappableEventHasADraft(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		cause string
		keys  string
	}{
		"a review":                {`{"id":"e1","state":"pending","order":{"license_key":"K1"}}`, deactivation.CauseManual, ""},
		"unreadable":              {`{"id":`, deactivation.CauseManual, ""},
		"no shape":                {`{"id":"e1","state":"new"}`, deactivation.CauseManual, ""},
		"nothing found":           {`{"id":"e1","state":"refunded"}`, deactivation.CauseRefund, ""},
		"two lines, one complete": {`{"id":"e1","kind":"lines","lines":[{"whole":true,"own":{"license_key":"K1","hardware_id":"h","product":"P"}},{"whole":true,"own":{"license_key":"K2","product":"P"}}]}`, deactivation.CauseDispute, "K1 K2"},
	} {
		got := drafts(t, c.body)
		var keys []string
		for _, d := range got {
			keys = append(keys, d.LicenseKey)
			if d.Cause != c.cause || d.ID == "" || d.Origin != deactivation.OriginEvent || d.Source != "tiny" || !d.ReceivedAt.Equal(clock) {
				t.Errorf("%s: %+v, cause %s", name, d.ID, d.Cause)
			}
			if len(d.Missing) == 0 && d.Problem == "" && d.LicenseKey != "K1" {
				t.Errorf("%s: a draft that says nothing about what is wrong", name)
			}
		}
		if strings.Join(keys, " ") != c.keys || len(got) == 0 {
			t.Errorf("%s: drafts for %q, want %q", name, keys, c.keys)
		}
	}
	for _, body := range []string{
		`{"id":"e1","state":"refunded","order":{"license_key":"K1","hardware_id":"h1","product":"P"}}`,
		`{"id":"e1","state":"refunded","test":true}`,
	} {
		if got := drafts(t, body); len(got) != 0 {
			t.Errorf("%s has %d drafts: it is not unmappable", body, len(got))
		}
	}
}
