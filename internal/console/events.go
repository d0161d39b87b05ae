package console

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// eventRow is an event or a request with what became of it.
type eventRow struct {
	*history.Request
	At  time.Time // its last step
	Why string    // its code, reason or rule, in a few words

	FirstOrder string // of several ids of the order
	More       bool   // there are others

	// HasID: it has a page of its own. Deliveries that were refused have no id; those of a sender are one row.
	HasID bool
}

// eventFilter chooses rows. Its zero value chooses all.
type eventFilter struct {
	Source, Outcome, Text string
}

func filterOf(values url.Values) eventFilter {
	return eventFilter{Source: values.Get("source"), Outcome: values.Get("outcome"), Text: strings.TrimSpace(values.Get("text"))}
}

func (f eventFilter) chooses(r *history.Request) bool {
	if f.Source != "" && r.Source != f.Source || f.Outcome != "" && r.Outcome != f.Outcome && r.Reason != f.Outcome {
		return false
	}
	if f.Text == "" {
		return true
	}
	text := strings.ToLower(f.Text)
	return slices.ContainsFunc([]string{r.ID, r.Order, r.Rule, r.Code, r.Run, r.Product}, func(of string) bool {
		return strings.Contains(strings.ToLower(of), text)
	})
}

// eventRows are the chosen requests and events, the latest first.
func eventRows(requests []history.Request, f eventFilter) []*eventRow {
	rows := make([]*eventRow, 0, len(requests))
	for i := range requests {
		if f.chooses(&requests[i]) {
			rows = append(rows, newEventRow(&requests[i]))
		}
	}
	slices.SortStableFunc(rows, func(a, b *eventRow) int { return b.At.Compare(a.At) })
	return rows
}

func newEventRow(r *history.Request) *eventRow {
	row := &eventRow{Request: r, HasID: r.ID != r.Source && r.Outcome != string(deactivation.Refused)}
	row.FirstOrder, _, row.More = strings.Cut(r.Order, " ")
	for _, s := range r.Steps {
		if s.At.After(row.At) {
			row.At = s.At
		}
	}
	switch {
	case r.Code != "" && r.Code != r.Reason:
		row.Why = r.Code
	case r.Detail != "":
		row.Why = r.Detail
	case r.Rule != "":
		row.Why = r.Rule
	case r.Outcome == string(deactivation.Ignored):
		row.Why = "no rule matches"
	}
	return row
}

// eventsPage is the list of what arrived.
type eventsPage struct {
	Place    string
	Live     string
	Every    string
	Window   window
	Windows  []window
	Filter   eventFilter
	Sources  []string
	Outcomes []string
	Rows     []*eventRow
	Pager    pager
	All      int // rows without the filter
	Scan     history.Scan
	Samples  bool
}

func (s *Server) events(r *http.Request) (view, error) { return s.eventsAs("events", r) }

func (s *Server) eventsLive(r *http.Request) (view, error) { return s.eventsAs("events-live", r) }

func (s *Server) eventsAs(name string, r *http.Request) (view, error) {
	values := r.URL.Query()
	back, filter := windowOf(values), filterOf(values)
	answer, err := s.History.Ask(r.Context(), history.OfLatest(), back.since(s.Now()))
	if err != nil {
		return view{}, err
	}
	rows := eventRows(answer.Requests, filter)
	begin, end, pager := paged("/events", r, len(rows))
	page := eventsPage{
		Place: s.Place, Window: back, Windows: windows(), Filter: filter, Rows: rows[begin:end], Pager: pager, All: len(answer.Requests),
		Scan: answer.Scan, Samples: s.Samples != nil,
	}
	page.Sources, page.Outcomes = choices(answer.Requests)
	v := view{name: name}
	if values.Has(pushParameter) {
		maps.DeleteFunc(values, func(name string, of []string) bool { return name == pushParameter || strings.Join(of, "") == "" })
		v.push = "/events?" + values.Encode()
	}
	if pager.Page == 1 { // a later page does not move below its reader
		page.Live, page.Every = "/view/events/live?"+values.Encode(), s.refreshEvery()
	}
	v.content = page
	return v, nil
}

// pushParameter is a field of the form of filters: the browser is to show the address of what was chosen.
const pushParameter = "push"

// choices are the senders and the outcomes that there are.
func choices(requests []history.Request) (sources, outcomes []string) {
	for _, r := range requests {
		if r.Source != "" {
			sources = append(sources, r.Source)
		}
		outcomes = append(outcomes, r.Outcome)
	}
	slices.Sort(sources)
	slices.Sort(outcomes)
	return slices.Compact(sources), slices.Compact(outcomes)
}

// eventPage is one event or request: what became of it, and how it was decided.
type eventPage struct {
	Place       string
	ID          string
	Requests    []timeline
	Explanation *Explanation
	Unexplained string // why there is no explanation
	Scan        history.Scan
}

// longAgo is how far back a question about one thing goes: the retention of the log in production.
const longAgo = 400 * 24 * time.Hour

func (s *Server) event(r *http.Request) (view, error) {
	id := r.URL.Query().Get("id")
	if id == "" {
		return view{}, errForm
	}
	answer, err := s.History.Ask(r.Context(), history.OfID(id), s.Now().Add(-longAgo))
	if err != nil {
		return view{}, err
	}
	page := eventPage{Place: s.Place, ID: id, Requests: timelines(answer.Requests), Scan: answer.Scan}
	switch explanation, err := s.Explainer.Explain(r.Context(), id); {
	case err == nil:
		page.Explanation = &explanation
	case errors.Is(err, ErrNoBody):
		page.Unexplained = "Its body is not kept, so that the rules cannot be walked through again. The timeline has the rule that decided, and the values that it read."
	default:
		page.Unexplained = strings.TrimPrefix(err.Error(), "console: ")
	}
	return view{name: "event", content: page}, nil
}

// timeline is a request with its steps, as a page shows it.
type timeline struct {
	history.Request
	Steps  []stepRow
	Facts  [][2]string
	Letter bool // it may be in the dead-letter queue
}

type stepRow struct {
	At        time.Time
	Name      string
	Text, Who string
	Tone      string
}

func timelines(requests []history.Request) []timeline {
	all := make([]timeline, len(requests))
	for i, r := range requests {
		all[i] = newTimeline(r)
	}
	return all
}

func newTimeline(r history.Request) timeline {
	t := timeline{Request: r}
	for _, fact := range [][2]string{
		{"Source", r.Source}, {"Order", r.Order}, {"Cause", r.Cause}, {"Rule", r.Rule}, {"License", r.License}, {"User", r.User}, {"Product", r.Product},
		{"Device", r.Device}, {"Run", r.Run}, {"By", r.By}, {"Comment", r.Comment},
	} {
		if fact[1] != "" {
			t.Facts = append(t.Facts, fact)
		}
	}
	for _, step := range r.Steps {
		row := stepRow{At: step.At, Name: step.Step, Text: step.Text, Tone: stepTone(step.Step)}
		if !strings.Contains(step.Text, step.By) {
			row.Who = step.By
		}
		t.Steps = append(t.Steps, row)
	}
	switch outcome := cmp.Or(r.Outcome, r.Reason); outcome {
	case string(deactivation.Rejected), string(deactivation.Unmappable), string(deactivation.Stale), string(deactivation.Reversed):
		t.Letter = true
	}
	return t
}

// stepTone is the color of a step.
func stepTone(step string) string {
	switch step {
	case history.StepDone, history.StepVerified:
		return "good"
	case history.StepDeferred:
		return "warn"
	case history.StepParked:
		return "bad"
	}
	return "quiet"
}
