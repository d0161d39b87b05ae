package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	jmespath "github.com/jmespath/go-jmespath"

	"license-deactivator/internal/sample"
	"license-deactivator/internal/source"
)

// docs/sources.md and docs/senders/your-own.md say what they ran. Here it is run again.

func TestFilesOfThePagesLoad(t *testing.T) {
	t.Parallel()
	found := 0
	for _, p := range senderPages(t) {
		for _, text := range p.fenced("yaml source") {
			found++
			if _, err := source.Load(fstest.MapFS{"acme.yaml": {Data: []byte(text)}}); err != nil {
				t.Errorf("%s: %v", p.file, err)
			}
		}
	}
	if found < 2 {
		t.Errorf("%d files on the pages, want at least two", found)
	}
}

func TestWhatThePageCallsRefusedIsRefused(t *testing.T) {
	t.Parallel()
	p := readPage(t, "sources.md")
	whole, _, _ := strings.Cut(p.fenced("yaml source")[0], "rules:")
	tables := p.of("in `rules`")
	if len(tables) != 1 {
		t.Fatalf("%d tables of what is refused, want one", len(tables))
	}
	for _, row := range tables[0].rows {
		rules, want := code(row[0])[0], row[1]
		_, err := source.Load(fstest.MapFS{"acme.yaml": {Data: []byte(whole + "rules: " + rules + "\n")}})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "acme.yaml:") {
			t.Errorf("%s: got %v, want %q", rules, err, want)
		}
	}
}

func TestTrapsOfThePageAreTraps(t *testing.T) {
	t.Parallel()
	p := readPage(t, "sources.md")
	var event any
	if err := json.Unmarshal([]byte(p.fenced("json traps")[0]), &event); err != nil {
		t.Fatal(err)
	}
	tables := p.of("you write")
	if len(tables) != 1 {
		t.Fatalf("%d tables of traps, want one", len(tables))
	}
	for _, row := range tables[0].rows {
		expression := code(row[0])[0]
		got := "error"
		if value, err := jmespath.Search(expression, event); err == nil {
			text, _ := json.Marshal(value) //nolint:errchkjson // what JSON became
			got = string(text)
		}
		if want := strings.Trim(row[1], "`"); got != want {
			t.Errorf("%s gives %s, on the page %s", expression, got, want)
		}
	}
}

// TestASenderOfYourOwnInTenMinutes takes the steps of your-own.md with the page's own texts. The signature is made
// here as the page's openssl line makes it, without our code.
func TestASenderOfYourOwnInTenMinutes(t *testing.T) {
	t.Parallel()
	p := readPage(t, "senders/your-own.md")
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	body := p.fenced("json accepted")[0]
	refund, held, state := write("refund.json", body), write("secrets.json", p.fenced("json")[0]), write("state.json", p.fenced("json")[1])
	folder := filepath.Dir(write("my-sources/kestrel.yaml", p.fenced("yaml source")[0]))

	api := start(t, "fake-api", "--state", state)
	r := start(t, "local", "--sources", folder, "--secrets", held, "--license-api", api.address+"/api/v4")
	_, rest, _ := strings.Cut(p.text, "-hmac ")
	secret, _, _ := strings.Cut(rest, " ")
	if status, answer := r.signed(t, body, secret); status != http.StatusOK || !strings.Contains(p.text, answer) {
		t.Errorf("the answer is %d %s, on the page another", status, answer)
	}
	r.stdout.await(t, "deactivation", func(text string) bool { return strings.Contains(text, "deactivated      kestrel.evt-1.0") })

	code, stdout, stderr := command(t, "send", refund, "--source", "kestrel", "--sources", folder, "--secrets", held, "--to", r.address)
	if code != exitDone {
		t.Errorf("send: exit code %d, %s%s", code, stdout, stderr)
	}
	r.stdout.await(t, "second call", func(text string) bool { return strings.Contains(text, "already_inactive kestrel.evt-1.0") })

	for change, want := range map[[2]string]string{
		{`"refunded_cents": 9900`, `"refunded_cents": 100`}:       `"ignored"`,
		{`"sandbox": false`, `"sandbox": true`}:                   `"ignored"`,
		{`"order.refunded"`, `"order.paid"`}:                      `"ignored"`,
		{`"hardware_id": "b5f2c1d0-aa11", `, ``}:                  `"missing":["hardware_id"]`,
		{`"product": "acme-pro"`, `"product": "acme-pro", "x":1`}: `"accepted"`,
	} {
		changed := strings.Replace(body, change[0], change[1], 1)
		if changed == body {
			t.Errorf("%s is not in the body", change[0])
		}
		if _, answer := r.signed(t, changed, secret); !strings.Contains(answer, want) {
			t.Errorf("%s: answer %s, want %s", change[1], answer, want)
		}
	}
	if status, answer := r.signed(t, body, "another"); status != http.StatusUnauthorized || !strings.Contains(answer, "signature does not match") {
		t.Errorf("another secret: %d %s", status, answer)
	}
	if status, answer := r.post(t, "/webhooks/kestrel", body); status != http.StatusUnauthorized || !strings.Contains(answer, "signing: missing: header x-kestrel-signature") {
		t.Errorf("no signature: %d %s", status, answer)
	}

	files := fstest.MapFS{}
	for i, name := range []string{"refunded", "partial", "no-device"} {
		files["kestrel/"+name+".json"] = &fstest.MapFile{Data: []byte(body)}
		files["kestrel/"+name+".yaml"] = &fstest.MapFile{Data: []byte(p.fenced("yaml")[i])}
	}
	samples, err := sample.ReadAll(files)
	if err != nil || len(samples) != len(files)/2 {
		t.Errorf("the samples of step 6: %+v (%v)", samples, err)
	}
}

// signed posts a body as Kestrel does.
func (r *running) signed(t *testing.T, body, secret string) (int, string) {
	t.Helper()
	stamp := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = io.WriteString(mac, stamp+"."+body)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.address+"/webhooks/kestrel", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Kestrel-Signature", "t="+stamp+",s="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}
