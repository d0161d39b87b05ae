package console_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"license-deactivator/internal/console"
	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// TestNoPageRunsATextOfASender: a hostile text is on each page as a text, and makes no element and no attribute.
func TestNoPageRunsATextOfASender(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withEvents(t).withLetters())
	id := url.QueryEscape("stripe." + hostile)
	for view, form := range map[string]url.Values{
		"/view/overview": nil, "/view/events": nil, "/view/events/live?source=" + url.QueryEscape(hostile): nil, "/view/event?id=" + id: nil, "/view/letters": nil,
		"/view/letters?source=" + url.QueryEscape(hostile): nil, "/view/letter?id=" + id: nil, "/view/samples": nil, "/view/orders?by=order&text=" + url.QueryEscape(hostile): nil,
		"/view/plan":         {"do": {"redrive"}, "source": {hostile}, "order": {hostile}},
		"/view/samples/send": {"name": {hostile}},
	} {
		method := http.MethodGet
		if form != nil {
			method = http.MethodPost
		}
		w := p.do(p.request(method, view, form))
		if w.Code != http.StatusOK {
			t.Errorf("%s: %d %s", view, w.Code, w.Body)
		}
		checkHarmless(t, view, w.Body.String())
		if !strings.Contains(view, "send") && !strings.Contains(w.Body.String(), "alert(1)") {
			t.Errorf("%s does not show the text", view)
		}
	}
}

// checkHarmless parses a page as a browser does.
func checkHarmless(t *testing.T, name, text string) {
	t.Helper()
	nodes := html.NewTokenizer(strings.NewReader(text))
	for {
		switch nodes.Next() {
		case html.ErrorToken:
			return
		case html.StartTagToken, html.SelfClosingTagToken:
			tag := nodes.Token()
			if tag.Data == "script" || tag.Data == "style" || tag.Data == "iframe" {
				t.Errorf("%s has an element %s", name, tag.Data)
			}
			for _, a := range tag.Attr {
				if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.ContainsAny(a.Key, `"'<>`) || strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
					t.Errorf("%s has the attribute %s=%q", name, a.Key, a.Val)
				}
			}
		}
	}
}

// TestTheFrameHasNoInlineScript: the policy forbids it, and a browser would leave it out.
func TestTheFrameHasNoInlineScript(t *testing.T) {
	t.Parallel()
	text := newPage(t, &place{}).get("/").Body.String()
	if inline := regexp.MustCompile(`<script(?:\s[^>]*)?>[^<]|<style|\sstyle=|\son[a-z]+=`).FindString(text); inline != "" {
		t.Errorf("the frame has %q", inline)
	}
	for _, address := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(address[1], "/") && address[1] != "#view" || strings.HasPrefix(address[1], "//") {
			t.Errorf("the frame loads %s from elsewhere", address[1])
		}
	}
}

func TestTheOverviewSaysWhatNeedsSomebody(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withEvents(t).withLetters())
	text := shown(t, p.get("/view/overview").Body.String())
	for _, want := range []string{
		"Needs you 3 dead letters wait for a decision", "Queue 3 2 messages waiting, 1 in flight or deferred", "Licenses are deactivated. Look-up on. Brake at 50 licenses of a source in an hour.",
		"4 deactivated devices freed", "License API 90 answers to messages in 10 s, of 100 allowed", "stripe 4 0 0 0 0 0 4", "a note about",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the overview lacks %q\n%s", want, text)
		}
	}
}

// shown is the text of a page, with single blanks.
func shown(t *testing.T, page string) string {
	t.Helper()
	var out strings.Builder
	nodes := html.NewTokenizer(strings.NewReader(page))
	for {
		switch nodes.Next() {
		case html.ErrorToken:
			return strings.Join(strings.Fields(out.String()), " ")
		case html.TextToken:
			out.WriteString(nodes.Token().Data)
		default:
			if name, _ := nodes.TagName(); string(name) != "span" && string(name) != "b" && string(name) != "small" {
				out.WriteByte(' ')
			}
		}
	}
}

func TestAnEventShowsItsTimelineAndItsExplanation(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withEvents(t))
	text := shown(t, p.get("/view/event?id=stripe.evt_1").Body.String())
	for _, want := range []string{"stripe.evt_1.0 deactivated", "2026-11-29 11:59:00 UTC", "decided", "refunded in full", "RESULT accepted: 1 deactivation"} {
		if !strings.Contains(text, want) {
			t.Errorf("the event lacks %q\n%s", want, text)
		}
	}
	text = shown(t, p.get("/view/event?id=stripe.evt_none").Body.String())
	for _, want := range []string{"The log has no line about this id.", "Its body is not kept"} {
		if !strings.Contains(text, want) {
			t.Errorf("an unknown event lacks %q\n%s", want, text)
		}
	}
}

func TestEventsAreFilteredAndTheLatestIsFirst(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{})
	for i, outcome := range []string{"deactivated", "rejected", "deactivated"} {
		p.line(t, `{"timestamp":%q,"message":"message","id":"stripe.evt_%d.0","source":"stripe","order":"pi_%d","outcome":%q,"attempts":1}`, noon().Add(-time.Duration(9-i)*time.Minute).Format(time.RFC3339), i, i, outcome)
	}
	ids := regexp.MustCompile(`stripe\.evt_\d\.0</a>`)
	for query, want := range map[string]string{
		"": "210", "?outcome=deactivated": "20", "?outcome=rejected": "1", "?text=PI_2": "2", "?source=shopify": "", "?since=1h": "210", "?text=nothing": "",
	} {
		got := ""
		for _, id := range ids.FindAllString(p.get("/view/events"+query).Body.String(), -1) {
			got += id[len("stripe.evt_") : len("stripe.evt_")+1]
		}
		if got != want {
			t.Errorf("%q: events %s, want %s", query, got, want)
		}
	}
	if text := shown(t, p.get("/view/events?text=nothing").Body.String()); !strings.Contains(text, "None of 3 events matches.") {
		t.Errorf("an empty choice says %s", text)
	}
}

// TestRefusedDeliveriesAreOneRowWithoutAPage: they have no id by which the log could be asked.
func TestRefusedDeliveriesAreOneRowWithoutAPage(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{})
	for range 3 {
		p.line(t, `{"timestamp":%q,"message":"delivery","source":"stripe","answer":"refused","status":401,"problem":"the signature does not match"}`, noon().Add(-time.Minute).Format(time.RFC3339))
	}
	w := p.get("/view/events")
	if text := shown(t, w.Body.String()); !strings.Contains(text, "stripe refused the signature does not match") || strings.Contains(w.Body.String(), "/event?id=") {
		t.Errorf("%s", w.Body)
	}
}

// TestManyEventsAreShownInPages: 10,000 rows on one page are slow, and break its layout.
func TestManyEventsAreShownInPages(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{})
	for i := range 10_000 {
		p.line(t, `{"timestamp":%q,"message":"message","id":"stripe.evt_%05d.0","source":"stripe","outcome":"deactivated","attempts":1}`, noon().Add(-time.Duration(10_000-i)*time.Second).Format(time.RFC3339), i)
	}
	first := p.get("/view/events")
	if n := strings.Count(first.Body.String(), "<tr>"); n != 51 || first.Body.Len() > 100_000 {
		t.Errorf("%d rows in %d bytes, want 50 and their head", n, first.Body.Len())
	}
	if text := shown(t, first.Body.String()); !strings.Contains(text, "1–50 of 10 000") || !strings.Contains(text, "Older") || strings.Contains(text, "Newer") {
		t.Errorf("the first page: %s", text)
	}
	last := shown(t, p.get("/view/events?page=200").Body.String())
	if !strings.Contains(last, "9 951–10 000 of 10 000") || !strings.Contains(last, "stripe.evt_00000.0") || strings.Contains(last, "Older") {
		t.Errorf("the last page: %s", last)
	}
	if far := p.get("/view/events?page=99999999999999999999"); far.Code != http.StatusOK {
		t.Errorf("a page that is not there: %d", far.Code)
	}
}

// TestALicenseKeyStaysOutOfAddressesAndPages: a browser keeps an address, and somebody looks over a shoulder.
func TestALicenseKeyStaysOutOfAddressesAndPages(t *testing.T) {
	t.Parallel()
	const key = "CANA-RYCA-NARY-1234"
	p := newPage(t, &place{})
	w := p.post("/view/orders", url.Values{"by": {"license"}, "text": {key}})
	if strings.Contains(w.Body.String(), "CANA") || strings.Contains(fmt.Sprint(w.Header()), "CANA") || !strings.Contains(w.Body.String(), "…1234") {
		t.Errorf("%v\n%s", w.Header(), w.Body)
	}
	if w := p.get("/view/orders?by=license&text=" + key); w.Code != http.StatusBadRequest || strings.Contains(w.Body.String(), "CANA") {
		t.Errorf("a key in an address: %d %s", w.Code, w.Body)
	}
	p.withLetters()
	w = p.post("/view/plan", url.Values{"do": {"redrive"}, "id": {"m2"}, "draft/0": {"stripe.evt_2.0"}, "keep/0": {"1"}, "set/0/license_key": {key}})
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "CANA") {
		t.Errorf("a plan repeats the key that was typed: %d %s", w.Code, w.Body)
	}
}

func TestAnOrderIsFoundAndItsAddressShown(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withEvents(t))
	w := p.post("/view/orders", url.Values{"by": {"order"}, "text": {" pi_1 "}})
	if got := w.Header().Get("HX-Push-Url"); got != "/orders?by=order&text=pi_1" {
		t.Errorf("the browser shows %q", got)
	}
	if text := shown(t, w.Body.String()); !strings.Contains(text, "order pi_1: 1 deactivated") || !strings.Contains(text, "stripe.evt_1.0 deactivated") {
		t.Errorf("the order: %s", text)
	}
	if text := shown(t, p.get("/view/orders?by=order&text=pi_9").Body.String()); !strings.Contains(text, "Nothing is known about order pi_9.") {
		t.Errorf("an unknown order: %s", text)
	}
}

func TestLettersAreGroupedAndAGroupIsChosen(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withLetters())
	text := shown(t, p.get("/view/letters").Body.String())
	for _, want := range []string{"2 letters by reason", "held surge", "All letters"} {
		if !strings.Contains(text, want) {
			t.Errorf("the letters lack %q\n%s", want, text)
		}
	}
	chosen := p.get("/view/letters?reason=held&code=surge&source=stripe").Body.String()
	if text := shown(t, chosen); !strings.Contains(text, "1 letter reason held, code surge, source stripe") || !strings.Contains(text, "Plan a purge") {
		t.Errorf("the group: %s", text)
	}
	for query, want := range map[string]string{"reason=held": "Plan a redrive Plan a purge", "id=stripe.evt_1.0": "Plan a release Plan a purge", "reason=unmappable": "Plan to map anew Plan a purge"} {
		if text := shown(t, p.get("/view/letters?"+query).Body.String()); !strings.Contains(text, want) {
			t.Errorf("%s lacks %q: %s", query, want, text)
		}
	}
	if text := shown(t, p.get("/view/letters?reason=held&nocode=1").Body.String()); !strings.Contains(text, "No letter matches.") {
		t.Errorf("held letters without a code: %s", text)
	}
	if text := shown(t, newPage(t, &place{}).get("/view/letters").Body.String()); !strings.Contains(text, "The dead-letter queue is empty. Nothing needs you.") {
		t.Errorf("no letters: %s", text)
	}
}

func TestAnErrorSaysWhatToDo(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{failure: errAWS}).withLetters())
	for _, view := range []string{"/view/overview", "/view/events", "/view/letters", "/view/orders?by=order&text=1"} {
		w := p.get(view)
		if text := shown(t, w.Body.String()); w.Code != http.StatusBadGateway || !strings.Contains(text, "AWS refuses the credentials choose a profile with AWS_PROFILE") {
			t.Errorf("%s: %d %s", view, w.Code, text)
		}
	}
	if w := newPage(t, &place{}).get("/view/letter?id=gone"); w.Code != http.StatusNotFound || !strings.Contains(shown(t, w.Body.String()), "Look at the list again.") {
		t.Errorf("a letter that is gone: %d %s", w.Code, w.Body)
	}
}

func TestAFormOfADraftBecomesAnAct(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withLetters())
	p.post("/view/plan", url.Values{
		"do": {"redrive"}, "id": {"m2"}, "draft/0": {"stripe.evt_2.0"}, "keep/0": {"1"}, "set/0/hardware_id": {"AB-12"}, "set/0/product": {" "},
		"draft/1": {"stripe.evt_2.1"}, "set/1/hardware_id": {"AB-13"},
	})
	want := console.Act{Do: "redrive", Filter: console.LetterFilter{IDs: []string{"m2"}}, Set: map[string]map[string]string{"stripe.evt_2.0": {"hardware_id": "AB-12"}}}
	if len(p.planned) != 1 || fmt.Sprint(p.planned[0]) != fmt.Sprint(want) {
		t.Errorf("planned %+v, want %+v", p.planned, want)
	}
	p.post("/view/plan", url.Values{"do": {"purge"}, "reason": {"held"}, "nocode": {"1"}, "source": {"stripe"}, "order": {"pi_1"}})
	want = console.Act{Do: "purge", Filter: console.LetterFilter{Reason: deactivation.ReasonHeld, NoCode: true, Source: "stripe", Order: "pi_1"}}
	if len(p.planned) != 2 || fmt.Sprint(p.planned[1]) != fmt.Sprint(want) {
		t.Errorf("planned %+v, want %+v", p.planned[1:], want)
	}
}

// TestAGroupChoosesItsOwnLetters: a letter without a sender, a code or a reason is a group of its own, and what is planned for the group
// must not reach the letters of other groups.
func TestAGroupChoosesItsOwnLetters(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{letters: []console.Letter{
		{ID: "stripe.evt_1.0", MessageID: "m1", Reason: deactivation.ReasonExhausted, Source: "stripe", At: noon(), Way: "unchanged"},
		{ID: "stripe.evt_2.0", MessageID: "m2", Reason: deactivation.ReasonExhausted, Code: "http_503", Source: "stripe", At: noon(), Way: "unchanged"},
		{ID: "m3", MessageID: "m3", Reason: deactivation.ReasonExhausted, At: noon(), Way: "kept"},
	}})
	groups := regexp.MustCompile(`hx-get="(/view/letters\?[^"]*reason=[^"]*)"`).FindAllStringSubmatch(p.get("/view/letters").Body.String(), -1)
	if len(groups) != 3 {
		t.Fatalf("%d groups, want 3", len(groups))
	}
	for _, group := range groups {
		w := p.get(html.UnescapeString(group[1]))
		if text := shown(t, w.Body.String()); !strings.Contains(text, " 1 letter reason exhausted") {
			t.Errorf("%s shows %s", group[1], text)
		}
		form := regexp.MustCompile(`name="([a-z]+)" value="([^"]*)"`)
		values := url.Values{}
		for _, field := range form.FindAllStringSubmatch(w.Body.String(), -1) {
			values.Set(field[1], field[2])
		}
		p.post("/view/plan", values)
	}
	none := 0
	for _, a := range p.planned {
		if a.Filter.Source == "" && a.Filter.NoSource && a.Filter.NoCode {
			none++
		}
	}
	if len(p.planned) != 3 || none != 1 {
		t.Errorf("planned %+v, want one plan for letters without a sender", p.planned)
	}
}

// TestLettersWithTheSameIDHavePagesOfTheirOwn: a delivery that was repeated left two letters with its id.
func TestLettersWithTheSameIDHavePagesOfTheirOwn(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{letters: []console.Letter{
		{ID: "stripe.evt_1", MessageID: "m1", Reason: deactivation.ReasonUnmappable, Source: "stripe", Detail: "the first", At: noon(), Way: "mapped"},
		{ID: "stripe.evt_1", MessageID: "m2", Reason: deactivation.ReasonUnmappable, Source: "stripe", Detail: "the second", At: noon(), Way: "mapped"},
	}})
	links := regexp.MustCompile(`hx-get="(/view/letter\?[^"]*)"`).FindAllStringSubmatch(p.get("/view/letters").Body.String(), -1)
	if len(links) != 2 {
		t.Fatalf("%d links, want 2", len(links))
	}
	for i, want := range []string{"the first", "the second"} {
		if text := shown(t, p.get(links[i][1]).Body.String()); !strings.Contains(text, want) {
			t.Errorf("the page of letter %d lacks %q: %s", i+1, want, text)
		}
	}
}

// deafHistory is a history that may not be read.
type deafHistory struct{}

func (deafHistory) Ask(context.Context, history.Question, time.Time) (history.Answer, error) {
	return history.Answer{}, errAWS
}

// TestALetterIsShownWithoutTheLog: a person may have rights to the queue and none to the log.
func TestALetterIsShownWithoutTheLog(t *testing.T) {
	t.Parallel()
	p := newPage(t, (&place{}).withLetters(), func(c *console.Config) { c.History = deafHistory{} })
	w := p.get("/view/letter?id=m1")
	text := shown(t, w.Body.String())
	for _, want := range []string{"Held by the brake.", "Plan a release", "Its timeline cannot be read: AWS refuses the credentials"} {
		if w.Code != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%d, the letter lacks %q: %s", w.Code, want, text)
		}
	}
}

func TestAPageThatIsNotThereIsNotAFailureOfTheServer(t *testing.T) {
	t.Parallel()
	p := newPage(t, &place{}, func(c *console.Config) { c.Samples = nil })
	if w := p.get("/view/samples"); w.Code != http.StatusNotFound {
		t.Errorf("samples of a place without any: %d, want 404", w.Code)
	}
}
