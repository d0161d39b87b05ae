package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"license-deactivator/pkg/licenseapi/licenseapitest"
	"license-deactivator/pkg/signing"
)

// The account and the license of the tests. Whatever begins with "canary" must never be printed.
const (
	offlineSecrets = `{"license_api":{"api_key":"canary-api-key","shared_key":"canary-shared-key"},"webhooks":{}}`
	offlineKey     = "CANARY-AAAA-BBBB-1234"
	offlineDevice  = "canary-hardware-5678"
)

// offlineAPI is a fake API with one license on three devices, and in a bundle too.
func offlineAPI(t *testing.T) (*licenseapitest.Server, string) {
	t.Helper()
	return fakeAPI(t, licenseapitest.State{
		APIKeys: map[string]string{"canary-api-key": "canary-shared-key"},
		Licenses: []licenseapitest.License{
			{ID: 1, Product: "XY", LicenseKey: offlineKey, Devices: []string{offlineDevice + "-0", offlineDevice + "-1", offlineDevice + "-2"}},
			{ID: 2, Product: "P1", Bundle: "BU", LicenseKey: offlineKey, Devices: []string{offlineDevice + "-0"}},
			{ID: 3, Product: "P2", Bundle: "BU", LicenseKey: offlineKey, Devices: []string{offlineDevice + "-0"}},
		},
	})
}

func devicesOf(api *licenseapitest.Server) (n int) {
	for _, l := range api.State().Licenses {
		n += len(l.Devices)
	}
	return n
}

// requestFiles makes n files, one for each of the devices of the license.
func requestFiles(t *testing.T, secrets string, n int, more ...string) []string {
	t.Helper()
	dir := t.TempDir()
	var names []string
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("f%d.req", i))
		args := append([]string{"offline", "make", "--product", "XY", "--license-key", offlineKey, "--hardware-id", fmt.Sprint(offlineDevice, "-", i),
			"--out", name, "--secrets", secrets}, more...)
		if code, _, stderr := command(t, args...); code != exitDone {
			t.Fatalf("exit code %d, %s", code, stderr)
		}
		names = append(names, name)
	}
	return names
}

// sdkFiles are those that the vendor's SDKs wrote.
func sdkFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../../pkg/signing/testdata/offline/*.req")
	if err != nil || len(names) != 4 {
		t.Fatalf("%d request files: %v", len(names), err)
	}
	return names
}

// noSecret fails where a text holds what names a customer or opens an account.
func noSecret(t *testing.T, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if at := strings.Index(strings.ToLower(text), "canary"); at >= 0 {
			t.Errorf("a secret is printed: …%.80s", text[max(at-40, 0):])
		}
	}
}

func TestOfflineMakeInspectAndSubmitDirectly(t *testing.T) {
	t.Parallel()
	for _, more := range [][]string{nil, {"--schema", "2"}, {"--schema", "2", "--encoding", "base64"}} {
		api, address := offlineAPI(t)
		secrets := file(t, "s.json", offlineSecrets)
		names := requestFiles(t, secrets, 2, more...)
		code, inspected, stderr := command(t, append([]string{"offline", "inspect", "--secrets", secrets}, names...)...)
		if code != exitDone || strings.Count(inspected, "verified   yes") != 2 || !strings.Contains(inspected, "license    key …1234") {
			t.Errorf("%v: exit code %d, %s%s", more, code, inspected, stderr)
		}
		submit := append([]string{"offline", "submit", "--direct", "--secrets", secrets, "--license-api", address, "--comment", "ticket 4711", "--yes", "--expect", "2"}, names...)
		code, submitted, stderr := command(t, submit...)
		if code != exitDone || strings.Count(submitted, "deactivated ") != 2 || devicesOf(api) != 3 {
			t.Errorf("%v: exit code %d, %d devices are left, %s%s", more, code, devicesOf(api), submitted, stderr)
		}
		code, again, stderr := command(t, append(submit, "--multipart")...)
		if code != exitDone || strings.Count(again, "already_inactive ") != 2 || devicesOf(api) != 3 {
			t.Errorf("%v: exit code %d, %d devices are left, %s%s", more, code, devicesOf(api), again, stderr)
		}
		noSecret(t, inspected, submitted, again, stderr)
	}
}

func TestOfflineSubmitByTheFunctionOfLocal(t *testing.T) {
	t.Parallel()
	api, address := offlineAPI(t)
	secrets := file(t, "s.json", strings.Replace(offlineSecrets, `"webhooks":{}`, `"webhooks":{"stripe":"whsec_x"}`, 1))
	r := start(t, "local", "--json", quick, "--secrets", secrets, "--license-api", address)
	names := requestFiles(t, secrets, 3)
	code, stdout, stderr := command(t, append([]string{"offline", "submit", "--endpoint-url", r.address, "--comment", "ticket 4711", "--yes", "--expect", "3", "--json"}, names...)...)
	if code != exitDone {
		t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
	}
	var ids []string
	for line := range strings.Lines(stdout) {
		var said submitted
		if err := json.Unmarshal([]byte(line), &said); err != nil {
			t.Fatal(err)
		}
		if said.ID != "" && said.Outcome == "accepted" {
			ids = append(ids, said.ID)
		}
	}
	if len(ids) != 3 {
		t.Fatalf("accepted ids %v of %s", ids, stdout)
	}
	text := r.stdout.await(t, "outcome", func(text string) bool { return strings.Count(text, `"outcome":"deactivated"`) == 3 })
	for _, id := range ids {
		if got := lines(t, text)[id]; got.Outcome != "deactivated" || got.Source != "ops" {
			t.Errorf("%s: %+v", id, got)
		}
	}
	if devicesOf(api) != 2 {
		t.Errorf("%d devices are left, want those of the bundle", devicesOf(api))
	}
	bundle := file(t, "b.req", strings.TrimSpace(made(t, "--product", "BU", "--license-key", offlineKey, "--hardware-id", offlineDevice+"-0", "--secrets", secrets)))
	if code, stdout, stderr = command(t, "offline", "submit", bundle, "--bundle", "--endpoint-url", r.address, "--comment", "x", "--yes", "--expect", "1"); code != exitDone {
		t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
	}
	r.stdout.await(t, "outcome", func(text string) bool { return strings.Count(text, `"outcome":"deactivated"`) == 4 })
	if devicesOf(api) != 0 {
		t.Errorf("%d devices are left", devicesOf(api))
	}
	noSecret(t, stdout, stderr, r.stdout.String())
}

// made is what make prints.
func made(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := command(t, append([]string{"offline", "make"}, args...)...)
	if code != exitDone {
		t.Fatalf("exit code %d, %s", code, stderr)
	}
	return stdout
}

// typist is a terminal with typed input.
type typist struct{ io.Reader }

func (typist) IsTerminal() bool { return true }

func TestOfflineSubmitActsOnlyWithACommentAndTheRightCount(t *testing.T) {
	t.Parallel()
	secrets := file(t, "s.json", offlineSecrets)
	good := requestFiles(t, secrets, 2)
	corrupt := file(t, "corrupt.req", strings.TrimSpace(made(t, "--product", "XY", "--license-key", "K", "--hardware-id", "h"))[:60])
	two := func(more ...string) []string { return append(slices.Clone(good), more...) }
	for name, c := range map[string]struct {
		args []string
		in   io.Reader
		code int
		done int
		want string // on either stream
	}{
		"nothing but files":             {two(), nil, 0, 0, "add: --comment TEXT --yes --expect 2"},
		"a comment, no terminal":        {two("--comment", "x"), nil, 0, 0, "This is a preview"},
		"a terminal, no comment":        {two(), typist{strings.NewReader("2\n")}, 0, 0, "This is a preview"},
		"typed":                         {two("--comment", "x"), typist{strings.NewReader(" 2 \n")}, 0, 2, "Type 2 to submit 2 request files to the License API at http://127.0.0.1"},
		"typed wrongly":                 {two("--comment", "x"), typist{strings.NewReader("3\n")}, 4, 0, "that is not 2: nothing was done"},
		"typed yes":                     {two("--comment", "x"), typist{strings.NewReader("yes\n")}, 4, 0, "that is not 2: nothing was done"},
		"nothing typed":                 {two("--comment", "x"), typist{strings.NewReader("")}, 4, 0, "no count was typed"},
		"yes":                           {two("--comment", "x", "--yes", "--expect", "2"), nil, 0, 2, ""},
		"yes, on a terminal":            {two("--comment", "x", "--yes", "--expect", "2"), typist{strings.NewReader("7\n")}, 0, 2, ""},
		"another count":                 {two("--comment", "x", "--yes", "--expect", "3"), nil, 4, 0, "the preview counts 2, not 3: nothing was done"},
		"none expected":                 {two("--comment", "x", "--yes", "--expect", "0"), nil, 4, 0, "the preview counts 2, not 0: nothing was done"},
		"yes without a count":           {two("--comment", "x", "--yes"), nil, 2, 0, "--yes needs --expect N"},
		"yes without a comment":         {two("--yes", "--expect", "2"), nil, 2, 0, "--yes needs --comment TEXT"},
		"yes and a blank comment":       {two("--yes", "--expect", "2", "--comment", " "), nil, 2, 0, "--yes needs --comment TEXT"},
		"a count without yes":           {two("--expect", "2"), nil, 2, 0, "--expect N goes with --yes"},
		"a comment of two lines":        {two("--yes", "--expect", "2", "--comment", "a\nb"), nil, 2, 0, "--comment: comment: holds the character U+000A"},
		"a corrupt one beside":          {two(corrupt), nil, 3, 0, "refused: it is"},
		"a corrupt one beside, yes":     {two(corrupt, "--comment", "x", "--yes", "--expect", "2"), nil, 3, 2, "refused"},
		"a corrupt one counted":         {two(corrupt, "--comment", "x", "--yes", "--expect", "3"), nil, 4, 0, "the preview counts 2, not 3"},
		"the same one twice":            {two(good[0], "--comment", "x", "--yes", "--expect", "2"), nil, 3, 2, "the same request as"},
		"a corrupt one alone":           {[]string{corrupt}, nil, 1, 0, "1 of 1 file cannot be submitted"},
		"a corrupt one alone, yes":      {[]string{corrupt, "--comment", "x", "--yes", "--expect", "0"}, nil, 1, 0, "cannot be submitted"},
		"one that is not there":         {[]string{"nowhere.req"}, nil, 1, 0, "refused: no such file or directory"},
		"from stdin, a count to type":   {[]string{"-", "--comment", "x"}, typist{strings.NewReader("")}, 2, 0, "the count cannot be typed"},
		"no file":                       {nil, nil, 2, 0, "licensectl offline submit takes a FILE, not 0 arguments"},
		"a function, too":               {two("--function", "f"), nil, 2, 0, "--direct and a function exclude each other"},
		"an address that is none":       {two("--license-api", "ftp://x/api/v4", "--comment", "x", "--yes", "--expect", "2"), nil, 2, 0, "BaseURL"},
		"a form, posted by nobody else": {two("--multipart", "--comment", "x", "--yes", "--expect", "2"), nil, 0, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, address := offlineAPI(t)
			before := devicesOf(api)
			args := append([]string{"offline", "submit", "--direct", "--secrets", secrets, "--license-api", address}, c.args...)
			var out, errs bytes.Buffer
			in := c.in
			if in == nil {
				in = strings.NewReader("2\n")
			}
			code := fast().run(t.Context(), args, in, &out, &errs)
			said := out.String() + errs.String()
			if code != c.code || before-devicesOf(api) != c.done || !strings.Contains(said, c.want) {
				t.Errorf("exit code %d and %d done, want %d and %d, %q in\n%s", code, before-devicesOf(api), c.code, c.done, c.want, said)
			}
			noSecret(t, said)
		})
	}
}

func TestOfflineSubmitNeedsAPlaceToSubmitTo(t *testing.T) {
	t.Parallel()
	name := file(t, "x.req", made(t, "--product", "XY", "--license-key", offlineKey, "--hardware-id", "h"))
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{nil, 0, "add: --comment TEXT"}, // a preview needs none
		{[]string{"--comment", "x"}, 2, "there is no function to invoke"},
		{[]string{"--direct"}, 2, "--direct needs --secrets FILE"},
		{[]string{"--secrets", "s.json"}, 2, "--secrets goes with --direct"},
		{[]string{"--license-api", "https://x"}, 2, "--license-api goes with --direct"},
		{[]string{"--multipart"}, 2, "--multipart goes with --direct"},
		{[]string{"--endpoint-url", "http://192.0.2.1:8080"}, 2, "--endpoint-url is not a usable address"},
		{[]string{"--endpoint-url", "127.0.0.1:8080"}, 2, "--endpoint-url is not a usable address"},
		{[]string{"--endpoint-url", "https://lambda.example.com"}, 2, "there is no function to invoke"},
		{[]string{"--endpoint-url", "http://127.0.0.1:8080"}, 0, "to the function webhook at http://127.0.0.1:8080"},
		{[]string{"--function", "my-webhook"}, 0, "to the function my-webhook"},
	} {
		code, _, stderr := command(t, append([]string{"offline", "submit", name}, c.args...)...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, %s, want %d, %s", c.args, code, stderr, c.code, c.want)
		}
	}
}

func TestOfflineSubmitPreviewsAsJSONThatEndsInTheCount(t *testing.T) {
	t.Parallel()
	secrets := file(t, "s.json", offlineSecrets)
	names := append(requestFiles(t, secrets, 2), file(t, "corrupt.req", "e30"))
	names = append(names, file(t, "no.req", "hello"))
	code, stdout, _ := command(t, append([]string{"offline", "submit", "--json"}, names...)...)
	all := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != exitPartly || len(all) != 5 || all[4] != `{"count":3,"refused":1}` {
		t.Errorf("exit code %d, %s", code, stdout)
	}
	var first, third submitted
	if err := json.Unmarshal([]byte(all[0]), &first); err != nil || first.License != "key …1234" || first.Product != "XY" || first.Schema != 1 || first.Outcome != "" {
		t.Errorf("%v, %s", err, all[0])
	}
	if err := json.Unmarshal([]byte(all[2]), &third); err != nil || len(third.Notes) != 6 { // an object without any field
		t.Errorf("%v, %s", err, all[2])
	}
}

// TestOfflineSubmitStopsWhereEveryFileWouldBeAnsweredAlike: the keys of --secrets are wrong, the files' are right.
func TestOfflineSubmitStopsWhereEveryFileWouldBeAnsweredAlike(t *testing.T) {
	t.Parallel()
	secrets := file(t, "s.json", offlineSecrets)
	names := requestFiles(t, secrets, 3)
	for answer, want := range map[string]int{"code=read_only_api_key": 1, "429-bare": 1, "code=signature_mismatch": 3, "code=license_not_found": 3, "down": 3} {
		api, address := offlineAPI(t)
		if err := api.Fail(answer); err != nil {
			t.Fatal(err)
		}
		code, stdout, stderr := command(t, append([]string{"offline", "submit", "--direct", "--secrets", secrets, "--license-api", address,
			"--comment", "x", "--yes", "--expect", "3", "--json"}, names...)...)
		if got := api.Counts().Calls; got != want || code != exitFailed || strings.Count(stdout, `"outcome":"not_sent"`) != 3-want || devicesOf(api) != 5 {
			t.Errorf("%s: %d calls, want %d; exit code %d, %s%s", answer, got, want, code, stdout, stderr)
		}
		noSecret(t, stdout, stderr)
	}
}

func TestOfflineSubmitReadsTheFunctionsAnswer(t *testing.T) {
	t.Parallel()
	names := requestFiles(t, file(t, "s.json", offlineSecrets), 3)
	for name, c := range map[string]struct {
		status int
		header string
		body   string
		code   int
		want   string
	}{
		"all":            {200, "", `{"accepted":3,"ids":["a","b","c"],"rejected":[]}`, 0, `"outcomes":{"accepted":3}`},
		"one rejected":   {200, "", `{"accepted":2,"ids":["a","c"],"rejected":[{"index":1,"code":"not_enqueued","message":"later"}]}`, 3, `"id":"c","outcome":"accepted"`},
		"none accepted":  {200, "", `{"accepted":0,"ids":[],"rejected":[{"index":0,"code":"x"},{"index":1,"code":"x"},{"index":2,"code":"x"}]}`, 1, `"outcomes":{"rejected":3}`},
		"too few":        {200, "", `{"accepted":2,"ids":["a","b"],"rejected":[]}`, 1, "not that of a webhook function"},
		"another's":      {200, "", `"hello"`, 1, "not that of a webhook function"},
		"a wrong index":  {200, "", `{"accepted":2,"ids":["a","b"],"rejected":[{"index":7}]}`, 1, "a request that was not sent"},
		"an index twice": {200, "", `{"accepted":1,"ids":["a"],"rejected":[{"index":1,"code":"x"},{"index":1,"code":"x"}]}`, 1, "not"},
		"an error":       {200, "Unhandled", `{"errorMessage":"webhook: it broke","errorType":"x"}`, 1, "webhook: it broke"},
		"no function":    {404, "", `{"Message":"Function not found"}`, 1, "it is unknown whether a file was enqueued"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got payload
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/2015-03-31/functions/mine/invocations" || r.Header.Get("Authorization") != "" {
					t.Errorf("%s, authorized with %q", r.URL, r.Header.Get("Authorization"))
				}
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
					t.Error(err)
				}
				if c.header != "" {
					w.Header().Set("X-Amz-Function-Error", c.header)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			code, stdout, stderr := command(t, append([]string{"offline", "submit", "--function", "mine", "--endpoint-url", server.URL,
				"--comment", "ticket 4711", "--yes", "--expect", "3", "--json"}, names...)...)
			if code != c.code || !strings.Contains(stdout+stderr, c.want) {
				t.Errorf("exit code %d, %s%s, want %d, %s", code, stdout, stderr, c.code, c.want)
			}
			if got.Source != "ops" || got.Comment != "ticket 4711" || len(got.Requests) != 3 || got.Requests[0].Action != "deactivate_offline" {
				t.Errorf("the payload was of %q, %q, %d requests", got.Source, got.Comment, len(got.Requests))
			}
			noSecret(t, stdout, stderr)
		})
	}
}

// TestOfflineSubmitSendsManyFilesInSeveralInvocations: Lambda takes 6 MB at once.
func TestOfflineSubmitSendsManyFilesInSeveralInvocations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var names []string
	for i := range 100 {
		content := fmt.Sprintf(`{"license_key":"%d","filler":%q}`, i, strings.Repeat("x", signing.MaxRequestFileBytes*3/4-64))
		name := filepath.Join(dir, fmt.Sprintf("%d.req", i))
		if err := os.WriteFile(name, []byte(base64.StdEncoding.EncodeToString([]byte(content))), 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	var sizes []int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var got payload
		if err := json.Unmarshal(body, &got); err != nil || len(body) > 6_000_000 {
			t.Errorf("%v, %d bytes", err, len(body))
		}
		sizes = append(sizes, len(got.Requests))
		if len(sizes) == 2 {
			http.Error(w, `{"Message":"no"}`, http.StatusForbidden)
			return
		}
		ids, _ := json.Marshal(make([]string, len(got.Requests)))
		fmt.Fprintf(w, `{"ids":%s}`, ids)
	}))
	defer server.Close()
	code, stdout, _ := command(t, append([]string{"offline", "submit", "--endpoint-url", server.URL, "--comment", "x", "--yes", "--expect", "100", "--json"}, names...)...)
	if code != exitPartly || len(sizes) != 2 || sizes[0]+sizes[1] != 100 || !strings.Contains(stdout, fmt.Sprintf(`"outcomes":{"accepted":%d,"not_sent":%d}`, sizes[0], sizes[1])) {
		t.Errorf("exit code %d, %d files in invocations %v, …%s", code, len(names), sizes, stdout[max(len(stdout)-100, 0):])
	}
}

func TestOfflineInspectReadsTheFilesOfTheVendorsSDKs(t *testing.T) {
	t.Parallel()
	keys := file(t, "k.json", `{"license_api":{"api_key":"apikey","shared_key":"sharedkey"},"webhooks":{}}`)
	client := file(t, "c.json", `{"license_api":{"client_id":"auth_company_1","client_secret":"client-secret"},"webhooks":{}}`)
	for _, name := range sdkFiles(t) {
		mine, other := keys, client
		if strings.Contains(name, "oauth") {
			mine, other = client, keys
		}
		code, stdout, _ := command(t, "offline", "inspect", name, "--secrets", mine)
		if code != exitDone || !strings.Contains(stdout, "verified   yes, by these keys") || !strings.Contains(stdout, "request    deactivation") {
			t.Errorf("%s: exit code %d, %s", name, code, stdout)
		}
		for _, secret := range []string{"BSK8", "8b06", "apikey", "user@example.com"} {
			if strings.Contains(stdout, secret) {
				t.Errorf("%s: %s is shown whole", name, secret)
			}
		}
		code, stdout, _ = command(t, "offline", "inspect", name, "--secrets", other)
		if code != exitFailed || !strings.Contains(stdout, "verified   no") || !strings.Contains(stdout, "another account") {
			t.Errorf("%s with other keys: exit code %d, %s", name, code, stdout)
		}
		code, stdout, _ = command(t, "offline", "inspect", name, "--json")
		var said inspection
		if err := json.Unmarshal([]byte(stdout), &said); err != nil || code != exitDone || said.Verified != nil || said.Schema != 2 || said.Product != "fooapp" {
			t.Errorf("%s: exit code %d, %v, %s", name, code, err, stdout)
		}
	}
}

func TestOfflineInspectSaysWhatIsWrongWithAFile(t *testing.T) {
	t.Parallel()
	python := sdkFiles(t)[2]
	text, err := os.ReadFile(python)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]struct {
		content, want string
		code          int
	}{
		"cut":           {string(text[:500]), "error      it is Base64, but not of a JSON object (at byte", 1},
		"not Base64":    {"hello, canary", "error      it is not Base64 (at byte 6", 1},
		"empty":         {"", "error      it is empty", 1},
		"an activation": {encode(`{"request":"activation","license_key":"canary-key","hardware_id":"h","product":"p","api_key":"a","date":"d"}`), `note       its request is "activation", not "deactivation"`, 0},
		"bare":          {encode(`{"request":"deactivation"}`), "note       it has no hardware_id", 0},
		"two licenses":  {encode(`{"license_key":"canary-key","username":"canary@example.com"}`), "note       it names a license key and a user", 0},
		"odd names":     {encode("{\"a\\u001b[31mb\":1,\"product\":\"x\\ny\"}"), "product    x y", 0},
	} {
		code, stdout, stderr := command(t, "offline", "inspect", file(t, "x.req", c.content))
		if code != c.code || !strings.Contains(stdout, c.want) || strings.Contains(stdout, "\x1b") {
			t.Errorf("%s: exit code %d, %q, want %q", name, code, stdout, c.want)
		}
		noSecret(t, stdout, stderr)
	}
	var out, errs bytes.Buffer
	if code := fast().run(context.Background(), []string{"offline", "inspect", "-"}, bytes.NewReader(text), &out, &errs); code != exitDone || !strings.Contains(out.String(), "fooapp") {
		t.Errorf("from stdin: exit code %d, %s%s", code, out.String(), errs.String())
	}
}

func TestOfflineMakeWritesAFileForEachRow(t *testing.T) {
	t.Parallel()
	secrets := file(t, "s.json", offlineSecrets)
	rows := file(t, "rows.csv", "\uFEFFproduct,license_key, username,hardware_id,license_id,is_vm,hostname\r\n"+
		"XY,CANARY-K1-1111,,hw1,,,\r\nXY,,canary@example.com,hw2,17,true,\"Mac, \"\"lab\"\"\"\r\n")
	out := filepath.Join(t.TempDir(), "requests")
	code, stdout, stderr := command(t, "offline", "make", "--csv", rows, "--out", out, "--secrets", secrets)
	if code != exitDone || stdout != "2 request files in "+out+"\n" {
		t.Fatalf("exit code %d, %s%s", code, stdout, stderr)
	}
	text, err := os.ReadFile(filepath.Join(out, "row-0002.req"))
	if err != nil {
		t.Fatal(err)
	}
	content, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(content, &fields); err != nil {
		t.Fatal(err)
	}
	if fields["username"] != "canary@example.com" || fields["license_id"] != 17.0 || fields["is_vm"] != true || fields["hostname"] != `Mac, "lab"` || fields["license_key"] != nil {
		t.Error("the second file does not hold the second row")
	}
	info, err := os.Stat(filepath.Join(out, "row-0001.req"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, mode %v", err, info.Mode())
	}
	if code, _, stderr = command(t, "offline", "make", "--csv", rows, "--out", out, "--secrets", secrets); code != exitFailed || !strings.Contains(stderr, "already exists: no file was written") {
		t.Errorf("over the same files: exit code %d, %s", code, stderr)
	}
	noSecret(t, stdout, stderr)
}

func TestOfflineMakeWritesNothingWhereARowIsWrong(t *testing.T) {
	t.Parallel()
	const head = "product,license_key,hardware_id\n"
	for name, c := range map[string]struct{ csv, want string }{
		"no device":          {head + "XY,CANARY-1,h\nXY,CANARY-2,\n", "x.csv:3: hardware_id: is missing"},
		"no license":         {head + "XY,,h\n", "x.csv:2: license_key: is missing (or username)"},
		"two licenses":       {"product,license_key,username,hardware_id\nXY,CANARY,canary,h\n", "x.csv:2: username: names a second license"},
		"a mistyped column":  {"product,license_key,hardware_id,licence_id\nXY,CANARY,h,7\n", `column 4 is not a field of a request: "licence_id"`},
		"a column twice":     {"product,license_key,hardware_id,product\nXY,CANARY,h,XZ\n", `column 4 occurs twice: "product"`},
		"a field too many":   {head + "XY,CANARY,h,more\n", "line 2: wrong number of fields"},
		"an open quote":      {head + "XY,\"CANARY,h\n", "line"},
		"is_vm that is none": {"product,license_key,hardware_id,is_vm\nXY,CANARY,h,yes\n", "x.csv:2: is_vm: must be true or false"},
		"no rows":            {head, "it has no rows"},
		"nothing":            {"", "no line with the columns' names"},
	} {
		out := filepath.Join(t.TempDir(), "requests")
		code, stdout, stderr := command(t, "offline", "make", "--csv", file(t, "x.csv", c.csv), "--out", out)
		if _, err := os.Stat(out); code != exitFailed || !strings.Contains(stderr, c.want) || !os.IsNotExist(err) {
			t.Errorf("%s: exit code %d, %s, want %s; the folder: %v", name, code, stderr, c.want, err)
		}
		noSecret(t, stdout, stderr)
	}
}

func TestOfflineMakeSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "product: is missing"},
		{[]string{"--product", "XY"}, "hardware_id: is missing"},
		{[]string{"--product", "XY", "--hardware-id", "h"}, "license_key: is missing"},
		{[]string{"--product", "XY", "--hardware-id", "h", "--license-key", "K", "--license-id", "1.5"}, "license_id: must be a whole number"},
		{[]string{"--schema", "3"}, "hint: schemas 1 and 2 are known"},
		{[]string{"--schema", "2", "--encoding", "HEX"}, "hint: hex is the documented form"},
		{[]string{"--encoding", "hex"}, "--encoding is only for schema 2"},
		{[]string{"--csv", "x.csv"}, "--csv needs --out"},
		{[]string{"--csv", "x.csv", "--out", "x", "--license-key", "K"}, "--license-key does not go with --csv"},
	} {
		if code, stdout, stderr := command(t, append([]string{"offline", "make"}, c.args...)...); code != exitUsage || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit code %d, %s%s, want %s", c.args, code, stdout, stderr, c.want)
		}
	}
	taken := file(t, "x.req", "of a customer")
	code, _, stderr := command(t, "offline", "make", "--product", "XY", "--hardware-id", "h", "--license-key", "K", "--out", taken)
	if code != exitFailed || !strings.Contains(stderr, "x.req exists already: no file was written\nlicensectl: hint: move it away, or give another name\n") || readFile(t, taken) != "of a customer" {
		t.Errorf("exit code %d, %s", code, stderr)
	}
	code, stdout, stderr := command(t, "offline", "make", "--product", "XY", "--hardware-id", "h", "--license-key", "K", "--secrets", file(t, "s.json", `{"license_api":{"api_key":"a "},"webhooks":{}}`))
	if code != exitFailed || stdout != "" || !strings.Contains(stderr, "api_key has white space") {
		t.Errorf("exit code %d, %s%s", code, stdout, stderr)
	}
}
