package main

import (
	"strings"
	"testing"
)

func TestSourcesCheckFindsWhatIsDangerous(t *testing.T) {
	t.Parallel()
	with := func(old, replacement string) map[string]string {
		changed := strings.Replace(acme, old, replacement, 1)
		if changed == acme {
			t.Fatalf("%q is not in the file", old)
		}
		return map[string]string{"mine/acme.yaml": changed}
	}
	for name, c := range map[string]struct {
		change map[string]string
		code   int
		want   []string
	}{
		"a comparison of two absent fields": {with("starts_with(state, 'f')", "data.refunded == data.total && state == 'full'"), exitFailed, []string{
			`mine/acme.yaml:5: error: rule "refunded" holds where data.refunded and data.total are both missing`, "add && data.refunded != `null`", "1 error, "}},
		"a typed rule without its field": {with("starts_with(state, 'f')", "state != 'part'"), exitDone, []string{
			`mine/acme.yaml:5: warning: rule "refunded" holds on an event without any of its fields (state != 'part')`, "nothing is wrong, 2 warnings."}},
		"a rule of every event":  {with(`type: never, ignore`, "when: \"`true`\", ignore"), exitFailed, []string{`mine/acme.yaml:6: error: rule "never" holds on every event`}},
		"a long tolerance":       {with(`signed: "{body}"`, `signed: "{timestamp}.{body}", timestamp: X-Time, tolerance: 24h`), exitFailed, []string{"mine/acme.yaml:1: error: tolerance is 24h0m: "}},
		"a ping of every event":  {with("key: base64", "key: base64, ping: '(?s).*'"), exitFailed, []string{"mine/acme.yaml:1: error: ping matches events"}},
		"a name that is refused": {with("name: never", `name: "n\u2028"`), exitFailed, []string{`mine/acme.yaml:6: error: rule "n\u2028" cannot be sent to the queue: its name: holds the character U+2028`}},
		"a file of another ending": {map[string]string{"mine/other.yml": acme, "mine/third.YAML": acme, "mine/notes.txt": ""}, exitFailed, []string{
			"mine/other.yml: error: this file is never read: rename it to other.yaml, or remove it", "mine/third.YAML: error: this file is never read: rename it to third.yaml", "2 errors, 1 warning"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, "sources", "check", acmeWith(t, c.change))
			if code != c.code || strings.Contains(stdout, "notes.txt") {
				t.Errorf("exit code %d, want %d: %s\n%s", code, c.code, stderr, stdout)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("%q is not in\n%s", want, stdout)
				}
			}
		})
	}
}

func TestSourcesCheckOfAFolderWithoutAFileThatIsReadNamesTheOthers(t *testing.T) {
	t.Parallel()
	code, stdout, stderr := command(t, "sources", "check", folder(t, map[string]string{"mine/acme.yml": acme}))
	if code != exitFailed || !strings.Contains(stdout, "mine/acme.yml: error: this file is never read") || !strings.Contains(stderr, "one .yaml for each") {
		t.Errorf("exit code %d\n%s%s", code, stdout, stderr)
	}
}
