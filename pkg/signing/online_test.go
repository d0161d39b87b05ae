package signing_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"license-deactivator/pkg/signing"
)

type onlineVector struct {
	Name          string
	Kind          string
	Key           string
	Date          string
	APIKey        string `json:"api_key"`
	SigningString string `json:"signing_string"`
	Signature     string
	Authorization string `json:"authorization_header"`
	Negative      []struct {
		Name, Key, Encoding, Signature string
		SigningString                  string `json:"signing_string"`
	}
}

func readVectors(tb testing.TB, file string, vectors any) {
	tb.Helper()
	text, err := fs.ReadFile(os.DirFS("testdata"), file)
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(text, vectors); err != nil {
		tb.Fatal(err)
	}
}

func onlineVectors(tb testing.TB) []onlineVector {
	tb.Helper()
	var all, online []onlineVector
	readVectors(tb, "license-api-vectors.json", &all)
	for _, v := range all {
		if v.Kind == "online" {
			online = append(online, v)
		}
	}
	if len(online) < 2 {
		tb.Fatalf("%d online vectors, want at least 2", len(online))
	}
	return online
}

func TestOnlineSignatureGivesTheKnownAnswers(t *testing.T) {
	t.Parallel()
	for _, v := range onlineVectors(t) {
		if got := signing.OnlineSignature(v.Key, v.Date); got != v.Signature {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Signature)
		}
		if v.Authorization == "" {
			continue
		}
		signer, err := signing.NewSigner(v.APIKey, v.Key)
		if err != nil {
			t.Fatal(err)
		}
		if got := signer.Authorize(v.Date); got != v.Authorization {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Authorization)
		}
	}
}

// This test makes each mistake again, to check that it gives the signature in the file and that our signature differs.
func TestOnlineSignatureMakesNoneOfTheKnownMistakes(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, v := range onlineVectors(t) {
		for _, n := range v.Negative {
			seen++
			key := []byte(n.Key)
			if n.Name == "key_base64_decoded" {
				key, _ = base64.StdEncoding.DecodeString(v.Key)
			}
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(n.SigningString))
			encode := map[string]func([]byte) string{
				"base64": base64.StdEncoding.EncodeToString, "hex": hex.EncodeToString, "base64url-nopad": base64.RawURLEncoding.EncodeToString,
			}[n.Encoding]
			if got := encode(mac.Sum(nil)); got != n.Signature {
				t.Errorf("%s: the mistake gives %s, the file says %s", n.Name, got, n.Signature)
			}
			if got := signing.OnlineSignature(v.Key, v.Date); got == n.Signature {
				t.Errorf("%s: we make this mistake", n.Name)
			}
		}
	}
	if seen < 11 {
		t.Errorf("%d negative variants, want at least 11", seen)
	}
}

func TestNewSignerRefusesKeysThatCannotBeRight(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ api, shared, want string }{
		"empty api key":             {"", "shared", "api key: empty"},
		"empty shared key":          {"api", "", "shared key: empty"},
		"newline at the end":        {"api", "canary\n", "shared key: white space"},
		"blank in front":            {" canary", "shared", "api key: white space"},
		"no-break space at the end": {"api", "canary\u00a0", "shared key: white space"},
		"control character":         {"api", "can\x00ary", "shared key: a control character"},
		"header injection":          {"canary\r\nX: y", "shared", "api key: a control character"},
		"quotation mark":            {`canary"`, "shared", "api key: holds a quotation mark"},
		"backslash":                 {`canary\x`, "shared", "api key: holds a quotation mark or a backslash"},
		"a whole file":              {"api", strings.Repeat("canary", 1000), "shared key: longer"},
	} {
		signer, err := signing.NewSigner(test.api, test.shared)
		if err == nil || signer != nil || !strings.Contains(err.Error(), "signing: "+test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
		if strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: the error shows the key", name)
		}
	}

	_, err := signing.NewSigner("", "")
	if err == nil || !strings.Contains(err.Error(), "api key") || !strings.Contains(err.Error(), "shared key") {
		t.Errorf("both empty: got %v, want both named", err)
	}
}

func TestAuthorizeFollowsTheDate(t *testing.T) {
	t.Parallel()
	signer, err := signing.NewSigner("api", "shared")
	if err != nil {
		t.Fatal(err)
	}
	one, two := "Tue, 07 Jun 2011 20:51:35 GMT", "Tue, 07 Jun 2011 20:51:36 GMT"
	for _, date := range []string{one, one, two, one, ""} {
		want := `algorithm="hmac-sha256",headers="date",signature="` + signing.OnlineSignature("shared", date) + `",apikey="api"`
		if got := signer.Authorize(date); got != want {
			t.Errorf("%q: got %s, want %s", date, got, want)
		}
	}
}

// Run with -race. Each goroutine alternates between two dates, as calls in flight do when a second ends.
func TestAuthorizeIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	signer, err := signing.NewSigner("api", "shared")
	if err != nil {
		t.Fatal(err)
	}
	var callers sync.WaitGroup
	for lane := range 8 {
		callers.Go(func() {
			for i := range 200 {
				date := signing.Date(time.Unix(int64(lane+i)%2, 0))
				if got := signer.Authorize(date); !strings.Contains(got, signing.OnlineSignature("shared", date)) {
					t.Errorf("%s: the header of another date", date)
				}
			}
		})
	}
	callers.Wait()
}

//nolint:paralleltest // AllocsPerRun counts every goroutine's allocations
func TestAuthorizeAllocatesNothingForTheSameDate(t *testing.T) {
	signer, err := signing.NewSigner("api", "shared")
	if err != nil {
		t.Fatal(err)
	}
	date := signing.Date(time.Unix(0, 0))
	signer.Authorize(date)
	if got := testing.AllocsPerRun(100, func() { signer.Authorize(date) }); got != 0 {
		t.Errorf("%v allocations, want 0", got)
	}
}

func TestDateIsInGMTWhateverTheZone(t *testing.T) {
	t.Parallel()
	now := time.Date(2011, time.June, 8, 5, 51, 35, 999, time.FixedZone("JST", 9*60*60))
	if got, want := signing.Date(now), "Tue, 07 Jun 2011 20:51:35 GMT"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	const canary = "canary-5e0b"
	signer, err := signing.NewSigner(canary+"-api", canary+"-shared")
	if err != nil {
		t.Fatal(err)
	}
	signer.Authorize("Tue, 07 Jun 2011 20:51:35 GMT")
	key := mustKey(t, mustScheme(t, specs()["stripe"]), canary)
	inside := struct {
		Key    signing.Key
		hidden signing.Key
		signer *signing.Signer
	}{key, key, signer}

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
		for _, v := range []any{key, &key, signer, inside, &inside, []signing.Key{key}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("secrets", "key", key, "signer", signer, "inside", inside)
	}
	encoded, err := json.Marshal([]any{key, signer})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(encoded)

	for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprintf("%d", []byte(canary)), "apikey"} {
		if strings.Contains(out.String(), form) {
			t.Errorf("%q is in the output", form)
		}
	}
	if got := fmt.Sprintf("%v %s %+v %#v", key, key, key, key); got != "[key] [key] [key] [key]" {
		t.Errorf("a key prints as %s", got)
	}
}

func BenchmarkAuthorizeSameDate(b *testing.B) {
	signer, err := signing.NewSigner("api", "shared")
	if err != nil {
		b.Fatal(err)
	}
	date := signing.Date(time.Unix(0, 0))
	b.ReportAllocs()
	for b.Loop() {
		signer.Authorize(date)
	}
}

func BenchmarkAuthorizeNewDate(b *testing.B) {
	signer, err := signing.NewSigner("api", "shared")
	if err != nil {
		b.Fatal(err)
	}
	dates := [2]string{signing.Date(time.Unix(0, 0)), signing.Date(time.Unix(1, 0))}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		signer.Authorize(dates[i%2])
	}
}
