package history_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
	"license-deactivator/internal/history/historytest"
	"license-deactivator/internal/telemetry"
)

const key = "AAAA-BBBB-CCCC-DDDD"

func TestTheQueryOfEachQuestion(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		question history.Question
		filter   string
	}{
		{history.OfOrder("1001"), `order like /(^| )1001( |$)/`},
		{history.OfOrder("gid://shopify/Order/1.1"), `order like /(^| )gid\x{3A}\/\/shopify\/Order\/1\.1( |$)/`},
		{history.OfOrder(`#1" or "1" = "1`), `order like /(^| )\x{23}1\x{22}\x{25}20or\x{25}20\x{22}1\x{22}\x{25}20\x{3D}\x{25}20\x{22}1( |$)/`},
		{history.OfOrder("1001 copy"), `order like /(^| )1001\x{25}20copy( |$)/`},
		{history.OfLicense(key), `license_hash like /(^| )` + deactivation.HashLicense(key) + `( |$)/`},
		{history.OfLicense(" " + key + "\n"), `license_hash like /(^| )` + deactivation.HashLicense(key) + `( |$)/`},
		{history.OfID("stripe.evt_3Nx.0"), `id in ["stripe.evt_3Nx.0", "stripe.evt_3Nx", ` + requestsOf("stripe.evt_3Nx.0") + `]`},
		{history.OfID("stripe.evt_3Nx"), `id in ["stripe.evt_3Nx", ` + requestsOf("stripe.evt_3Nx") + `]`},
		{history.OfID("shopify.1001"), `id in ["shopify.1001", "shopify", ` + requestsOf("shopify.1001") + `]`},
		{history.OfID(strings.Repeat("x", 200) + ".1"), `id like /^` + strings.Repeat("x", 200) + `\.1(\.[0-9]+)?$/ or id like /^` + strings.Repeat("x", 200) + `$/`},
		{history.OfID(`row "7"`), `id like /^row\x{20}\x{22}7\x{22}(\.[0-9]+)?$/`},
		{history.OfID(`row "7".1`), `id like /^row\x{20}\x{22}7\x{22}\.1(\.[0-9]+)?$/ or id like /^row\x{20}\x{22}7\x{22}$/`},
		{history.OfRun("2026-11 campus"), `run = "2026-11 campus"`},
		{history.OfRun(`a\b`), `run like /^a\x{5C}b$/`},
	} {
		want := "fields @timestamp, @message\n| filter " + c.filter + "\n| sort @timestamp asc\n| limit 10000"
		if got := c.question.Query(); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.question, got, want)
		}
	}
}

// requestsOf lists the ids of the first requests of an event.
func requestsOf(event string) string {
	var ids []string
	for n := range 50 {
		ids = append(ids, fmt.Sprintf("%q", event+"."+fmt.Sprint(n)))
	}
	return strings.Join(ids, ", ")
}

// TestTheRequestsOfAnEventAreFoundByItsIDAlsoIfThatIsANumber: shopify.1001 looks like the request 1001 of an event "shopify".
func TestTheRequestsOfAnEventAreFoundByItsIDAlsoIfThatIsANumber(t *testing.T) {
	t.Parallel()
	for _, event := range []string{"stripe.evt_1", "shopify.1001", "generic.7.1"} {
		f, m := newFake(t), new(history.Memory)
		for _, id := range []string{event, event + ".0", event + ".1", event + "2.0", "x" + event} {
			f.Put(groups()[1], noon(), message(t, noon(), id, ""))
			_, _ = m.Write([]byte(message(t, noon(), id, "")))
		}
		i := f.insights()
		i.Now = func() time.Time { return noon().Add(time.Hour) }
		for name, source := range map[string]history.Source{"Logs": i, "memory": m} {
			found, err := source.Find(t.Context(), history.OfID(event), noon())
			if err != nil || len(found.Lines) != 3 {
				t.Errorf("%s in %s: %d lines (%v), want the event's and two requests'", event, name, len(found.Lines), err)
			}
		}
	}
}

func TestAQuestionIsAboutOneThingAndHoldsNoKey(t *testing.T) {
	t.Parallel()
	for _, bad := range []history.Question{
		{}, history.OfOrder(" "), history.OfLicense(""), {Order: "1", Run: "r"}, {ID: "1", LicenseHash: "0123456789abcdef"}, {LicenseHash: key}, {LicenseHash: "0123456789ABCDEF"},
	} {
		if bad.Check() == nil {
			t.Errorf("%+v is accepted", bad)
		}
		if _, err := newFake(t).insights().Find(t.Context(), bad, noon()); err == nil {
			t.Errorf("%+v is asked", bad)
		}
		if _, err := new(history.Memory).Find(t.Context(), bad, noon()); err == nil {
			t.Errorf("%+v is asked of memory", bad)
		}
	}
	q := history.OfLicense(key)
	asJSON, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{q.Query(), q.String(), string(asJSON)} {
		if strings.Contains(text, "BBBB") || strings.Contains(text, "DDDD") {
			t.Errorf("the key is in %s", text)
		}
	}
}

// TestAQueryFindsExactlyWhatItAsksFor asks the fake of Logs and a Memory the same question about lines with hostile texts:
// both find the lines that have the text, and no other. A text may hold quotes, backslashes, slashes, pipes, comments and
// whole commands of the language.
func TestAQueryFindsExactlyWhatItAsksFor(t *testing.T) {
	t.Parallel()
	hostile := []string{
		`1001`, `#1001`, `1"01`, `1'01`, `1\01`, `1\`, `\`, `/`, `1/01`, `a/i`, `.*`, `1.01`, `1|01`, `(`, `)`, `[`, `]`, `{1}`, `$`, `^1`, `1+`, `?`, `%`, "`x`",
		`" | limit 1`, `/ | stats count(*)`, `1001/ or id like /.*`, `x" or "1" = "1`, `# comment`, `ä`, `訂單`, `😀`, `\x41`, `\E\Q`, `{{order}}`, `*`, `,`, `:`, `a:b@c=d`, `1001.0`, `-`, "a\u00a0b", "a\tb",
	}
	text := rapid.OneOf(rapid.SampledFrom(hostile), rapid.StringMatching(`[a-z0-9"'\\/|#.()\[\]{}^$*+? -]{1,12}`), rapid.StringN(1, 8, 40))
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(text, 1, 6).Draw(t, "texts")
		asked := rapid.SampledFrom(texts).Draw(t, "asked")
		log := newLog(t, texts)
		for _, q := range []history.Question{history.OfOrder(asked), history.OfID(asked), history.OfRun(asked)} {
			if q.Check() != nil {
				continue // nothing is left of it
			}
			id, err := log.fake.Logs.Start(groups(), noon(), noon().Add(time.Hour), q.Query())
			if err != nil {
				t.Fatalf("%s: the query is refused: %v\n%s", q, err, q.Query())
			}
			var got []string
			for _, row := range log.fake.Logs.Result(id) {
				got = append(got, row["@message"])
			}
			found, err := log.memory.Find(t.Context(), q, noon())
			if err != nil {
				t.Fatal(err)
			}
			if len(found.Lines) == 0 {
				t.Fatalf("%s is not found in memory", q)
			}
			if len(got) != len(found.Lines) {
				t.Fatalf("%s: Logs finds %d lines, memory %d\n%s\n%s", q, len(got), len(found.Lines), q.Query(), strings.Join(got, "\n"))
			}
			for i, line := range found.Lines {
				if !slices.ContainsFunc(got, func(text string) bool { return strings.Contains(text, line.Time.Format(time.RFC3339Nano)) }) {
					t.Fatalf("%s: line %d differs", q, i)
				}
			}
		}
	})
}

// log is a fake and a Memory with the same lines.
type log struct {
	fake   *fakeLogs
	memory *history.Memory
}

// newLog writes a line for each text, as a whole field and as one of two ids of an order.
func newLog(t *rapid.T, texts []string) log {
	t.Helper()
	l := log{&fakeLogs{Logs: historytest.New(historytest.Config{Groups: groups(), Fields: fields()})}, new(history.Memory)}
	for i, text := range texts {
		var out strings.Builder
		r := telemetry.New(&out, 0, "")
		clean := deactivation.CleanText(text)
		r.Message(t.Context(), telemetry.Message{ID: clean, Run: clean, Order: []string{"other", text}, Outcome: deactivation.Deactivated, Attempts: 1})
		when := noon().Add(time.Duration(i) * time.Second)
		line := regexp.MustCompile(`"timestamp":"[^"]*"`).ReplaceAllString(strings.TrimSpace(out.String()), `"timestamp":"`+when.Format(time.RFC3339Nano)+`"`)
		l.fake.Put(groups()[i%2], when, line)
		if _, err := l.memory.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	return l
}
