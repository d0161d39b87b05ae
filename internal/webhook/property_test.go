package webhook_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
)

// property is a statement that holds for every sample of a source.
type property func(r *rapid.T, source *source.Source, sample sample.Sample)

// forEachSource checks a property, made for each source, on that source's real samples.
func forEachSource(t *testing.T, newProperty func(t *testing.T) property) {
	t.Helper()
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	sources := load(t, "")
	for _, name := range sources.Names() {
		source, _ := sources.Get(name)
		of := slices.DeleteFunc(slices.Clone(samples), func(s sample.Sample) bool { return s.Source != name })
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			holds := newProperty(t)
			rapid.Check(t, func(r *rapid.T) { holds(r, source, of[rapid.IntRange(0, len(of)-1).Draw(r, "sample")]) })
		})
	}
}

// signedSample is a sample as its sender posts it, with another body if one is given.
func signedSample(t interface{ Fatal(...any) }, source *source.Source, s sample.Sample, body []byte) signing.Delivery {
	if body == nil {
		body = s.Body
	}
	d := signing.Delivery{Method: "POST", URL: "https://hooks.example.com/webhooks/" + s.Source, Header: map[string]string{}, Body: body}
	if s.Query != "" {
		d.URL += "?" + s.Query
	}
	for name, text := range s.Headers {
		d.Header[strings.ToLower(name)] = text
	}
	if err := sample.Sign(source, &d, clock, sampleSecret(s.Source)); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNoMutationOfASampleIsVerified(t *testing.T) {
	t.Parallel()
	forEachSource(t, func(*testing.T) property { return mutationsAreRefused })
}

func mutationsAreRefused(r *rapid.T, source *source.Source, s sample.Sample) {
	separators := map[string]string{"stripe": ",", "paddle": ";", "recurly": ",", "standard": " ", "dodo": " ", "polar": " ", "zoho-payments": ","}
	inFields := map[string]bool{"paypro": true, "2checkout": true}                // their signatures cover values of fields, and no names
	unsigned := []string{"chargebee", "salesforce", "salesforce-flow", "gumroad"} // they send only a secret
	verdicts := []error{signing.ErrMissing, signing.ErrMalformed, signing.ErrMismatch, signing.ErrStale, signing.ErrFuture, signing.ErrCertificate}
	d, key := signedSample(r, source, s, nil), sampleSecret(s.Source)
	if _, err := source.Verify(d, clock, []string{key}); err != nil {
		r.Fatalf("%s does not verify as it is: %v", s.Name(), err)
	}
	places := []string{"key"}
	for name := range d.Header {
		if _, before := s.Headers[name]; !before && !hasName(s.Headers, name) || slices.Contains([]string{"webhook-id", "svix-id", "paypal-transmission-id"}, name) {
			places = append(places, name) // set by signing, or signed
		}
	}
	switch {
	case s.Source == "salesforce", s.Source == "gumroad":
		places = append(places, "query")
	case !slices.Contains(unsigned, s.Source):
		places = append(places, "body")
	}
	switch s.Source {
	case "hubspot":
		places = append(places, "method", "url")
	case "square":
		places = append(places, "url")
	}
	slices.Sort(places)
	switch place := rapid.SampledFrom(places).Draw(r, "place"); place {
	case "key":
		mutated := mutate(r, key)
		if strings.TrimRight(mutated, "=") == strings.TrimRight(key, "=") {
			return // base64 with or without its padding is one key
		}
		key = mutated
	case "body":
		if inFields[s.Source] {
			d.Body = mutateField(r, s.Source, d.Body)
			break
		}
		d.Body = []byte(mutate(r, string(d.Body)))
	case "method":
		d.Method = mutate(r, d.Method)
	case "url":
		d.URL = mutate(r, d.URL)
	case "query":
		address, _, _ := strings.Cut(d.URL, "?")
		d.URL = address + "?token=" + url.QueryEscape(mutate(r, key))
	default:
		before := d.Header[place]
		d.Header[place] = mutate(r, before)
		if sameParts(before, d.Header[place], separators[s.Source]) {
			return // one more separator adds an empty part, which is ignored like any unknown one
		}
		if _, err := signing.CheckPayPalAddress(d.Header[place]); place == "paypal-cert-url" && err == nil {
			return // not signed: another address of PayPal's, and its certificate decides
		}
	}
	_, err := source.Verify(d, clock, []string{key})
	if err == nil {
		r.Fatalf("%s: a delivery that was altered is verified", s.Name())
	}
	refused := slices.ContainsFunc(verdicts, func(verdict error) bool { return errors.Is(err, verdict) })
	if !refused && !strings.Contains(err.Error(), "secret") { // an unusable key is our fault, not the sender's
		r.Fatalf("%s: %v is not an error of Verify", s.Name(), err)
	}
}

func hasName(headers map[string]string, lower string) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(headers)), func(name string) bool { return strings.ToLower(name) == lower })
}

// mutateField mutates the value of a field that the signature covers, or the signature.
func mutateField(r *rapid.T, source string, body []byte) []byte {
	parts := strings.Split(string(body), "&")
	var at []int
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		name, _ = url.QueryUnescape(name)
		is := slices.Contains(covered(), name) || name == "SIGNATURE"
		if source == "2checkout" {
			is = !slices.Contains([]string{"SIGNATURE_SHA2_256", "HASH"}, name)
		}
		if is && value != "" {
			at = append(at, i)
		}
	}
	i := rapid.SampledFrom(at).Draw(r, "field")
	name, value, _ := strings.Cut(parts[i], "=")
	value, _ = url.QueryUnescape(value)
	parts[i] = name + "=" + url.QueryEscape(mutate(r, value))
	return []byte(strings.Join(parts, "&"))
}

// mutate replaces, removes or adds one byte.
func mutate(r *rapid.T, text string) string {
	at := rapid.IntRange(0, len(text)-1).Draw(r, "at")
	b := rapid.OneOf(rapid.Byte(), rapid.SampledFrom([]byte("0123456789abcdefABCDEF+/=, ;"))).
		Filter(func(b byte) bool { return b != text[at] }).Draw(r, "byte")
	switch rapid.SampledFrom([]string{"replace", "remove", "add"}).Draw(r, "mutation") {
	case "remove":
		return text[:at] + text[at+1:]
	case "add":
		return text[:at] + string([]byte{b}) + text[at:]
	}
	return text[:at] + string([]byte{b}) + text[at+1:]
}

// sameParts reports whether two values have the same parts but for empty ones.
func sameParts(a, b, separator string) bool {
	if separator == "" {
		return a == b
	}
	parts := func(value string) []string {
		return slices.DeleteFunc(strings.Split(value, separator), func(part string) bool { return part == "" })
	}
	return slices.Equal(parts(a), parts(b))
}

func TestTheSpellingOfABodyNeverChangesItsMapping(t *testing.T) {
	t.Parallel()
	forEachSource(t, func(*testing.T) property { return spellingsAreMappedAlike })
}

func spellingsAreMappedAlike(r *rapid.T, src *source.Source, s sample.Sample) {
	if !json.Valid(s.Body) { // SOAP
		return
	}
	mapped := func(body []byte) []source.Mapping {
		verified, err := src.Verify(signedSample(r, src, s, body), clock, []string{sampleSecret(s.Source)})
		if err != nil {
			r.Fatalf("%s: %v", s.Name(), err)
		}
		mappings, err := src.Map(verified, source.Options{})
		if err != nil {
			r.Fatalf("%s: %v", s.Name(), err)
		}
		for i, m := range mappings {
			if len(m.Event) < 64 || strings.Trim(m.Event[:64], "0123456789abcdef") != "" {
				continue
			}
			mappings[i].Event = "hash of the body" // since the sender gives no id
			for n := range m.Requests {
				m.Requests[n].ID, m.Requests[n].Event = strconv.Itoa(n), ""
			}
		}
		return mappings
	}
	body := respell(r, s.Body)
	if diff := cmp.Diff(mapped(s.Body), mapped(body)); diff != "" {
		r.Fatalf("%s as\n%s\nis mapped otherwise (-as sent +so):\n%s", s.Name(), body, diff)
	}
}

// respell writes a JSON text in another way: members of objects in another order, other white space, other escapes.
// Numbers stay as they are written.
func respell(r *rapid.T, text []byte) []byte {
	var out bytes.Buffer
	choices := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(r, "choices") // a few draws, used again and again
	used := 0
	choose := func(n int) int {
		used++
		return (int(choices[used%len(choices)]) + used/len(choices)) % n
	}
	space := func() { out.WriteString([]string{"", "", " ", "\n", "\t\r\n  "}[choose(5)]) }
	var write func(text []byte)
	write = func(text []byte) {
		space()
		defer space()
		text = bytes.TrimSpace(text)
		switch text[0] {
		case '{':
			names, members := membersOf(text)
			out.WriteByte('{')
			for n, i := range permutation(len(names), choose) {
				if n > 0 {
					out.WriteByte(',')
				}
				space()
				out.WriteString(spelled(names[i], choose))
				space()
				out.WriteByte(':')
				write(members[i])
			}
			out.WriteByte('}')
		case '[':
			var items []json.RawMessage
			_ = json.Unmarshal(text, &items)
			out.WriteByte('[')
			for n, item := range items {
				if n > 0 {
					out.WriteByte(',')
				}
				write(item)
			}
			out.WriteByte(']')
		case '"':
			var value string
			_ = json.Unmarshal(text, &value)
			out.WriteString(spelled(value, choose))
		default:
			out.Write(text)
		}
	}
	write(text)
	return out.Bytes()
}

// membersOf returns the members of an object.
func membersOf(text []byte) (names []string, members []json.RawMessage) {
	var object map[string]json.RawMessage
	_ = json.Unmarshal(text, &object)
	names = slices.Sorted(maps.Keys(object))
	for _, name := range names {
		members = append(members, object[name])
	}
	return names, members
}

func permutation(n int, choose func(int) int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := choose(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// spelled writes a text in one of the forms that JSON allows.
func spelled(text string, choose func(int) int) string {
	switch choose(3) {
	case 0:
		var out strings.Builder
		for _, unit := range utf16.Encode([]rune(text)) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
		return `"` + out.String() + `"`
	case 1:
		plain, _ := json.Marshal(text)
		return strings.ReplaceAll(string(plain), "/", `\/`)
	}
	plain, _ := json.Marshal(text)
	return string(plain)
}

// TestNoBodyPanics replaces a part of a sample by a value that the sender would never send, or cuts or fills it at any
// position. The function must answer, and the worker must be able to read every request that it makes.
func TestNoBodyPanics(t *testing.T) {
	t.Parallel()
	odd := []string{`null`, `true`, `0`, `-1`, `1.5`, `1e999`, `-0`, `9007199254740993`, `""`, `"x"`, `"\u0000"`, `"\ud83d"`, `"K1,,K2"`, `[]`, `{}`, `[null]`,
		`[[[[]]]]`, `[{}]`, `{"":{}}`, `[1,"2",null,{},[]]`, `{"value":{"value":1}}`, `{"license_key":"K1","hardware_id":["h1",2]}`,
		`"` + strings.Repeat("x", 300) + `"`, `[` + strings.Repeat(`{},`, 1200) + `1]`, strings.Repeat("[", 200) + strings.Repeat("]", 200)}
	forEachSource(t, func(t *testing.T) property {
		h := newPolicyHarness(t, false)
		return func(r *rapid.T, source *source.Source, s sample.Sample) {
			body := slices.Clone(s.Body)
			at := rapid.IntRange(0, len(body)-1).Draw(r, "at")
			junk := []byte(rapid.OneOf(rapid.SampledFrom(odd), rapid.StringN(0, 20, 40)).Draw(r, "odd"))
			switch way := rapid.SampledFrom([]string{"value", "value", "value", "bytes", "cut"}).Draw(r, "way"); {
			case way == "cut":
				body = body[:at]
			case way == "value" && json.Valid(body):
				body = replaceValue(body, at, junk)
			default:
				body = slices.Concat(body[:at], junk, body[min(len(body), at+rapid.IntRange(0, 9).Draw(r, "length")):])
			}
			if s.Source == "paypro" || s.Source == "2checkout" { // what has no field to sign cannot be signed
				d := signing.Delivery{Body: slices.Clone(body)}
				if sample.Sign(source, &d, clock, sampleSecret(s.Source)) != nil {
					return
				}
			}
			d := signedSample(r, source, s, body)
			_, query, _ := strings.Cut(d.URL, "?")
			h.queue.taken = nil
			got := h.post(t, delivery{source: s.Source, body: string(d.Body), query: query, headers: d.Header, base64: true})
			if got.StatusCode != 200 && got.StatusCode != 400 {
				r.Fatalf("%s: status %d %s", s.Name(), got.StatusCode, got.Body)
			}
			for _, e := range h.queue.taken {
				if _, event, err := deactivation.Parse(e.Body); err != nil || event != nil {
					r.Fatalf("%s: a message that the worker could not read: %v", s.Name(), err)
				}
			}
		}
	})
}

// replaceValue replaces one value of a JSON text: the nth in the order of the text, counted round.
func replaceValue(text []byte, nth int, by []byte) []byte {
	dec := json.NewDecoder(bytes.NewReader(text))
	var ends []int64 // of the tokens
	for {
		token, err := dec.Token()
		if err != nil {
			break
		}
		if _, delimiter := token.(json.Delim); !delimiter {
			ends = append(ends, dec.InputOffset())
		}
	}
	if len(ends) == 0 {
		return by
	}
	end := ends[nth%len(ends)]
	start := end
	for start > 0 && !bytes.ContainsRune([]byte(":[,{"), rune(text[start-1])) {
		start--
	}
	return slices.Concat(text[:start], by, text[end:])
}
