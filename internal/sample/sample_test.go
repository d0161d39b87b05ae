package sample_test

import (
	"io"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"license-deactivator/events"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
	"license-deactivator/pkg/signing/signingtest"
	"license-deactivator/sources"
)

// sampleSecrets sign the samples; any others would do.
func sampleSecret(source string) string {
	switch source {
	case "standard", "dodo":
		return "whsec_bG9jYWwtc3RhbmRhcmQtd2ViaG9va3Mtc2VjcmV0LTAx"
	case "chargebee":
		return "user:password"
	}
	return "secret-of-" + source
}

func load(t *testing.T) (*source.Sources, []sample.Sample) {
	t.Helper()
	loaded, err := source.Load(sources.FS())
	if err != nil {
		t.Fatal(err)
	}
	samples, err := sample.ReadAll(events.FS())
	if err != nil {
		t.Fatal(err)
	}
	return loaded, samples
}

// TestEverySampleBecomesWhatItsFileSays maps each sample of events/ by its source's file. Tests of cmd/licensectl check
// the License API's answers to the requests.
func TestEverySampleBecomesWhatItsFileSays(t *testing.T) {
	t.Parallel()
	loaded, samples := load(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, s := range samples {
		t.Run(s.Name(), func(t *testing.T) {
			t.Parallel()
			src, ok := loaded.Get(s.Source)
			if !ok {
				t.Fatalf("there is no sources/%s.yaml", s.Source)
			}
			req, err := s.Signed(src, "https://hooks.example.com", sampleSecret(s.Source), now)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(req.Body) // of some senders it holds the signature
			if err != nil {
				t.Fatal(err)
			}
			d := signing.Delivery{Method: req.Method, URL: req.URL.String(), Header: map[string]string{}, Body: body, Certificate: signingtest.Certificate()}
			for name := range req.Header {
				d.Header[strings.ToLower(name)] = req.Header.Get(name)
			}
			verified, err := src.Verify(d, now, []string{sampleSecret(s.Source)})
			if err != nil {
				t.Fatal(err)
			}
			for _, lookUp := range []bool{false, true} {
				mappings, err := src.Map(verified, source.Options{LookUp: lookUp})
				if err != nil {
					t.Fatal(err)
				}
				compare(t, s.Expected(lookUp), mappings)
			}
		})
	}
}

func compare(t *testing.T, s sample.Sample, mappings []source.Mapping) {
	t.Helper()
	var requests []deactivation.Request
	var missing, problems []string
	for _, m := range mappings {
		requests = append(requests, m.Requests...)
		missing = append(missing, m.Missing...)
		if m.Problem != "" {
			problems = append(problems, m.Problem)
		}
	}
	first := mappings[0]
	if i := slices.IndexFunc(mappings, func(m source.Mapping) bool { return m.Answer == s.Answer }); i >= 0 {
		first = mappings[i]
	}
	if first.Answer != s.Answer || first.Rule != s.Rule || first.Code != s.Code {
		t.Errorf("%s %s by the rule %q (%v %v), and its file says %s %s by %q", first.Answer, first.Code, first.Rule, missing, problems, s.Answer, s.Code, s.Rule)
	}
	if !slices.Equal(slices.Sorted(slices.Values(missing)), slices.Sorted(slices.Values(s.Missing))) {
		t.Errorf("missing %v, and its file says %v", missing, s.Missing)
	}
	if (len(problems) > 0) != (s.Problem != "") || !strings.Contains(strings.Join(problems, "; "), s.Problem) {
		t.Errorf("problems %v, and its file says %q", problems, s.Problem)
	}
	if len(requests) != len(s.Requests) {
		t.Fatalf("%d requests, and its file says %d", len(requests), len(s.Requests))
	}
	for i, want := range s.Requests {
		got := requests[i]
		if got.ID != want.ID || got.Cause != want.Cause || got.Product != want.Product || got.LicenseKey != want.LicenseKey ||
			got.Username != want.Username || got.LicenseID.String() != want.LicenseID || got.BundleCode != want.BundleCode || got.HardwareID != want.HardwareID {
			t.Errorf("request %d is %s for %s/%s on %s, and its file says %+v", i, got.ID, got.LicenseKey, got.Product, got.HardwareID, want)
		}
		var products []deactivation.Product
		for _, p := range want.Products {
			products = append(products, deactivation.Product(p))
		}
		if diff := cmp.Diff(want.Lookup(), got.Lookup); diff != "" || got.Scope != want.Scope || got.Disable != want.Disable ||
			want.Scope != "" && got.Buyer != want.Buyer || !slices.Equal(got.Products, products) {
			t.Errorf("request %d has scope %q, products %v, disable %t, buyer %t, and its file says %+v\nlook-up (-want +got):\n%s",
				i, got.Scope, got.Products, got.Disable, got.Buyer, want, diff)
		}
	}
}

func TestEverySourceHasSamplesAndEverySampleASource(t *testing.T) {
	t.Parallel()
	loaded, samples := load(t)
	answers := map[string]map[deactivation.Answer]bool{}
	for _, s := range samples {
		if answers[s.Source] == nil {
			answers[s.Source] = map[deactivation.Answer]bool{}
		}
		answers[s.Source][s.Answer] = true
	}
	cannot := map[string]deactivation.Answer{
		"recurly":       deactivation.Accepted, // recurly's events name no license
		"square":        deactivation.Accepted, // nor do Square's
		"appsumo":       deactivation.Accepted, // AppSumo's name no device
		"maxio":         deactivation.Accepted, // nor do Maxio's name a license
		"zoho-payments": deactivation.Accepted, // Zoho's do not say how much was paid
		"paypro":        deactivation.Accepted, // the license is not signed: only a look-up finds it
		"2checkout":     deactivation.Accepted, // no device is named: only a look-up finds it
		"salesforce":    deactivation.Ignored,  // the admin's rule decides which messages are sent
	}
	for _, name := range loaded.Names() {
		for _, answer := range []deactivation.Answer{deactivation.Accepted, deactivation.Ignored, deactivation.Unmappable} {
			if !answers[name][answer] && cannot[name] != answer {
				t.Errorf("events/%s has no sample that is %s", name, answer)
			}
		}
		delete(answers, name)
	}
	for name := range answers {
		t.Errorf("events/%s has samples, but there is no sources/%s.yaml", name, name)
	}
}

func TestTheEndingOfASampleSaysItsFormat(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for _, ending := range []string{"json", "xml", "form"} {
		files["s/"+ending+".yaml"] = &fstest.MapFile{Data: []byte("answer: ignored")}
		files["s/"+ending+"."+ending] = &fstest.MapFile{Data: []byte("body of " + ending)}
	}
	samples, err := sample.ReadAll(files)
	if err != nil || len(samples) != 3 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, s := range samples {
		one, err := sample.Read(files, "s/"+s.Case+"."+s.Case)
		if want := "body of " + s.Case; err != nil || string(s.Body) != want || string(one.Body) != want {
			t.Errorf("%s has the body %q, and by its path %q, %v", s.Case, s.Body, one.Body, err)
		}
	}
}

func TestSamplesThatAreIncompleteAreRefused(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for name, c := range map[string]struct {
		files fstest.MapFS
		want  string
	}{
		"a body alone":        {fstest.MapFS{"s/a.json": file("{}"), "s/b.json": file("{}"), "s/b.yaml": file("answer: ignored")}, "s/a.json has no a.yaml"},
		"a description alone": {fstest.MapFS{"s/a.yaml": file("answer: ignored")}, "s/a.yaml has no a.json, .xml or .form"},
		"two bodies":          {fstest.MapFS{"s/a.yaml": file("answer: ignored"), "s/a.json": file("{}"), "s/a.form": file("a=b")}, "s/a.yaml has 2 bodies next to it"},
		"an unknown key":      {fstest.MapFS{"s/a.json": file("{}"), "s/a.yaml": file("answer: ignored\nanswers: x\nrules: y")}, "samples: s/a.yaml: line 2: field answers is not known; line 3: field rules is not known"},
		"no answer":           {fstest.MapFS{"s/a.json": file("{}"), "s/a.yaml": file("about: x")}, "answer must be one of"},
		"accepted of nothing": {fstest.MapFS{"s/a.json": file("{}"), "s/a.yaml": file("answer: accepted")}, "only the answer accepted has requests"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := sample.ReadAll(c.files); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want …%s…", err, c.want)
			}
		})
	}
}
