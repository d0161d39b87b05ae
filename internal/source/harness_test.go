package source_test

import (
	"fmt"
	"testing"
	"testing/fstest"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/source"
	"license-deactivator/pkg/signing"
	"license-deactivator/sources"
)

// clock is the time of every test, so that no result depends on the machine's clock.
var clock = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant that Go cannot write

const head = `
verify: {header: X-Sig, form: "{signature}", signed: "{body}", mac: hmac-sha256, encoding: hex}
event: {id: id, type: type, time: at, test: test == ` + "`true`" + `}
`

// load loads the built-in sources, or one small file named tiny.
func load(t testing.TB, tiny string) *source.Sources {
	t.Helper()
	fsys := sources.FS()
	if tiny != "" {
		fsys = fstest.MapFS{"tiny.yaml": {Data: []byte(tiny)}}
	}
	loaded, err := source.Load(fsys)
	if err != nil {
		t.Fatal(err)
	}
	return loaded
}

func get(t testing.TB, sources *source.Sources, name string) *source.Source {
	t.Helper()
	s, ok := sources.Get(name)
	if !ok {
		t.Fatalf("no source %s", name)
	}
	return s
}

// assumed is a delivery that counts as verified.
func assumed(t testing.TB, s *source.Source, headers map[string]string, body string) source.Verified {
	t.Helper()
	verified, err := s.Assume(signing.Delivery{Header: headers, Body: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	verified.ReceivedAt = clock
	return verified
}

// mapped maps a body by one of the built-in sources, or by a small file.
func mapped(t testing.TB, name, file string, headers map[string]string, body string) []source.Mapping {
	t.Helper()
	s := get(t, load(t, file), name)
	mappings, err := s.Map(assumed(t, s, headers, body), source.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return mappings
}

// one maps the one event of a body by a small file.
func one(t testing.TB, file, body string) source.Mapping {
	t.Helper()
	mappings := mapped(t, "tiny", file, nil, body)
	if len(mappings) != 1 {
		t.Fatalf("%d events", len(mappings))
	}
	return mappings[0]
}

// became maps the one event of a body by a small file and returns its outcome: the answer, each request as "key/user/id
// product bundle device", and the reason.
func became(t testing.TB, file, body string) (answer string, requests []string, why string) {
	t.Helper()
	m := one(t, file, body)
	for _, r := range m.Requests {
		requests = append(requests, fmt.Sprintf("%s/%s/%s %s %s %s", r.LicenseKey, r.Username, r.LicenseID, r.Product, r.BundleCode, r.HardwareID))
		if err := r.Validate(); err != nil {
			t.Errorf("a request that the worker could not read: %v", err)
		}
	}
	return string(m.Answer), requests, fmt.Sprintf("missing %v, problem %q", m.Missing, m.Problem)
}

// asText is a license as text, to compare.
func asText(l deactivation.License) string {
	return fmt.Sprintf("%s%s/%s bundle %s of %s on %s", l.LicenseKey, l.Username, l.LicenseID, l.BundleCode, l.Product, l.HardwareID)
}
