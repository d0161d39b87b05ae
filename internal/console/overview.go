package console

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

func atoi(text string) int { n, _ := strconv.Atoi(text); return n } // 0 for what is no number
func itoa(n int) string    { return strconv.Itoa(n) }

// overviewPage is the page with the state of the system.
type overviewPage struct {
	Place    string
	Live     string // address of the part that is read again
	Every    string
	Window   window
	Windows  []window
	Writes   bool
	Overview Overview
	Brake    string

	Total    int
	Answers  []deactivation.Answer // columns of Sources
	Sources  []sourceRow
	Outcomes []outcomeTile
	Rates    []rateCard
	Latest   []*eventRow
	Scan     history.Scan
	Samples  bool
}

// sourceRow is the deliveries of a sender by answer.
type sourceRow struct {
	Source string
	Total  int
	Counts []int // as Answers
}

// outcomeTile is how many messages had an outcome.
type outcomeTile struct {
	Name  string
	N     int
	Means string
}

// rateCard is the calls to an API beside its limit.
type rateCard struct {
	Name string
	*Rate
	Present float64 // calls of the last whole step
	Most    float64
}

// latestRows is how many events the overview shows.
const latestRows = 8

func (s *Server) overview(r *http.Request) (view, error) { return s.overviewAs("overview", r) }

func (s *Server) overviewLive(r *http.Request) (view, error) { return s.overviewAs("overview-live", r) }

func (s *Server) overviewAs(name string, r *http.Request) (view, error) {
	now, back := s.Now(), windowOf(r.URL.Query())
	state, err := s.Status.Overview(r.Context(), back.since(now))
	if err != nil {
		return view{}, err
	}
	page := overviewPage{
		Place: s.Place, Live: "/view/overview/live?since=" + back.Name, Every: s.refreshEvery(), Window: back, Windows: windows(), Writes: s.AllowWrites,
		Overview: state, Brake: brakeText(state.Brake), Samples: s.Samples != nil,
	}
	answer, err := s.History.Ask(r.Context(), history.OfLatest(), back.since(now))
	if err != nil {
		page.Overview.Notes = append(page.Overview.Notes, "The latest events cannot be read: "+err.Error())
	}
	rows := eventRows(answer.Requests, eventFilter{})
	page.Latest, page.Scan = rows[:min(len(rows), latestRows)], answer.Scan
	page.count()
	for _, one := range []struct {
		name string
		rate *Rate
	}{{"License API", state.License}, {"Management API", state.Management}} {
		if one.rate != nil {
			page.Rates = append(page.Rates, newRateCard(one.name, one.rate))
		}
	}
	return view{name: name, content: page}, nil
}

// count makes the table of deliveries and the tiles of outcomes.
func (p *overviewPage) count() {
	p.Answers = []deactivation.Answer{deactivation.Accepted, deactivation.Ignored, deactivation.Unmappable, deactivation.Stale, deactivation.Reversed, deactivation.Refused}
	index := map[string]int{}
	for _, c := range p.Overview.Deliveries {
		i, ok := index[c.Source]
		if !ok {
			i = len(p.Sources)
			index[c.Source] = i
			p.Sources = append(p.Sources, sourceRow{Source: cmp.Or(c.Source, "not known"), Counts: make([]int, len(p.Answers))})
		}
		p.Sources[i].Total += c.N
		p.Total += c.N
		if at := slices.Index(p.Answers, deactivation.Answer(c.Name)); at >= 0 {
			p.Sources[i].Counts[at] += c.N
		}
	}
	slices.SortFunc(p.Sources, func(a, b sourceRow) int {
		return cmp.Or(cmp.Compare(b.Total, a.Total), cmp.Compare(a.Source, b.Source))
	})
	for _, tile := range []outcomeTile{
		{Name: string(deactivation.Deactivated), Means: "devices freed"},
		{Name: string(deactivation.AlreadyInactive), Means: "nothing was left to do"},
		{Name: string(deactivation.Deferred), Means: "attempts that are repeated"},
		{Name: string(deactivation.Rejected), Means: "sent to the dead letters"},
	} {
		for _, c := range p.Overview.Outcomes {
			if c.Name == tile.Name {
				tile.N += c.N
			}
		}
		p.Outcomes = append(p.Outcomes, tile)
	}
}

// brakeText says what the brake allows; "" if that is not known.
func brakeText(limit *int) string {
	switch {
	case limit == nil:
		return ""
	case *limit == 0:
		return "No brake."
	}
	return "Brake at " + countOf(*limit, "license") + " of a source in an hour."
}

func newRateCard(name string, rate *Rate) rateCard {
	card := rateCard{Name: name, Rate: rate}
	for _, n := range rate.Calls {
		card.Most = max(card.Most, n)
	}
	if n := len(rate.Calls); n > 1 {
		card.Present = rate.Calls[n-2]
	}
	return card
}
