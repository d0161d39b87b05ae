package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"license-deactivator/internal/deactivation"
	"license-deactivator/internal/history"
)

// ordersPage finds what became of an order, a license, a request or a bulk run.
type ordersPage struct {
	Place    string
	By       string // order, license, id or run
	Text     string // what was looked for; "" for a license key, which no page repeats
	Asked    bool
	Name     string // of the question, for a person
	Requests []timeline
	Counts   []Count
	Hidden   int // requests that are not shown
	Scan     history.Scan
}

// shownTimelines is how many timelines a page shows in full.
const shownTimelines = 20

// errMethod is the error of a license key in an address, which the browser would keep.
var errMethod = errors.New("a license key is looked for by the form alone")

func (s *Server) orders(r *http.Request) (view, error) {
	if err := r.ParseForm(); err != nil {
		return view{}, errors.Join(errForm, err)
	}
	page := ordersPage{Place: s.Place, By: r.Form.Get("by"), Text: strings.TrimSpace(r.Form.Get("text"))}
	if !slices.Contains([]string{"order", "license", "id", "run"}, page.By) {
		page.By = "order"
	}
	if page.By == "license" && r.Method != http.MethodPost {
		return view{}, errors.Join(errForm, errMethod)
	}
	if page.Text == "" {
		return view{name: "orders", content: page}, nil
	}
	q := question(page.By, page.Text)
	v := view{name: "orders", push: "/orders?" + url.Values{"by": {page.By}, "text": {page.Text}}.Encode()}
	page.Asked, page.Name = true, q.String()
	if page.By == "license" {
		page.Name, page.Text, v.push = "the license "+deactivation.Shorten(page.Text), "", "/orders"
	}
	answer, err := s.History.Ask(r.Context(), q, s.Now().Add(-longAgo))
	if err != nil {
		return view{}, err
	}
	page.fill(answer)
	v.content = page
	return v, nil
}

func question(by, text string) history.Question {
	switch by {
	case "license":
		return history.OfLicense(text)
	case "id":
		return history.OfID(text)
	case "run":
		return history.OfRun(text)
	}
	return history.OfOrder(text)
}

// fill shows the requests. Of many those come first that need a person.
func (p *ordersPage) fill(a history.Answer) {
	requests := slices.Clone(a.Requests)
	if len(requests) > shownTimelines {
		slices.SortStableFunc(requests, func(a, b history.Request) int { return urgency(a) - urgency(b) })
		p.Hidden = len(requests) - shownTimelines
		requests = requests[:shownTimelines]
	}
	p.Requests, p.Scan = timelines(requests), a.Scan
	for _, outcome := range a.Outcomes() {
		p.Counts = append(p.Counts, Count{Name: outcome, N: a.Counts[outcome]})
	}
}

// urgency orders requests: those that a person has to look at come first.
func urgency(r history.Request) int {
	switch deactivation.Outcome(r.Outcome) {
	case deactivation.Deactivated, deactivation.AlreadyInactive:
		return 1
	}
	return 0
}

// cost says what a question to the log has scanned; "" for lines in memory, which cost nothing.
func cost(s history.Scan) string {
	if len(s.Groups) == 0 {
		return ""
	}
	amount := fmt.Sprintf("about %.4f", s.Dollars)
	const least = 0.0001
	if s.Dollars < least {
		amount = "less than 0.0001"
	}
	return fmt.Sprintf("The log was read in %.1f s, for %s USD.", s.Seconds, amount)
}
