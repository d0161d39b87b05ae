package deactivation_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/internal/deactivation"
)

// released is refund after a person has released it.
func released() deactivation.Request {
	r := refund()
	r.Released = deactivation.Release{
		By: "ada@example.com", At: time.Date(2026, 9, 21, 18, 0, 0, 0, time.FixedZone("CEST", 2*60*60)), Reason: "the refunds are real",
	}
	return r
}

func TestTheWireFormOfAReleasedRequestIsTheGoldenFile(t *testing.T) {
	t.Parallel()
	got, err := released().Wire()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(golden(t, "released.json"), got); diff != "" {
		t.Error(diff)
	}
	read, _, err := deactivation.Parse(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(released().Released, read.Released); diff != "" {
		t.Error(diff)
	}
}

// TestAReleaseSaysWhoWhenAndWhy: a message with half a release is invalid. None at all is a message of its own.
func TestAReleaseSaysWhoWhenAndWhy(t *testing.T) {
	t.Parallel()
	valid := golden(t, "released.json")
	const by, at, reason = `"by":"ada@example.com"`, `"at":"2026-09-21T16:00:00Z"`, `"reason":"the refunds are real"`
	long := strings.Repeat("x", deactivation.MaxFieldRunes+1)
	for name, c := range map[string]struct{ old, replacement, want string }{
		"nobody":           {by + ",", "", "released.by: is missing"},
		"a blank name":     {by, `"by":" "`, "released.by: is missing"},
		"at no time":       {at + ",", "", "released.at: is missing"},
		"no reason":        {"," + reason, "", "released.reason: is missing"},
		"a long name":      {by, `"by":"canary` + long + `"`, "released.by: is longer than 256 characters"},
		"a long reason":    {reason, `"reason":"canary` + long + `"`, "released.reason: is longer than 256 characters"},
		"a line break":     {reason, `"reason":"canary\n"`, "released.reason: holds the character U+000A"},
		"a time in words":  {at, `"at":"canary noon"`, "a time is not written as RFC 3339"},
		"a name that is 7": {by, `"by":7`, "the field released.by has the wrong type"},
		"only a text":      {"{" + by + "," + at + "," + reason + "}", `"canary"`, "the field released has the wrong type"},
	} {
		body := strings.Replace(valid, c.old, c.replacement, 1)
		if body == valid {
			t.Fatalf("%s: nothing was changed", name)
		}
		_, _, err := deactivation.Parse(body)
		if !errors.Is(err, deactivation.ErrInvalid) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want …%s… and nothing of the text", name, err, c.want)
		}
	}
	for _, none := range []string{"null", "{}"} {
		read, _, err := deactivation.Parse(strings.Replace(valid, "{"+by+","+at+","+reason+"}", none, 1))
		if err != nil || !read.Released.IsZero() {
			t.Errorf("%s: %v, error %v; want no release", none, read.Released, err)
		}
	}
}

// TestAReleaseIsWrittenIntoAMessage: it replaces one that is there, and needs who, when and why.
func TestAReleaseIsWrittenIntoAMessage(t *testing.T) {
	t.Parallel()
	release := deactivation.Release{By: "ada", At: time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC), Reason: "checked"}
	for body, want := range map[string]string{
		`{"v":1,"id":"a"}`: `{"id":"a","released":{"by":"ada","at":"2026-11-29T12:00:00Z","reason":"checked"},"v":1}`,
		`{"v":1,"released":{"by":"eve"},"x":{"b":1,"a":2}}`: `{"released":{"by":"ada","at":"2026-11-29T12:00:00Z","reason":"checked"},"v":1,"x":{"b":1,"a":2}}`,
	} {
		if got, err := deactivation.WithRelease(body, release); err != nil || got != want {
			t.Errorf("%s: %s, %v", body, got, err)
		}
	}
	for name, c := range map[string]struct {
		body    string
		release deactivation.Release
	}{
		"no release":  {`{"v":1}`, deactivation.Release{}},
		"nobody":      {`{"v":1}`, deactivation.Release{At: release.At, Reason: "x"}},
		"never":       {`{"v":1}`, deactivation.Release{By: "ada", Reason: "x"}},
		"for nothing": {`{"v":1}`, deactivation.Release{By: "ada", At: release.At}},
		"not JSON":    {`CANARY`, release},
		"a list":      {`["CANARY"]`, release},
		"null":        {`null`, release},
	} {
		if got, err := deactivation.WithRelease(c.body, c.release); err == nil || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}
