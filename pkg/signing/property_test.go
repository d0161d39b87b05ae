package signing_test

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"license-deactivator/pkg/signing"
)

// drawSigned signs an arbitrary delivery by an arbitrary key in any of the schemes.
func drawSigned(t *rapid.T) (scheme *signing.Scheme, keyText string, key signing.Key, spec signing.Spec, d signing.Delivery) {
	all := specs()
	name := rapid.SampledFrom(slices.Sorted(maps.Keys(all))).Draw(t, "scheme")
	spec = all[name]
	scheme, err := signing.NewScheme(spec)
	if err != nil {
		t.Fatal(err)
	}
	keyText = rapid.StringMatching(`[!-~]([ -~]{0,62}[!-~])?`).Draw(t, "key")
	if spec.Key == "base64" {
		keyText = rapid.StringMatching(`(whsec_)?([A-Za-z0-9+/]{4}){1,16}([A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=?)?`).Draw(t, "base64 key")
	}
	if key, err = scheme.NewKey(keyText); err != nil {
		t.Fatal(err)
	}
	id := rapid.StringMatching(`[!-~]{1,20}`).Draw(t, "id")
	d = signing.Delivery{
		Method: rapid.SampledFrom([]string{"POST", "PUT"}).Draw(t, "method"), URL: "https://hooks.example.com/webhooks/x",
		Header: map[string]string{"webhook-id": id, "svix-id": id}, Body: rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "body"),
	}
	if err := scheme.Sign(&d, noon(), key); err != nil {
		t.Fatal(err)
	}
	return scheme, keyText, key, spec, d
}

func TestWhatIsSignedIsVerified(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scheme, _, key, _, d := drawSigned(t)
		if err := scheme.Verify(d, noon(), key); err != nil {
			t.Fatal(err)
		}
	})
}

func TestNoChangedByteIsVerified(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		scheme, keyText, key, spec, d := drawSigned(t)
		d.Header = maps.Clone(d.Header)

		// The parts of this scheme in which every byte counts.
		places := []string{"key"}
		signsBody := true
		for _, header := range slices.Sorted(maps.Keys(d.Header)) {
			if scheme.Signs(header) || slices.Contains(scheme.SecretHeaders(), header) {
				places = append(places, header)
			}
			signsBody = signsBody && header != "authorization"
		}
		if strings.Contains(d.URL, "token=") {
			signsBody = false
		}
		if signsBody {
			places = append(places, "body")
		}
		if strings.Contains(d.URL, "?") {
			places = append(places, "query")
		}

		switch place := rapid.SampledFrom(places).Draw(t, "place"); place {
		case "body":
			d.Body = []byte(mutate(t, string(d.Body)))
		case "query":
			u, err := url.Parse(d.URL)
			if err != nil {
				t.Fatal(err)
			}
			query := u.Query()
			for name := range query {
				query.Set(name, mutate(t, query.Get(name)))
			}
			u.RawQuery = query.Encode()
			d.URL = u.String()
		case "key":
			text := mutate(t, keyText)
			other, err := scheme.NewKey(text)
			if err != nil || spec.Key == "base64" && canonical(text) == canonical(keyText) {
				return // refused earlier, or the same key with and without padding
			}
			key = other
		default:
			before := d.Header[place]
			d.Header[place] = mutate(t, before)
			if spec.Separator != "" && slices.Contains(scheme.SecretHeaders(), place) && sameParts(d.Header[place], before, spec.Separator) {
				return // one more separator adds an empty part, which is ignored like any unknown one
			}
		}
		err := scheme.Verify(d, noon(), key)
		if !slices.ContainsFunc(verdicts(), func(verdict error) bool { return errors.Is(err, verdict) }) {
			t.Fatalf("got %v, want a verdict", err)
		}
	})
}

// mutate replaces, removes or adds one byte.
func mutate(t *rapid.T, text string) string {
	at := rapid.IntRange(0, len(text)-1).Draw(t, "at")
	b := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("0123456789abcdefABCDEF+/=, ;"))).
		Filter(func(b byte) bool { return b != text[at] }).Draw(t, "byte")
	switch rapid.SampledFrom([]string{"replace", "remove", "add"}).Draw(t, "mutation") {
	case "remove":
		return text[:at] + text[at+1:]
	case "add":
		return text[:at] + string([]byte{b}) + text[at:]
	}
	return text[:at] + string([]byte{b}) + text[at+1:]
}

// canonical is the one text of a key, without the optional padding and the optional prefix of a base64 key.
func canonical(text string) string {
	return strings.TrimRight(strings.TrimPrefix(text, "whsec_"), "=")
}

// sameParts reports whether two values have the same parts, without empty ones.
func sameParts(a, b, separator string) bool {
	parts := func(value string) []string {
		return slices.DeleteFunc(strings.Split(value, separator), func(part string) bool { return part == "" })
	}
	return slices.Equal(parts(a), parts(b))
}
