package signing_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"

	"license-deactivator/pkg/signing"
)

type offlineVector struct {
	Name, Kind, Key     string
	KeyRole             string `json:"key_role"`
	Date                string
	LicenseKey          string `json:"license_key"`
	Username            string
	HardwareID          string `json:"hardware_id"`
	APIKey              string `json:"api_key"`
	ClientID            string `json:"client_id"`
	SigningString       string `json:"signing_string"`
	Encoding, Signature string
	PayloadJSON         string `json:"payload_json"`
	OuterJSON           string `json:"outer_json"`
	FileText            string `json:"file_text"`
	Source              string
	Negative            []struct{ Name, Key, Encoding, Signature, SigningString string }
}

func offlineVectors(tb testing.TB, kind string) []offlineVector {
	tb.Helper()
	var all []offlineVector
	readVectors(tb, "license-api-vectors.json", &all)
	all = slices.DeleteFunc(all, func(v offlineVector) bool { return v.Kind != kind })
	if !slices.ContainsFunc(all, func(v offlineVector) bool { return strings.HasPrefix(v.Source, "published") }) {
		tb.Fatalf("no published vector of kind %s", kind)
	}
	return all
}

// signer is made with the keys of the vector.
func (v offlineVector) signer(tb testing.TB) *signing.OfflineSigner {
	tb.Helper()
	signer, err := signing.NewOfflineSigner(v.APIKey, v.Key)
	if v.ClientID != "" {
		signer, err = signing.NewOfflineClientSigner(v.ClientID, v.Key)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return signer
}

func TestOfflineSignatureOfEveryVector(t *testing.T) {
	t.Parallel()
	for _, v := range offlineVectors(t, "offline_v1") {
		got := signing.OfflineSignature(v.Key, v.Date, v.LicenseKey+v.Username, v.HardwareID, v.APIKey+v.ClientID)
		if got != v.Signature {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Signature)
		}
		for _, n := range v.Negative {
			if got == n.Signature {
				t.Errorf("%s: makes the mistake %s", v.Name, n.Name)
			}
		}
	}
}

func TestOfflineSignatureV2OfEveryVector(t *testing.T) {
	t.Parallel()
	for _, v := range offlineVectors(t, "offline_v2") {
		encoding := signing.OfflineHex
		if v.Encoding == "base64" {
			encoding = signing.OfflineBase64
		}
		got := signing.OfflineSignatureV2(v.Key, []byte(v.SigningString), encoding)
		if got != v.Signature {
			t.Errorf("%s: got %s, want %s", v.Name, got, v.Signature)
		}
		for _, n := range v.Negative {
			if got == n.Signature {
				t.Errorf("%s: makes the mistake %s", v.Name, n.Name)
			}
		}
	}
}

// published is the request of the documentation's example.
func published() signing.OfflineRequest {
	return signing.OfflineRequest{
		RequestID: "D010714E-72DD-E4CF-BEBB-4105EC1B2A0F", Date: "Fri, 29 Aug 2025 07:22:37 GMT", Product: "fooapp",
		HardwareID: "8b06c6053b7a2040f07c60b62f17f378ccc5030e21676f8a100a97ab36303ad0", LicenseKey: "BSK8-CLCY-PB5E-BXFO",
		IPLocal: "192.168.1.226", MACAddress: "5A-8A-90-08-13-84", OSHostname: "Mac", OSVer: "Darwin 24.6.0", SDKLang: "cpp", SDKVer: "7.41.1",
	}
}

func TestFileV2IsTheVectorsFileByteForByte(t *testing.T) {
	t.Parallel()
	compared := 0
	for _, v := range offlineVectors(t, "offline_v2") {
		if v.FileText == "" {
			continue
		}
		compared++
		r := published()
		if strings.Contains(v.Name, "html_chars") {
			r.OSHostname = "R&D <lab>"
		}
		got, err := v.signer(t).FileV2(r, signing.OfflineHex)
		if err != nil || got != v.FileText {
			t.Errorf("%s: %v\ngot  %s\nwant %s", v.Name, err, decoded(t, got), v.OuterJSON)
		}
	}
	if compared < 2 {
		t.Errorf("%d files compared, want 2", compared)
	}
}

func TestFileV2InBase64SignsTheSameText(t *testing.T) {
	t.Parallel()
	signer, err := signing.NewOfflineSigner("apikey", "sharedkey")
	if err != nil {
		t.Fatal(err)
	}
	file, err := signer.FileV2(published(), signing.OfflineBase64)
	if err != nil {
		t.Fatal(err)
	}
	var outer struct {
		Request   json.RawMessage
		Signature string
	}
	if err := json.Unmarshal(decoded(t, file), &outer); err != nil {
		t.Fatal(err)
	}
	if want := signing.OfflineSignatureV2("sharedkey", outer.Request, signing.OfflineBase64); outer.Signature != want || len(want) != 44 {
		t.Errorf("signature %s, want %s", outer.Signature, want)
	}
}

func TestFileV1HoldsWhatTheVectorHolds(t *testing.T) {
	t.Parallel()
	for _, v := range offlineVectors(t, "offline_v1") {
		if v.FileText == "" {
			continue
		}
		got, err := v.signer(t).FileV1(signing.OfflineRequest{
			RequestID: "00000000-0000-4000-8000-000000000001", Date: v.Date, Product: "fooapp", HardwareID: v.HardwareID, LicenseKey: v.LicenseKey,
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := fields(t, decoded(t, got)), fields(t, []byte(v.PayloadJSON)); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("got %v, want %v", got, want)
		}
		return
	}
	t.Error("no vector has a file of schema v1")
}

func TestAnOAuthClientsFileNamesTheClientAndIsKeyedWithItsSecret(t *testing.T) {
	t.Parallel()
	signer, err := signing.NewOfflineClientSigner("auth_company_1", "client-secret")
	if err != nil {
		t.Fatal(err)
	}
	v2, err := signer.FileV2(published(), signing.OfflineHex)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range offlineVectors(t, "offline_v2") {
		if v.ClientID != "" && !bytes.Contains(decoded(t, v2), []byte(`{"request":`+v.SigningString+`,"signature":"`+v.Signature+`"}`)) {
			t.Errorf("%s: got %s", v.Name, decoded(t, v2))
		}
	}
}

func TestOfflineRequestsThatCannotBeSignedAreRefusedByName(t *testing.T) {
	t.Parallel()
	signer, err := signing.NewOfflineSigner("apikey", "sharedkey")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*signing.OfflineRequest)
		want   string
	}{
		"no id":               {func(r *signing.OfflineRequest) { r.RequestID = "" }, "request_id: is missing"},
		"no date":             {func(r *signing.OfflineRequest) { r.Date = "" }, "date: is missing"},
		"no product":          {func(r *signing.OfflineRequest) { r.Product = " " }, "product: is missing"},
		"no device":           {func(r *signing.OfflineRequest) { r.HardwareID = "" }, "hardware_id: is missing"},
		"no license":          {func(r *signing.OfflineRequest) { r.LicenseKey = "" }, "license_key: is missing"},
		"two licenses":        {func(r *signing.OfflineRequest) { r.Username = "canary" }, "username: names a second license"},
		"another date":        {func(r *signing.OfflineRequest) { r.Date = "Sun Nov 22 2026 17:09:26 GMT+0000" }, "date: is not a date"},
		"date with a newline": {func(r *signing.OfflineRequest) { r.Date += "\n" }, "date: is not a date"},
		"id with a fraction":  {func(r *signing.OfflineRequest) { r.LicenseID = "7.5" }, "license_id: must be a whole number"},
		"key with a newline":  {func(r *signing.OfflineRequest) { r.LicenseKey = "canary\ncanary" }, "license_key: holds a control character"},
		"device with a tab":   {func(r *signing.OfflineRequest) { r.HardwareID = "canary\t" }, "hardware_id: holds a control character"},
		"no UTF-8":            {func(r *signing.OfflineRequest) { r.OSVer = "canary\xff" }, "os_ver: is not UTF-8"},
	} {
		r := published()
		c.change(&r)
		file, err := signer.FileV1(r)
		if err == nil || file != "" || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
		if _, err := signer.FileV2(r, signing.OfflineHex); err == nil {
			t.Errorf("%s: schema v2 takes it", name)
		}
	}
	for _, keys := range [][2]string{{"", "sharedkey"}, {"apikey", ""}, {"apikey", "sharedkey\n"}} {
		if _, err := signing.NewOfflineSigner(keys[0], keys[1]); err == nil {
			t.Errorf("keys %q are taken", keys)
		}
		if _, err := signing.NewOfflineClientSigner(keys[0], keys[1]); err == nil {
			t.Errorf("client %q is taken", keys)
		}
	}
}

func TestFilesOfTheVendorsSDKsAreReadAndVerified(t *testing.T) {
	t.Parallel()
	keys, err := signing.NewOfflineSigner("apikey", "sharedkey")
	if err != nil {
		t.Fatal(err)
	}
	client, err := signing.NewOfflineClientSigner("auth_company_1", "client-secret")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		signer *signing.OfflineSigner
		v1, v2 signing.OfflineMatch
	}{
		"python-4.0.0-api-key.req": {keys, signing.OfflineMatches, signing.OfflineMatchesText},
		"python-4.0.0-oauth.req":   {client, signing.OfflineMatches, signing.OfflineMatchesID},
		"node-1.4.17-api-key.req":  {keys, signing.OfflineAbsent, signing.OfflineMatchesText},
		"node-1.4.17-oauth.req":    {client, signing.OfflineAbsent, signing.OfflineMatchesText},
	} {
		text := requestFile(t, name)
		f, err := signing.ReadRequestFile(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f.Text != strings.TrimSpace(text) || f.Schema != 2 || f.Request != "deactivation" || f.Product != "fooapp" ||
			f.HardwareID != published().HardwareID || (f.LicenseKey == "") == (f.Username == "") {
			t.Errorf("%s: read as %+v", name, *f)
		}
		if got := c.signer.Check(f); !got.Account || got.V1 != c.v1 || got.V2 != c.v2 || !got.OK() {
			t.Errorf("%s: v1 %v, v2 %v, want %v, %v", name, got.V1, got.V2, c.v1, c.v2)
		}
		other, err := signing.NewOfflineSigner("apikey", "anotherkey")
		if err != nil {
			t.Fatal(err)
		}
		if got := other.Check(f); got.V2 != signing.OfflineMismatch || got.OK() {
			t.Errorf("%s: another key: %+v", name, got)
		}
	}
}

func TestOurFilesAreVerified(t *testing.T) {
	t.Parallel()
	for _, v := range append(offlineVectors(t, "offline_v1"), offlineVectors(t, "offline_v2")...) {
		if v.FileText == "" {
			continue
		}
		f, err := signing.ReadRequestFile(" " + v.FileText + "\r\n")
		if err != nil {
			t.Errorf("%s: %v", v.Name, err)
			continue
		}
		got := v.signer(t).Check(f)
		wantV2 := signing.OfflineAbsent
		if v.Kind == "offline_v2" {
			wantV2 = signing.OfflineMatches
		}
		if !got.Account || got.V1 != signing.OfflineMatches || got.V2 != wantV2 || !got.OK() || f.Text != v.FileText {
			t.Errorf("%s: %+v", v.Name, got)
		}
	}
}

func TestAChangedFileDoesNotVerify(t *testing.T) {
	t.Parallel()
	signer, err := signing.NewOfflineSigner("apikey", "sharedkey")
	if err != nil {
		t.Fatal(err)
	}
	v1, err := signer.FileV1(published())
	if err != nil {
		t.Fatal(err)
	}
	v2, err := signer.FileV2(published(), signing.OfflineHex)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		file, from, to string
		v1, v2         signing.OfflineMatch
		ok             bool
	}{
		"v1 unchanged":                  {v1, "", "", signing.OfflineMatches, signing.OfflineAbsent, true},
		"v1, another device":            {v1, `8b06`, `8b07`, signing.OfflineMismatch, signing.OfflineAbsent, false},
		"v1, another license":           {v1, `BSK8`, `BSK9`, signing.OfflineMismatch, signing.OfflineAbsent, false},
		"v1, a second before":           {v1, `07:22:37`, `07:22:36`, signing.OfflineSecondLater, signing.OfflineAbsent, true},
		"v1, a second after":            {v1, `07:22:37`, `07:22:38`, signing.OfflineMismatch, signing.OfflineAbsent, false},
		"v1, no signature":              {v1, `"signature"`, `"x"`, signing.OfflineAbsent, signing.OfflineAbsent, false},
		"v1, another product":           {v1, `fooapp`, `barapp`, signing.OfflineMatches, signing.OfflineAbsent, true}, // v1 does not cover it
		"v1, of another account":        {v1, `"apikey"`, `"other"`, signing.OfflineMatches, signing.OfflineAbsent, false},
		"v2 unchanged":                  {v2, "", "", signing.OfflineMatches, signing.OfflineMatches, true},
		"v2, another product":           {v2, `fooapp`, `barapp`, signing.OfflineMatches, signing.OfflineMismatch, false},
		"v2, its signature in capitals": {v2, "\x00", "", signing.OfflineMatches, signing.OfflineMismatch, false},
		"v2, no outer signature":        {v2, `},"signature"`, `},"x"`, signing.OfflineMatches, signing.OfflineAbsent, false},
		"v2, no inner signature":        {v2, `"signature":"A`, `"x":"A`, signing.OfflineAbsent, signing.OfflineMismatch, false},
		"v2, laid out anew":             {v2, "\x01", "", signing.OfflineMatches, signing.OfflineMatches, true},
	} {
		content := string(decoded(t, c.file))
		switch c.from {
		case "\x00":
			at := strings.LastIndex(content, `:"`)
			content = content[:at] + strings.ToUpper(content[at:])
		case "\x01":
			var out bytes.Buffer
			if err := json.Indent(&out, []byte(content), "", "  "); err != nil {
				t.Fatal(err)
			}
			content = out.String()
		default:
			if c.from != "" && !strings.Contains(content, c.from) {
				t.Fatalf("%s: nothing to change", name)
			}
			content = strings.ReplaceAll(content, c.from, c.to)
		}
		f, err := signing.ReadRequestFile(base64.StdEncoding.EncodeToString([]byte(content)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := signer.Check(f); got.V1 != c.v1 || got.V2 != c.v2 || got.OK() != c.ok {
			t.Errorf("%s: v1 %v, v2 %v, ok %t", name, got.V1, got.V2, got.OK())
		}
	}
}

func TestWhatIsNoRequestFileIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	good := requestFile(t, "python-4.0.0-api-key.req")
	for name, c := range map[string]struct{ text, want string }{
		"ends in a newline":      {good, ""},
		"a byte order mark":      {"\uFEFF" + good, ""},
		"lines of 76":            {good[:76] + "\r\n" + good[76:], ""},
		"URL-safe":               {strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimSpace(encode(`{"a":"???>>>"}`))), ""},
		"without padding":        {strings.TrimRight(encode(`{"a":1}`), "="), ""},
		"an empty object":        {encode(`{}`), ""},
		"a request that is text": {encode(`{"request":"canary"}`), ""},
		"empty":                  {" \r\n", "it is empty"},
		"JSON":                   {`{"license_key":"canary"}`, "not in Base64"},
		"no Base64":              {"canary canary", "not Base64 (at byte 7 of 13)"},
		"cut":                    {strings.TrimSpace(good)[:len(good)-7], "not of a JSON object (at byte"},
		"no JSON":                {encode("canary"), "not of a JSON object (at byte 1)"},
		"JSON and more":          {encode(`{} canary`), "not of a JSON object (at byte 4)"},
		"a list":                 {encode(`["canary"]`), "it is another JSON value"},
		"null":                   {encode(`null`), "it is another JSON value"},
		"twice":                  {encode(good), "Base64 of Base64"},
		"too long":               {strings.Repeat("A", signing.MaxRequestFileBytes+1), "longer than 65536 bytes"},
	} {
		f, err := signing.ReadRequestFile(c.text)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if f != nil || !errors.Is(err, signing.ErrRequestFile) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v, want %s", name, err, c.want)
		}
	}
}

func TestARequestFilePrintsNoSecret(t *testing.T) {
	t.Parallel()
	f, err := signing.ReadRequestFile(requestFile(t, "python-4.0.0-api-key.req"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := signing.NewOfflineSigner("canary-api-key", "canary-shared-key")
	if err != nil {
		t.Fatal(err)
	}
	request := published()
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{f, *f, signer, request, &request, []any{f, request, signer}, struct{ S *signing.OfflineSigner }{signer}} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	held := struct {
		F *signing.RequestFile
		R signing.OfflineRequest
	}{f, request}
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "f", f, "s", signer, "r", request)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "f", f, "s", signer, "r", request, "held", held)
	for _, secret := range append([]string{"canary", "BSK8", "8b06c6", "192.168"}, f.Secrets()...) {
		if len(secret) > 1 && strings.Contains(out.String(), secret) {
			t.Errorf("%s is printed", secret)
		}
	}
}

func TestSecretsOfARequestFileNameWhatBelongsToACustomer(t *testing.T) {
	t.Parallel()
	f, err := signing.ReadRequestFile(requestFile(t, "python-4.0.0-api-key.req"))
	if err != nil {
		t.Fatal(err)
	}
	got := f.Secrets()
	for _, want := range []string{
		f.Text, "BSK8-CLCY-PB5E-BXFO", published().HardwareID, "4711", "apikey", "Mac <lab> & Zoë", "192.168.1.226", "5A-8A-90-08-13-84", "seat", "7",
		"Gdxl6TaKP6DUlXcZuFMkPpkFyKVE9/tYPubzaKLZfo0=", "MYQjknIBbrmyGE7LIviREtyyBTT1e7UApowYX3nPCYk=",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%q is not among the secrets", want)
		}
	}
	for _, public := range []string{"fooapp", "deactivation", "PythonSDK 4.0.0", "Darwin 24.6.0"} {
		if slices.Contains(got, public) {
			t.Errorf("%q is taken for a secret", public)
		}
	}
}

func FuzzReadRequestFile(f *testing.F) {
	names, err := fs.Glob(os.DirFS("testdata/offline"), "*.req")
	if err != nil || len(names) != 4 {
		f.Fatalf("%d request files: %v", len(names), err)
	}
	for _, name := range names {
		f.Add(requestFile(f, name))
	}
	for _, text := range []string{"", "e30=", "e30", "\uFEFFe30=\n", "bnVsbA==", "eyJyZXF1ZXN0Ijp7fX0="} {
		f.Add(text)
	}
	signer, err := signing.NewOfflineClientSigner("apikey", "sharedkey")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := signing.ReadRequestFile(text)
		if err != nil {
			if !errors.Is(err, signing.ErrRequestFile) || read != nil {
				t.Fatalf("%v, %v", read, err)
			}
			return
		}
		if read.Text == "" || strings.TrimSpace(read.Text) != read.Text || !strings.Contains(text, read.Text) {
			t.Error("the file's text was changed")
		}
		signer.Check(read)
		if again, err := signing.ReadRequestFile(read.Text); err != nil || again.Text != read.Text {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}

func requestFile(tb testing.TB, name string) string {
	tb.Helper()
	text, err := os.ReadFile("testdata/offline/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

func decoded(tb testing.TB, file string) []byte {
	tb.Helper()
	content, err := base64.StdEncoding.DecodeString(file)
	if err != nil {
		tb.Fatal(err)
	}
	return content
}

func fields(tb testing.TB, text []byte) map[string]any {
	tb.Helper()
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		tb.Fatal(err)
	}
	return m
}
