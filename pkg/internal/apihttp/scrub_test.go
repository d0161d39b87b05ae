package apihttp

import (
	"bytes"
	"encoding/base64"
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
		if !strings.Contains(ascii, `\U`) { // Go's own form beyond the first plane is not JSON
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

func TestAKeyIsRemovedInEverySpelling(t *testing.T) {
	t.Parallel()
	const key, user = "CANA-RYKE-Y123-4567", "jo"
	s := &Scrubber{Values: []string{key, user}, Authorization: `algorithm="hmac-sha256",headers="date",signature="x",apikey="company-api-key-7e6b"`}
	body := []byte(`{"product":"XY","license_key":"` + key + `","hardware_id":"h"}`)
	for _, c := range []struct{ name, said, want string }{
		{"without separators", "no CANARYKEY1234567 here", "no [removed] here"},
		{"in small letters", "no canarykey1234567 here", "no [removed] here"},
		{"with other separators", "no CANA RYKE_Y123/4567 here", "no [removed] here"},
		{"separated otherwise", "no C-A-N-A-R-Y-K-E-Y-1-2-3-4-5-6-7!", "no [removed]!"},
		{"twice, without separators", "CANARYKEY1234567CANARYKEY1234567", "[removed]"},
		{"inside a word", "xCANARYKEY1234567x", "x[removed]x"},
		{"the API key without separators", "companyapikey7e6b", "[removed]"},
		{"Base64", base64.StdEncoding.EncodeToString([]byte(key)), "[removed]="},
		{"a part of it stays", "CANA-RYKE of the key", "CANA-RYKE of the key"},
		{"a short value inside words", "a joke, major", "a joke, major"},
	} {
		if got := s.Scrub(c.said); strings.TrimRight(got, "=") != strings.TrimRight(c.want, "=") {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for before := range 7 {
		for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.URLEncoding} {
			text := encoding.EncodeToString(append([]byte("abcdefg")[:before], body...))
			got := s.Scrub("your body was " + text)
			for part := range strings.SplitSeq(strings.TrimPrefix(got, "your body was "), "[removed]") {
				for cut := range 4 { // what is left decodes to no part of the key
					if len(part) < cut {
						continue
					}
					decoded, _ := encoding.DecodeString(part[cut:][:(len(part)-cut)/4*4])
					if bytes.Contains(decoded, []byte("RYKE")) || bytes.Contains(decoded, []byte("Y123")) {
						t.Errorf("%d bytes before: %q holds the key", before, got)
					}
				}
			}
			if !strings.Contains(got, "[removed]") {
				t.Errorf("%d bytes before: nothing removed of %q", before, text)
			}
		}
	}
}
