package apihttp

import (
	"bytes"
	"encoding/json"
	"html"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func TestAValueIsRemovedHoweverItIsEncoded(t *testing.T) {
	t.Parallel()
	for _, password := range []string{`canary"pass&wörd`, `canary/<pass>word`, `canary\pass word`, "canary😀passwörd"} {
		s := &Scrubber{Values: []string{password}}
		escaped, err := json.Marshal(map[string]string{"password": password})
		if err != nil {
			t.Fatal(err)
		}
		var plain bytes.Buffer
		enc := json.NewEncoder(&plain)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(password); err != nil {
			t.Fatal(err)
		}
		ascii := strconv.QuoteToASCII(password)
		for _, text := range []string{password, string(escaped), plain.String(), url.QueryEscape(password), url.PathEscape(password), html.EscapeString(password)} {
			if got := s.Scrub("your body was " + text + ", which is wrong"); strings.Contains(got, "canary") {
				t.Errorf("%q of %q", got, text)
			}
		}
		if !strings.Contains(ascii, `\U`) { // Go's own form beyond the first plane is no JSON
			if got := s.Scrub(ascii); strings.Contains(got, "canary") {
				t.Errorf("%q of %q", got, ascii)
			}
		}
	}
}

func TestOverlappingValuesAndBearerTokensAreRemoved(t *testing.T) {
	t.Parallel()
	overlapping := &Scrubber{Values: []string{"abcabc"}}
	if got := overlapping.Scrub("xabcabcabcx abcabc"); got != "x[removed]x [removed]" {
		t.Errorf("overlapping: got %q", got)
	}
	bearer := &Scrubber{Authorization: "Bearer eyJhbGciOi.J9"}
	if got := bearer.Scrub("token eyJhbGciOi.J9 expired"); got != "token [removed] expired" {
		t.Errorf("a bearer token: got %q", got)
	}
}
